//! From TOML text to the components' tables. Serde stops at its first error, so each table is read alone, and again
//! without the key that was wrong, until nothing is: every problem is found in one go.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Config, Named, Problem, Report, Written};
use crate::sink::SinkConfig;
use crate::source::SourceConfig;

type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

const TABLES: [&str; 12] =
    ["source", "queue", "fetch", "limits", "hosts", "retry", "dns", "network", "output", "sink", "shutdown", "log"];

pub(super) fn read(path: &Path, text: &str, env: Env<'_>) -> Written {
    let (mut root, errors) = DeTable::parse_recoverable(text);
    let mut survey =
        Survey { env, places: HashMap::new(), secrets: Vec::new(), expanded: Vec::new(), problems: Vec::new() };
    for error in errors {
        survey.problems.push(Problem { message: format!("this is not TOML: {}", error.message()), span: error.span() });
    }
    survey.table("", root.get_mut());
    let mut reader = Reader { problems: survey.problems, expanded: survey.expanded };
    let config = reader.config(root.into_inner());
    let mut report = Report::on(path.display().to_string(), text.to_owned(), survey.places, &survey.secrets);
    for problem in reader.problems {
        report.add(problem);
    }
    Written { config, report }
}

/// Walks the file once: notes where keys stand and which values are secret, and puts the environment in.
struct Survey<'a> {
    env: Env<'a>,
    places: HashMap<String, Range<usize>>,
    secrets: Vec<Range<usize>>,
    expanded: Vec<Range<usize>>,
    problems: Vec<Problem>,
}

impl Survey<'_> {
    fn table(&mut self, prefix: &str, table: &mut DeTable<'_>) {
        for (key, value) in table.iter_mut() {
            let path =
                if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
            let holds_secrets = prefix.ends_with(".headers") || path == "fetch.proxy";
            if holds_secrets {
                self.secrets.push(value.span());
            }
            self.places.insert(path.clone(), value.span());
            self.value(&path, value);
        }
    }

    fn value(&mut self, path: &str, value: &mut Spanned<DeValue<'_>>) {
        let span = value.span();
        match value.get_mut() {
            DeValue::Table(table) => self.table(path, table),
            DeValue::Array(array) => {
                for item in array.iter_mut() {
                    self.value(path, item);
                }
            }
            DeValue::String(text) if text.contains('$') => match expand(text, self.env) {
                Ok(expanded) => {
                    self.expanded.push(span);
                    *text = Cow::Owned(expanded);
                }
                Err(message) => self.problems.push(Problem::at(span, message)),
            },
            _ => {}
        }
    }
}

/// Replaces `${NAME}` by the environment's value and `$$` by a dollar sign.
fn expand(text: &str, env: Env<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            let value = env(name).ok_or_else(|| {
                format!("the environment variable `{name}` is not set; set it, or write `$$` for a dollar sign")
            })?;
            out.push_str(&value);
            rest = after;
        } else {
            return Err(
                "a dollar sign stands alone; write `${NAME}` for a variable, or `$$` for a dollar sign".to_owned()
            );
        }
    }
    out.push_str(rest);
    Ok(out)
}

struct Reader {
    problems: Vec<Problem>,
    expanded: Vec<Range<usize>>,
}

impl Reader {
    fn config(&mut self, root: DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (key, value) in root {
            let name = key.get_ref().to_string();
            match name.as_str() {
                "source" => config.sources = self.components("source", value, SourceConfig::KINDS, source_of),
                "sink" => config.sinks = self.components("sink", value, SinkConfig::KINDS, sink_of),
                "hosts" => config.hosts = self.hosts(value),
                "queue" => self.component(&name, value, &mut config.queue),
                "fetch" => self.component(&name, value, &mut config.fetch),
                "limits" => self.component(&name, value, &mut config.limits),
                "retry" => self.component(&name, value, &mut config.retry),
                "dns" => self.component(&name, value, &mut config.dns),
                "network" => self.component(&name, value, &mut config.network),
                "output" => self.component(&name, value, &mut config.output),
                "shutdown" => self.component(&name, value, &mut config.shutdown),
                "log" => self.component(&name, value, &mut config.log),
                _ => self.problems.push(Problem::at(key.span(), unknown("table", &name, None, &TABLES))),
            }
        }
        config
    }

    fn component<T: DeserializeOwned>(&mut self, place: &str, table: Spanned<DeValue<'_>>, into: &mut T) {
        if let Some(read) = self.table(place, table, |table| T::deserialize(table)) {
            *into = read;
        }
    }

    fn hosts(&mut self, value: Spanned<DeValue<'_>>) -> BTreeMap<String, crate::schedule::HostConfig> {
        let mut hosts = BTreeMap::new();
        for (pattern, table) in self.entries("hosts", value) {
            let place = format!("hosts.\"{}\"", pattern.get_ref());
            let mut host = crate::schedule::HostConfig::default();
            self.component(&place, table, &mut host);
            hosts.insert(pattern.into_inner().into_owned(), host);
        }
        hosts
    }

