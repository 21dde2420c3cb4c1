//! Responses of the API as text for people.

use serde_json::Value;

use super::failed::Failed;
use super::json::{field, number};
use super::status;
use super::table::{Align, table};
use super::text::{first_line, safe, safe_lines};
use crate::cli::{CtlCommand, HostOrder, HostsArgs, LimitsArgs};
use crate::telemetry::human;
use crate::units::grouped;

/// The text of a response to a command.
pub(super) fn text(command: &CtlCommand, answer: &Value) -> String {
    match command {
        CtlCommand::Status { .. } => status::text(answer),
        CtlCommand::Hosts(args) => hosts(answer, args),
        CtlCommand::Config => config(answer),
        CtlCommand::Why(_) => why(answer),
        CtlCommand::Events => events(answer),
        CtlCommand::Limits(LimitsArgs { host: None, all: false, .. }) => {
            message(answer) + "Those of a host: fetchd ctl limits HOST\n"
        }
        _ => message(answer),
    }
}

/// Whether the API can have sent this response to a command.
pub(super) fn is_answer(command: &CtlCommand, answer: Option<&Value>) -> bool {
    let Some(answer) = answer else { return false };
    match command {
        CtlCommand::Status { .. } => answer["how_it_is"].is_string(),
        CtlCommand::Hosts(_) => answer["hosts"].is_array(),
        CtlCommand::Events => answer["events"].is_array(),
        CtlCommand::Config => answer["values"].is_object(),
        _ => answer["message"].is_string(),
    }
}

/// The warnings of a response.
pub(super) fn warnings(answer: &Value) -> Vec<String> {
    let said = answer["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut warnings: Vec<_> = said.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if answer["kept"] == Value::Bool(false) {
        warnings.push("without state.data_dir, this holds only until fetchd ends".to_owned());
    }
    warnings
}

/// A record in one line.
pub(super) fn record(record: &Value) -> String {
    if let Some(dropped) = record["dropped"].as_u64() {
        return format!("… {} more records are not shown", grouped(dropped));
    }
    let failed = Failed {
        kind: record["error"]["kind"].as_str(),
        status: record["status"].as_u64(),
        message: record["error"]["message"].as_str(),
    };
    let (what, why) = (failed.what(), failed.why().map(|why| format!("  ({why})")).unwrap_or_default());
    let time = record["elapsed_ms"].as_f64().map(|ms| human(std::time::Duration::from_secs_f64(ms.max(0.0) / 1000.0)));
    let url = record["final_url"].as_str().or(record["url"].as_str()).or(record["input"].as_str());
    let place = url.map_or_else(|| format!("line {}", number(record, "seq")), str::to_owned);
    safe(&format!("{:<10}  {what:<18}  {:>8}  {place}{why}", field(record, "outcome"), time.unwrap_or_default()))
}

fn message(answer: &Value) -> String {
    safe_lines(&field(answer, "message")) + "\n"
}

fn events(answer: &Value) -> String {
    let all = answer["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return "Nothing has happened yet.\n".to_owned();
    }
    let row = |event: &Value| vec![field(event, "at"), field(event, "kind"), first_line(&field(event, "message"))];
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&[("at", Align::Left), ("kind", Align::Left), ("event", Align::Left)], &rows)
}

fn hosts(answer: &Value, asked: &HostsArgs) -> String {
    let all = answer["hosts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        let is_narrowed = asked.state.is_some() || asked.name.is_some();
        return if is_narrowed { "No host matches.\n" } else { "No host has lines now.\n" }.to_owned();
    }
    let by_errors = asked.sort == Some(HostOrder::Errors);
    let row = |host: &Value| {
        let cause = || host["causes"].as_array().and_then(|causes| causes.first()).map(cause).unwrap_or_default();
        let numbers = ["waiting", "in_flight", "errors"].map(|key| grouped(number(host, key)));
        let last = if by_errors { last_error(&host["last_error"]) } else { cause() };
        let [waiting, in_flight, errors] = numbers;
        vec![field(host, "name"), waiting, in_flight, errors, field(host, "state"), last]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    let columns = [
        ("host", Align::Left),
        ("waiting", Align::Right),
        ("on the wire", Align::Right),
        ("errors", Align::Right),
        ("state", Align::Left),
        (if by_errors { "last error" } else { "waits for" }, Align::Left),
    ];
    table(&columns, &rows)
}

/// The last error of a host; empty if it had none.
fn last_error(error: &Value) -> String {
    let Some(ago) = error["since_s"].as_f64() else { return String::new() };
    let ago = human(std::time::Duration::from_secs_f64(ago.clamp(0.0, 1e9)));
    format!("{}, {ago} ago: {}", field(error, "kind"), field(error, "message"))
}

/// The configuration in force, one key a line.
fn config(answer: &Value) -> String {
    let (file, loaded) = (answer["file"].as_str().unwrap_or("no file"), field(answer, "loaded"));
    let mut text = safe(&format!("# {file}, loaded {loaded}, digest {}", field(answer, "digest"))) + "\n";
    let mut keys = Vec::new();
    add_keys("", &answer["values"], &mut keys);
    for (key, value) in keys {
        text.push_str(&format!("{} = {}\n", safe(&key), safe(&value)));
    }
    text
}

/// Adds the keys below this one, by their full names.
fn add_keys(name: &str, value: &Value, keys: &mut Vec<(String, String)>) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (key, value) in table {
                let is_bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
                let key = if is_bare && !key.is_empty() { key.clone() } else { format!("{key:?}") };
                let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                add_keys(&name, value, keys);
            }
        }
        Value::Null => {}
        value => keys.push((name.to_owned(), value.to_string())),
    }
}

/// A cause with the time that is left.
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
    if number(answer, "waiting") == 0 {
        for one in answer["overrides"].as_array().map(Vec::as_slice).unwrap_or_default() {
            text.push_str(&format!("  to clear it: {}\n", safe(&field(one, "undo"))));
        }
    }
    text
}
