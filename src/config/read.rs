//! Reads TOML text into the components' tables. Serde stops at its first error, so each table is read separately, and
//! again without the wrong value, until no error is left. So one run reports all problems.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::expand::Surroundings;
use super::explain::{self, Misfit, Origin, misfit, ticked};
use super::keys::{Keys, TABLES, name, near};
use super::parse::{Unparsed, parseable};
use super::prescan::Prescan;
use super::prune::{Pruned, prune};
use super::redact::{by_line, redact};
use super::set::{Assignment, overlay};
use super::{Config, Registry, Written};
use crate::diagnostics::{Problem, Report};
use crate::registry::{Kind, Named};
use crate::schedule::HostConfig;

type Table<'i> = Spanned<DeValue<'i>>;

/// Reads a text, with keys overridden by assignments.
pub(super) fn read(
    registry: &Registry,
    path: &Path,
    text: &str,
    assignments: &[Assignment],
    surroundings: Surroundings<'_>,
) -> Written {
    let keys = Keys::of(registry);
    let (parseable, unparsed) = parseable(text);
    let (mut root, _) = DeTable::parse_recoverable(&parseable);
    for assignment in assignments {
        let (over, _) = DeTable::parse_recoverable(&assignment.toml);
        overlay(root.get_mut(), over.into_inner(), text.len() + 1);
    }
    let prescan = Prescan::of(root.get_mut(), surroundings, &keys);
    let mut reader = Reader {
        registry,
        keys: &keys,
        problems: Vec::new(),
        expanded: prescan.expanded,
        hidden: prescan.hidden,
        unparsed: unparsed.iter().map(|unparsed| unparsed.line.clone()).collect(),
    };
    if !unparsed.is_empty() {
        // Values in lines with syntax errors are not in the tree.
        reader.hidden.extend(by_line(text, &keys));
    }
    for problem in prescan.problems {
        reader.add(problem.span.unwrap_or_default(), problem.message);
    }
    let config = Config { file_values: prescan.files, ..reader.config(root.into_inner()) };
    let masked = redact(text, &reader.hidden);
    let mut report = Report::on(path.display().to_string(), masked, prescan.places);
    for assignment in assignments {
        report.given_by(&assignment.place(), "--set");
    }
    for Unparsed { span, line, message } in unparsed {
        report.add(Problem::at(span, message));
        report.give_up(&line);
    }
    for problem in reader.problems {
        report.add_unread(problem);
    }
    Written { config, report, file: Some(path.to_owned()) }
}

