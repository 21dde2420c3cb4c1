//! Problems of a configuration, each with its location, all shown at once. Components report theirs through a
//! [`Section`].

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};

/// A problem of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A sentence, with the fix if there is one.
    pub message: String,
    /// The location in the file, in bytes; absent for values of flags and defaults.
    pub span: Option<Range<usize>>,
}

impl Problem {
    /// A problem without a location.
    pub fn general(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None }
    }

    /// A problem at a location.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span) }
    }
}

/// All problems of a configuration, with its file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    path: String,
    text: String,
    places: HashMap<String, Place>,
    problems: Vec<Problem>,
}

/// Where a key gets its value.
#[derive(Clone, Debug)]
enum Place {
    File(Range<usize>),
    /// In the file, where it could not be parsed.
    Unread,
    Flag(&'static str),
}

impl Report {
    /// A report on a file: its text with secrets redacted, and the locations of its keys.
    pub(crate) fn on(path: String, text: String, places: HashMap<String, Range<usize>>) -> Self {
        let places = places.into_iter().map(|(key, span)| (key, Place::File(span))).collect();
        Self { path, text, places, problems: Vec::new() }
    }

    /// Adds a problem.
    pub fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a problem of a value that could not be parsed; later problems of this value are dropped.
    pub(crate) fn add_unread(&mut self, problem: Problem) {
        for place in self.places.values_mut() {
            let around = |span: &Range<usize>| {
                problem.span.as_ref().is_some_and(|unread| span.start <= unread.start && unread.end <= span.end)
            };
            if matches!(place, Place::File(span) if around(span)) {
                *place = Place::Unread;
            }
        }
        self.add(problem);
    }

    /// Marks all keys of this line as not parsed.
    pub(crate) fn give_up(&mut self, line: &Range<usize>) {
        for place in self.places.values_mut() {
            if matches!(place, Place::File(span) if line.contains(&span.start)) {
                *place = Place::Unread;
            }
        }
    }

    /// Adds a problem with the value of a key.
    pub fn add_at_key(&mut self, key: &str, message: impl Into<String>) {
        self.add_at_keys(&[key], message);
    }

    /// Adds a problem of a combination of keys, at the first of them that the file has. It is dropped if one of them
    /// could not be parsed, because that was reported.
    pub fn add_at_keys(&mut self, keys: &[&str], message: impl Into<String>) {
        let places = || keys.iter().filter_map(|key| Some((*key, self.places.get(*key)?)));
        if places().any(|(_, place)| matches!(place, Place::Unread)) {
            return;
        }
        let span = places().find_map(|(_, place)| match place {
            Place::File(span) => Some(span.clone()),
            Place::Flag(_) | Place::Unread => None,
        });
        let flags = places().filter_map(|(key, place)| match place {
            Place::Flag(flag) => Some(format!(
                " (`{key}` comes from {flag}{})",
                if *flag == "--set" { format!(" {key}") } else { String::new() }
            )),
            Place::File(_) | Place::Unread => None,
        });
        let message = message.into() + &flags.collect::<String>();
        self.add(Problem { message, span });
    }

    /// Notes that a flag overrides a key. Two flags for one key are a problem.
    pub fn given_by(&mut self, key: &str, flag: &'static str) {
        if let Some(Place::Flag(other)) = self.places.get(key) {
            self.add(Problem::general(format!("`{key}` is given by {other} and by {flag}; keep one")));
        }
        let below = format!("{key}.");
        self.places.insert(key.to_owned(), Place::Flag(flag));
        for (_, place) in self.places.iter_mut().filter(|(place, _)| place.starts_with(&below)) {
            *place = Place::Flag(flag);
        }
    }

    /// Whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems, in the order of the file.
    pub fn problems(&self) -> Vec<&Problem> {
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        problems
    }

    fn render(&self, problem: &Problem) -> String {
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let group = match &problem.span {
            None => title.elements(Vec::<Snippet<'_, Annotation<'_>>>::new()),
            Some(span) => {
                // A value of several lines is marked on its first line.
                let start = span.start.min(self.text.len());
                let line = self.text.get(start..).and_then(|rest| rest.find(['\n', '\r'])).unwrap_or(usize::MAX);
                let end = span.end.min(start.saturating_add(line)).min(self.text.len()).max(start);
                let mark = AnnotationKind::Primary.span(start..end);
                title.element(Snippet::source(self.text.as_str()).path(self.path.as_str()).annotation(mark))
            }
        };
        Renderer::plain().render(&[group])
    }
}

/// A report for the check of one component: problems refer to keys of its table.
pub struct Section<'a> {
    table: String,
    report: &'a mut Report,
}

impl<'a> Section<'a> {
    /// The section of a table, for example `sink.results.jsonl`.
    pub fn new(table: String, report: &'a mut Report) -> Self {
        Self { table, report }
    }

    /// The table's name.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Adds a problem with the value of a key of this table.
    pub fn add(&mut self, key: &str, message: impl Into<String>) {
        self.add_with(key, &[], message);
    }

    /// Adds a problem of a key of this table in combination with others, which are given with their tables.
    pub fn add_with(&mut self, key: &str, others: &[&str], message: impl Into<String>) {
        let own = format!("{}.{key}", self.table);
        let keys: Vec<&str> = std::iter::once(own.as_str()).chain(others.iter().copied()).collect();
        self.report.add_at_keys(&keys, message);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.problems().into_iter().map(|problem| self.render(problem)).collect();
        f.write_str(&shown.join("\n\n"))?;
        match shown.len() {
            0 | 1 => Ok(()),
            n => write!(f, "\n\n{n} problems"),
        }
    }
}
