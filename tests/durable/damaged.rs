//! Journals that somebody damaged while no run had them: what is lost is told, with its numbers, and the rest is done.

use std::fs;

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
