//! Repairs the end of a file that is not in the checkpoint: adds a missing line end, or truncates a partial record.

use std::io;
use std::path::Path;

use super::frames::Compress;
use super::record_reader::{Examined, FileEnd, RecordReader};
use super::scan;
use crate::disk::{DiskFile, READ_BACK, SyncPoint, append_all};
use crate::units::counted;

/// The contents of a file before this run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    pub records: u64,
    /// Bytes of a partial record that were truncated.
    pub torn: u64,
}

impl Before {
    pub fn note(&self, path: &Path) -> Option<String> {
        let path = path.display();
        let records = counted(self.records, "record");
        match self {
            Self { records: 0, torn: 0 } => None,
            Self { torn: 0, .. } => Some(format!("appending to {path}, which has {records}")),
            Self { torn, .. } => {
                Some(format!("appending to {path}, which has {records}; its unfinished end ({torn} bytes) was cut off"))
            }
        }
    }
}

/// Repairs the end of an output file.
///
/// # Errors
/// When the file cannot be read or changed, or belongs to another program.
pub(super) fn repair(file: &dyn DiskFile, compress: Compress, reader: &dyn RecordReader) -> io::Result<Before> {
    if compress != Compress::None {
        let mut records = 0;
        let reading = READ_BACK.begin(file.length()?);
        let end = scan::read(file, compress, reader, 0, reading, |_| records += 1)?;
        return Ok(Before { records, torn: cut(file, end)? });
    }
    let Examined { records, end } = reader.examine(file)?;
    let torn = match end {
        FileEnd::Whole => 0,
        FileEnd::Lacks(bytes) => append_all(file, bytes, file.length()?).map(|()| 0)?,
        FileEnd::Torn(at) => cut(file, at)?,
    };
    Ok(Before { records, torn })
}

/// Truncates the file at `end`, and returns the number of bytes removed.
///
/// # Errors
/// When the file cannot be truncated.
pub(super) fn cut(file: &dyn DiskFile, end: u64) -> io::Result<u64> {
    let torn = file.length()?.saturating_sub(end);
    if torn > 0 {
        file.set_len(end)?;
        file.sync(SyncPoint::OutputCut)?;
    }
    Ok(torn)
}
