//! One panel: axes with units, a line of keys above, and the shapes in it.
//!
//! Invariant: nothing is drawn outside the axes; values beyond them are left out.

use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::draw::Fail;
use super::model::Point;
use super::thin::{self, Scale};

/// What is drawn on.
pub type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const INK: RGBColor = RGBColor(34, 34, 34);
const LINES: RGBColor = RGBColor(225, 225, 225);

/// The line of a panel's name and keys.
const KEYS: u32 = 34;
/// Room for the numbers of the vertical axis, and for its name.
const LEFT: u32 = 84;
/// For those of the horizontal one.
const BELOW: u32 = 46;

/// Numbers along the horizontal axis, about.
const ACROSS: usize = 12;
/// And along the vertical one.
const UP: usize = 7;

/// Text of this size, in pixels of its line.
pub fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().into()
}

/// The same, heavier.
pub fn bold(size: i32) -> TextStyle<'static> {
    ("sans-serif", size, FontStyle::Bold).into_font().into()
}

/// A colour for what lies behind others.
pub fn light(color: RGBColor) -> RGBColor {
    let mix = |n: u8| (u16::from(n) / 5 + 204).min(255) as u8;
    RGBColor(mix(color.0), mix(color.1), mix(color.2))
}

/// A time for people: `4.20 s`, `20.1 ms`, `35 µs`.
pub fn seconds(time: f64) -> String {
    match time {
        100.0.. => format!("{time:.0} s"),
        1.0.. => format!("{time:.2} s"),
        0.001.. => format!("{:.1} ms", time * 1e3),
        _ => format!("{:.0} µs", time * 1e6),
    }
}

/// What a series looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Line,
    Bar,
    Area,
    Dot,
    Mark,
}

/// A series in the line of keys.
#[derive(Debug, Clone)]
pub struct Key {
    color: RGBColor,
    shape: Shape,
    text: String,
}

impl Key {
    /// A series, and how many things are in it.
    pub fn new(color: RGBColor, shape: Shape, name: &str, count: Option<usize>) -> Self {
        let text = match count {
            Some(count) => format!("{name}: {count}"),
            None => name.to_owned(),
        };
        Self { color, shape, text }
    }

    /// Width in the line of keys, as near as can be told without the font.
    fn width(&self) -> i32 {
        44 + self.text.chars().count() as i32 * 7
    }
}

/// An axis in a unit that makes its numbers short.
#[derive(Debug, Clone)]
pub struct Axis {
    name: String,
    unit: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Octets, in decimal multiples.
    pub fn octets(name: &str, from: f64, to: f64) -> Self {
        let (unit, word) = match to {
            2e9.. => (1e9, "GB"),
            2e6.. => (1e6, "MB"),
            2e3.. => (1e3, "kB"),
            _ => (1.0, "B"),
        };
        Self::new(format!("{name} ({word})"), unit, from, to)
    }

    /// Seconds, or parts of one.
    pub fn time(name: &str, from: f64, to: f64) -> Self {
        let (unit, word) = match to {
            2.0.. => (1.0, "s"),
            2e-3.. => (1e-3, "ms"),
            _ => (1e-6, "µs"),
        };
        Self::new(format!("{name} ({word})"), unit, from, to)
    }

    fn new(name: String, unit: f64, from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + unit };
        Self {
            name,
            unit,
            from: from / unit,
            to: to / unit,
        }
    }

    /// Digits behind the point that numbers at so many places of it need: they lie at multiples
    /// of 1, 2 or 5 of a power of ten.
    fn digits(&self, labels: usize) -> usize {
        match (self.to - self.from) / labels as f64 {
            0.5.. => 0,
            0.05.. => 1,
            0.005.. => 2,
            0.0005.. => 3,
            _ => 4,
        }
    }
}

type Plane = Cartesian2d<RangedCoordf64, RangedCoordf64>;

/// A panel to draw in. Values come in seconds and in the axis's plain unit.
pub struct Chart<'a, 'b> {
    chart: ChartContext<'a, SVGBackend<'b>, Plane>,
    x: Axis,
    y: Axis,
    width: u32,
    height: u32,
}

