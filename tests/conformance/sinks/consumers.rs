//! The consumers of the kinds that there are.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{Breakage, Consumer, Stalls};

/// Whole lines that are records; what another program wrote is none.
fn records(text: &[u8]) -> Vec<Value> {
    let whole = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
    let lines = text[..whole].split_inclusive(|byte| *byte == b'\n');
    let objects = lines.map(|line| serde_json::from_slice(line).unwrap_or_else(|error| panic!("{error}: {line:?}")));
    objects.filter(|object: &Value| object.get("seq").is_some()).collect()
}

/// Lets a program that is not ours read a file.
pub fn assert_reads(program: &str, args: &[&str], path: &Path) {
    let output =
        Command::new(program).args(args).arg(path).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
}

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    Rotated,
    Gzip,
    ZstdRotated,
}

/// Reads the files of a sink `jsonl`.
pub struct Files {
    dir: PathBuf,
    form: Form,
}

impl Files {
    pub fn new(dir: &Path, form: Form) -> Self {
        Self { dir: dir.to_owned(), form }
    }

    /// Its files, the oldest first.
    fn paths(&self) -> Vec<PathBuf> {
        let all = fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().path());
        let is_output = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("records");
        let mut paths: Vec<_> = all.filter(is_output).collect();
        paths.sort();
        paths
    }

    /// The file that is written to, or was last.
    pub fn last(&self) -> PathBuf {
        self.paths().pop().unwrap()
    }

    /// A piece of the output that can be read without the others.
    pub fn frame(&self, text: &str) -> Vec<u8> {
        match self.form {
            Form::Plain | Form::Rotated => text.as_bytes().to_vec(),
            Form::Gzip => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(text.as_bytes()).unwrap();
                gzip.finish().unwrap()
            }
            Form::ZstdRotated => zstd::encode_all(text.as_bytes(), 1).unwrap(),
        }
    }

    /// What another program wrote behind the records stays if it is whole lines of a file that is nothing but lines.
    pub fn keeps_foreign_lines(&self) -> bool {
        matches!(self.form, Form::Plain | Form::Rotated)
    }

    /// All that can be read.
    pub fn text(&self) -> Vec<u8> {
        self.paths().iter().flat_map(|path| self.decoded(path)).collect()
    }

    fn decoded(&self, path: &Path) -> Vec<u8> {
        // A file may be renamed between the look at its directory and this.
        let bytes = fs::read(path).unwrap_or_default();
        let mut text = Vec::new();
        // What cannot be decoded is a torn end, or one that is just being written.
        let _ = match self.form {
            Form::Plain | Form::Rotated => io::Cursor::new(bytes).read_to_end(&mut text),
            Form::Gzip => MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text),
            Form::ZstdRotated => zstd::stream::read::Decoder::new(bytes.as_slice()).unwrap().read_to_end(&mut text),
        };
        text
    }
}

impl Consumer for Files {
    fn table(&self, name: &str) -> String {
        let keys = match self.form {
            Form::Plain => "",
            Form::Rotated => "rotate_size = '1KiB'\n",
            Form::Gzip => "compress = 'gzip'\n",
            Form::ZstdRotated => "compress = 'zstd'\nrotate_size = '1KiB'\n",
        };
        let path = self.dir.join("records.jsonl");
        format!("[sink.{name}.jsonl]\npath = '{}'\n{keys}", path.display())
    }

    fn received(&self) -> Vec<Value> {
        records(&self.text())
    }

    fn breakage(&self) -> Breakage {
        Breakage::FileLimit
    }

    fn files(&self) -> Option<&Files> {
        Some(self)
    }

    fn assert_readable_elsewhere(&self) {
        for path in self.paths() {
            match self.form {
                Form::Plain | Form::Rotated => assert_reads("jq", &["-e", "-n", "[inputs] | all(.outcome)"], &path),
                Form::Gzip => assert_reads("gzip", &["-t"], &path),
                Form::ZstdRotated => assert_reads("zstd", &["-t", "-q"], &path),
            }
        }
    }
}

/// Reads what processes write to their standard outputs.
#[derive(Default)]
pub struct Stdout {
    reading: Arc<Reading>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Reading {
    text: Mutex<Vec<u8>>,
    stalls: Mutex<bool>,
    goes_on: Condvar,
}

impl Reading {
    fn read(&self, mut pipe: io::PipeReader) {
        let mut piece = vec![0; 1 << 16];
        loop {
            let stalls = self.goes_on.wait_while(self.stalls.lock().unwrap(), |stalls| *stalls);
            drop(stalls.unwrap());
            match pipe.read(&mut piece).unwrap() {
                0 => return,
                n => self.text.lock().unwrap().extend_from_slice(&piece[..n]),
            }
        }
    }
}

impl Consumer for Stdout {
    fn table(&self, name: &str) -> String {
        format!("[sink.{name}.stdout]\n")
    }

    fn stdout(&mut self) -> Stdio {
        self.wait_for_the_end();
        // What a killed process wrote last may be torn: the next one begins a line of its own.
        let mut text = self.reading.text.lock().unwrap();
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |end| end + 1);
        text.truncate(whole);
        let (reader, writer) = io::pipe().unwrap();
        let reading = Arc::clone(&self.reading);
        self.reader = Some(std::thread::spawn(move || reading.read(reader)));
        writer.into()
    }

    fn received(&self) -> Vec<Value> {
        records(&self.reading.text.lock().unwrap())
    }

    fn wait_for_the_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    fn stall(&self, stalls: Stalls) {
        *self.reading.stalls.lock().unwrap() = stalls == Stalls::Yes;
        self.reading.goes_on.notify_all();
    }

    fn breakage(&self) -> Breakage {
        Breakage::ReaderLeaves
    }

    fn assert_readable_elsewhere(&self) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &*self.reading.text.lock().unwrap()).unwrap();
        assert_reads("jq", &["-e", "-n", "[inputs] | all(.outcome)"], file.path());
    }
}
