//! The text of `fetchd ctl status`.

use serde_json::Value;

use super::failed::Failed;
use super::json::{field, names_and_numbers, number, time_of_day};
use super::table::{Align, list, table};
use super::text::{first_line, safe};
use crate::telemetry::human;
use crate::units::{counted, grouped, in_bytes};

/// The most overrides that are shown.
const MOST_OVERRIDES: usize = 20;

/// The most failures that are shown.
const MOST_FAILURES: usize = 5;

/// The text of the status.
pub(super) fn text(status: &Value) -> String {
    let sentences = ["how_it_is", "waits_for", "done_when"].map(|key| format!("{}\n", safe(&field(status, key))));
    let mut text = sentences.concat();
    text.push('\n');
    let overrides = overrides(&status["overrides"]);
    let rows = [
        ("ready", Some(ready(status))),
        ("lines", Some(lines(&status["lines"], status["bottleneck"]["kind"] == "sink"))),
        ("records/s", Some(rates(&status["rates"]["recorded"]))),
        ("outcomes", names_and_numbers(&status["outcomes"], grouped)),
        ("errors", names_and_numbers(&status["kinds"], grouped)),
        (
            "time limited by",
            names_and_numbers(&status["limited_s"], |seconds| human(std::time::Duration::from_secs(seconds))),
        ),
        ("oldest line", oldest(&status["oldest_line"])),
        ("without a token", token_waits(&status["token_waits"])),
        ("sinks", sinks(&status["sinks"])),
        ("sources", sources(&status["sources"])),
        ("window", window(&status["window"])),
    ];
    let more = [
        ("configuration", configuration(&status["configuration"])),
        (
            "fetchd",
            Some(format!("{}, {} since {}", field(status, "version"), field(status, "state"), field(status, "since"))),
        ),
    ];
    text.push_str(&list(&[&rows[..], &overrides, &more].concat()));
    text.push_str(&failures(&status["failures"]));
    text
}

fn ready(status: &Value) -> String {
    if status["ready"] == Value::Bool(true) {
        return "yes".to_owned();
    }
    let reasons = status["reasons"].as_array().map(Vec::as_slice).unwrap_or_default();
    let said = reasons.iter().map(|reason| {
        let since = match reason["since_s"].as_f64().unwrap_or(0.0) as u64 {
            0 => "just now".to_owned(),
            seconds => format!("for {}", human(std::time::Duration::from_secs(seconds))),
        };
        format!("{} {since}: {}", field(reason, "reason"), field(reason, "message"))
    });
    format!("no, {}", said.collect::<Vec<_>>().join(" "))
}

fn lines(lines: &Value, is_output_blocked: bool) -> String {
    // Records on their way to the sinks are queued, too.
    let queued = if is_output_blocked { "queued, most for the output" } else { "queued" };
    let shown = [
        ("accepted", "accepted"),
        ("recorded", "recorded"),
        ("queued", queued),
        ("waiting", "waiting"),
        ("in_flight", "on the wire"),
    ];
    let some = [("released", "given back"), ("left", "left for the next start")];
    let some = some.into_iter().filter(|(key, _)| number(lines, key) > 0);
    shown
        .into_iter()
        .chain(some)
        .map(|(key, name)| format!("{} {name}", grouped(number(lines, key))))
        .collect::<Vec<_>>()
        .join(" · ")
}

fn rates(rates: &Value) -> String {
    let of = |key: &str| {
        let rate = rates[key].as_f64().unwrap_or(0.0);
        if rate < 10.0 { format!("{rate:.1}") } else { grouped(rate as u64) }
    };
    format!("{} over 1 s · {} over 1 min · {} over 15 min", of("1s"), of("1min"), of("15min"))
}

fn oldest(oldest: &Value) -> Option<String> {
    let age = human(std::time::Duration::from_secs_f64(oldest["age_s"].as_f64()?.max(0.0)));
    Some(match oldest["host"].as_str() {
        Some(host) => format!("accepted {age} ago, for {host}"),
        None => format!("accepted {age} ago"),
    })
}

