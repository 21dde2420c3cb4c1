//! What `/readyz` says while a run is starting: how much it has read back of what earlier runs left.

use std::fs;

use serde_json::Value;
use tokio::time::Instant;

use crate::common::PATIENCE;
use crate::common::fetchd::Fetchd;
use crate::common::tools::traces;
use crate::place::Place;

/// Lines that need no server.
fn lines(from: u64, to: u64) -> String {
    (from..=to).map(|n| format!("ftp://a.test/{n}\n")).collect()
}

/// A place whose output has 3,000 records behind the checkpoint, as after a kill.
fn killed() -> Place {
    let tables = "[source.in.file]\npaths = ['urls']\n[source.more.stdin]\n[sink.out.jsonl]\npath = 'out.jsonl'\n[state]\ndata_dir = 'state'\n";
    let place = Place::with(tables);
    fs::write(place.path("urls"), lines(1, 1)).unwrap();
    assert_eq!(place.fetchd().run("").code, Some(0));
    let checkpoint = fs::read(place.path("state/checkpoint.json")).unwrap();
    fs::write(place.path("urls"), lines(1, 3001)).unwrap();
    assert_eq!(place.fetchd().run("").code, Some(0));
    fs::write(place.path("state/checkpoint.json"), checkpoint).unwrap();
    place
}

#[test]
fn a_start_says_how_much_it_has_read_back_of_how_much() {
    if !traces() {
        return;
    }
    let place = killed();
    let (file, output) = (place.file(), place.path("out.jsonl"));
    let script = format!(
        "cd '{dir}' && exec strace -D -f -qq -o /dev/null -P '{output}' -e trace=pread64 -e inject=pread64:delay_enter=200ms \
         \"$0\" --allow 127.0.0.0/8 -c '{file}'",
        dir = file.parent().unwrap().display(),
        output = output.display(),
        file = file.display(),
    );
    let mut running = Fetchd::in_shell(&script).start();
    running.message("operators connect at");
    let (begin, mut seen) = (Instant::now(), Vec::new());
    loop {
        let answer = place.get("/readyz");
        let reason = &answer.json()["reasons"][0];
        if reason["reason"] == "starting" {
            let bytes = |key: &str| reason[key].as_u64().unwrap();
            seen.push((bytes("bytes_read"), bytes("bytes_total"), reason["message"].as_str().unwrap().to_owned()));
        } else if seen.iter().any(|(_, total, _)| *total > 0) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE * 3, "{seen:?}");
    }
    let length = fs::metadata(&output).unwrap().len();
    assert!(seen.iter().all(|(read, total, _)| read <= total && *total <= length), "{seen:?}");
    assert!(seen.is_sorted_by_key(|(read, total, _)| (*read, *total)), "{seen:?}");
    let amid = seen.iter().find(|(read, total, _)| 0 < *read && read < total).expect("it was seen amid the file");
    assert!(amid.1 > 9 * length / 10 && amid.2.contains(" bytes so far."), "{amid:?} of {length}");
    let ended = running.finish("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("3,000 lines were done after the last checkpoint"), "{}", ended.stderr);
    let records = fs::read_to_string(&output).unwrap();
    let seqs = records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap());
    assert!(seqs.eq(1..=3001), "each line has its one record");
}
