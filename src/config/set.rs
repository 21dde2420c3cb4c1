//! `--set KEY=VALUE`: a key of the configuration from the command line, over the file and under the flags that have names.
//! In: the argument. Out: TOML that is known to fit, laid over that of the file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Registry;
use super::keys::{Keys, name};

/// A key and its value, which fits.
pub(super) struct Assignment {
    /// The key's path.
    pub path: Vec<String>,
    /// It and its value, as TOML.
    pub toml: String,
}

impl Assignment {
    /// Reads `KEY=VALUE`. The value is TOML if that fits, and else a text. `first_problem` says what is wrong
    /// with TOML.
    ///
    /// # Errors
    /// A sentence that names the key, and never shows a secret.
    pub fn read(text: &str, first_problem: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        const FORM: &str = "--set needs a key with its table, and a value; write for example --set limits.rate=5/s";
        let (key, value) = text.split_once('=').ok_or(FORM)?;
        let path = path_of(key.trim()).filter(|path| path.len() > 1).ok_or(FORM)?;
        let segments: Vec<&str> = path.iter().map(String::as_str).collect();
        let key = name(&segments);
        if let ["source" | "sink", ..] = segments[..] {
            return Err(format!("--set {key}: sources and sinks stand in the file, or are given by -i and -o"));
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

    /// The key as reports have it.
    pub fn place(&self) -> String {
        self.path.join(".")
    }
}

/// The keys that an unknown flag can mean, as `--set` takes them.
pub fn keys_like(flag: &str) -> Vec<String> {
    let flag = flag.trim_start_matches('-').replace('-', "_");
    let (table, key) = flag.rsplit_once('.').unwrap_or(("", &flag));
    let mut tables = Keys::of(&Registry::default()).tables_with(key);
    tables.retain(|of| !matches!(*of, "source" | "sink") && (table.is_empty() || table == *of));
    let in_table = |table: &str| if table == "hosts" { format!("hosts.*.{key}") } else { format!("{table}.{key}") };
    tables.into_iter().map(in_table).collect()
}

/// The segments of a dotted key, of which some may be in quotes.
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

/// Lays one table over another. What comes out of it stands behind the end of the file, which has no place for it.
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
