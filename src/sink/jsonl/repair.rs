//! Repairs the end of a file that the checkpoint does not know: a whole record gets its missing LF, a torn one is cut off.

use std::io;
use std::path::Path;

use super::frames::Compress;
use super::{cursor, scan};
use crate::disk::{DiskFile, SyncPoint, append_all};
use crate::units::counted;

/// What was in the file already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    pub records: u64,
    /// Bytes of an unfinished end that were cut off.
    pub torn: u64,
}

impl Before {
    pub fn note(&self, path: &Path) -> Option<String> {
        let path = path.display();
        let records = counted(self.records, "record");
        match self {
            Self { records: 0, torn: 0 } => None,
            Self { torn: 0, .. } => Some(format!("appending to {path}, which has {records}")),
            Self { torn, .. } => Some(format!(
                "appending to {path}, which has {records}; its unfinished last line ({torn} bytes) was cut off"
            )),
        }
    }
}

/// Repairs the end of a file of ours.
///
/// # Errors
/// What the system says.
pub(super) fn repair(file: &dyn DiskFile, compress: Compress) -> io::Result<Before> {
    if compress == Compress::None {
        return examine(file);
    }
    let mut records = 0;
    let end = scan::read(file, compress, 0, |_| records += 1)?;
    Ok(Before { records, torn: cut(file, end)? })
}

/// Cuts off what comes after this, and says how many bytes that were.
///
/// # Errors
/// What the system says.
pub(super) fn cut(file: &dyn DiskFile, end: u64) -> io::Result<u64> {
    let torn = file.length()?.saturating_sub(end);
    if torn > 0 {
        file.set_len(end)?;
        file.sync(SyncPoint::OutputCut)?;
    }
    Ok(torn)
}

/// Counts the records of a file that may be another program's, and repairs its end if it is not.
///
/// # Errors
/// What the system says, and that it is another program's.
pub(super) fn examine(file: &dyn DiskFile) -> io::Result<Before> {
    /// A last line longer than this is not ours to judge.
    const LONGEST: u64 = 1 << 30;
    let (mut records, mut length, mut last_end) = (0, 0, 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = file.read_at(&mut buffer, length)?;
        if n == 0 {
            break;
        }
        for end in memchr::memchr_iter(b'\n', &buffer[..n]) {
            records += 1;
            last_end = length + end as u64 + 1;
        }
        length += n as u64;
    }
    if length == last_end {
        return Ok(Before { records, torn: 0 });
    }
    if length - last_end > LONGEST {
        return Err(io::Error::other(
            "its last line has no end and is longer than any record; is it another program's file?",
        ));
    }
    let mut tail = Vec::new();
    io::Read::read_to_end(&mut cursor::Cursor::new(file, last_end), &mut tail)?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&tail).is_ok() {
        append_all(file, b"\n", length)?;
        return Ok(Before { records: records + 1, torn: 0 });
    }
    if !tail.starts_with(b"{") {
        return Err(io::Error::other("it does not end with a JSON line; is it another program's file?"));
    }
    Ok(Before { records, torn: cut(file, last_end)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Mode, RealDisk};

    fn examined(before: &str) -> (io::Result<Before>, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.jsonl");
        std::fs::write(&path, before).unwrap();
        let found = examine(RealDisk.open(&path, Mode::Append).unwrap().as_ref());
        (found, std::fs::read_to_string(&path).unwrap())
    }

    #[test]
    fn records_that_are_there_are_counted_and_kept() {
        let (found, after) = examined("{\"seq\":1}\n{\"seq\":2}\n");
        assert_eq!(found.unwrap(), Before { records: 2, torn: 0 });
        assert_eq!(after, "{\"seq\":1}\n{\"seq\":2}\n");
    }

    #[test]
    fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
        let whole = "{\"seq\":1}\n{\"seq\":22}\n";
        for cut in 11..whole.len() - 2 {
            let (found, after) = examined(&whole[..cut]);
            assert_eq!(found.unwrap(), Before { records: 1, torn: cut as u64 - 10 });
            assert_eq!(after, "{\"seq\":1}\n");
        }
    }

    #[test]
    fn a_whole_last_line_without_its_end_gets_it() {
        let (found, after) = examined("{\"seq\":1}\n{\"seq\":2}");
        assert_eq!(found.unwrap(), Before { records: 2, torn: 0 });
        assert!(after.ends_with("2}\n"));
    }

    #[test]
    fn a_file_of_another_program_is_left_alone() {
        let (found, after) = examined("Dear diary,\nI met a torn line");
        assert!(found.is_err());
        assert_eq!(after, "Dear diary,\nI met a torn line");
    }
}
