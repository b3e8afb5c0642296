//! Pictures of a connection: panels over one time axis, as SVG.
//!
//! Invariant: what a picture weighs is bounded by its size in pixels. Colours are told apart by
//! everybody (Okabe and Ito's palette), and no series by its colour alone: their shapes differ.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, Axis, Canvas, Chart, Key, Shape};
use super::model::{Flow, Mark, Point, Span};
use super::thin::{self, Scale};
use crate::session::Rate;
use crate::units;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const VERMILLION: RGBColor = RGBColor(213, 94, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const PINK: RGBColor = RGBColor(204, 121, 167);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const SKY: RGBColor = RGBColor(86, 180, 233);
const INK: RGBColor = RGBColor(34, 34, 34);
const QUIET: RGBColor = RGBColor(90, 90, 90);
const GREY: RGBColor = RGBColor(130, 130, 130);

/// Width of every picture, pixels.
const WIDTH: u32 = 1200;
/// Height of the lines above the panels.
const HEAD: u32 = 66;
/// Below them.
const FOOT: u32 = 12;

/// What one panel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Panel {
    /// The stream over time.
    Sequence,
    /// Windows and octets in flight.
    Window,
    /// Round trips and the retransmission timeout.
    RoundTrip,
}

impl Panel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sequence, Self::Window, Self::RoundTrip];

    /// For the name of a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Window => "window",
            Self::RoundTrip => "rtt",
        }
    }

    /// Is there anything to show?
    pub fn has(self, flow: &Flow) -> bool {
        match self {
            Self::Sequence => true,
            Self::Window => !flow.cwnd.is_empty() || !flow.flight.is_empty(),
            Self::RoundTrip => !flow.rtt.is_empty() || !flow.srtt.is_empty(),
        }
    }

    const fn height(self) -> u32 {
        match self {
            Self::Sequence => 520,
            Self::Window => 300,
            Self::RoundTrip => 260,
        }
    }
}

/// Why there is no picture. Writing to memory does not fail, and the rest is geometry.
pub type Fail = Box<dyn std::error::Error>;

/// The picture of these panels under a line of `totals`; `range` is seconds, from the first to
/// the last.
///
/// # Errors
/// None that is known; see [`Fail`].
pub fn picture(
    flow: &Flow,
    totals: &str,
    panels: &[Panel],
    range: (f64, f64),
) -> Result<String, Fail> {
    let height = HEAD + FOOT + panels.iter().map(|panel| panel.height()).sum::<u32>();
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE)?;
        head(&root, flow, totals)?;
        let (_, mut rest) = root.split_vertically(HEAD);
        for panel in panels {
            let (here, below) = rest.split_vertically(panel.height());
            match panel {
                Panel::Sequence => sequence(&here, flow, range)?,
                Panel::Window => window(&here, flow, range)?,
                Panel::RoundTrip => round_trip(&here, flow, range)?,
            }
            rest = below;
        }
        root.present()?;
    }
    // What SVG takes for granted is a quarter of it.
    for default in [" opacity=\"1\"", " stroke-width=\"1\"", " stroke=\"none\""] {
        svg = svg.replace(default, "");
    }
    Ok(svg)
}

/// Who talks to whom, and the totals.
fn head(root: &Canvas<'_>, flow: &Flow, totals: &str) -> Result<(), Fail> {
    let left = Pos::new(HPos::Left, VPos::Top);
    let title = canvas::bold(21).color(&INK).pos(left);
    let small = canvas::font(15).color(&QUIET).pos(left);
    let control = flow.control.as_ref();
    let control = control.map_or(String::new(), |name| format!(" ({name})"));
    let (from, to) = (&flow.from, &flow.to);
    root.draw(&Text::new(
        format!("{from} → {to}{control}"),
        (20, 12),
        title,
    ))?;
    root.draw(&Text::new(totals.to_owned(), (20, 41), small))?;
    Ok(())
}

