//! Journals that somebody damaged while no run had them: what is lost is told, with its numbers, and the rest is done.

use std::fs;

use fetchd::disk::{Disk, RealDisk};

use crate::common::fetchd::{Fetchd, kind, seq};
use crate::common::origin::Origin;
use crate::place::Place;
use crate::process::until;

/// Accepts this many lines, each in a batch of its own, of which none gets an answer, and is killed.
fn accept(place: &Place, origin: &Origin, lines: u64) {
    let mut fetchd = place.fetchd().start();
    for n in 1..=lines {
        fetchd.line(&origin.url(&format!("/hang/{n}")));
        until("the line", || place.count("accepted") == n);
    }
    fetchd.kill();
}

#[test]
fn an_end_that_is_cut_short_was_never_accepted_and_one_that_is_damaged_may_have_been() {
    let (place, origin) = (Place::new(), Origin::start());
    accept(&place, &origin, 2);
    let whole = fs::read(place.segment()).unwrap();
    let cut_short = whole[..whole.len() - 1].to_vec();
    let mut damaged = whole.clone();
    damaged[whole.len() - 2] ^= 1;
    let lost = "if it had been accepted, its line 2 is lost: send it again";
    for (bytes, code, says) in [(cut_short, 0, "were never accepted"), (damaged, 1, lost)] {
        fs::write(place.segment(), bytes).unwrap();
        let (checked, said) = place.journal("check");
        assert_eq!((checked, said.contains(says)), (Some(code), true), "{said}");
        let fetchd = place.fetchd().start();
        assert!(fetchd.message("cut off").contains(says));
        fetchd.kill();
        assert_eq!((place.journal("check").0, place.count("accepted")), (Some(0), 1));
    }
}

#[test]
fn lines_whose_segments_were_deleted_are_told_and_have_records_that_say_so() {
    let (place, origin) = (Place::new(), Origin::start());
    // Each line is as long as a segment may be.
    let config = place.config().replace("durable = true", "durable = true\nmax_journal = '4KiB'");
    let start = || Fetchd::local().config(&config).start();
    let mut fetchd = start();
    for n in 1..=3 {
        fetchd.line(&format!("{}?{}", origin.url(&format!("/hang/{n}")), "x".repeat(1 << 10)));
        until("the line", || place.count("accepted") == n);
    }
    fetchd.kill();
    let segments = || RealDisk.list(&place.state.join("journal/urls")).unwrap();
    assert_eq!(segments().len(), 3);
    segments()[..2].iter().for_each(|segment| fs::remove_file(segment).unwrap());
    let (code, said) = place.journal("check");
    assert_eq!(code, Some(1));
    assert!(said.contains("lines 1 to 2 are lost; the next run gives each a record"), "{said}");

    origin.script("/hang/3", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let ended = start().finish("");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let records: Vec<_> = ended.records.iter().map(|record| (seq(record), kind(record))).collect();
    assert_eq!(records, [(1, "journal_damaged"), (2, "journal_damaged"), (3, "")]);
    assert_eq!(place.journal("check").0, Some(0));
}

#[test]
fn a_journal_that_was_deleted_is_told_for_nobody_knows_what_it_had() {
    let (place, origin) = (Place::new(), Origin::start());
    place.finish(&origin, 1..=3);
    fs::remove_dir_all(place.state.join("journal")).unwrap();
    let says = "the journal is gone; lines accepted after line 3 are lost: send them again";
    let (code, said) = place.journal("check");
    assert_eq!((code, said), (Some(1), format!("urls: {says}\n")));
    let ended = place.fetchd().run(origin.url("/ok/4"));
    assert_eq!((ended.code, seq(ended.only_record())), (Some(0), 4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("is gone; lines accepted after line 3 are lost: send them again"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.journal("check").0, Some(0));
}
