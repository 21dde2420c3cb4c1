//! Problems of a configuration, each with its place, all shown at once.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A sentence, with the fix in it where there is one.
    pub message: String,
    /// Where in the file, in bytes; absent for what a flag or a default says.
    pub span: Option<Range<usize>>,
}

impl Problem {
    /// A problem without a place.
    pub fn general(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None }
    }

    /// A problem at a place.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span) }
    }
}

/// All that is wrong, with the file it is wrong in.
#[derive(Clone, Debug, Default)]
pub struct Report {
    path: String,
    text: String,
    places: HashMap<String, Range<usize>>,
    problems: Vec<Problem>,
}

impl Report {
    /// A report on a file: its keys' places, and which values must not be shown.
    pub(super) fn on(
        path: String,
        text: String,
        places: HashMap<String, Range<usize>>,
        secrets: &[Range<usize>],
    ) -> Self {
        Self { path, text: mask(text, secrets), places, problems: Vec::new() }
    }

    /// Adds a problem.
    pub fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a problem with the value of a key, at its place if the file has one.
    pub fn add_at_key(&mut self, key: &str, message: impl Into<String>) {
        let span = self.places.get(key).cloned();
        self.add(Problem { message: message.into(), span });
    }

    /// Whether the file itself sets this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// What is wrong, in the order of the file.
    pub fn problems(&self) -> Vec<&Problem> {
        let mut problems: Vec<_> = self.problems.iter().collect();
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        problems
    }

    fn render(&self, problem: &Problem) -> String {
        let title = Level::ERROR.primary_title(problem.message.as_str());
        let group = match &problem.span {
            None => title.elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new()),
            Some(span) => {
                let end = span.end.min(self.text.len());
                let mark = AnnotationKind::Primary.span(span.start.min(end)..end);
                title.element(Snippet::source(self.text.as_str()).path(self.path.as_str()).annotation(mark))
            }
        };
        Renderer::plain().render(&[group])
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems() {
            writeln!(f, "{}", self.render(problem))?;
        }
        match self.problems.len() {
            1 => write!(f, "1 problem"),
            n => write!(f, "{n} problems"),
        }
    }
}

/// The text with the bytes of these ranges replaced, every place staying where it is.
fn mask(text: String, secrets: &[Range<usize>]) -> String {
    let mut bytes = text.clone().into_bytes();
    for secret in secrets {
        for byte in bytes.get_mut(secret.clone()).into_iter().flatten().filter(|byte| !byte.is_ascii_whitespace()) {
            *byte = b'*';
        }
    }
    String::from_utf8(bytes).unwrap_or(text)
}
