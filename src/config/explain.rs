//! Translates errors of the TOML reader and serde to sentences for users. Values are never copied from their messages
//! because they may be secrets.

use toml::de::DeValue;

use super::bounds::bounds_of;
use super::keys::{Keys, near};

/// A value of the wrong type or range, and its key.
pub(super) struct Misfit<'a> {
    /// The key's path as TOML writes it.
    pub key: &'a str,
    /// The value; `None` if it must not be shown.
    pub shown: Option<&'a DeValue<'a>>,
    /// The origin of the value.
    pub origin: Origin,
    /// The message of serde.
    pub message: &'a str,
}

/// The origin of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The value of a key.
    File,
    /// An element of the key's array.
    Element,
    /// An environment variable (`${NAME}`).
    Environment,
    /// A file (`${file:PATH}`).
    Contents,
}

/// Describes the problem of a value, and what to write.
pub(super) fn misfit(misfit: &Misfit<'_>) -> String {
    let Misfit { key, shown, origin, message } = misfit;
    let fix = fix(key, message);
    let subject = match origin {
        Origin::File => format!("`{key}`"),
        Origin::Element => format!("an element of `{key}`"),
        Origin::Environment => return format!("the value that the environment gives for `{key}` does not fit; {fix}"),
        Origin::Contents => return format!("the content of the file that `{key}` names does not fit; {fix}"),
    };
    match shown.and_then(described) {
        Some(value) => format!("{subject} is {value}; {fix}"),
        None => format!("the value of {subject} does not fit; {fix}"),
    }
}

