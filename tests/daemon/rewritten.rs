//! The same file once more, for a second run: under another spelling of its path, and with other lines than it had.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::common::fetchd::{Ended, Fetchd, seq};
use crate::common::origin::Origin;

/// A directory with a list that was fetched.
struct Job {
    dir: TempDir,
    origin: Origin,
}

impl Job {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), origin: Origin::start() }
    }

    /// Ten lines of it were fetched.
    fn fetched() -> Self {
        let job = Self::new();
        job.write("urls.txt", 1..=10);
        job.goes_on(&job.run("urls.txt", &[]), 10);
        job
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, lines: impl IntoIterator<Item = u32>) {
        let text: String = lines.into_iter().map(|n| self.origin.url(&format!("/ok/{n}")) + "\n").collect();
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, input: &str, args: &[&str]) -> Ended {
        self.run_in("", input, args)
    }

    fn run_in(&self, dir: &str, input: &str, args: &[&str]) -> Ended {
        let (state, output) = (self.path("state"), self.path("results.jsonl"));
        let (state, output) = (state.to_str().unwrap(), output.to_str().unwrap());
        let args = ["-i", input, "--data-dir", state, "-o", output].into_iter().chain(args.iter().copied());
        Fetchd::with(args).directory(&self.path(dir)).run("")
    }

    /// So many requests were sent by now.
    fn goes_on(&self, ended: &Ended, requests: usize) {
        assert_eq!((ended.code, self.origin.requests().len()), (Some(0), requests), "{}", ended.stderr);
    }

    fn records(&self) -> Vec<(String, u64)> {
        let text = fs::read_to_string(self.path("results.jsonl")).unwrap();
        let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut records: Vec<_> = records.map(|r| (r["file"].as_str().unwrap().to_owned(), seq(&r))).collect();
        records.sort();
        records
    }
}

#[test]
fn another_spelling_of_a_path_is_the_same_file() {
    let job = Job::fetched();
    fs::create_dir(job.path("d")).unwrap();
    symlink("urls.txt", job.path("link")).unwrap();
    symlink(job.dir.path(), job.path("d/up")).unwrap();
    let absolute = job.path("urls.txt");
    for input in ["./urls.txt", "d/../urls.txt", "link", "d/up/urls.txt", absolute.to_str().unwrap(), "url*.txt"] {
        let ended = job.run(input, &[]);
        job.goes_on(&ended, 10);
        assert!(ended.stderr.contains("done by earlier runs: 10 lines of urls.txt"), "{input}: {}", ended.stderr);
    }
    for input in ["../urls.txt", "up/urls.txt", absolute.to_str().unwrap()] {
        job.goes_on(&job.run_in("d", input, &[]), 10);
    }
    job.write("urls.txt", 1..=12);
    job.goes_on(&job.run_in("d", "../link", &[]), 12);
    assert_eq!(job.records(), (1..=12).map(|n| ("urls.txt".to_owned(), n)).collect::<Vec<_>>());
}

