//! Builds the API request of a command.

use serde_json::{Map, Value, json};

use crate::cli::{CtlCommand, HostOrder, HostsArgs, LimitsArgs, WhyArgs};
use crate::units::Span;

/// A request to the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// `GET` of this path and query.
    Get(String),
    /// `POST` of these fields to this path.
    Post(&'static str, Map<String, Value>),
}

impl Question {
    /// The request of a command.
    pub fn of(command: &CtlCommand) -> Self {
        match command {
            CtlCommand::Status { .. } => Self::Get("/v1/status".to_owned()),
            CtlCommand::Why(args) => why(args),
            CtlCommand::Hosts(args) => hosts(args),
            CtlCommand::Config => Self::Get("/v1/config".to_owned()),
            CtlCommand::Events => Self::Get("/v1/events".to_owned()),
            CtlCommand::Pause { host, r#for } => post("/v1/pause", [text("host", host), time(*r#for)]),
            CtlCommand::Resume { host } => post("/v1/resume", [text("host", host)]),
            CtlCommand::Skip { host, r#for, clear } => {
                post("/v1/skip", [Some(("host", Value::from(host.as_str()))), time(*r#for), flag("clear", *clear)])
            }
            CtlCommand::Limits(args) => limits(args),
            CtlCommand::Drain { force } => post("/v1/drain", [flag("force", *force)]),
            CtlCommand::Rotate => post("/v1/rotate", []),
            CtlCommand::Reload { dry_run } => post("/v1/reload", [flag("dry_run", *dry_run)]),
            CtlCommand::Tail { not_ok } => get("/v1/records", &[("records", not_ok.then(|| "not_ok".to_owned()))]),
        }
    }
}

type Field = Option<(&'static str, Value)>;

fn post<const N: usize>(path: &'static str, fields: [Field; N]) -> Question {
    let fields = fields.into_iter().flatten().map(|(name, value)| (name.to_owned(), value));
    Question::Post(path, fields.collect())
}

fn text(name: &'static str, value: &Option<String>) -> Field {
    value.as_ref().map(|value| (name, Value::from(value.as_str())))
}

fn time(value: Option<Span>) -> Field {
    value.map(|span| ("for", Value::from(span.to_string())))
}

fn flag(name: &'static str, is_set: bool) -> Field {
    is_set.then_some((name, Value::Bool(true)))
}

fn get(path: &str, query: &[(&str, Option<String>)]) -> Question {
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        text.append_pair(name, value);
    }
    let query = text.finish();
    Question::Get(if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") })
}

fn why(WhyArgs { host, seq, source, file }: &WhyArgs) -> Question {
    let seq = seq.map(|seq| seq.to_string());
    get("/v1/why", &[("host", host.clone()), ("source", source.clone()), ("file", file.clone()), ("seq", seq)])
}

fn hosts(HostsArgs { sort, state, name, limit }: &HostsArgs) -> Question {
    let sort = sort.map(|sort| match sort {
        HostOrder::Waiting => "waiting".to_owned(),
        HostOrder::InFlight => "in_flight".to_owned(),
        HostOrder::Errors => "errors".to_owned(),
    });
    let limit = limit.map(|limit| limit.to_string());
    get("/v1/hosts", &[("sort", sort), ("state", state.clone()), ("name", name.clone()), ("limit", limit)])
}

fn limits(LimitsArgs { host, all, rate, concurrency, r#for, clear }: &LimitsArgs) -> Question {
    if rate.is_none() && concurrency.is_none() && !clear {
        return get("/v1/limits", &[("host", host.clone())]);
    }
    let rate = rate.map(|rate| ("rate", json!(rate)));
    let concurrency = concurrency.map(|concurrency| ("concurrency", json!(concurrency)));
    post("/v1/limits", [text("host", host), flag("all", *all), rate, concurrency, time(*r#for), flag("clear", *clear)])
}