fn described(value: &DeValue<'_>) -> Option<String> {
    const LONGEST: usize = 60;
    Some(match value {
        DeValue::String(text) if text.chars().count() > LONGEST => "a long text".to_owned(),
        DeValue::String(text) => format!("\"{}\"", text.escape_debug()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    })
}

/// What to write instead.
fn fix(key: &str, message: &str) -> String {
    // These messages begin with the value, which must not be shown.
    let expected = message.rsplit_once(", expected ").map_or(message, |(_, expected)| expected);
    if let Some((_, hint)) = expected.rsplit_once("; write ") {
        return format!("write {hint}");
    }
    if let Some((low, high)) = bounds_of(key) {
        return format!("write a whole number from {low} to {high}");
    }
    match expected.trim() {
        "u16" | "u32" | "u64" => format!("write a whole number from 0 to {}", u32::MAX),
        "a boolean" => "write true or false".to_owned(),
        "a string" | "string" | "path string" => "write text in quotes".to_owned(),
        "a sequence" => "write an array, for example [\"...\"]".to_owned(),
        "a map" => "write a table, for example { name = \"value\" }".to_owned(),
        text if text.contains("socket address") => {
            "write an address with a port, for example \"127.0.0.53:53\"".to_owned()
        }
        names if names.contains('`') => format!("write {}", or(&ticked(names))),
        _ => "write one of its words, in quotes; config/fetchd.toml names them".to_owned(),
    }
}

/// The message for a key that the table does not have; `valid` are its keys.
pub(super) fn unknown_key(keys: &Keys, table: &str, key: &str, value: &DeValue<'_>, valid: &[&str]) -> String {
    let unknown = format!("unknown key `{}` in [{table}]", key.escape_debug());
    if let Some(near) = near(key, valid) {
        return format!("{unknown}; did you mean `{near}`?");
    }
    if let (Some(start), DeValue::Table(_)) = (table.strip_prefix("hosts."), value) {
        let pattern = format!("{}.{}", start.trim_matches('"'), dotted(key, value));
        return format!("{unknown}; a pattern with dots needs quotes: [hosts.\"{}\"]", pattern.escape_debug());
    }
    // Another kind of source or sink has it.
    let of_other_kind = |other: &&str| {
        let name_and_kind = table.strip_prefix(other).filter(|_| matches!(*other, "source" | "sink"));
        name_and_kind.is_some_and(|rest| rest.matches('.').count() == 2)
    };
    let elsewhere: Vec<_> = keys.tables_with(key).into_iter().filter(|other| !of_other_kind(other)).collect();
    match elsewhere.as_slice() {
        [] if valid.is_empty() => format!("{unknown}; it has none, so remove it"),
        [] => format!("{unknown}; it has {}", and(valid)),
        elsewhere => format!("{unknown}; write it under {}", or_tables(elsewhere)),
    }
}

/// Joins the rest of a pattern that was written without quotes, as nested tables.
fn dotted(key: &str, value: &DeValue<'_>) -> String {
    match value {
        DeValue::Table(table) => match table.iter().next() {
            Some((next, value)) if table.len() == 1 && value.get_ref().is_table() && next.get_ref() != "headers" => {
                format!("{key}.{}", dotted(next.get_ref(), value.get_ref()))
            }
            _ => key.to_owned(),
        },
        _ => key.to_owned(),
    }
}

/// The message for an unknown name at the top level.
pub(super) fn unknown_table(keys: &Keys, name: &str, value: &DeValue<'_>, tables: &[&str]) -> String {
    let shown = name.escape_debug();
    match keys.tables_with(name).as_slice() {
        elsewhere @ [_, ..] if !value.is_table() => {
            format!("`{shown}` is outside of its table; write it under {}", or_tables(elsewhere))
        }
        _ => match near(name, tables) {
            Some(near) => format!("unknown table `{shown}`; did you mean `{near}`?"),
            None => format!("unknown table `{shown}`; there are {}", and(tables)),
        },
    }
}

/// The message for an unknown kind of source or sink.
pub(super) fn unknown_kind(what: &str, kind: &str, kinds: &[&str]) -> String {
    let unknown = format!("unknown kind of {what} `{}`", kind.escape_debug());
    match near(kind, kinds) {
        Some(near) => format!("{unknown}; did you mean `{near}`?"),
        None => format!("{unknown}; there are {}", and(kinds)),
    }
}

/// Translates an error of the TOML parser to plain words.
pub(super) fn syntax(message: &str, text: &str) -> String {
    match message {
        "duplicate key" => format!("`{}` is given twice; keep one", text.trim().escape_debug()),
        m if m.starts_with("string values must be quoted") => {
            "this value is neither a number nor true or false; if it is text, put it in quotes".to_owned()
        }
        m if m.starts_with("invalid basic string") || m.starts_with("invalid literal string") => {
            "this text has no closing quote, or something in it that must be escaped".to_owned()
        }
        m if m.starts_with("unclosed table") => "this table's header has no closing bracket; add `]`".to_owned(),
        m if m.starts_with("key with no value") => "this key has no value; write key = value".to_owned(),
        m if m.starts_with("invalid unquoted key") => {
            "a key is made of letters, digits, `-` and `_`, and followed by `=`; put any other in quotes".to_owned()
        }
        m => format!("this is not TOML: {m}"),
    }
}

/// The names in backticks.
pub(super) fn ticked(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

pub(super) fn and(names: &[&str]) -> String {
    listed(names.iter().map(|name| format!("`{name}`")).collect(), "and")
}

fn or(names: &[&str]) -> String {
    listed(names.iter().map(|name| format!("`{name}`")).collect(), "or")
}

fn or_tables(tables: &[&str]) -> String {
    let header = |table: &&str| match *table {
        "hosts" => "[hosts.\"*\"]".to_owned(),
        "source" | "sink" => format!("[{table}.NAME.KIND]"),
        _ => format!("[{table}]"),
    };
    listed(tables.iter().map(header).collect(), "or")
}

fn listed(mut names: Vec<String>, word: &str) -> String {
    match names.pop() {
        Some(last) if !names.is_empty() => format!("{} {word} {last}", names.join(", ")),
        only => only.unwrap_or_default(),
    }
}
