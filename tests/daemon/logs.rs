//! Log lines that repeat.

use std::fs;

use nix::sys::signal::Signal;

use crate::common::fetchd::Fetchd;
use crate::common::origin::Origin;

#[test]
fn log_lines_that_repeat_are_summarised_by_kind_and_none_is_left_out_of_the_sum() {
    const FILES: usize = 20;
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let write = |url: &str| {
        for n in 1..=FILES {
            fs::write(dir.path().join(format!("{n}.txt")), format!("{url}\n")).unwrap();
        }
    };
    write(&origin.url("/ok/1?as-long-as-it-can-be-told-that-the-next-one-is-shorter"));
    let config = format!("[source.urls.file]\npaths = [\"{}/*.txt\"]\nfollow = true\n", dir.path().display());
    let mut fetchd = Fetchd::local().config(&config).start();
    (0..FILES).for_each(|_| drop(fetchd.record()));
    write(&origin.url("/ok/2"));
    (0..FILES).for_each(|_| drop(fetchd.record()));
    fetchd.signal(Signal::SIGTERM);
    let ended = fetchd.wait();
    let written = ended.stderr.matches(" was truncated; reading from the start").count();
    // On a machine that is very slow it can be more than one.
    let summaries = ended.stderr.lines().filter(|line| line.contains(" more like this in "));
    let summed: usize = summaries
        .inspect(|line| assert!(line.contains(": file_truncated, ") && line.contains(" path"), "{line}"))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["more"].as_u64().unwrap() as usize)
        .sum();
    assert!(written < FILES && written + summed == FILES, "{written} and {summed}:\n{}", ended.stderr);
}
