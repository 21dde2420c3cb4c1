//! Outputs without a run around them: sinks opened, written to, and read back.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fetchd::disk::{Disk, OutputPosition, RealDisk};
use fetchd::error::BoxError;
use fetchd::item::Identity;
use fetchd::output::SavedPosition;
use fetchd::sink::{self, BodyFormat, Content, Jsonl, OpenedSink, Opening, RecoveredLine, SinkConfig, Style};
use serde_json::Value;
use tempfile::TempDir;

/// A directory of its own for each test.
pub struct Scenario {
    pub dir: TempDir,
    pub disk: Arc<dyn Disk>,
}

impl Scenario {
    pub fn new() -> Self {
        Self::on(Arc::new(RealDisk))
    }

    pub fn on(disk: Arc<dyn Disk>) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), disk }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A sink with this file; `change` says what else it is.
    pub fn sink(&self, name: &str, change: impl FnOnce(&mut Jsonl)) -> Jsonl {
        let mut jsonl = Jsonl::new(self.path(name));
        change(&mut jsonl);
        jsonl
    }

    pub fn try_open(&self, jsonl: &Jsonl, saved: SavedPosition) -> Result<OpenedSink, BoxError> {
        let style = Style {
            content: Content { body: BodyFormat::Auto, ..Content::default() },
            epoch: jiff::Timestamp::UNIX_EPOCH,
        };
        let (name, disk) = (jsonl.path.to_string_lossy().into(), Arc::clone(&self.disk));
        jsonl.open(Opening { name, style, disk, saved, shipping: None })
    }

    pub fn open(&self, jsonl: &Jsonl, saved: SavedPosition) -> OpenedSink {
        self.try_open(jsonl, saved).unwrap()
    }

    pub fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The whole text of a file.
    pub fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }
}

/// The text of a file, decompressed as its name says.
pub fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let name = path.to_str().unwrap().trim_end_matches(".part");
    let mut text = String::new();
    if bytes.is_empty() {
        // Not even a gzip member is in it.
    } else if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else if name.ends_with(".zst") {
        zstd::Decoder::new(bytes.as_slice()).unwrap().read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

/// The numbers of the lines that these records are of.
pub fn seqs(text: &str) -> Vec<u64> {
    assert!(text.is_empty() || text.ends_with('\n'), "a torn end: {text}");
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect()
}

/// A record as an output has it that shows bodies.
pub fn record(seq: u64) -> String {
    let (outcome, status) = if seq.is_multiple_of(3) { ("http_error", 404) } else { ("ok", 200) };
    format!(
        "{{\"seq\":{seq},\"source\":\"urls\",\"input\":\"http://a.test/{seq}\",\"outcome\":\"{outcome}\",\"status\":{status},\"bytes\":3,\"body\":\"b-{seq}\",\"meta\":{seq}}}\n"
    )
}

/// The record of a page: its source goes on from what it found there.
pub fn page(seq: u64) -> String {
    record(seq).replace(",\"body\"", &format!(",\"page\":{{\"number\":{seq}}},\"body\""))
}

/// The same as one has it that does not.
pub fn bare(seq: u64) -> String {
    record(seq).replace(&format!(",\"body\":\"b-{seq}\""), "")
}

pub fn append(opened: &mut OpenedSink, text: &str) {
    opened.core().unwrap().0.append(text.as_bytes()).unwrap();
}

pub fn flush(opened: &mut OpenedSink) -> OutputPosition {
    opened.mark().unwrap().unwrap().position
}

/// Recovers as a start does, with every line of the source pending; the numbers of those that are done come back in
/// order.
pub fn recover(sinks: &mut [OpenedSink]) -> Vec<u64> {
    recover_behind(sinks, 0).iter().map(|line| line.id.seq).collect()
}

/// The same with only those lines of the source pending that come after this one.
pub fn recover_behind(sinks: &mut [OpenedSink], last: u64) -> Vec<RecoveredLine> {
    let is_pending = |id: &Identity| Ok(id.source.as_deref() == Some("urls") && id.seq > last);
    let done = sink::recover(sinks, &is_pending).unwrap();
    for (output, _) in sinks.iter_mut().filter_map(OpenedSink::core) {
        output.finish_old_files().unwrap();
    }
    done
}
