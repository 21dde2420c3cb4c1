//! Labels: the names of paths in records and in the checkpoint. A label is the first spelling of a path; later
//! spellings and links keep it. In: paths, and the checkpoint. Next: `opener`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::disk::resolved;

/// Assigns labels to paths.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// By label, the resolved path.
    known: BTreeMap<String, String>,
    /// By label, the path that has it in this run.
    taken: BTreeMap<String, PathBuf>,
}

impl Labels {
    /// The labels in the checkpoint. Checkpoints of fetchd 0.1.0 lack the resolved paths.
    pub fn new<'a>(labels: impl Iterator<Item = &'a String>, paths: &BTreeMap<String, String>) -> Self {
        let path = |label: &String| paths.get(label).cloned().unwrap_or_else(|| plain(Path::new(label)));
        Self { known: labels.map(|label| (label.clone(), path(label))).collect(), taken: BTreeMap::new() }
    }

    /// The label of a path: the label of the same file, or else the configured path.
    pub fn of(&mut self, path: &Path) -> String {
        let (written, plain) = (path.to_string_lossy().into_owned(), plain(path));
        let is_free = |label: &&String| self.taken.get(*label).is_none_or(|by| by == path);
        let same = self.known.iter().filter(|(_, known)| **known == plain).map(|(label, _)| label);
        let as_written = same.clone().find(|label| **label == written);
        let label = as_written.into_iter().chain(same).chain([&written]).find(is_free).unwrap_or(&plain).clone();
        self.known.insert(label.clone(), plain);
        self.taken.insert(label.clone(), path.to_owned());
        label
    }
}

/// The resolved path, as in the checkpoint.
pub(super) fn plain(path: &Path) -> String {
    resolved(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_first_spelling_of_a_path_stays_and_no_label_is_given_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = |name: &str| path(name).to_string_lossy().into_owned();
        for name in ["a", "b"] {
            fs::write(path(name), "").unwrap();
        }
        symlink("a", path("link")).unwrap();
        let known = [text("./a"), text("c")];
        let labels = || Labels::new(known.iter(), &BTreeMap::new());
        for spelling in ["a", "./a", "link", "x/../a"] {
            assert_eq!(labels().of(&path(spelling)), text("./a"));
        }
        assert_eq!([labels().of(&path("b")), labels().of(&path("c"))], [text("b"), text("c")]);
        // The link was changed since; its old target keeps its label.
        let paths = BTreeMap::from([(text("link"), plain(&path("b")))]);
        let mut labels = Labels::new([text("link")].iter(), &paths);
        assert_eq!(labels.of(&path("b")), text("link"));
        assert_eq!(labels.of(&path("link")), plain(&path("a")));
        assert_eq!(labels.of(&path("b")), text("link"));
    }
}
