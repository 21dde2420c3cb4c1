//! Reads lines of a regular file from an offset on, with the CRC-32 of all bytes before each line end. It reads at most
//! one chunk ahead, so the consumer sets the pace.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::splitter::{Split, Splitter};
use crate::disk::DiskFile;

/// Bytes per read, at most.
const CHUNK: u64 = 64 << 10;

/// A line, the offset after it, and the CRC-32 of all bytes before that offset.
#[derive(Debug)]
pub(super) struct ReadLine {
    pub split: Split,
    pub end: u64,
    pub sum: u32,
}

/// Bytes before the offset that are compared with the file, at most.
const LAST: usize = 1 << 10;

/// Reads the lines of one file.
#[derive(Debug)]
pub(super) struct LineReader {
    file: Arc<dyn DiskFile>,
    read: u64,
    splitter: Splitter,
    sum: u32,
    /// Bytes that were read and are not in the sum yet.
    unsummed: Bytes,
    /// The last bytes before the offset, once they were loaded or read.
    last: Vec<u8>,
}

impl LineReader {
    /// Starts at an offset where a line begins. `sum` is the CRC-32 of the bytes before it.
    pub fn new(file: Arc<dyn DiskFile>, from: u64, sum: u32, max_line: usize) -> Self {
        Self {
            file,
            read: from,
            splitter: Splitter::starting_at(max_line, from),
            sum,
            unsummed: Bytes::new(),
            last: Vec::new(),
        }
    }

    /// The file.
    pub fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Loads the bytes before the offset, to detect later that the file was truncated.
    pub fn load_last(&mut self) -> io::Result<()> {
        self.last = before(self.file.as_ref(), self.read)?;
        Ok(())
    }

    /// Whether a file, this one or a copy, still has the bytes that were read last.
    pub fn is_intact_in(&self, file: &dyn DiskFile) -> io::Result<bool> {
        Ok(file.length()? >= self.read && before(file, self.read)? == self.last)
    }

    /// Continues in a copy of the file.
    pub fn continue_in(&mut self, copy: Arc<dyn DiskFile>) {
        self.file = copy;
    }

    /// The offset up to which the file was read.
    pub fn offset(&self) -> u64 {
        self.read
    }

    /// The next line that ends at or before the limit, if there is one.
    pub fn next(&mut self, limit: u64) -> io::Result<Option<ReadLine>> {
        loop {
            let split = self.splitter.next();
            self.sum_up();
            if let Some(split) = split {
                return Ok(Some(ReadLine { split, end: self.splitter.position(), sum: self.sum }));
            }
            let wanted = limit.saturating_sub(self.read).min(CHUNK);
            let chunk = self.read(wanted as usize)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            self.unsummed = chunk.clone();
            self.splitter.push(chunk);
        }
    }

    /// The last line, if the file did not end with LF.
    pub fn finish(&mut self) -> Option<ReadLine> {
        self.splitter.finish().map(|split| ReadLine { split, end: self.read, sum: self.sum })
    }

    /// Adds the bytes that the splitter has passed to the sum.
    fn sum_up(&mut self) {
        let rest = (self.read - self.splitter.position()) as usize;
        let passed = self.unsummed.split_to(self.unsummed.len() - rest);
        self.sum = add(self.sum, &passed);
    }

    fn read(&mut self, wanted: usize) -> io::Result<Bytes> {
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let mut buffer = vec![0; wanted];
        let n = self.file.read_at(&mut buffer, self.read)?;
        // A short read must not pin a whole buffer for as long as its lines live.
        buffer.truncate(n);
        buffer.shrink_to_fit();
        self.read += n as u64;
        self.last.extend_from_slice(&buffer[n.saturating_sub(LAST)..]);
        self.last.drain(..self.last.len().saturating_sub(LAST));
        Ok(buffer.into())
    }
}

/// The last bytes of a file before an offset.
fn before(file: &dyn DiskFile, end: u64) -> io::Result<Vec<u8>> {
    let start = end.saturating_sub(LAST as u64);
    let (mut bytes, mut length) = (vec![0; (end - start) as usize], 0);
    while length < bytes.len() {
        match file.read_at(&mut bytes[length..], start + length as u64)? {
            0 => break,
            n => length += n,
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The CRC-32 of a file's bytes before `end`; `None` if it has fewer.
pub(super) fn sum(file: &dyn DiskFile, end: u64) -> io::Result<Option<u32>> {
    let (mut sum, mut at) = (0, 0);
    let mut buffer = vec![0; CHUNK.min(end) as usize];
    while at < end {
        let wanted = CHUNK.min(end - at) as usize;
        let n = file.read_at(&mut buffer[..wanted], at)?;
        if n == 0 {
            return Ok(None);
        }
        sum = add(sum, &buffer[..n]);
        at += n as u64;
    }
    Ok(Some(sum))
}

fn add(sum: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(sum);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Mode, RealDisk};
    use crate::item::Text;
    use proptest::prelude::*;

    fn open(content: &str) -> Arc<dyn DiskFile> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, content.as_bytes()).unwrap();
        RealDisk.open(file.path(), Mode::Read).unwrap()
    }

    /// The lines up to each limit in turn, with the offsets after them.
    fn cut(line_reader: &mut LineReader, limits: &[u64]) -> Vec<(String, u64, u32)> {
        let (mut lines, from) = (Vec::new(), line_reader.offset());
        for limit in limits {
            lines.extend(std::iter::from_fn(|| line_reader.next(*limit).unwrap()).map(shown));
            assert!(line_reader.offset() <= from.max(*limit));
        }
        lines.extend(line_reader.finish().map(shown));
        lines
    }

    fn shown(ReadLine { split, end, sum }: ReadLine) -> (String, u64, u32) {
        let text = match split {
            Split::Line(Text::Whole(text)) => String::from_utf8_lossy(&text).into(),
            Split::Blank => String::new(),
            other => panic!("{other:?}"),
        };
        (text, end, sum)
    }

    proptest! {
        #[test]
        fn a_file_has_the_same_lines_wherever_the_reading_stops_and_goes_on(
            content in "[ab \n\u{feff}]{0,40}", limits in prop::collection::btree_set(0u64..50, 0..5)
        ) {
            let file = open(&content);
            let whole = cut(&mut LineReader::new(Arc::clone(&file), 0, 0, 100), &[1000]);
            let limits: Vec<_> = limits.into_iter().chain([1000]).collect();
            prop_assert_eq!(&cut(&mut LineReader::new(Arc::clone(&file), 0, 0, 100), &limits), &whole);
            for (position, (_, end, up_to)) in whole.iter().enumerate() {
                prop_assert_eq!(sum(file.as_ref(), *end).unwrap(), Some(*up_to));
                let rest = cut(&mut LineReader::new(Arc::clone(&file), *end, *up_to, 100), &limits);
                prop_assert_eq!(&rest, &whole[position + 1..]);
            }
        }
    }
}
