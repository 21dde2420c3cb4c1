//! Partial lines: a last line without LF is read as a line, and may be completed by its writer later.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::item::{FileGeneration, Fingerprint, Position};
use crate::source::line_reader::{LineReader, ReadLine, sum};
use crate::source::splitter::Split;

/// Bytes per read, at most.
const PIECE: u64 = 4 << 10;

/// Whether no LF ends the line that ended there.
fn is_torn(file: &dyn DiskFile, end: u64) -> io::Result<bool> {
    let mut last = [0];
    Ok(end > 0 && file.read_at(&mut last, end - 1)? == 1 && last != *b"\n")
}

/// The generation of a position; if the line before it has no LF, it knows of that.
///
/// # Errors
/// What the system says.
pub(super) fn noted(file: &dyn DiskFile, position: &Position) -> io::Result<Arc<FileGeneration>> {
    let Position { file: generation, end, .. } = position;
    if generation.torn.contains(end) || !is_torn(file, *end)? {
        return Ok(Arc::clone(generation));
    }
    let mut generation = FileGeneration::clone(generation);
    generation.torn.push(*end);
    Ok(Arc::new(generation))
}

/// After which line, and where, the reading has to begin so that what follows on this line is seen: at its start, if it
/// has no LF.
///
/// # Errors
/// What the system says.
pub(super) fn before(file: &dyn DiskFile, seq: u64, position: Position) -> io::Result<(u64, Position)> {
    if !is_torn(file, position.end)? {
        return Ok((seq, position));
    }
    let start = line_start(file, position.end)?;
    let earlier = position.file.torn.iter().filter(|torn| start < **torn && **torn < position.end).count();
    let prefix_sum = sum(file, start)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((seq - 1 - earlier as u64, Position { end: start, fingerprint: Fingerprint { prefix_sum }, ..position }))
}

/// Where the line begins that goes on at this offset.
fn line_start(file: &dyn DiskFile, end: u64) -> io::Result<u64> {
    let mut to = end;
    let mut buffer = [0; PIECE as usize];
    while to > 0 {
        let from = to.saturating_sub(PIECE);
        let n = file.read_at(&mut buffer[..(to - from) as usize], from)?;
        if let Some(at) = memchr::memrchr(b'\n', &buffer[..n]) {
            return Ok(from + at as u64 + 1);
        }
        to = from;
    }
    Ok(0)
}

/// How many lines were read where this line is now, before it was complete. A LF or blanks alone make
/// no other line of it.
///
/// # Errors
/// What the system says.
pub(super) fn parts(
    file: &Arc<dyn DiskFile>,
    generation: &FileGeneration,
    line: Range<u64>,
    max_line: usize,
) -> io::Result<u64> {
    let mut parts = 0;
    for torn in generation.torn.iter().filter(|torn| line.start < **torn && **torn < line.end) {
        let mut rest = LineReader::new(Arc::clone(file), *torn, 0, max_line);
        let rest = rest.next(line.end)?.or_else(|| rest.finish());
        parts += u64::from(matches!(rest, Some(ReadLine { split: Split::Line(_), .. })));
    }
    Ok(parts)
}
