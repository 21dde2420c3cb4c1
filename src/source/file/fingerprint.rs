//! Fingerprints of files: device, inode and CRC-32 sums of the beginning identify a file, whatever its name.
//! `line_reader` sums the bytes read, `tailer` puts the sum into each position. Next: `generation`.

use std::io;

use serde::{Deserialize, Serialize};

use crate::disk::DiskFile;
use crate::source::line_reader::sum;

/// The most bytes of a head.
const HEAD: usize = 1 << 10;

/// A checksum of the first bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Prefix {
    /// The number of bytes.
    pub length: u64,
    /// Their CRC-32.
    pub sum: u32,
}

impl Prefix {
    /// The checksum of the first KiB of a file, or of the whole file if it has less.
    pub fn head(file: &dyn DiskFile) -> io::Result<Self> {
        let (mut buffer, mut length) = ([0; HEAD], 0);
        while length < HEAD {
            match file.read_at(&mut buffer[length..], length as u64)? {
                0 => break,
                n => length += n,
            }
        }
        Ok(Self { length: length as u64, sum: crc32fast::hash(&buffer[..length]) })
    }

    /// Whether the beginning of a file has this checksum.
    pub fn is_of(self, file: &dyn DiskFile) -> io::Result<bool> {
        Ok(sum(file, self.length)? == Some(self.sum))
    }

    /// Whether it covers fewer bytes than a head can have.
    pub fn may_grow(self) -> bool {
        self.length < HEAD as u64
    }
}
