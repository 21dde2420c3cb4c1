//! A buffered reader over a file from an offset on, which knows its position.

use std::io::{self, BufRead, Read};

use crate::disk::DiskFile;

pub(super) struct Cursor<'a> {
    file: &'a dyn DiskFile,
    /// What was read and not yet used; it begins at `used`.
    buffer: Vec<u8>,
    used: usize,
    /// Where the unused part begins in the file.
    at: u64,
    /// Why reading failed: a decoder that reads from here may pass it on as something else.
    pub error: Option<io::Error>,
}

impl<'a> Cursor<'a> {
    pub fn new(file: &'a dyn DiskFile, at: u64) -> Self {
        Self { file, buffer: Vec::new(), used: 0, at, error: None }
    }

    /// Where it stands.
    pub fn at(&self) -> u64 {
        self.at
    }
}

impl BufRead for Cursor<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        const PIECE: usize = 64 << 10;
        if self.used == self.buffer.len() {
            self.buffer.resize(PIECE, 0);
            self.used = 0;
            let read = self.file.read_at(&mut self.buffer, self.at);
            self.buffer.truncate(*read.as_ref().unwrap_or(&0));
            if let Err(error) = read {
                self.error = Some(io::Error::new(error.kind(), error.to_string()));
                return Err(error);
            }
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, n: usize) {
        self.used += n;
        self.at += n as u64;
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}
