//! Expands the configured paths: a path that does not exist may be a glob pattern.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ::glob::{MatchOptions, Pattern, PatternError};

use super::rotated_name;

/// The syntax error of a path as a pattern, unless the path exists.
pub(super) fn wrong(path: &Path) -> Option<PatternError> {
    if path.exists() { None } else { Pattern::new(&path.to_string_lossy()).err() }
}

/// Whether a path is a pattern.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[']) && !path.exists()
}

/// The files that the paths expand to now, each once, in the order of the paths and then of names.
pub(super) fn all(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let files = paths.iter().flat_map(|path| if is_pattern(path) { matches(path) } else { vec![path.clone()] });
    files.filter(|path| seen.insert(path.clone())).collect()
}

/// The first pattern that no file matches now.
pub(super) fn unmatched(paths: &[PathBuf]) -> Option<&Path> {
    paths.iter().map(PathBuf::as_path).find(|path| is_pattern(path) && matches(path).is_empty())
}

/// The first path of `among`, existing or not, that `path` expands to.
pub(super) fn first_meant<'a>(path: &Path, among: &'a [PathBuf]) -> Option<&'a Path> {
    const AS_IN_A_SEARCH: MatchOptions =
        MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };
    let absolute = |path: &Path| Some(std::path::absolute(path).ok()?.to_string_lossy().into_owned());
    let own = absolute(path)?;
    let pattern = Pattern::new(&if is_pattern(path) { own } else { Pattern::escape(&own) }).ok()?;
    let is_meant = |other: &&PathBuf| absolute(other).is_some_and(|other| pattern.matches_with(&other, AS_IN_A_SEARCH));
    among.iter().find(is_meant).map(PathBuf::as_path)
}

/// The regular files that match a pattern now, without those that were rotated away from another match.
fn matches(pattern: &Path) -> Vec<PathBuf> {
    // Directories that cannot be read are skipped.
    let found = ::glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten();
    let found: BTreeSet<_> = found.filter(|path| path.is_file()).collect();
    found.iter().filter(|path| !is_rotated(path, &found)).cloned().collect()
}

/// Whether a name is that of a rotated file of another path.
fn is_rotated(path: &Path, among: &BTreeSet<PathBuf>) -> bool {
    let Some(name) = path.file_name() else { return false };
    let Some(text) = name.to_str() else { return false };
    let shorter = text.match_indices(['.', '-']).map(|(at, _)| &text[..at]);
    shorter
        .filter(|base| rotated_name::is_rotated(base.as_ref(), name))
        .any(|base| among.contains(&path.with_file_name(base)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str], paths: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let paths: Vec<_> = paths.iter().map(|path| dir.path().join(path)).collect();
        let name = |path: PathBuf| path.strip_prefix(dir.path()).unwrap().display().to_string();
        all(&paths).into_iter().map(name).collect()
    }

    #[test]
    fn a_pattern_stands_for_the_files_that_match_it_each_once() {
        assert_eq!(found(&["b.txt", "a.txt", "c"], &["c", "*.txt", "?.txt", "none*"]), ["c", "a.txt", "b.txt"]);
    }

    #[test]
    fn a_path_that_is_there_is_itself_whatever_it_looks_like() {
        assert_eq!(found(&["[a]", "a"], &["[a]"]), ["[a]"]);
        assert_eq!(found(&["a"], &["[a]"]), ["a"]);
        assert_eq!(found(&[], &["not-there"]), ["not-there"]);
    }

    #[test]
    fn a_file_that_was_rotated_away_is_no_file_of_its_own() {
        let names = ["a.txt", "a.txt.1", "a.txt-20261123", "b.1", "c-2026"];
        assert_eq!(found(&names, &["*"]), ["a.txt", "b.1", "c-2026"]);
    }
}
