//! Fewer elements, the same picture: what falls on the same pixels is drawn once.
//!
//! Invariant: what comes out is bounded by the size of the picture, not by what goes in, and no
//! extreme is lost.

use std::collections::HashSet;

use super::model::{Point, Span};

/// From a range of values to pixels.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    from: f64,
    to: f64,
    pixels: f64,
}

impl Scale {
    /// `pixels` for the values `from..to`.
    pub fn new(from: f64, to: f64, pixels: u32) -> Self {
        Self {
            from,
            to: if to > from { to } else { from + 1.0 },
            pixels: f64::from(pixels.max(1)),
        }
    }

    /// The pixel a value falls on; those beyond the range on its edges.
    pub fn pixel(&self, value: f64) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        (share.clamp(0.0, 1.0) * self.pixels) as i32
    }

    /// The value of a pixel's middle.
    pub fn value(&self, pixel: i32) -> f64 {
        self.from + (f64::from(pixel) + 0.5) / self.pixels * (self.to - self.from)
    }
}

/// A vertical bar: column, lowest and highest row.
pub type Bar = (i32, i32, i32);

/// Spans as bars, those of a column joined where they touch.
pub fn bars(spans: &[Span], unit: f64, x: Scale, y: Scale) -> Vec<Bar> {
    let mut all: Vec<Bar> = spans
        .iter()
        .map(|span| {
            let row = |place: u64| y.pixel(place as f64 / unit);
            (x.pixel(span.t), row(span.from), row(span.to))
        })
        .collect();
    all.sort_unstable();
    all.dedup_by(|next, last| {
        let joins = next.0 == last.0 && next.1 <= last.2 + 1;
        if joins {
            last.2 = last.2.max(next.2);
        }
        joins
    });
    all
}

/// A line of values that hold until the next: of a column with many, the first, the extremes
/// and the last, in the order they came.
pub fn line(points: &[Point], x: Scale) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::new();
    let mut rest = points;
    while let Some((first, _)) = rest.split_first() {
        let column = x.pixel(first.0);
        let n = rest
            .iter()
            .take_while(|(t, _)| x.pixel(*t) == column)
            .count()
            .max(1);
        let (here, after) = rest.split_at(n.min(rest.len()));
        if here.len() <= 4 {
            out.extend(here);
        } else {
            let by = |pick: fn(&Point, &Point) -> bool| {
                let mut found = 0;
                for (n, point) in here.iter().enumerate() {
                    if here.get(found).is_some_and(|best| pick(point, best)) {
                        found = n;
                    }
                }
                found
            };
            let mut kept = [
                0,
                by(|point, best| point.1 < best.1),
                by(|point, best| point.1 > best.1),
                here.len() - 1,
            ];
            kept.sort_unstable();
            let mut last = None;
            for n in kept {
                if last != Some(n) {
                    out.extend(here.get(n));
                }
                last = Some(n);
            }
        }
        rest = after;
    }
    out
}

/// Dots, one for each cell of `cell` pixels a side.
pub fn dots(points: &[Point], x: Scale, y: Scale, cell: i32) -> Vec<Point> {
    let cell = cell.max(1);
    let mut taken = HashSet::new();
    let fresh = |(t, value): &&Point| taken.insert((x.pixel(*t) / cell, y.pixel(*value) / cell));
    points.iter().filter(fresh).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: fn() -> Scale = || Scale::new(0.0, 10.0, 100);

    #[test]
    fn bars_of_a_column_join_and_holes_stay() {
        let spans: Vec<Span> = (0..1000_u64)
            .filter(|n| !(500..600).contains(n))
            .map(|n| Span {
                t: 5.0,
                from: n,
                to: n + 1,
            })
            .collect();
        let y = Scale::new(0.0, 1000.0, 200);
        assert_eq!(bars(&spans, 1.0, X(), y), [(50, 0, 100), (50, 120, 200)]);
    }

    #[test]
    fn a_line_keeps_its_extremes() {
        let mut points: Vec<Point> = (0..10_000).map(|n| (f64::from(n) / 1000.0, 5.0)).collect();
        points[4_321].1 = 99.0;
        points[4_325].1 = -1.0;
        let thin = line(&points, X());
        assert!(thin.len() <= 400, "{}", thin.len());
        assert!(thin.is_sorted_by(|a, b| a.0 < b.0));
        for extreme in [99.0, -1.0] {
            assert!(thin.iter().any(|(_, value)| *value == extreme));
        }
        let few = [(0.0, 1.0), (0.01, 2.0)];
        assert_eq!(line(&few, X()), few);
    }

    #[test]
    fn dots_are_bounded_by_the_picture() {
        let points: Vec<Point> = (0..100_000)
            .map(|n| (f64::from(n % 1000) / 100.0, f64::from(n % 7)))
            .collect();
        let y = Scale::new(0.0, 7.0, 70);
        assert!(dots(&points, X(), y, 2).len() <= 51 * 36);
    }

    #[test]
    fn a_range_of_nothing() {
        let none = Scale::new(3.0, 3.0, 0);
        assert_eq!(none.pixel(3.0), 0);
        assert!(none.value(0).is_finite());
    }
}
