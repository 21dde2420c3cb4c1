//! A file that is read to its end, and is not what was read of it before: sorted since, or with lines on top. It would be
//! fetched once more as a whole, which takes a permission where that is much of what is done. Next: `tailer`.

use std::io;

use serde::{Deserialize, Serialize};

use super::generation::{PendingFile, ResumePoint};
use crate::source::line_reader::LineReader;
use crate::source::splitter::Split;
use crate::units::{counted, grouped};

/// What becomes of a file that is not followed, and of which other lines were read than it has now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// The run is refused, if more than half of what was done there would be done once more.
    #[default]
    Refuse,
    /// Its lines are new ones.
    Anew,
}

/// Refuses files to be read from their starts, if that does more than half of these lines once more.
///
/// # Errors
/// What the system says, and the refusal.
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
        "it is not what was read of it before (was it sorted, or did it get lines on top?), and {} of it are done, so that up to {} of the {} now in it would be fetched once more; append new lines at the end, or let it be read from its start with `--anew` (`changed = \"anew\"`)",
        counted(done, "line"),
        grouped(lines.min(done)),
        grouped(lines),
    )))
}

/// The lines of a file that is read from its start as a new one.
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