struct Reader<'r> {
    registry: &'r Registry,
    keys: &'r Keys,
    problems: Vec<Problem>,
    expanded: Vec<(Range<usize>, Origin)>,
    hidden: Vec<Range<usize>>,
    unparsed: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn config(&mut self, root: DeTable<'_>) -> Config {
        let mut config = Config::default();
        for (key, value) in root {
            let name = key.get_ref().to_string();
            match name.as_str() {
                "source" => config.sources = self.components("source", value, &self.registry.sources),
                "sink" => config.sinks = self.components("sink", value, &self.registry.sinks),
                "hosts" => config.hosts = self.hosts(value),
                "queue" => self.component(&name, value, &mut config.queue),
                "fetch" => self.component(&name, value, &mut config.fetch),
                "limits" => self.component(&name, value, &mut config.limits),
                "retry" => self.component(&name, value, &mut config.retry),
                "health" => self.component(&name, value, &mut config.health),
                "robots" => self.component(&name, value, &mut config.robots),
                "tls" => self.component(&name, value, &mut config.tls),
                "dns" => self.component(&name, value, &mut config.dns),
                "network" => self.component(&name, value, &mut config.network),
                "output" => self.component(&name, value, &mut config.output),
                "state" => self.component(&name, value, &mut config.state),
                "shutdown" => self.component(&name, value, &mut config.shutdown),
                "api" => self.component(&name, value, &mut config.api),
                "log" => self.component(&name, value, &mut config.log),
                _ => self.add(key.span(), explain::unknown_table(self.keys, &name, value.get_ref(), &TABLES)),
            }
        }
        config
    }

    fn component<T: DeserializeOwned>(&mut self, place: &str, table: Table<'_>, into: &mut T) {
        if let Some(read) = self.table(place, table, |table| T::deserialize(table)) {
            *into = read;
        }
    }

    fn hosts(&mut self, value: Table<'_>) -> BTreeMap<String, HostConfig> {
        let mut hosts = BTreeMap::new();
        for (pattern, table) in self.entries("hosts", value) {
            let mut host = HostConfig::default();
            self.component(&name(&["hosts", pattern.get_ref()]), table, &mut host);
            hosts.insert(pattern.into_inner().into_owned(), host);
        }
        hosts
    }

    /// Reads `[source.NAME.KIND]` or `[sink.NAME.KIND]`: each name has one kind.
    fn components<C: ?Sized>(&mut self, what: &str, value: Table<'_>, kinds: &[Kind<C>]) -> Vec<Named<C>> {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name).collect();
        let mut components = Vec::new();
        for (key, value) in self.entries(what, value) {
            let Some((kind, table)) = self.only_kind(what, &key, value, &names) else { continue };
            let Some(kind) = kinds.iter().find(|known| known.name == kind) else { continue };
            let place = name(&[what, key.get_ref(), kind.name]);
            let component = self.table(&place, table, |table| kind.read(table));
            let name = Some(key.into_inner().into_owned());
            components.extend(component.map(|component| Named { name, kind: kind.name, component }));
        }
        components
    }

    /// The only kind of a named component, with its table.
    fn only_kind<'i>(
        &mut self,
        what: &str,
        key: &Spanned<Cow<'i, str>>,
        value: Table<'i>,
        kinds: &[&str],
    ) -> Option<(String, Table<'i>)> {
        let component = name(&[what, key.get_ref()]);
        let has_kind =
            value.get_ref().as_table().is_some_and(|table| table.values().any(|kind| kind.get_ref().is_table()));
        if !has_kind {
            let own = kinds.iter().find(|kind| **kind == *key.get_ref()).or(kinds.first()).unwrap_or(&"KIND");
            let message = format!("`{component}` has no kind; write its table as [{component}.{own}]");
            self.add(key.span(), format!("{message}; there are {}", explain::and(kinds)));
            return None;
        }
        let mut found: Option<(String, Table<'i>)> = None;
        for (kind, table) in self.entries(&component, value) {
            let (span, kind) = (kind.span(), kind.into_inner().into_owned());
            match &found {
                Some((first, _)) => self.add(
                    span,
                    format!("`{component}` is a `{first}` already; give this `{kind}` a name of its own, for example [{component}-2.{kind}]"),
                ),
                None if kinds.contains(&kind.as_str()) => found = Some((kind, table)),
                None => self.add(span, explain::unknown_kind(what, &kind, kinds)),
            }
        }
        found
    }

    /// The entries of a table in the order of the file.
    fn entries<'i>(&mut self, place: &str, value: Table<'i>) -> Vec<(Spanned<Cow<'i, str>>, Table<'i>)> {
        let span = value.span();
        let DeValue::Table(table) = value.into_inner() else {
            self.add(span, format!("`{place}` is a table; write its keys under [{place}]"));
            return Vec::new();
        };
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// Reads a table. Wrong values are reported and removed until the rest is valid.
    fn table<'i, T>(
        &mut self,
        place: &str,
        mut table: Table<'i>,
        read: impl Fn(ValueDeserializer<'i>) -> Result<T, toml::de::Error>,
    ) -> Option<T> {
        if !table.get_ref().is_table() {
            self.entries(place, table);
            return None;
        }
        // Keys that were removed or misspelled are not reported as missing.
        let mut excused = Vec::new();
        loop {
            let error = match read(ValueDeserializer::from(table.clone())) {
                Ok(read) => return Some(read),
                Err(error) => error,
            };
            let around = error.span().unwrap_or_else(|| table.span());
            match prune(&mut table, &around) {
                Some(pruned) => excused.extend(self.explain(place, &error, &pruned)),
                None => {
                    self.missing(place, &error, &excused, table.span());
                    return None;
                }
            }
        }
    }

    /// Reports the problem of an entry, and returns the key that was probably meant.
    fn explain(&mut self, place: &str, error: &toml::de::Error, pruned: &Pruned<'_>) -> Option<String> {
        let path: Vec<&str> = pruned.path.iter().map(String::as_str).collect();
        if error.message().starts_with("unknown field") {
            let (key, within) = path.split_last()?;
            let table = if within.is_empty() { place.to_owned() } else { format!("{place}.{}", name(within)) };
            let valid = error.message().rsplit_once(", expected ").map_or_else(Vec::new, |(_, valid)| ticked(valid));
            self.add(pruned.key.clone(), explain::unknown_key(self.keys, &table, key, &pruned.value, &valid));
            return near(key, &valid).map(str::to_owned);
        }
        let expanded = self.expanded.iter().find(|(at, _)| *at == pruned.at).map(|(_, origin)| *origin);
        let origin = expanded.unwrap_or(if pruned.is_element { Origin::Element } else { Origin::File });
        let key = format!("{place}.{}", name(&path));
        let shown = (!self.hidden.contains(&pruned.at)).then_some(&pruned.value);
        self.add(pruned.at.clone(), misfit(&Misfit { key: &key, shown, origin, message: error.message() }));
        path.first().map(|key| (*key).to_owned())
    }

    fn missing(&mut self, place: &str, error: &toml::de::Error, excused: &[String], span: Range<usize>) {
        match ticked(error.message()).as_slice() {
            [key] if excused.iter().any(|excused| excused == key) => {}
            [key] => self.add(span, format!("[{place}] needs the key `{key}`; add it")),
            _ => self.add(span, format!("[{place}] cannot be read: {}", error.message())),
        }
    }

    /// Adds a problem, unless there is one at the same span, or the line has a syntax error.
    fn add(&mut self, span: Range<usize>, message: String) {
        let known = self.problems.iter().any(|problem| problem.span.as_ref() == Some(&span));
        if !known && !self.unparsed.iter().any(|line| line.contains(&span.start)) {
            self.problems.push(Problem::at(span, message));
        }
    }
}
