//! What the paths of a `file` source can be.

use std::collections::HashSet;
use std::path::Path;

use super::Report;
use super::check::LONGEST;
use crate::source::File;

/// Adds every problem of a `file` source to the report; says how often it reads standard input. `key` gives the whole
/// name of a key.
pub(super) fn check(file: &File, key: &dyn Fn(&str) -> String, report: &mut Report) -> usize {
    let stdins = file.paths.iter().filter(|path| path.as_path() == Path::new("-")).count();
    if file.paths.is_empty() {
        let message = "a file source needs at least one path; write for example paths = [\"urls.txt\"]";
        report.add_at_key(&key("paths"), message);
    }
    let mut seen = HashSet::new();
    for path in file.paths.iter().filter(|path| !seen.insert(*path)) {
        // Its lines could not be told apart: a path and a number are their identity.
        let message = format!("`{}` is read twice by one source; give each path once", path.display());
        report.add_at_key(&key("paths"), message);
    }
    for message in file.wrong_patterns() {
        report.add_at_key(&key("paths"), message);
    }
    if file.follow && stdins > 0 {
        let message = "standard input cannot be followed, for it is read as it comes anyway; give it a source of its own, of the kind stdin";
        report.add_at_key(&key("follow"), message);
    }
    if file.rotate_wait > LONGEST {
        let message = format!("`rotate_wait` is {}; it can be at most a year, `8760h`", file.rotate_wait);
        report.add_at_key(&key("rotate_wait"), message);
    }
    stdins
}
