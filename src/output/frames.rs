//! Frames: the independently readable units of an output. A frame is a line, a gzip member or a zstd frame.

use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use crate::disk::DiskFile;

/// The compression of an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// No compression.
    #[default]
    None,
    /// Gzip members.
    Gzip,
    /// Zstd frames with checksums.
    Zstd,
}

/// The result of reading a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole frame.
    Whole,
    /// A partial frame, or no frame.
    Torn,
    /// The end of the file.
    End,
}

/// The longest text of a frame. fetchd writes shorter ones.
const LONGEST: u64 = 1 << 30;

impl Compress {
    /// All compressions.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// The suffix of file names.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// Encodes a text as one frame.
    pub fn frame(self, text: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(text.to_owned()),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text)?;
                encoder.finish()
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                encoder.set_pledged_src_size(Some(text.len() as u64))?;
                encoder.write_all(text)?;
                encoder.finish()
            }
        }
    }

    /// Reads the frame at the cursor and appends its text.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(self, cursor: &mut Cursor<'_>, text: &mut Vec<u8>) -> io::Result<Frame> {
        if cursor.fill_buf()?.is_empty() {
            return Ok(Frame::End);
        }
        let read = match self {
            Self::None => return line(cursor, text),
            Self::Gzip => GzDecoder::new(&mut *cursor).take(LONGEST).read_to_end(text),
            Self::Zstd => zstd::Decoder::with_buffer(&mut *cursor)
                .and_then(|decoder| decoder.single_frame().take(LONGEST).read_to_end(text)),
        };
        match (read, cursor.error.take()) {
            (_, Some(error)) => Err(error),
            (Ok(read), None) if (read as u64) < LONGEST => Ok(Frame::Whole),
            (Ok(_) | Err(_), None) => Ok(Frame::Torn),
        }
    }
}

/// Appends a line with its LF. A line with a zero byte is torn: data that a power cut left unwritten reads as zeros.
fn line(cursor: &mut Cursor<'_>, text: &mut Vec<u8>) -> io::Result<Frame> {
    let start = text.len();
    loop {
        let buffer = cursor.fill_buf()?;
        let end = memchr::memchr2(b'\n', 0, buffer);
        let is_too_long = (text.len() - start) as u64 > LONGEST;
        if buffer.is_empty() || is_too_long || end.is_some_and(|end| buffer[end] == 0) {
            return Ok(Frame::Torn);
        }
        let n = end.map_or(buffer.len(), |end| end + 1);
        text.extend_from_slice(&buffer[..n]);
        cursor.consume(n);
        if end.is_some() {
            return Ok(Frame::Whole);
        }
    }
}

/// A buffered reader over a file from an offset on, with its position.
pub struct Cursor<'a> {
    file: &'a dyn DiskFile,
    /// The bytes read; those from `used` on are not consumed yet.
    buffer: Vec<u8>,
    used: usize,
    /// The file offset of the next unconsumed byte.
    at: u64,
    /// The last read error, because decoders may turn it into another one.
    error: Option<io::Error>,
}

impl<'a> Cursor<'a> {
    /// A reader that starts at this offset.
    pub fn new(file: &'a dyn DiskFile, at: u64) -> Self {
        Self { file, buffer: Vec::new(), used: 0, at, error: None }
    }

    pub(super) fn at(&self) -> u64 {
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
