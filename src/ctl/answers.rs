//! Answers of the API as text for people.

use serde_json::Value;

use super::json::{field, number};
use super::status;
use super::table::{Align, table};
use super::text::safe;
use crate::cli::CtlCommand;
use crate::telemetry::human;
use crate::units::grouped;

/// An answer to this command.
pub(super) fn text(command: &CtlCommand, answer: &Value) -> String {
    match command {
        CtlCommand::Status { .. } => status::text(answer),
        CtlCommand::Hosts(_) => hosts(answer),
        CtlCommand::Why(_) => why(answer),
        CtlCommand::Events => events(answer),
        _ => message(answer),
    }
}

/// What is said beside an answer.
pub(super) fn warnings(answer: &Value) -> Vec<String> {
    let said = answer["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut warnings: Vec<_> = said.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if answer["kept"] == Value::Bool(false) {
        warnings.push("without state.data_dir this holds only until fetchd ends".to_owned());
    }
    warnings
}

/// A record in one line.
pub(super) fn record(record: &Value) -> String {
    if let Some(dropped) = record["dropped"].as_u64() {
        return format!("… {} more records are not shown", grouped(dropped));
    }
    let status = record["status"].as_u64().map(|status| status.to_string());
    let what = record["error"]["kind"].as_str().map(str::to_owned).or(status).unwrap_or_default();
    let time = record["elapsed_ms"].as_f64().map(|ms| human(std::time::Duration::from_secs_f64(ms.max(0.0) / 1000.0)));
    let url = record["final_url"].as_str().or(record["url"].as_str()).or(record["input"].as_str());
    let place = url.map_or_else(|| format!("line {}", number(record, "seq")), str::to_owned);
    safe(&format!("{:<10}  {what:<18}  {:>8}  {place}", field(record, "outcome"), time.unwrap_or_default()))
}

fn message(answer: &Value) -> String {
    safe(&field(answer, "message")) + "\n"
}

fn events(answer: &Value) -> String {
    let all = answer["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return "Nothing has happened yet.\n".to_owned();
    }
    let row = |event: &Value| vec![field(event, "at"), field(event, "kind"), field(event, "message")];
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&[("at", Align::Left), ("kind", Align::Left), ("event", Align::Left)], &rows)
}

fn hosts(answer: &Value) -> String {
    let all = answer["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return "No host is like that.\n".to_owned();
    }
    let row = |host: &Value| {
        let cause = host["causes"].as_array().and_then(|causes| causes.first()).map(cause).unwrap_or_default();
        let (waiting, in_flight) = (grouped(number(host, "waiting")), grouped(number(host, "in_flight")));
        vec![field(host, "name"), waiting, in_flight, field(host, "state"), cause]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let columns = [
        ("host", Align::Left),
        ("waiting", Align::Right),
        ("on the wire", Align::Right),
        ("state", Align::Left),
        ("waits for", Align::Left),
    ];
    table(&columns, &rows)
}

/// What holds a host or a line, with how long it does.
fn cause(cause: &Value) -> String {
    let text = field(cause, "message");
    match cause["until_s"].as_f64() {
        Some(seconds) => {
            format!("{text} ({} left)", human(std::time::Duration::from_secs_f64(seconds.clamp(0.0, 1e9))))
        }
        None => text,
    }
}

fn why(answer: &Value) -> String {
    let mut text = format!("{}\n", safe(&field(answer, "message")));
    for one in answer["causes"].as_array().map(Vec::as_slice).unwrap_or_default() {
        text.push_str(&format!("  {}\n", safe(&cause(one))));
        if let Some(change) = one["change"].as_str() {
            text.push_str(&format!("    to change it: {}\n", safe(change)));
        }
    }
    text
}
