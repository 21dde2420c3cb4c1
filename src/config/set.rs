//! `--set KEY=VALUE`: sets a key of the configuration on the command line. It overrides the file, and named flags
//! override it. The argument is converted to valid TOML, which is merged into that of the file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Registry;
use super::keys::{Keys, name};

/// A key and a valid value.
pub(super) struct Assignment {
    /// The key path.
    pub path: Vec<String>,
    /// The key and the value as TOML.
    pub toml: String,
}

impl Assignment {
    /// Parses `KEY=VALUE`. The value is TOML if that is valid, and else a string. `first_problem` returns the problem
    /// of a TOML text.
    ///
    /// # Errors
    /// A sentence with the key but without secrets.
    pub fn read(text: &str, first_problem: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        const FORM: &str = "--set needs a key with its table, and a value; write for example --set limits.rate=5/s";
        let (key, value) = text.split_once('=').ok_or(FORM)?;
        let path = path_of(key.trim()).filter(|path| path.len() > 1).ok_or(FORM)?;
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let key = name(&segments);
        if let ["source" | "sink", ..] = segments[..] {
            return Err(format!("--set {key}: sources and sinks are configured in the file, or with -i and -o"));
        }
        let as_text = format!("{key} = {}", toml::Value::String(value.to_owned()));
        let as_toml = DeValue::parse(value.trim()).is_ok().then(|| format!("{key} = {value}"));
        let mut wrong = String::new();
        for toml in as_toml.into_iter().chain([as_text]) {
            match first_problem(&toml) {
                None => return Ok(Self { path, toml }),
                Some(problem) if wrong.is_empty() => wrong = problem,
                Some(_) => {}
            }
        }
        Err(format!("--set {key}: {wrong}"))
    }

    /// The key path in the notation of reports.
    pub fn place(&self) -> String {
        self.path.join(".")
    }
}

/// The keys that an unknown flag may mean, in the notation of `--set`.
pub fn keys_like(flag: &str) -> Vec<String> {
    let flag = flag.trim_start_matches('-').replace('-', "_");
    let (table, key) = flag.rsplit_once('.').unwrap_or(("", &flag));
    let mut tables = Keys::of(&Registry::default()).tables_with(key);
    tables.retain(|of| !matches!(*of, "source" | "sink") && (table.is_empty() || table == *of));
    let in_table = |table: &str| if table == "hosts" { format!("hosts.*.{key}") } else { format!("{table}.{key}") };
    tables.into_iter().map(in_table).collect()
}

/// Splits a dotted key, whose segments may be quoted.
fn path_of(key: &str) -> Option<Vec<String>> {
    let (mut path, mut segment, mut quote) = (Vec::new(), String::new(), None);
    for c in key.chars() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('.', None) => path.push(std::mem::take(&mut segment)),
            (c, _) => segment.push(c),
        }
    }
    path.push(segment);
    let is_whole = quote.is_none() && path.iter().all(|segment| !segment.is_empty());
    is_whole.then_some(path)
}

/// Merges one table into another. The merged values get a span after the end of the file.
pub(super) fn overlay<'i>(onto: &mut DeTable<'i>, over: DeTable<'i>, end: usize) {
    for (key, value) in over {
        let key = key.into_inner();
        let there = onto.get_mut(key.as_ref());
        match (there.map(Spanned::get_mut), value.into_inner()) {
            (Some(DeValue::Table(there)), DeValue::Table(over)) => overlay(there, over, end),
            (_, value) => drop(onto.insert(Spanned::new(end..end, key), placed(value, end))),
        }
    }
}

fn placed(value: DeValue<'_>, end: usize) -> Spanned<DeValue<'_>> {
    let value = match value {
        DeValue::Table(table) => {
            let mut into = DeTable::new();
            overlay(&mut into, table, end);
            DeValue::Table(into)
        }
        value => value,
    };
    Spanned::new(end..end, value)
}
