//! Frames: the independently readable units of an output. A line is one; in a compressed file each gzip member or zstd frame.

use std::io::{self, BufRead, Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;

/// How an output is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// Not at all.
    #[default]
    None,
    /// As gzip members.
    Gzip,
    /// As zstd frames with checksums.
    Zstd,
}

/// What comes next in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// One frame, with this text.
    Whole(Vec<u8>),
    /// Something that is no frame, or not all of one.
    Torn,
    /// Nothing.
    End,
}

/// More text than this is no frame of ours.
const LONGEST: u64 = 1 << 30;

impl Compress {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// What the names of such files end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }

    /// This text as one frame.
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

    /// Reads the frame at the cursor, which stands after it then.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(self, cursor: &mut Cursor<'_>) -> io::Result<Frame> {
        if cursor.fill_buf()?.is_empty() {
            return Ok(Frame::End);
        }
        let mut text = Vec::new();
        let read = match self {
            Self::None => return line(cursor),
            Self::Gzip => GzDecoder::new(&mut *cursor).take(LONGEST).read_to_end(&mut text),
            Self::Zstd => zstd::Decoder::with_buffer(&mut *cursor)
                .and_then(|decoder| decoder.single_frame().take(LONGEST).read_to_end(&mut text)),
        };
        match (read, cursor.error.take()) {
            (_, Some(error)) => Err(error),
            (Ok(_), None) if text.ends_with(b"\n") => Ok(Frame::Whole(text)),
            (Ok(_) | Err(_), None) => Ok(Frame::Torn),
        }
    }
}

/// Reads a line with its LF. What a power cut left unwritten reads as zeros, of which a line has none.
fn line(cursor: &mut Cursor<'_>) -> io::Result<Frame> {
    let mut text = Vec::new();
    loop {
        let buffer = cursor.fill_buf()?;
        let end = memchr::memchr2(b'\n', 0, buffer);
        if buffer.is_empty() || text.len() as u64 > LONGEST || end.is_some_and(|end| buffer[end] == 0) {
            return Ok(Frame::Torn);
        }
        let n = end.map_or(buffer.len(), |end| end + 1);
        text.extend_from_slice(&buffer[..n]);
        cursor.consume(n);
        if end.is_some() {
            return Ok(Frame::Whole(text));
        }
    }
}
