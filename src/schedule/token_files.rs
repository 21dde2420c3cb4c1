//! The generations of token files, and why a file contains no token.

use std::collections::{BTreeMap, BTreeSet};

use super::line_book::HostId;
use super::token_rules::TokenSettings;
use crate::item::TokenGeneration;

/// The generations of all token files, and the hosts for which they are read again.
#[derive(Debug, Default)]
pub(super) struct TokenFiles {
    /// By the number of the file.
    pub generations: Vec<TokenGeneration>,
    /// The files that contain no token, each with a clause that says why: "which is empty".
    pub unusable: BTreeMap<usize, String>,
    /// Hosts whose token is not trusted; some numbers may be stale.
    pub hosts: BTreeSet<HostId>,
}

impl TokenFiles {
    /// The first generations of `files` files.
    pub fn new(files: usize) -> Self {
        Self { generations: vec![TokenGeneration::FIRST; files], ..Self::default() }
    }

    /// Replaces the files; those that were there before keep their generations.
    pub fn follow(&mut self, old: &TokenSettings, new: &TokenSettings) {
        let of_old = |name: &String| old.files.iter().position(|old| old == name).and_then(|n| self.generations.get(n));
        let generations = new.files.iter().map(|name| of_old(name).copied().unwrap_or(TokenGeneration::FIRST));
        self.generations = generations.collect();
        self.unusable.clear();
    }

    /// These files, for a sentence.
    pub fn named(&self, settings: &TokenSettings, files: &[usize]) -> String {
        let named = |file: &usize| {
            let name = settings.files.get(*file)?;
            Some(self.unusable.get(file).map_or_else(|| format!("`{name}`"), |why| format!("`{name}`, {why}")))
        };
        let names: Vec<_> = files.iter().filter_map(named).collect();
        format!("the {} {}", if names.len() == 1 { "file" } else { "files" }, names.join(" or "))
    }

    /// The newest generation of these files.
    pub fn newest(&self, files: &[usize]) -> TokenGeneration {
        let of_files = files.iter().filter_map(|file| self.generations.get(*file)).copied();
        of_files.max().unwrap_or(TokenGeneration::FIRST)
    }
}
