//! Parses as much of a TOML text as possible, and reports every syntax error.

use std::ops::Range;

use toml::de::DeTable;

use super::explain;

/// A line with a syntax error.
pub(super) struct Unparsed {
    /// The location of the error.
    pub span: Range<usize>,
    /// The range of the whole line. Values parsed from it are ignored.
    pub line: Range<usize>,
    /// The message for the user.
    pub message: String,
}

/// Blanks lines that the parser cannot recover from, so that offsets stay the same, and returns one error for each
/// wrong line.
pub(super) fn parseable(text: &str) -> (String, Vec<Unparsed>) {
    /// The most lines to blank; each requires another parse.
    const MOST: usize = 50;
    let mut rest = text.to_owned();
    let mut found: Vec<Unparsed> = Vec::new();
    for _ in 0..MOST {
        let (_, errors) = DeTable::parse_recoverable(&rest);
        let stop = errors.iter().find(|error| error.message().starts_with("key with no value"));
        let stop = stop.and_then(toml::de::Error::span).map(|span| line_of(&rest, span.start));
        let mut lines = Vec::new();
        for error in &errors {
            let span = error.span().unwrap_or_default();
            let line = line_of(&rest, span.start);
            // Errors in other lines are found again by the next parse; further errors in a line follow from the first.
            if stop.as_ref().is_none_or(|stop| *stop == line) && !lines.contains(&line) {
                let message = explain::syntax(error.message(), rest.get(span.clone()).unwrap_or_default());
                lines.push(line.clone());
                found.push(Unparsed { span, line, message });
            }
        }
        let Some(line) = stop else { break };
        let blank: String = rest.get(line.clone()).unwrap_or_default().bytes().map(|_| ' ').collect();
        rest.replace_range(line, &blank);
    }
    (rest, found)
}

/// The line around an offset, without its line end.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    start..at.min(text.len()) + after.find(['\n', '\r']).unwrap_or(after.len())
}
