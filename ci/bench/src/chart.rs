//! The rows as a picture: how far each is from its bar, on one scale, and who else is where.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::report::digits;
use crate::results::Results;
use crate::row::{Figures, Head};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

// Where the reader's page is dark each of these becomes another: see `DARK`.
const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(36, 41, 47);
const FAINT: RGBColor = RGBColor(101, 109, 118);
const LINES: RGBColor = RGBColor(216, 222, 228);
const MET: RGBColor = RGBColor(26, 127, 55);
const SHORT: RGBColor = RGBColor(188, 76, 0);
const PEER: RGBColor = RGBColor(9, 105, 218);

/// Colours of a light page, and of a dark one.
const DARK: [(&str, &str); 7] = [
    ("#FFFFFF", "#0D1117"),
    ("#24292F", "#E6EDF3"),
    ("#656D76", "#9198A1"),
    ("#D8DEE4", "#30363D"),
    ("#1A7F37", "#3FB950"),
    ("#BC4C00", "#F0883E"),
    ("#0969DA", "#58A6FF"),
];

const WIDTH: i32 = 1040;
const LINE: i32 = 26;
const TOP: i32 = 84;
const BELOW: i32 = 18;
/// Where the plot begins and ends.
const LEFT: i32 = 430;
const RIGHT: i32 = 890;
/// Doublings from the bar to either edge.
const REACH: f64 = 3.0;

/// What stands for whom.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Ours { met: bool },
    Square,
    Triangle,
    Diamond,
    Tick,
    Ring,
}

const KEYS: [(Mark, &str); 7] = [
    (Mark::Ours { met: true }, "netstrata, bar met"),
    (Mark::Ours { met: false }, "bar not met"),
    (Mark::Square, "smoltcp"),
    (Mark::Triangle, "lwIP"),
    (Mark::Diamond, "kernel"),
    (Mark::Tick, "limit"),
    (Mark::Ring, "netstrata, another way"),
];

fn mark_of(name: &str) -> Mark {
    match name {
        "smoltcp" => Mark::Square,
        "lwIP" => Mark::Triangle,
        "limit" => Mark::Tick,
        name if name.ends_with("veth") => Mark::Diamond,
        _ => Mark::Ring,
    }
}

/// The place of a part of the bar; what lies beyond an edge is drawn at it.
fn place(part: f64) -> i32 {
    let doublings = part.log2().clamp(-REACH, REACH);
    let middle = f64::from(LEFT + RIGHT) / 2.0;
    (middle + doublings / REACH * f64::from(RIGHT - LEFT) / 2.0).round() as i32
}

