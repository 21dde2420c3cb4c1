//! A run whose records wait for an output that takes none.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::common::origin::Origin;
use crate::place::Place;

#[test]
fn an_output_that_takes_no_records_is_the_limit_though_every_line_is_done() {
    let mut place = Place::new();
    let fifo = place.path("out");
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    // A reader that reads nothing, until the end.
    let flags = OFlag::O_NONBLOCK.bits();
    let reader = OpenOptions::new().read(true).custom_flags(flags).open(&fifo).unwrap();
    place.tables = format!("[queue]\nwindow = 300\n[sink.out.jsonl]\npath = {fifo:?}\n");
    let origin = Origin::start();
    let mut running = place.start();
    // Their records do not fit into a pipe of 64 KiB.
    (0..310).for_each(|n| running.line(&origin.url(&format!("/ok/{n}"))));
    let status = place.wait_until(|status| status["bottleneck"]["kind"] == "sink" && status["lines"]["in_flight"] == 0);
    assert!(status["waits_for"].as_str().unwrap().starts_with("Limited by the output."), "{status:#}");
    assert_eq!(status["done_when"], "The input has no end, and records wait for the output.");
    let metrics = place.get("/metrics").text;
    let limited = "fetchd_limited_seconds_total{limit=\"sink\"} ";
    assert!(metrics.lines().any(|line| line.starts_with(limited)), "{metrics}");
    let drained = thread::spawn(move || {
        let mut records = String::new();
        File::open(fifo).unwrap().read_to_string(&mut records).unwrap();
        records.lines().count()
    });
    assert_eq!(running.finish("").code, Some(0));
    drop(reader);
    assert_eq!(drained.join().unwrap(), 310);
}
