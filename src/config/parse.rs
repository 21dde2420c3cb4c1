//! From text to what TOML can be read out of it, with every syntax error.

use std::ops::Range;

use toml::de::DeTable;

use super::explain;

/// A line that is not TOML.
pub(super) struct Unparsed {
    /// Where.
    pub span: Range<usize>,
    /// The whole of it. Whatever could be read there is not what was meant.
    pub line: Range<usize>,
    /// What to do.
    pub message: String,
}

/// The text without the lines that the parser cannot get past (every place staying where it is), and one error for
/// each line that has any.
pub(super) fn parseable(text: &str) -> (String, Vec<Unparsed>) {
    /// Each of them means to parse once more.
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
            // The others are found again by the next round; and what else is wrong in a line follows from the first.
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

/// The line around a place, without its end.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    start..at.min(text.len()) + after.find(['\n', '\r']).unwrap_or(after.len())
}