/// `100.0 MiB in 4.20 s: 199 Mbit/s; 75311 segments, 120 sent again (0.16 %); ...`
pub fn totals(flow: &Flow) -> String {
    let time = std::time::Duration::try_from_secs_f64(flow.seconds).unwrap_or_default();
    let rate = Rate::new(flow.octets(), time);
    let mut text = format!(
        "{} in {}: {rate}; {} segments",
        units::octets(flow.octets()),
        canvas::seconds(flow.seconds),
        flow.segments
    );
    if flow.repeated > 0 {
        let share = flow.repeated as f64 * 100.0 / flow.segments.max(1) as f64;
        text.push_str(&format!(", {} sent again ({share:.2} %)", flow.repeated));
    }
    if let Some(rtt) = flow.min_rtt() {
        text.push_str(&format!("; least round trip {}", canvas::seconds(rtt)));
    }
    if !flow.place.is_empty() {
        text.push_str(&format!("; {}", flow.place));
    }
    text
}

fn sequence(area: &Canvas<'_>, flow: &Flow, range: (f64, f64)) -> Result<(), Fail> {
    let spans = || flow.sent.iter().chain(&flow.again);
    let low = spans().map(|span| span.from).min().unwrap_or(0) as f64;
    let acked = flow.acked.iter().map(|(_, place)| *place);
    let low = acked.fold(low, f64::min);
    let high = spans().map(|span| span.to).max().unwrap_or(1) as f64;
    // The edge of a wide window would press everything else to the floor.
    let headroom = (high - low) * 0.03;
    let most = high + (high - low) * 0.2;
    let edge = flow.edge.iter().map(|(_, place)| *place);
    let edge_low = edge.clone().fold(f64::MAX, f64::min);
    let top = edge.fold(high, f64::max).min(most).max(high + headroom);
    let y = Axis::octets("stream", low.min(high - 1.0), top);

    let mut keys = vec![Key::new(BLUE, Shape::Bar, "sent", Some(flow.sent.len()))];
    if !flow.again.is_empty() {
        let n = Some(flow.again.len());
        keys.push(Key::new(VERMILLION, Shape::Bar, "sent again", n));
    }
    if !flow.sacked.is_empty() {
        let n = Some(flow.sacked.len());
        keys.push(Key::new(PINK, Shape::Bar, "SACK", n));
    }
    keys.push(Key::new(GREEN, Shape::Line, "acknowledged", None));
    if !flow.edge.is_empty() {
        let name = match edge_low > top {
            true => "window edge (above)",
            false => "window edge",
        };
        keys.push(Key::new(GREY, Shape::Line, name, None));
    }
    let mut chart = Chart::new(area, "Sequence", range, &y, &keys)?;
    chart.steps(&flow.edge, GREY, 1)?;
    bars(&mut chart, &flow.sacked, PINK)?;
    bars(&mut chart, &flow.sent, BLUE)?;
    chart.steps(&flow.acked, GREEN, 1)?;
    bars(&mut chart, &flow.again, VERMILLION)
}

/// Spans, the wider the fewer there are.
fn bars(chart: &mut Chart<'_, '_>, spans: &[Span], color: RGBColor) -> Result<(), Fail> {
    let (x, y) = (chart.x_scale(), chart.y_scale());
    let bars = thin::bars(spans, chart.unit(), x, y);
    let wide = match bars.len() {
        0..=60 => 4,
        61..=250 => 3,
        251..=900 => 2,
        _ => 1,
    };
    // What was sent again must not be overlooked among thousands.
    let wide = if color == VERMILLION { wide + 1 } else { wide };
    for (column, low, high) in bars {
        let high = high.max(low + 2);
        chart.bar(column, low, high, color, wide)?;
    }
    Ok(())
}