    /// Reads `[source.NAME.KIND]` or `[sink.NAME.KIND]`: each name has one kind.
    fn components<T>(
        &mut self,
        what: &str,
        value: Spanned<DeValue<'_>>,
        kinds: &[&str],
        of: impl Fn(&str, ValueDeserializer<'_>) -> Option<Result<T, toml::de::Error>>,
    ) -> Vec<Named<T>> {
        let mut components = Vec::new();
        for (name, value) in self.entries(what, value) {
            let name_span = name.span();
            let name = name.into_inner().into_owned();
            let of_name = format!("{what}.{name}");
            let mut found = 0;
            for (kind, table) in self.entries(&of_name, value) {
                found += 1;
                let (kind, span) = (kind.get_ref().to_string(), kind.span());
                if found > 1 {
                    self.problems
                        .push(Problem::at(span, format!("`{of_name}` has a second kind; give it a name of its own")));
                } else if !kinds.contains(&kind.as_str()) {
                    self.problems.push(Problem::at(span, unknown(&format!("kind of {what}"), &kind, None, kinds)));
                } else if let Some(component) = self
                    .table(&format!("{of_name}.{kind}"), table, |table| of(&kind, table).unwrap_or_else(no_such_kind))
                {
                    components.push(Named { name: Some(name.clone()), component });
                }
            }
            if found == 0 {
                let example = kinds.first().copied().unwrap_or_default();
                self.problems
                    .push(Problem::at(name_span, format!("`{of_name}` has no kind; write [{of_name}.{example}]")));
            }
        }
        components
    }

    fn entries<'i>(
        &mut self,
        place: &str,
        value: Spanned<DeValue<'i>>,
    ) -> Vec<(Spanned<Cow<'i, str>>, Spanned<DeValue<'i>>)> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => table.into_iter().collect(),
            other => {
                self.problems
                    .push(Problem::at(span, format!("`{place}` is a table, not {}", article(other.type_str()))));
                Vec::new()
            }
        }
    }

    /// Reads a table; each key that is wrong is noted and left out, until the rest is right.
    fn table<'i, T>(
        &mut self,
        place: &str,
        table: Spanned<DeValue<'i>>,
        read: impl Fn(ValueDeserializer<'i>) -> Result<T, toml::de::Error>,
    ) -> Option<T> {
        let mut table = table;
        if !table.get_ref().is_table() {
            self.entries(place, table);
            return None;
        }
        loop {
            let error = match read(ValueDeserializer::from(table.clone())) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let span = error.span().unwrap_or_else(|| table.span());
            let dropped = drop_entry(&mut table, &span);
            let place = dropped.as_ref().map_or(place.to_owned(), |(key, _)| format!("{place}.{key}"));
            let at = dropped.as_ref().map_or_else(|| table.span(), |(_, span)| span.clone());
            let message = self.explain(&place, &error, &span);
            self.problems.push(Problem::at(at, message));
            dropped?;
        }
    }

    fn explain(&self, place: &str, error: &toml::de::Error, span: &Range<usize>) -> String {
        let names: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
        match names.as_slice() {
            [key, valid @ ..] if error.message().starts_with("unknown field") => {
                let table = place.rsplit_once('.').map(|(table, _)| table);
                unknown("key", key, table, valid)
            }
            [value, valid @ ..] if error.message().starts_with("unknown variant") && !self.expanded.contains(span) => {
                format!("`{place}` cannot be `{value}`; write {}", or(valid))
            }
            [key] if error.message().starts_with("missing field") => format!("`{place}` needs the key `{key}`"),
            _ if self.expanded.contains(span) => {
                format!("`{place}`: the value that the environment gives does not fit this key")
            }
            _ => format!("`{place}`: {}", error.message()),
        }
    }
}

fn source_of(kind: &str, table: ValueDeserializer<'_>) -> Option<Result<SourceConfig, toml::de::Error>> {
    SourceConfig::read(kind, table)
}

fn sink_of(kind: &str, table: ValueDeserializer<'_>) -> Option<Result<SinkConfig, toml::de::Error>> {
    SinkConfig::read(kind, table)
}

/// A kind that is listed but not read is a fault of the component's file; it shows as an error at its table.
fn no_such_kind<T>() -> Result<T, toml::de::Error> {
    Err(serde::de::Error::custom("this kind cannot be read"))
}

/// Takes the entry around `span` out of the table: its key, and where to point at.
fn drop_entry(table: &mut Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<(String, Range<usize>)> {
    let DeValue::Table(table) = table.get_mut() else { return None };
    let holds = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let (key, value) = table.iter().find(|(key, value)| holds(&key.span()) || holds(&value.span()))?;
    let at = if holds(&key.span()) { key.span() } else { value.span() };
    let name = key.get_ref().to_string();
    table.remove(name.as_str());
    Some((name, at))
}

fn unknown(what: &str, name: &str, table: Option<&str>, valid: &[&str]) -> String {
    let place = table.map(|table| format!(" in [{table}]")).unwrap_or_default();
    let near = valid.iter().map(|known| (strsim::jaro_winkler(name, known), known)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, known)) if likeness > 0.75 => {
            format!("unknown {what} `{name}`{place}; did you mean `{known}`?")
        }
        Some(_) => format!("unknown {what} `{name}`{place}; there are {}", and(valid)),
        None => format!("unknown {what} `{name}`{place}; there are none"),
    }
}

fn and(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn or(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

fn article(type_name: &str) -> String {
    let vowel = type_name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {type_name}", if vowel { "an" } else { "a" })
}
