//! Partial lines: a last line without LF is read as a line, although its writer may complete it later.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::item::{FileGeneration, Fingerprint, Position};
use crate::source::line_reader::{LineReader, ReadLine, sum};
use crate::source::splitter::Split;

/// Bytes per read, at most.
const PIECE: u64 = 4 << 10;

/// Whether the line that ends at this offset lacks its LF.
fn is_torn(file: &dyn DiskFile, end: u64) -> io::Result<bool> {
    let mut last = [0];
    Ok(end > 0 && file.read_at(&mut last, end - 1)? == 1 && last != *b"\n")
}

/// The generation of a position, with that offset noted if the line before it lacks its LF.
pub(super) fn noted(file: &dyn DiskFile, position: &Position) -> io::Result<Arc<FileGeneration>> {
    let Position { file: generation, end, .. } = position;
    if generation.torn.contains(end) || !is_torn(file, *end)? {
        return Ok(Arc::clone(generation));
    }
    let mut generation = FileGeneration::clone(generation);
    generation.torn.push(*end);
    Ok(Arc::new(generation))
}

/// Where to resume after a line: after it, or at its start if it lacks its LF, so that its completion is seen. Returns
/// the number of the line before, and its position.
pub(super) fn before(file: &dyn DiskFile, seq: u64, position: Position) -> io::Result<(u64, Position)> {
    if !is_torn(file, position.end)? {
        return Ok((seq, position));
    }
    let start = line_start(file, position.end)?;
    let earlier = position.file.torn.iter().filter(|torn| start < **torn && **torn < position.end).count();
    let prefix_sum = sum(file, start)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((seq - 1 - earlier as u64, Position { end: start, fingerprint: Fingerprint { prefix_sum }, ..position }))
}

/// The start of the line that contains this offset.
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

/// How many partial lines of this line were read before it was complete. A LF or blanks alone do not make another line.
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