fn window(area: &Canvas<'_>, flow: &Flow, range: (f64, f64)) -> Result<(), Fail> {
    let values = |points: &[Point]| points.iter().map(|(_, v)| *v).fold(0.0, f64::max);
    let high = values(&flow.cwnd).max(values(&flow.flight)).max(1.0);
    // A threshold that was never reached is no reason to shrink the rest.
    let top = high.max(values(&flow.ssthresh).min(high * 1.3)) * 1.05;
    let y = Axis::octets("octets", 0.0, top);
    let mut keys = Vec::new();
    if !flow.cwnd.is_empty() {
        keys.push(Key::new(INK, Shape::Line, "congestion window", None));
    }
    if !flow.ssthresh.is_empty() {
        keys.push(Key::new(ORANGE, Shape::Line, "slow start threshold", None));
    }
    keys.push(Key::new(SKY, Shape::Area, "in flight", None));
    if !flow.recovery.is_empty() {
        let n = Some(flow.recovery.len());
        keys.push(Key::new(
            canvas::light(VERMILLION),
            Shape::Area,
            "recovery",
            n,
        ));
    }
    for mark in Mark::ALL {
        let n = flow.marks.iter().filter(|(_, m)| *m == mark).count();
        if n > 0 {
            keys.push(Key::new(
                mark_color(mark),
                Shape::Mark,
                mark.name(),
                Some(n),
            ));
        }
    }
    let mut chart = Chart::new(area, "Window", range, &y, &keys)?;
    bands(&mut chart, &flow.recovery)?;
    chart.area(&flow.flight, SKY)?;
    chart.steps(&flow.ssthresh, ORANGE, 2)?;
    chart.steps(&flow.cwnd, INK, 2)?;
    for mark in Mark::ALL {
        let at: Vec<Point> = flow
            .marks
            .iter()
            .filter_map(|(t, m)| (*m == mark).then_some((*t, top)))
            .collect();
        for (t, _) in thin::line(&at, chart.x_scale()) {
            chart.mark(t, mark_color(mark))?;
        }
    }
    Ok(())
}

const fn mark_color(mark: Mark) -> RGBColor {
    match mark {
        Mark::Timeout => VERMILLION,
        Mark::Probe => PINK,
        Mark::Undo => GREEN,
        Mark::Ecn => BLUE,
    }
}

/// Times as light bands, those that touch joined.
fn bands(chart: &mut Chart<'_, '_>, times: &[(f64, f64)]) -> Result<(), Fail> {
    let x: Scale = chart.x_scale();
    let mut open: Option<(i32, i32)> = None;
    for (from, to) in times {
        let (from, to) = (x.pixel(*from), x.pixel(*to));
        match &mut open {
            Some((_, last)) if from <= *last + 1 => *last = to.max(*last),
            _ => {
                if let Some(band) = open.replace((from, to)) {
                    chart.band(band, canvas::light(VERMILLION))?;
                }
            }
        }
    }
    match open {
        Some(band) => chart.band(band, canvas::light(VERMILLION)),
        None => Ok(()),
    }
}

fn round_trip(area: &Canvas<'_>, flow: &Flow, range: (f64, f64)) -> Result<(), Fail> {
    let values = |points: &[Point]| points.iter().map(|(_, v)| *v).fold(0.0, f64::max);
    let high = values(&flow.rtt).max(values(&flow.srtt)).max(1e-6);
    // A timeout far above would press the round trips to the floor.
    let lowest = flow.rto.iter().map(|(_, v)| *v).fold(f64::MAX, f64::min);
    let top = if lowest < high * 4.0 {
        high.max(values(&flow.rto).min(high * 4.0)) * 1.05
    } else {
        high * 1.05
    };
    let y = Axis::time("time", 0.0, top);
    let n = Some(flow.rtt.len());
    let mut keys = vec![Key::new(BLUE, Shape::Dot, "round trip", n)];
    keys.push(Key::new(INK, Shape::Line, "smoothed", None));
    if !flow.rto.is_empty() {
        let name = match lowest > top {
            true => "retransmission timeout (above)",
            false => "retransmission timeout",
        };
        keys.push(Key::new(VERMILLION, Shape::Line, name, None));
    }
    let mut chart = Chart::new(area, "Round trips", range, &y, &keys)?;
    chart.steps(&flow.rto, VERMILLION, 1)?;
    let (x, y) = (chart.x_scale(), chart.y_scale());
    let unit = chart.unit();
    let scaled: Vec<Point> = flow.rtt.iter().map(|(t, v)| (*t, *v / unit)).collect();
    let dots = thin::dots(&scaled, x, y, 3);
    let wide = if dots.len() > 400 { 1 } else { 2 };
    for (t, value) in dots {
        chart.dot(t, value, BLUE, wide)?;
    }
    chart.steps(&flow.srtt, INK, 2)
}