impl<'a, 'b> Chart<'a, 'b> {
    /// Axes, grid, name and keys.
    pub fn new(
        area: &'a Canvas<'b>,
        name: &str,
        range: (f64, f64),
        y: &Axis,
        keys: &[Key],
    ) -> Result<Self, Fail> {
        let x = Axis::time("time", range.0, range.1);
        let mut chart = ChartBuilder::on(area)
            .margin_top(KEYS)
            .margin_right(22)
            .margin_left(8)
            .margin_bottom(6)
            .x_label_area_size(BELOW)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(x.from..x.to, y.from..y.to)?;
        let label = |axis: &Axis, labels| {
            let digits = axis.digits(labels);
            move |value: &f64| format!("{value:.digits$}")
        };
        let (labels_x, labels_y) = (label(&x, ACROSS), label(y, UP));
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(LINES)
            .axis_style(RGBColor(120, 120, 120))
            .x_labels(ACROSS)
            .y_labels(UP)
            .x_label_formatter(&labels_x)
            .y_label_formatter(&labels_y)
            .x_desc(&x.name)
            .y_desc(&y.name)
            .label_style(font(15).color(&INK))
            .axis_desc_style(font(16).color(&INK))
            .draw()?;
        let (width, height) = chart.plotting_area().dim_in_pixel();
        let new = Self {
            chart,
            x,
            y: y.clone(),
            width,
            height,
        };
        head(area, name, keys)?;
        Ok(new)
    }

    /// Seconds to columns.
    pub fn x_scale(&self) -> Scale {
        let unit = self.x.unit;
        Scale::new(self.x.from * unit, self.x.to * unit, self.width)
    }

    /// Values, in the axis's unit, to rows counted from below.
    pub fn y_scale(&self) -> Scale {
        Scale::new(self.y.from, self.y.to, self.height)
    }

    /// What a value is divided by for the vertical axis.
    pub const fn unit(&self) -> f64 {
        self.y.unit
    }

    /// A line that holds each value until the next; it is interrupted where it leaves the panel.
    pub fn steps(&mut self, points: &[Point], color: RGBColor, wide: u32) -> Result<(), Fail> {
        let style = ShapeStyle::from(color).stroke_width(wide);
        let mut path = Vec::new();
        let mut last: Option<f64> = None;
        for (t, value) in thin::line(points, self.x_scale()) {
            let (x, y) = (t / self.x.unit, value / self.y.unit);
            let inside = y <= self.y.to && y >= self.y.from;
            if let Some(before) = last {
                path.push((x, before));
            }
            if inside {
                path.push((x, y));
            } else {
                self.path(std::mem::take(&mut path), style)?;
            }
            last = inside.then_some(y);
        }
        // The last value holds to the end.
        path.extend(last.map(|y| (self.x.to, y)));
        self.path(path, style)
    }

    fn path(&mut self, path: Vec<(f64, f64)>, style: ShapeStyle) -> Result<(), Fail> {
        if path.len() > 1 {
            self.chart
                .draw_series(std::iter::once(PathElement::new(path, style)))?;
        }
        Ok(())
    }

    /// As [`Chart::steps`], and filled to the floor.
    pub fn area(&mut self, points: &[Point], color: RGBColor) -> Result<(), Fail> {
        let floor = self.y.from;
        let mut path = Vec::new();
        let mut last: Option<f64> = None;
        for (t, value) in thin::line(points, self.x_scale()) {
            let x = t / self.x.unit;
            let y = (value / self.y.unit).clamp(self.y.from, self.y.to);
            path.push((x, last.unwrap_or(floor)));
            path.push((x, y));
            last = Some(y);
        }
        let Some(y) = last else { return Ok(()) };
        path.push((self.x.to, y));
        path.push((self.x.to, floor));
        let fill = color.mix(0.55).filled();
        self.chart
            .draw_series(std::iter::once(Polygon::new(path, fill)))?;
        Ok(())
    }

    /// An upright bar, by pixels.
    pub fn bar(
        &mut self,
        column: i32,
        low: i32,
        high: i32,
        color: RGBColor,
        wide: u32,
    ) -> Result<(), Fail> {
        let x = self.x_scale().value(column) / self.x.unit;
        let y = self.y_scale();
        let path = vec![(x, y.value(low)), (x, y.value(high).min(self.y.to))];
        self.path(path, ShapeStyle::from(color).stroke_width(wide))
    }

