//! Two panels over one time: windows, and round trips.

use std::error::Error;

use plotters::prelude::*;

use super::Log;

/// Told apart by everybody: blue and vermillion of Okabe and Ito's palette.
const COLORS: [RGBColor; 2] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0)];

/// Draws what the named logs say to an SVG file.
pub fn draw(file: &str, logs: &[(&str, Log)]) -> Result<(), Box<dyn Error>> {
    let root = SVGBackend::new(file, (900, 640)).into_drawing_area();
    root.fill(&WHITE)?;
    let panels = root.split_evenly((2, 1));
    let [above, below] = panels.as_slice() else {
        return Ok(());
    };
    let pick = |f: fn(&Log) -> &[(f64, f64)], unit: f64| {
        let scaled = |log| f(log).iter().map(|(t, v)| (*t, v / unit)).collect();
        logs.iter()
            .map(|(name, log)| (*name, scaled(log)))
            .collect()
    };
    panel(
        above,
        "Congestion window (kB)",
        pick(|log| &log.windows, 1e3),
    )?;
    panel(
        below,
        "Round-trip time (ms)",
        pick(|log| &log.round_trips, 1e-3),
    )?;
    Ok(root.present()?)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Series<'a> = (&'a str, Vec<(f64, f64)>);

/// One panel, of lines that hold each value until the next.
fn panel(area: &Area, title: &str, all: Vec<Series>) -> Result<(), Box<dyn Error>> {
    let most = |f: fn(&(f64, f64)) -> f64| {
        let values = all.iter().flat_map(|(_, points)| points.iter().map(f));
        values.fold(0.0, f64::max) * 1.05
    };
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, ("sans-serif", 18))
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..most(|p| p.0), 0.0..most(|p| p.1))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("time (s)")
        .x_label_formatter(&|t| format!("{t:.1}"))
        .y_label_formatter(&|v| format!("{v:.0}"))
        .draw()?;
    for ((name, points), color) in all.into_iter().zip(COLORS) {
        // Thousands of points share a pixel; a few hundred are as good.
        let few = points.iter().step_by(points.len() / 1000 + 1);
        let held = few.clone().zip(few.skip(1));
        let line: Vec<_> = held.flat_map(|(a, b)| [*a, (b.0, a.1)]).collect();
        chart
            .draw_series([PathElement::new(line, color.stroke_width(2))])?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(3)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(RGBColor(200, 200, 200))
        .draw()?;
    Ok(())
}
