//! Refuses a changed file that is not followed (sorted since, or with lines on top): all of its lines would be fetched
//! once more, which takes a permission if that repeats more than half of the lines that are done. Next: `tailer`.

use std::io;

use serde::{Deserialize, Serialize};

use super::generation::{PendingFile, ResumePoint};
use crate::source::line_reader::LineReader;
use crate::source::splitter::Split;
use crate::units::{counted, grouped};

/// The treatment of a file that is not followed and whose content changed where it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// The start is refused if more than half of the file's done lines would be fetched once more.
    #[default]
    Refuse,
    /// The file is read from its start, as new lines.
    Anew,
}

/// Refuses new files if they have more lines than half of `done`.
///
/// # Errors
/// When reading fails, or the refusal.
pub(super) fn refuse<'a>(
    files: impl IntoIterator<Item = &'a PendingFile>,
    done: u64,
    max_line: usize,
) -> io::Result<()> {
    if done == 0 {
        return Ok(());
    }
    let mut lines = 0;
    for file in files {
        lines += count(file, max_line)?;
    }
    if lines <= done / 2 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "it changed where it was read (was it sorted, or did it get lines on top?): {} of it are done, and up to {} of the {} now in it would be fetched once more; append new lines at the end, or read it from its start with `--anew` (`changed = \"anew\"`)",
        counted(done, "line"),
        grouped(lines.min(done)),
        grouped(lines),
    )))
}

/// The lines of a file, if it is new.
fn count(PendingFile { file, begin, .. }: &PendingFile, max_line: usize) -> io::Result<u64> {
    let (Some(file), ResumePoint::New(_)) = (file, begin) else { return Ok(0) };
    let mut reader = LineReader::new(file.clone(), 0, 0, max_line);
    let length = file.length()?;
    let mut lines = 0;
    while let Some(line) = reader.next(length)?.or_else(|| reader.finish()) {
        lines += u64::from(matches!(line.split, Split::Line(_)));
    }
    Ok(lines)
}