#[test]
fn two_spellings_in_one_source_are_one_file() {
    let job = Job::new();
    job.write("a.txt", 1..=3);
    symlink("a.txt", job.path("b.txt")).unwrap();
    let refused = job.run("a.txt", &["-i", "./a.txt"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("`./a.txt` is read twice by one source"), "{}", refused.stderr);
    job.goes_on(&job.run("*.txt", &[]), 3);
    assert_eq!(job.records().len(), 3);
}

#[test]
fn a_file_of_the_same_spelling_in_another_directory_is_refused_and_one_that_moved_is_gone_on_with() {
    let job = Job::fetched();
    fs::create_dir(job.path("d")).unwrap();
    job.write("d/urls.txt", 21..=30);
    let refused = job.run_in("d", "urls.txt", &[]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    fs::rename(job.path("urls.txt"), job.path("d/urls.txt")).unwrap();
    job.goes_on(&job.run_in("d", "urls.txt", &[]), 10);
}

#[test]
fn a_list_that_was_sorted_or_got_lines_on_top_takes_a_permission() {
    let reversed = || (1..=10).rev().collect::<Vec<_>>();
    for lines in [reversed(), (0..=10).collect(), (2..=10).collect(), (1..=6).collect(), (21..=50).collect()] {
        let (job, now) = (Job::fetched(), lines.len());
        job.write("urls.txt", lines);
        let refused = job.run("urls.txt", &[]);
        assert_eq!((refused.code, job.origin.requests().len()), (Some(2), 10), "{}", refused.stderr);
        let again = format!("10 lines of it are done, and up to {} of the {now} now", now.min(10));
        for word in ["urls.txt: it changed where it was read", "`--anew`", "`changed = \\\"anew\\\"`", &again] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
        }
        job.goes_on(&job.run("urls.txt", &["--anew"]), 10 + now);
        job.goes_on(&job.run("urls.txt", &[]), 10 + now);
    }
}

#[test]
fn a_change_that_costs_little_is_only_warned_of() {
    for lines in [vec![7, 8, 9], (11..=15).collect()] {
        let (job, now) = (Job::fetched(), lines.len());
        job.write("urls.txt", lines);
        let ended = job.run("urls.txt", &[]);
        job.goes_on(&ended, 10 + now);
        assert!(ended.stderr.contains("is gone or was overwritten"), "{}", ended.stderr);
    }
}

#[test]
fn anew_is_a_permission_and_no_command() {
    let job = Job::fetched();
    job.goes_on(&job.run("urls.txt", &["--anew"]), 10);
    job.write("urls.txt", 1..=11);
    job.goes_on(&job.run("urls.txt", &["--anew"]), 11);
    let config = "[source.urls.file]\npaths = ['urls.txt']\nchanged = 'anew'\n[state]\ndata_dir = 'other'\n[sink.a.jsonl]\npath = 'a'\n";
    let run = || Fetchd::local().directory(job.dir.path()).config(config).run("");
    job.goes_on(&run(), 22);
    job.goes_on(&run(), 22);
    job.write("urls.txt", (1..=11).rev());
    job.goes_on(&run(), 33);
}

#[test]
fn a_followed_file_that_was_rewritten_is_only_warned_of() {
    let job = Job::new();
    job.write("urls.txt", 1..=4);
    let config =
        "[source.urls.file]\npaths = ['urls.txt']\nfollow = true\n[state]\ndata_dir = 'state'\n[sink.seen.stdout]\n";
    let start = || Fetchd::local().directory(job.dir.path()).config(config).start();
    for (lines, said) in [([1, 2, 3, 4], false), ([4, 3, 2, 1], true)] {
        job.write("urls.txt", lines);
        let mut running = start();
        (0..4).for_each(|_| drop(running.record()));
        running.signal(nix::sys::signal::Signal::SIGTERM);
        let ended = running.wait();
        assert_eq!((ended.code, ended.stderr.contains("was overwritten")), (Some(0), said), "{}", ended.stderr);
    }
}

#[test]
fn a_file_that_was_read_by_a_source_of_another_name_is_not_fetched_again_unawares() {
    let (origin, dir) = (Origin::start(), tempfile::tempdir().unwrap());
    let path = |name: &str| dir.path().join(name);
    fs::write(path("urls.txt"), origin.url("/ok/1") + "\n").unwrap();
    fs::write(path("more.txt"), origin.url("/ok/2") + "\n").unwrap();
    let run = |input: &[&str], config: &str| {
        let args = ["--data-dir", "state"].iter().chain(input);
        Fetchd::with(args)
            .directory(dir.path())
            .config(&format!("{config}[sink.out.jsonl]\npath = 'out.jsonl'\n"))
            .run("")
    };
    let source = "[source.urls.file]\npaths = ['urls.txt']\n";
    assert_eq!(run(&[], source).code, Some(0));
    for (input, config, words) in [
        (&["-i", "./urls.txt"][..], "", "the source `urls` has done 1 line of it; this run reads it with `-i`"),
        (&[], "[source.list.file]\npaths = ['urls.txt']\n", "reads it with the source `list`"),
    ] {
        let ended = run(input, config);
        assert!(ended.code == Some(2) && ended.stderr.contains(words), "{}", ended.stderr);
    }
    assert_eq!(origin.requests().len(), 1);
    // Another file is another one, and a further source takes nothing from the first.
    let both = format!("{source}[source.more.file]\npaths = ['more.txt']\n");
    assert_eq!((run(&[], &both).code, origin.requests().len()), (Some(0), 2));
}