fn token_waits(waits: &Value) -> Option<String> {
    let (host, hosts) = (waits["host"].as_str()?, number(waits, "hosts"));
    let lines = counted(number(waits, "lines"), "line");
    Some(match hosts {
        1 => format!("{lines} of {host} (fetchd ctl why {host})"),
        _ => format!(
            "{} of {} hosts, {lines} of {host} (fetchd ctl hosts --state token)",
            counted(number(waits, "all_lines"), "line"),
            grouped(hosts)
        ),
    })
}

fn sinks(sinks: &Value) -> Option<String> {
    let of = |sink: &Value| {
        let mut text = field(sink, "name");
        if let Some(blocked) = sink["blocked_s"].as_f64() {
            text = format!("{text} blocked for {}", human(std::time::Duration::from_secs_f64(blocked.max(0.0))));
        }
        let shipping = &sink["shipping"];
        match (number(shipping, "unshipped_bytes"), number(shipping, "dead_letters")) {
            (0, 0) => text,
            (bytes, 0) => format!("{text} ({} to ship)", in_bytes(bytes)),
            (bytes, dead) => format!("{text} ({} to ship, {} refused)", in_bytes(bytes), grouped(dead)),
        }
    };
    joined(sinks, of)
}

fn window(window: &Value) -> Option<String> {
    let most = number(window, "most");
    (most > 0).then(|| format!("{} of {} lines", grouped(number(window, "lines")), grouped(most)))
}

fn sources(sources: &Value) -> Option<String> {
    joined(sources, |source| {
        let (name, accepted) = (field(source, "name"), grouped(number(source, "accepted")));
        let mut text = match number(source, "done_before") {
            0 => format!("{name} {accepted}"),
            done => format!("{name} {accepted} in this run, {} done before", grouped(done)),
        };
        let behind = number(&source["journal"], "waiting_lines");
        if behind > 0 {
            text.push_str(&format!(", {} wait in the journal", grouped(behind)));
        }
        text
    })
}

/// A row for each override, with the command that clears it.
fn overrides(overrides: &Value) -> Vec<(&'static str, Option<String>)> {
    let all = overrides.as_array().map(Vec::as_slice).unwrap_or_default();
    let said = all.iter().take(MOST_OVERRIDES).map(|one| format!("{} ({})", field(one, "message"), field(one, "undo")));
    let more = all.len().saturating_sub(MOST_OVERRIDES);
    let more = (more > 0).then(|| format!("… and {} more (fetchd ctl status --json has them)", grouped(more as u64)));
    said.chain(more).enumerate().map(|(n, text)| (if n == 0 { "overrides" } else { "" }, Some(text))).collect()
}

fn joined(all: &Value, show: impl Fn(&Value) -> String) -> Option<String> {
    let all = all.as_array().filter(|all| !all.is_empty())?;
    Some(all.iter().map(show).collect::<Vec<_>>().join(" · "))
}

fn configuration(configuration: &Value) -> Option<String> {
    let digest: String = configuration["digest"].as_str()?.chars().take(12).collect();
    let file = configuration["file"].as_str().unwrap_or("none");
    let reload = &configuration["last_reload"];
    let reload = reload
        .is_object()
        .then(|| format!(", last reload {}: {}", field(reload, "at"), first_line(&field(reload, "message"))));
    Some(format!("{file}, loaded {}, digest {digest}{}", field(configuration, "loaded"), reload.unwrap_or_default()))
}

fn failures(failures: &Value) -> String {
    let all = failures.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return String::new();
    }
    let row = |failure: &Value| {
        let failed = Failed {
            kind: failure["kind"].as_str(),
            status: failure["status"].as_u64(),
            message: failure["message"].as_str(),
        };
        let why = failed.why().map(|why| format!("  ({why})")).unwrap_or_default();
        let place = failure["url"].as_str().map_or_else(|| format!("line {}", number(failure, "seq")), str::to_owned);
        vec![time_of_day(&failure["at"]), field(failure, "outcome"), failed.what(), place + &why]
    };
    let rows: Vec<_> = all.iter().rev().take(MOST_FAILURES).map(row).collect();
    let columns = [("last failures", Align::Left), ("", Align::Left), ("", Align::Left), ("", Align::Left)];
    format!("\n{}", table(&columns, &rows))
}
