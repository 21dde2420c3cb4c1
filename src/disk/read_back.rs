//! How much a start has read back of what earlier runs left, and of how much: ends of outputs, journals, and all of the outputs
//! where a round selects lines from them. Of each file the length is known before it is read.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU64, Ordering};

/// That of this process: those who look at it are far from those who read.
pub static READ_BACK: ReadBack = ReadBack::new();

/// Bytes that are read back.
#[derive(Debug, Default)]
pub struct ReadBack {
    read: AtomicU64,
    total: AtomicU64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadBackBytes {
    /// Bytes read, never more than the total.
    pub read: u64,
    /// Bytes of all that was found so far.
    pub total: u64,
}

/// Something that is being read back. Dropped, it counts as read: what is not read then is not needed.
#[derive(Debug)]
pub struct Reading<'a> {
    of: &'a ReadBack,
    bytes: u64,
    done: u64,
}

impl ReadBack {
    /// Nothing is read back.
    pub const fn new() -> Self {
        Self { read: AtomicU64::new(0), total: AtomicU64::new(0) }
    }

    /// So many bytes more are to be read.
    pub fn begin(&self, bytes: u64) -> Reading<'_> {
        self.total.fetch_add(bytes, Ordering::Release);
        Reading { of: self, bytes, done: 0 }
    }

    /// How far it has come.
    pub fn bytes(&self) -> ReadBackBytes {
        // In this order: what was read was part of the total before.
        let read = self.read.load(Ordering::Acquire);
        ReadBackBytes { read, total: self.total.load(Ordering::Acquire) }
    }
}

/// A reader whose bytes count as read back.
pub struct ReadingBack<'a, R> {
    reader: R,
    reading: Reading<'a>,
    read: u64,
}

impl<'a> Reading<'a> {
    /// Follows this reader.
    pub fn follow<R: BufRead>(self, reader: R) -> ReadingBack<'a, R> {
        ReadingBack { reader, reading: self, read: 0 }
    }
}

impl<R: BufRead> BufRead for ReadingBack<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
        self.read += n as u64;
        self.reading.reach(self.read);
    }
}

impl<R: BufRead> Read for ReadingBack<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

impl Reading<'_> {
    /// So many of its bytes have been read by now.
    pub fn reach(&mut self, done: u64) {
        let more = done.min(self.bytes).saturating_sub(self.done);
        self.done += more;
        self.of.read.fetch_add(more, Ordering::Release);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.reach(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_reads_more_than_there_is_and_ends_with_all() {
        let all = ReadBack::new();
        let bytes = || (all.bytes().read, all.bytes().total);
        let mut first = all.begin(100);
        let mut second = all.begin(10);
        assert_eq!(bytes(), (0, 110), "the total is known before anything is read");
        first.reach(40);
        second.reach(25);
        assert_eq!(bytes(), (50, 110), "a file that grew meanwhile");
        first.reach(30);
        assert_eq!(bytes(), (50, 110), "a piece that is read again");
        let mut third = all.begin(6).follow(&b"abcdef"[..]);
        third.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(bytes(), (54, 116));
        drop((first, third));
        drop(second);
        assert_eq!(bytes(), (116, 116), "what is not read is not needed");
    }
}
