//! The real binary: rotation, signals, a second process, and life after kill -9.

use std::fs;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::{Fetchd, Running, seq};
use crate::common::origin::{Origin, Step, ok_with, send};
use crate::scenario::{Scenario, seqs};

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what} was due");
        std::thread::yield_now();
    }
}

/// Records go to standard output, too, so that each can be waited for.
fn start(scenario: &Scenario, sink: &str) -> Running {
    let config = format!("[sink.seen.stdout]\n[sink.results.jsonl]\npath = 'results.jsonl'\n{sink}");
    Fetchd::local().directory(scenario.dir.path()).config(&config).start()
}

fn one_by_one(fetchd: &mut Running, origin: &Origin, seqs: impl IntoIterator<Item = u64>) {
    for n in seqs {
        fetchd.line(&origin.url(&format!("/ok/{n}")));
        assert_eq!(fetchd.record()["json"]["n"], n);
    }
}

fn ends_well(fetchd: &mut Running) {
    fetchd.stdin = None;
    let ended = fetchd.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Every record in the files with numbers, in their order.
fn numbered(scenario: &Scenario) -> Vec<u64> {
    scenario.names().iter().flat_map(|name| seqs(&scenario.text(name))).collect()
}

#[test]
fn files_are_rotated_by_size_and_compressed_and_every_one_is_finished_at_the_end() {
    for (compress, end) in [("none", ".jsonl"), ("gzip", ".jsonl.gz"), ("zstd", ".jsonl.zst")] {
        let (scenario, origin) = (Scenario::new(), Origin::start());
        let sink = format!("rotate_size = '1KiB'\ncompress = '{compress}'");
        for run in [1..=10, 11..=20] {
            let mut fetchd = start(&scenario, &sink);
            one_by_one(&mut fetchd, &origin, run);
            ends_well(&mut fetchd);
        }
        let names = scenario.names();
        assert!(names.len() > 3 && names.iter().all(|name| name.ends_with(end)), "{names:?}");
        assert_eq!(names[0], format!("results-000001{end}"));
        assert_eq!(numbered(&scenario), (1..=10).chain(1..=10).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_with_records_is_finished_when_its_time_is_over() {
    let (scenario, origin) = (Scenario::new(), Origin::start());
    let mut fetchd = start(&scenario, "rotate_every = '10ms'");
    for n in 1..=2 {
        one_by_one(&mut fetchd, &origin, [n]);
        let finished = scenario.path(&format!("results-00000{n}.jsonl"));
        until("the finished file", || finished.exists());
        assert_eq!(seqs(&scenario.text(&format!("results-00000{n}.jsonl"))), [n]);
    }
    ends_well(&mut fetchd);
    assert_eq!(scenario.names(), ["results-000001.jsonl", "results-000002.jsonl"]);
}

#[test]
fn sigusr1_opens_an_output_anew_that_was_moved_away() {
    let (scenario, origin) = (Scenario::new(), Origin::start());
    let mut fetchd = start(&scenario, "");
    one_by_one(&mut fetchd, &origin, 1..=2);
    fs::rename(scenario.path("results.jsonl"), scenario.path("results.jsonl.1")).unwrap();
    one_by_one(&mut fetchd, &origin, [3]);
    fetchd.signal(Signal::SIGUSR1);
    until("the new file", || scenario.path("results.jsonl").exists());
    one_by_one(&mut fetchd, &origin, [4]);
    ends_well(&mut fetchd);
    // The third is in the new one if the rename was noticed before the signal came.
    let [old, new] = ["results.jsonl.1", "results.jsonl"].map(|name| seqs(&scenario.text(name)));
    assert_eq!(([&old[..], &new].concat(), old.contains(&2), new.contains(&4)), (vec![1, 2, 3, 4], true, true));
}

#[test]
fn sigusr1_finishes_a_numbered_file() {
    let (scenario, origin) = (Scenario::new(), Origin::start());
    let mut fetchd = start(&scenario, "compress = 'zstd'");
    one_by_one(&mut fetchd, &origin, [1]);
    fetchd.signal(Signal::SIGUSR1);
    until("the finished file", || scenario.path("results-000001.jsonl.zst").exists());
    one_by_one(&mut fetchd, &origin, [2]);
    ends_well(&mut fetchd);
    assert_eq!(scenario.names(), ["results-000001.jsonl.zst", "results-000002.jsonl.zst"]);
    assert_eq!(numbered(&scenario), [1, 2]);
}

#[test]
fn a_second_process_on_a_rotated_output_exits_with_2_and_writes_nothing() {
    let (scenario, origin) = (Scenario::new(), Origin::start());
    let mut first = start(&scenario, "rotate_size = '1MiB'");
    one_by_one(&mut first, &origin, [1]);
    let second = start(&scenario, "rotate_size = '1MiB'").finish(origin.url("/ok/2"));
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("another process is writing"), "{}", second.stderr);
    ends_well(&mut first);
    assert_eq!(numbered(&scenario), [1]);
}

#[test]
fn a_fifo_cannot_be_rotated_or_compressed() {
    let scenario = Scenario::new();
    let refused = start(&scenario, "").finish("");
    assert_eq!(refused.code, Some(0), "{}", refused.stderr);
    fs::remove_file(scenario.path("results.jsonl")).unwrap();
    nix::unistd::mkfifo(&scenario.path("results.jsonl"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let refused = start(&scenario, "compress = 'gzip'").finish("");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("cannot be rotated or compressed"), "{}", refused.stderr);
}

#[test]
fn after_kill_9_each_line_has_one_record_in_every_output_that_wants_it() {
    for keys in ["", "rotate_size = '2KiB'", "compress = 'zstd'"] {
        let (scenario, origin) = (Scenario::new(), Origin::start());
        let config = format!(
            "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'data'\n\
             [sink.failures.jsonl]\npath = 'out/failures.jsonl'\nrecords = 'not_ok'\nbody = 'none'\n{keys}\n\
             [sink.all.jsonl]\npath = 'out/all.jsonl'\n{keys}\n[sink.seen.stdout]\n"
        );
        fs::create_dir(scenario.path("out")).unwrap();
        let start = || Fetchd::local().directory(scenario.dir.path()).config(&config).start();
        // Half of the lines get no answer before the process is killed.
        let mut fetchd = start();
        for n in 1..=10 {
            let path = if n % 4 == 0 { "/status/404".to_owned() } else { format!("/ok/{n}") };
            fetchd.line(&origin.url(&path));
            fetchd.record();
        }
        for n in 11..=15 {
            let path = format!("/late/{n}");
            origin.play_in_turn(&path, [vec![Step::Stall], vec![send(ok_with("", b"late"))]]);
            fetchd.line(&origin.url(&path));
        }
        origin.wait_for_requests(15);
        fetchd.signal(Signal::SIGKILL);
        assert_eq!(fetchd.wait().code, None);

        let ended = start().finish("");
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let records = |stem: &str| {
            let files = fs::read_dir(scenario.path("out")).unwrap().map(|entry| entry.unwrap().path());
            let own = files.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(stem));
            let mut all: Vec<u64> = own.flat_map(|path| seqs(&crate::scenario::text(&path))).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(records("all"), (1..=15).collect::<Vec<_>>(), "{keys}: {}", ended.stderr);
        assert_eq!(records("failures"), [4, 8], "{keys}");
        let mut late: Vec<u64> = ended.records.iter().map(seq).collect();
        late.sort_unstable();
        if keys.is_empty() {
            // What was written is not fetched again.
            assert_eq!(late, [11, 12, 13, 14, 15], "{}", ended.stderr);
        }
    }
}

#[test]
fn a_record_that_was_torn_is_written_again_as_a_whole() {
    let (scenario, origin) = (Scenario::new(), Origin::start());
    let config =
        "[source.urls.stdin]\ndurable = true\n[state]\ndata_dir = 'data'\n[sink.all.jsonl]\npath = 'all.jsonl'\n";
    let start = || Fetchd::local().directory(scenario.dir.path()).config(config).start();
    let mut fetchd = start();
    fetchd.line(&origin.play("/hang-first", [Step::Stall]));
    origin.wait_for_requests(1);
    fetchd.signal(Signal::SIGKILL);
    fetchd.wait();
    // As if the process had been killed in the middle of the record.
    fs::write(scenario.path("all.jsonl"), "{\"seq\":1,\"source\":\"urls\",\"inp").unwrap();
    origin.play("/hang-first", [send(ok_with("", b"now"))]);
    let ended = start().finish("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("was cut off"), "{}", ended.stderr);
    assert_eq!(seqs(&scenario.text("all.jsonl")), [1]);
}