fn text(size: i32, color: &'static RGBColor, from: HPos) -> TextStyle<'static> {
    let font: TextStyle<'static> = ("sans-serif", size).into_font().into();
    font.color(color).pos(Pos::new(from, VPos::Center))
}

fn draw_mark(area: &Area<'_>, mark: Mark, x: i32, y: i32) -> Drawn {
    let line = PEER.stroke_width(2);
    match mark {
        Mark::Ours { met } => {
            let color = if met { MET } else { SHORT };
            area.draw(&Circle::new((x, y), 6, color.filled()))?;
        }
        Mark::Square => {
            let corners = [
                (x - 4, y - 4),
                (x + 4, y - 4),
                (x + 4, y + 4),
                (x - 4, y + 4),
            ];
            let closed = [corners.as_slice(), &corners[..2]].concat();
            area.draw(&PathElement::new(closed, line))?;
        }
        Mark::Triangle => {
            let corners = vec![(x, y - 6), (x + 6, y + 5), (x - 6, y + 5), (x, y - 6)];
            area.draw(&PathElement::new(corners, line))?;
        }
        Mark::Diamond => {
            let corners = vec![(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y), (x, y - 6)];
            area.draw(&PathElement::new(corners, line))?;
        }
        Mark::Tick => area.draw(&PathElement::new(
            vec![(x, y - 9), (x, y + 9)],
            FAINT.stroke_width(3),
        ))?,
        Mark::Ring => area.draw(&Circle::new((x, y), 4, FAINT.stroke_width(2)))?,
    }
    Ok(())
}

fn draw_keys(area: &Area<'_>) -> Drawn {
    let mut x = 18;
    for (mark, name) in KEYS {
        draw_mark(area, mark, x, 48)?;
        area.draw_text(name, &text(15, &INK, HPos::Left), (x + 12, 48))?;
        x += 34 + name.chars().count() as i32 * 8;
    }
    Ok(())
}

fn draw_axis(area: &Area<'_>, bottom: i32) -> Drawn {
    for doublings in -3..=3 {
        let x = place(2.0_f64.powi(doublings));
        let style = match doublings {
            0 => INK.stroke_width(2),
            _ => LINES.stroke_width(1),
        };
        area.draw(&PathElement::new(vec![(x, TOP), (x, bottom)], style))?;
        let name = match doublings {
            0 => "the bar".into(),
            n if n < 0 => format!("1/{}", 1 << -n),
            n => format!("{} x", 1 << n),
        };
        area.draw_text(&name, &text(14, &FAINT, HPos::Center), (x, TOP - 10))?;
    }
    Ok(())
}

fn draw_row(area: &Area<'_>, head: &Head, all: &[Figures], y: i32) -> Drawn {
    area.draw_text(head.id, &text(15, &INK, HPos::Left), (12, y))?;
    area.draw_text(head.what, &text(15, &FAINT, HPos::Left), (88, y))?;
    let Some(ours) = all.first() else {
        return Ok(());
    };
    let label = format!("{} {}", digits(ours.median), head.unit);
    area.draw_text(&label, &text(14, &INK, HPos::Right), (WIDTH - 10, y))?;
    let Some(beyond) = head.hardest(all) else {
        return Ok(());
    };
    let part = |ratio: f64| {
        if head.more {
            beyond * ratio
        } else {
            beyond / ratio
        }
    };
    let peers = all.iter().skip(1).filter(|it| it.ratio.is_finite());
    for it in peers {
        draw_mark(area, mark_of(&it.name), place(part(1.0 / it.ratio)), y)?;
    }
    let color = if beyond >= 1.0 { MET } else { SHORT };
    let spread = [ours.least, ours.most].map(|end| (place(part(end / ours.median)), y));
    area.draw(&PathElement::new(spread.to_vec(), color.stroke_width(3)))?;
    draw_mark(area, Mark::Ours { met: beyond >= 1.0 }, place(beyond), y)
}

/// The picture of all rows that have bars as SVG, for light pages and dark ones.
pub fn svg(heads: &[Head], results: &Results) -> Result<String, Box<dyn std::error::Error>> {
    let rows = heads
        .iter()
        .filter(|head| !head.bars.is_empty())
        .filter_map(|head| Some((head, results.row(head.id)?)));
    let rows: Vec<_> = rows.collect();
    let bottom = TOP + LINE * rows.len() as i32;
    let mut svg = String::new();
    {
        let size = (WIDTH as u32, (bottom + BELOW) as u32);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&PAPER)?;
        let title = "How far each figure is from its bar: farther right is better";
        area.draw_text(title, &text(19, &INK, HPos::Left), (12, 20))?;
        draw_keys(&area)?;
        draw_axis(&area, bottom)?;
        for (n, (head, all)) in rows.iter().enumerate() {
            draw_row(&area, head, all, TOP + LINE * n as i32 + LINE / 2)?;
        }
        area.present()?;
    }
    let dark = DARK.map(|(light, dark)| {
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
    });
    let style = format!(
        "<style>@media (prefers-color-scheme:dark){{{}}}</style>",
        dark.concat()
    );
    let at = svg.find('>').map_or(0, |at| at + 1);
    svg.insert_str(at, &style);
    Ok(svg)
}