    /// All of the panel's height between two columns.
    pub fn band(&mut self, (from, to): (i32, i32), color: RGBColor) -> Result<(), Fail> {
        let x = self.x_scale();
        let from = x.value(from) / self.x.unit;
        let to = x.value(to.max(0)).max(x.value(0)) / self.x.unit;
        let least = 2.0 / f64::from(self.width) * (self.x.to - self.x.from);
        let to = to.max(from + least).min(self.x.to);
        let corners = [(from, self.y.from), (to, self.y.to)];
        self.chart
            .draw_series(std::iter::once(Rectangle::new(corners, color.filled())))?;
        Ok(())
    }

    /// A dot; `value` in the axis's unit.
    pub fn dot(&mut self, t: f64, value: f64, color: RGBColor, radius: u32) -> Result<(), Fail> {
        if value <= self.y.to && value >= self.y.from {
            let at = (t / self.x.unit, value);
            let dot = Circle::new(at, radius, color.filled());
            self.chart.draw_series(std::iter::once(dot))?;
        }
        Ok(())
    }

    /// A triangle that hangs from the top.
    pub fn mark(&mut self, t: f64, color: RGBColor) -> Result<(), Fail> {
        let at = (t / self.x.unit, self.y.to);
        let mark = EmptyElement::at(at) + Polygon::new(TRIANGLE.to_vec(), color.filled());
        self.chart.draw_series(std::iter::once(mark))?;
        Ok(())
    }
}

/// A mark, in pixels.
const TRIANGLE: [(i32, i32); 3] = [(-6, 0), (6, 0), (0, 11)];

/// The name of a panel, and its keys from the right.
fn head(area: &Canvas<'_>, name: &str, keys: &[Key]) -> Result<(), Fail> {
    let left = Pos::new(HPos::Left, VPos::Center);
    let middle = KEYS as i32 / 2 + 2;
    area.draw(&Text::new(
        name.to_owned(),
        (20, middle),
        bold(17).color(&INK).pos(left),
    ))?;
    let (wide, _) = area.dim_in_pixel();
    let all: i32 = keys.iter().map(Key::width).sum();
    let mut x = wide as i32 - 14 - all;
    for key in keys {
        let style = ShapeStyle::from(key.color);
        match key.shape {
            Shape::Line => {
                let path = vec![(x, middle), (x + 24, middle)];
                area.draw(&PathElement::new(path, style.stroke_width(3)))?;
            }
            Shape::Bar => {
                for (n, low) in [(4, 2), (12, -2), (20, -6)] {
                    let path = vec![(x + n, middle + low + 5), (x + n, middle + low)];
                    area.draw(&PathElement::new(path, style.stroke_width(3)))?;
                }
            }
            Shape::Area => {
                let corners = [(x, middle - 6), (x + 24, middle + 6)];
                area.draw(&Rectangle::new(corners, style.filled()))?;
            }
            Shape::Dot => {
                for n in [4, 12, 20] {
                    area.draw(&Circle::new((x + n, middle), 2, style.filled()))?;
                }
            }
            Shape::Mark => {
                let at = TRIANGLE.map(|(dx, dy)| (x + 12 + dx, middle - 5 + dy));
                area.draw(&Polygon::new(at.to_vec(), style.filled()))?;
            }
        }
        let text = font(15).color(&INK).pos(left);
        area.draw(&Text::new(key.text.clone(), (x + 30, middle), text))?;
        x += key.width();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_keep_numbers_short() {
        for (to, name) in [
            (500.0, "stream (B)"),
            (3e5, "stream (kB)"),
            (1e9, "stream (MB)"),
        ] {
            assert_eq!(Axis::octets("stream", 0.0, to).name, name);
        }
        for (to, name) in [(10.0, "time (s)"), (0.2, "time (ms)"), (1e-4, "time (µs)")] {
            assert_eq!(Axis::time("time", 0.0, to).name, name);
        }
        assert_eq!(seconds(4.2), "4.20 s");
        assert_eq!(seconds(0.020_109), "20.1 ms");
        assert_eq!(seconds(0.000_035), "35 µs");
    }
}
