//! A run whose records wait for an output that takes none.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::common::origin::Origin;
use crate::place::Place;

/// A run into a FIFO, the reader of which reads nothing until it is drained.
struct Blocked {
    place: Place,
    fifo: PathBuf,
    _reader: File,
}

impl Blocked {
    fn new(tables: &str) -> Self {
        let mut place = Place::new();
        let fifo = place.path("out");
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let flags = OFlag::O_NONBLOCK.bits();
        let reader = OpenOptions::new().read(true).custom_flags(flags).open(&fifo).unwrap();
        place.tables = format!("{tables}[queue]\nwindow = 300\n[sink.out.jsonl]\npath = {fifo:?}\n");
        Self { place, fifo, _reader: reader }
    }

    /// Counts the records, up to the end of the run.
    fn drain(&self) -> JoinHandle<usize> {
        let mut fifo = File::open(&self.fifo).unwrap();
        thread::spawn(move || {
            let mut records = String::new();
            fifo.read_to_string(&mut records).unwrap();
            records.lines().count()
        })
    }
}

#[test]
fn an_output_that_takes_no_records_is_the_limit_though_every_line_is_done() {
    let blocked = Blocked::new("");
    let (place, origin) = (&blocked.place, Origin::start());
    let mut running = place.start();
    // Their records do not fit into a pipe of 64 KiB.
    (0..310).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    let status = place.wait_until(|status| status["bottleneck"]["kind"] == "sink" && status["lines"]["in_flight"] == 0);
    assert!(status["waits_for"].as_str().unwrap().starts_with("Limited by the output."), "{status:#}");
    assert_eq!(status["done_when"], "The input has no end, and records wait for the output.");
    let metrics = place.get("/metrics").text;
    let limited = "fetchd_limited_seconds_total{limit=\"sink\"} ";
    assert!(metrics.lines().any(|line| line.starts_with(limited)), "{metrics}");
    let drained = blocked.drain();
    assert_eq!(running.finish("").code, Some(0));
    assert_eq!(drained.join().unwrap(), 310);
}

#[test]
fn records_that_fill_the_window_are_the_limit_though_a_slow_host_has_lines() {
    let blocked = Blocked::new("[hosts.'127.0.0.3']\nrate = '1/h'\n");
    let (place, origin, slow) = (&blocked.place, Origin::start(), Origin::start_at([127, 0, 0, 3]));
    let mut running = place.start();
    (0..20).for_each(|n| running.line(&slow.url(&format!("/ok/{n}"))));
    (0..700).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    let status = place.wait_until(|status| status["bottleneck"]["kind"] == "sink" && status["lines"]["waiting"] == 19);
    let said = status["waits_for"].as_str().unwrap();
    assert!(said.starts_with("Limited by the output.") && !said.contains("127.0.0.3"), "{said}");
    let drained = blocked.drain();
    assert_eq!(place.ctl(["skip", "127.0.0.3"]).code, 0);
    assert_eq!(running.finish("").code, Some(0));
    assert_eq!(drained.join().unwrap(), 720);
}
