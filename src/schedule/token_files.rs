//! The generations of token files.

use std::collections::BTreeSet;

use super::line_book::HostId;
use super::token_rules::TokenSettings;
use crate::item::TokenGeneration;

/// The generations of all token files, and the hosts for which they are read again.
#[derive(Debug, Default)]
pub(super) struct TokenFiles {
    /// By the number of the file.
    pub generations: Vec<TokenGeneration>,
    /// Hosts whose token is not trusted; some numbers may be stale.
    pub hosts: BTreeSet<HostId>,
}

impl TokenFiles {
    /// The first generations of `files` files.
    pub fn new(files: usize) -> Self {
        Self { generations: vec![TokenGeneration::FIRST; files], hosts: BTreeSet::new() }
    }

    /// Replaces the files; those that were there before keep their generations.
    pub fn follow(&mut self, old: &TokenSettings, new: &TokenSettings) {
        let of_old = |name: &String| old.files.iter().position(|old| old == name).and_then(|n| self.generations.get(n));
        let generations = new.files.iter().map(|name| of_old(name).copied().unwrap_or(TokenGeneration::FIRST));
        self.generations = generations.collect();
    }

    /// The newest generation of these files.
    pub fn newest(&self, files: &[usize]) -> TokenGeneration {
        let of_files = files.iter().filter_map(|file| self.generations.get(*file)).copied();
        of_files.max().unwrap_or(TokenGeneration::FIRST)
    }
}
