//! The files of `${file:PATH}` values. `prescan` records them; the check needs their paths, and the fetcher and the
//! schedule need the headers of `[hosts]` whose files are read again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::units::Template;

/// The files in values of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileValues {
    /// The files with the keys that contain them.
    files: Vec<(String, PathBuf)>,
    /// The headers of `[hosts]`, by pattern and name.
    headers: BTreeMap<(String, String), Template>,
}

impl FileValues {
    /// Records a value that contains files.
    pub(super) fn note(&mut self, path: &[&str], template: &Template) {
        let key = path.join(".");
        let files = self.files.len();
        self.files.extend(template.files().map(|(file, _)| (key.clone(), file.to_owned())));
        if let ["hosts", pattern, "headers", header] = path
            && self.files.len() > files
        {
            self.headers.insert(((*pattern).to_owned(), (*header).to_owned()), template.clone());
        }
    }

    /// Every file with the key that contains it.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.files.iter().map(|(key, path)| (key.as_str(), path.as_path()))
    }

    /// The headers of this pattern that contain files.
    pub fn headers_of(&self, pattern: &str) -> BTreeMap<String, Template> {
        let of_pattern = self.headers.iter().filter(|((of, _), _)| of == pattern);
        of_pattern.map(|((_, header), template)| (header.clone(), template.clone())).collect()
    }

    /// The files of headers in `[hosts]`, without duplicates, which are read again. Other modules refer to them by
    /// index.
    pub fn token_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for (path, _) in self.headers.values().flat_map(Template::files) {
            if !files.iter().any(|known: &PathBuf| known == path) {
                files.push(path.to_owned());
            }
        }
        files
    }
}
