//! Resolves the line that a question names, or why it is not in the run.

use super::answer::Failure;
use crate::schedule::LineKey;
use crate::source::{JournalView, SourceLines, SourceView};

/// Fills in the name of the source; a question without one means the only source.
///
/// # Errors
/// 400 if no source has this name, or none of several is named.
pub(super) fn named(key: LineKey, sources: &[SourceView]) -> Result<LineKey, Failure> {
    let LineKey::Identity { source, file, seq } = key else { return Ok(key) };
    let known: Vec<_> = sources.iter().filter_map(|view| Some((view, view.known.as_ref()?))).collect();
    let names = || known.iter().map(|(view, _)| &*view.name).collect::<Vec<_>>().join(", ");
    let named = match (&source, &known[..]) {
        // The run has not begun.
        (_, []) => return Ok(LineKey::Identity { source, file, seq }),
        (None, [(_, one)]) => Ok(*one),
        (None, _) => Err(format!("the run has several sources; name one of them with `source`: {}", names())),
        (Some(name), _) => {
            let named = known.iter().find(|(view, _)| view.name == *name).map(|(_, lines)| *lines);
            named.ok_or_else(|| format!("there is no source \"{}\"; there is: {}", name.escape_debug(), names()))
        }
    };
    let lines = named.map_err(Failure::bad)?;
    Ok(LineKey::Identity { source: lines.source.clone(), file, seq })
}

/// Why a line is not in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// The source has not read it yet.
    Unread,
    /// It waits in the journal of its source, behind so many lines.
    InJournal { ahead: u64 },
    /// Its source has a journal, and has not accepted it.
    NotAccepted,
    /// It has its record.
    Recorded,
    /// One of these, unknown which.
    Unknown,
}

/// Why a line is not in the run. For a source of several files, only lines done by earlier runs are known.
pub(super) fn gone(key: &LineKey, sources: &[SourceView]) -> Gone {
    let LineKey::Identity { source, file, seq } = key else { return Gone::Unknown };
    let is_it = |lines: &SourceLines| lines.source == *source;
    let Some((view, lines)) =
        sources.iter().filter_map(|view| Some((view, view.known.as_ref()?))).find(|(_, lines)| is_it(lines))
    else {
        return Gone::Unknown;
    };
    match file {
        _ if lines.were_done(file.as_deref(), *seq) => Gone::Recorded,
        Some(_) => Gone::Unknown,
        None if *seq <= view.last_seq => Gone::Recorded,
        None => match view.journal {
            Some(journal) if *seq > journal.last_seq => Gone::NotAccepted,
            Some(journal) => {
                let up_to = SourceView { journal: Some(JournalView { last_seq: seq - 1, ..journal }), ..view.clone() };
                Gone::InJournal { ahead: up_to.waiting_in_journal() }
            }
            None => Gone::Unread,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::item::DoneRanges;

    fn source(name: &str, carried: Option<&str>, last_seq: u64) -> SourceView {
        let mut done = DoneRanges::default();
        (1..=5).for_each(|seq| assert!(done.insert(seq, None)));
        let done = Arc::new([(String::new(), done)].into_iter().collect());
        let known = Some(SourceLines { source: carried.map(Into::into), done });
        SourceView { name: name.into(), known, lines: 0, bytes: 0, last_seq, lag: 0, journal: None }
    }

    fn key(source: Option<&str>, seq: u64) -> LineKey {
        LineKey::Identity { source: source.map(Into::into), file: None, seq }
    }

    #[test]
    fn the_only_source_need_not_be_named_and_an_unknown_one_is_refused() {
        let urls = [source("urls", Some("urls"), 0)];
        assert_eq!(named(key(None, 3), &urls), Ok(key(Some("urls"), 3)));
        let message = named(key(Some("url"), 3), &urls).unwrap_err().message;
        assert_eq!(message, "there is no source \"url\"; there is: urls");
        let without_name = [source("stdin", None, 0)];
        for name in [None, Some("stdin")] {
            assert_eq!(named(key(name, 3), &without_name), Ok(key(None, 3)));
        }
        let round = SourceView { known: None, ..source("--again", None, 0) };
        assert_eq!(named(key(None, 3), &[round, source("urls", Some("urls"), 0)]), Ok(key(Some("urls"), 3)));
        let two = [source("a", Some("a"), 0), source("b", Some("b"), 0)];
        let message = named(key(None, 3), &two).unwrap_err().message;
        assert!(message.ends_with("name one of them with `source`: a, b"), "{message}");
    }

    #[test]
    fn a_line_is_recorded_if_this_run_or_an_earlier_one_has_passed_it() {
        let gone_of = |seq, last| gone(&key(Some("urls"), seq), &[source("urls", Some("urls"), last)]);
        assert_eq!([5, 6].map(|seq| gone_of(seq, 0)), [Gone::Recorded, Gone::Unread], "a run that has just begun");
        assert_eq!([7, 9, 10].map(|seq| gone_of(seq, 9)), [Gone::Recorded, Gone::Recorded, Gone::Unread]);
        let journal = JournalView { bytes: 1, most: 2, last_seq: 20, full_for: None };
        let durable = SourceView { journal: Some(journal), ..source("urls", Some("urls"), 9) };
        let gone_of = |seq| gone(&key(Some("urls"), seq), std::slice::from_ref(&durable));
        assert_eq!([9, 12, 21].map(gone_of), [Gone::Recorded, Gone::InJournal { ahead: 2 }, Gone::NotAccepted]);
        let of_file = LineKey::Identity { source: Some("urls".into()), file: Some("a.txt".into()), seq: 7 };
        assert_eq!(gone(&of_file, &[source("urls", Some("urls"), 9)]), Gone::Unknown);
    }
}
