//! URLs per second by the number of connections, and a plot of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::table::{Candidate, compare};
use crate::{bare, command, list, peers, say};

const URLS: usize = 20_000;
const CONNECTIONS: [usize; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// The names of the lines of the plot, and their colours.
const LINES: [(&str, RGBColor); 3] =
    [("bare reqwest loop, two threads", RED), ("fetchd", BLUE), ("curl --parallel", BLACK)];

/// Prints the table, in URLs per second, and writes the plot beside the README. curl has no column where it is missing.
pub fn scaling(origin: SocketAddr, dir: &Path) {
    let names: Vec<&str> = candidates(origin, dir, 1).iter().map(|candidate| candidate.name).collect();
    say(&format!("| connections | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len())));
    let rows: Vec<Vec<f64>> = CONNECTIONS.iter().map(|connections| row(origin, dir, *connections)).collect();
    let path = plot_path();
    draw(&path, &rows).expect("a plot");
    say(&format!("\nthe plot is in {}", path.display()));
}

fn plot_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scaling.svg")
}

/// The medians at so many connections.
fn row(origin: SocketAddr, dir: &Path, connections: usize) -> Vec<f64> {
    let costs = compare(&candidates(origin, dir, connections));
    let cells: Vec<String> = costs.iter().map(|costs| costs.speed.shown(0)).collect();
    say(&format!("| {connections} | {} |", cells.join(" | ")));
    costs.iter().map(|costs| costs.speed.median).collect()
}

fn candidates(origin: SocketAddr, dir: &Path, connections: usize) -> Vec<Candidate> {
    let urls = list(dir, &format!("http://{origin}/item"), URLS);
    let bare = bare::command(bare::REQWEST, &urls.display().to_string(), connections, None);
    let curl = peers::curl_items(origin, dir, URLS, connections);
    let commands = [Some(bare), Some(command(&urls, connections, &[])), curl];
    let named = LINES.iter().zip(commands);
    named.filter_map(|((name, _), command)| Some(Candidate { name, command: command?, urls: URLS })).collect()
}

fn draw(path: &Path, rows: &[Vec<f64>]) -> Result<(), Box<dyn std::error::Error>> {
    let most = rows.iter().flatten().copied().fold(0.0, f64::max);
    let area = SVGBackend::new(path, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d((1.0..256.0).log_scale().base(2.0), 0.0..most * 1.1)?;
    chart
        .configure_mesh()
        .x_desc("connections")
        .y_desc("URLs per second")
        .x_label_formatter(&|connections| format!("{connections:.0}"))
        .y_label_formatter(&|speed| format!("{speed:.0}"))
        .x_labels(CONNECTIONS.len())
        .max_light_lines(0)
        .draw()?;
    for (line, (name, colour)) in LINES.iter().enumerate() {
        let points: Vec<(f64, f64)> = CONNECTIONS
            .iter()
            .zip(rows)
            .filter_map(|(connections, row)| Some((*connections as f64, *row.get(line)?)))
            .collect();
        if points.is_empty() {
            continue;
        }
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
            .label(*name)
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE)
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK)
        .draw()?;
    area.present()?;
    Ok(())
}
