//! Scans the frames of an output for records: their heads, and the location of their text.

use std::io;
use std::ops::Range;

use super::frames::{Compress, Cursor, Frame};
use super::record_reader::{Parsed, RecordHead, RecordReader};
use crate::disk::{DiskFile, Reading};

/// A record found in an output. Its text stays in the file because a body can be large.
#[derive(Clone, Debug)]
pub(super) struct ScannedRecord {
    /// The head; `None` if the record has no line.
    pub head: Option<RecordHead>,
    /// The location of the record.
    pub place: TextRange,
}

/// The frames of a record, and its range in their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextRange {
    pub frames: Range<u64>,
    pub text: Range<usize>,
}

/// Reads the records of a file from an offset to the first frame with other contents. Returns the offset of that frame. `reading` counts
/// the bytes behind the offset.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(
    file: &dyn DiskFile,
    compress: Compress,
    reader: &dyn RecordReader,
    from: u64,
    mut reading: Reading<'_>,
    mut each: impl FnMut(ScannedRecord),
) -> io::Result<u64> {
    let mut cursor = Cursor::new(file, from);
    let mut text = Vec::new();
    loop {
        let start = cursor.at();
        reading.reach(start - from);
        text.clear();
        let records = loop {
            match compress.next(&mut cursor, &mut text)? {
                Frame::Whole => {}
                Frame::Torn | Frame::End => return Ok(start),
            }
            match reader.parse(&text) {
                Parsed::Records(records) => break records,
                Parsed::Part => {}
                Parsed::Foreign => return Ok(start),
            }
        };
        for (range, head) in records {
            each(ScannedRecord { head, place: TextRange { frames: start..cursor.at(), text: range } });
        }
    }
}

/// The text of a range of frames.
///
/// # Errors
/// When the frames cannot be read any more.
pub(super) fn text_of(file: &dyn DiskFile, compress: Compress, frames: &Range<u64>) -> io::Result<Vec<u8>> {
    let mut cursor = Cursor::new(file, frames.start);
    let mut text = Vec::new();
    while cursor.at() < frames.end {
        if compress.next(&mut cursor, &mut text)? != Frame::Whole {
            return Err(changed());
        }
    }
    Ok(text)
}

/// The error for a file that was changed during recovery.
pub(super) fn changed() -> io::Error {
    io::Error::other("a record that was just read does not exist any more")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, Mode, ReadBack, ReadBackBytes, RealDisk};
    use crate::output::Examined;

    /// A format with three frames per record, like the request, response and metadata in a WARC file.
    #[derive(Debug)]
    struct Groups;

    impl RecordReader for Groups {
        fn parse(&self, text: &[u8]) -> Parsed {
            match memchr::memchr_iter(b';', text).count() {
                3 => Parsed::Records(vec![(0..text.len(), None)]),
                _ => Parsed::Part,
            }
        }

        fn examine(&self, _file: &dyn DiskFile) -> io::Result<Examined> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn a_record_may_be_of_several_frames_and_is_there_only_with_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("out.gz"), Mode::Append).unwrap();
        let mut ends = Vec::new();
        for part in ["a1;", "a\n2;", "a3;", "b1;", "b2;", "b3;", "c1;", "c2;"] {
            file.append(&Compress::Gzip.frame(part.as_bytes()).unwrap()).unwrap();
            ends.push(file.length().unwrap());
        }
        let (mut frames, nobody) = (Vec::new(), ReadBack::new());
        let reading = nobody.begin(0);
        let end = read(file.as_ref(), Compress::Gzip, &Groups, 0, reading, |record| frames.push(record.place.frames))
            .unwrap();
        assert_eq!((end, frames.as_slice()), (ends[5], [0..ends[2], ends[2]..ends[5]].as_slice()));
        assert_eq!(text_of(file.as_ref(), Compress::Gzip, &frames[0]).unwrap(), b"a1;a\n2;a3;");
    }

    #[test]
    fn a_scan_says_how_far_it_has_come_of_what_is_behind_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = RealDisk.open(&dir.path().join("out.gz"), Mode::Append).unwrap();
        let mut ends = vec![0];
        for n in 0..9 {
            file.append(&Compress::Gzip.frame(format!("{n};a;b;").as_bytes()).unwrap()).unwrap();
            ends.push(file.length().unwrap());
        }
        file.append(b"torn").unwrap();
        let (from, read_back, mut seen) = (ends[1], ReadBack::new(), Vec::new());
        let total = file.length().unwrap() - from;
        let reading = read_back.begin(total);
        let end = read(file.as_ref(), Compress::Gzip, &Groups, from, reading, |_| seen.push(read_back.bytes()));
        assert_eq!(end.unwrap(), ends[9]);
        let expected: Vec<_> = ends[1..9].iter().map(|at| ReadBackBytes { read: at - from, total }).collect();
        assert_eq!(seen, expected);
        assert_eq!(read_back.bytes(), ReadBackBytes { read: total, total }, "the torn end is no more to be read");
    }
}
