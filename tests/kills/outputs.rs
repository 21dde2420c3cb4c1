//! The forms of an output, and how it is read as its users would.

use std::fs;
use std::io;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// How the outputs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Rotated,
    Gzip,
    ZstdRotated,
}

impl Form {
    /// The keys of a sink.
    pub fn keys(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Rotated => "rotate_size = \"1MiB\"",
            Self::Gzip => "compress = \"gzip\"",
            Self::ZstdRotated => "compress = \"zstd\"\nrotate_size = \"64KiB\"",
        }
    }

    /// The longest that a process lives before it is killed, in milliseconds. To compress takes time.
    pub fn longest_life(self) -> u64 {
        if self == Self::Gzip { 600 } else { 150 }
    }

    pub fn seed(self) -> u64 {
        self as u64
    }

    /// After a clean end, no file is unfinished.
    pub fn check_names(self, dir: &Path, name: &str) {
        let names: Vec<_> = names(dir, name);
        assert!(names.iter().all(|name| !name.ends_with(".part")), "{names:?}");
        if matches!(self, Self::Rotated | Self::ZstdRotated) {
            assert!(names.len() > 1, "nothing was rotated: {names:?}");
        }
    }
}

fn names(dir: &Path, name: &str) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|file| file.starts_with(name));
    names.sort();
    names
}

/// All that an output has.
pub struct Read {
    /// Its whole lines.
    lines: Vec<u8>,
    /// Whether something follows after the last whole record of a file.
    pub is_torn: bool,
}

impl Read {
    /// Reads all files of an output. Only one may end in the middle.
    pub fn files(dir: &Path, name: &str) -> Self {
        let (mut lines, mut torn) = (Vec::new(), Vec::new());
        for file in names(dir, name) {
            let bytes = fs::read(dir.join(&file)).unwrap();
            let is_empty = bytes.is_empty();
            let (text, is_cut) = match file.trim_end_matches(".part").rsplit('.').next() {
                Some("gz") => decoded(MultiGzDecoder::new(bytes.as_slice())),
                Some("zst") => decoded(zstd::stream::read::Decoder::new(bytes.as_slice()).unwrap()),
                _ => (bytes, false),
            };
            let whole = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
            if (is_cut && !is_empty) || whole < text.len() {
                torn.push(file);
            }
            lines.extend_from_slice(&text[..whole]);
        }
        assert!(torn.len() <= 1, "{torn:?}");
        Self { lines, is_torn: !torn.is_empty() }
    }

    pub fn count(&self) -> u64 {
        memchr::memchr_iter(b'\n', &self.lines).count() as u64
    }

    /// Every line is a record.
    pub fn records(&self) -> Vec<Value> {
        let lines = self.lines.split_inclusive(|byte| *byte == b'\n');
        let record = |line| {
            serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
        };
        lines.map(record).collect()
    }
}

/// What can be decoded, and whether it was cut.
fn decoded(mut decoder: impl io::Read) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let cut = io::Read::read_to_end(&mut decoder, &mut text).is_err();
    (text, cut)
}
