//! What may be left after a power cut: of all that was not synced any part, in any order.
//!
//! A file has one of the lengths that it had since it was synced, and each of its sectors what it held at one of those
//! moments, or zeros if it held nothing. Each change of a name was made or not; a rename is one change.

use std::collections::BTreeMap;
use std::path::Path;

use super::machine::{Dir, File, Machine, Node, SECTOR};

/// So many cuts are tried if there are no more.
const MOST: usize = 1 << 10;

/// And so many if there are.
const SOME: usize = 200;

/// A way for the power to go: for each thing that is not sure, which of its possible values it has.
pub type Cut = Vec<usize>;

/// All cuts of this machine, or some of them if there are many.
pub fn cuts(machine: &Machine, seed: u64) -> Vec<Cut> {
    let choices = choices(machine);
    let count = choices.iter().try_fold(1usize, |count, n| count.checked_mul(*n).filter(|count| *count <= MOST));
    match count {
        Some(count) => (0..count).map(|which| all(&choices, which)).collect(),
        None => some(&choices, seed),
    }
}

fn all(choices: &[usize], mut which: usize) -> Cut {
    let mut digit = |n: &usize| {
        let digit = which % n;
        which /= n;
        digit
    };
    choices.iter().map(&mut digit).collect()
}

fn some(choices: &[usize], seed: u64) -> Vec<Cut> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut cuts = vec![vec![0; choices.len()], choices.iter().map(|n| n - 1).collect()];
    while cuts.len() < SOME {
        // Most of it written, or hardly any: one alone that is missing does the most damage.
        let newest = [0.05, 0.5, 0.95][random.usize(..3)];
        let mut pick = |n: &usize| match random.f64() < newest {
            true => n - 1,
            false => random.usize(..*n),
        };
        cuts.push(choices.iter().map(&mut pick).collect());
    }
    cuts
}

/// For each thing that is not sure, how many values it may have; the last is the newest.
fn choices(machine: &Machine) -> Vec<usize> {
    let mut choices = Vec::new();
    for node in machine.nodes.values() {
        match node {
            Node::File(file) if file.pending.is_empty() => {}
            Node::File(file) => {
                let versions = versions(file);
                choices.push(lengths(&versions).len());
                choices.extend((0..sectors(&versions)).map(|at| sector(&versions, at).len()));
            }
            Node::Dir(dir) => choices.extend(dir.pending.iter().map(|_| 2)),
        }
    }
    choices
}

impl Machine {
    /// The machine after the power went, and came back.
    pub fn cut(&self, cut: &Cut) -> Self {
        let mut next = self.killed();
        let mut picks = cut.iter().copied();
        // Numbers and what they stand for are those of this machine: the next one may have let go of some.
        next.nodes = BTreeMap::new();
        for (number, node) in &self.nodes {
            let left = match node {
                Node::File(file) if file.pending.is_empty() => file.left(file.kept.clone()),
                Node::File(file) => {
                    let content = content(file, &mut picks);
                    file.left(content)
                }
                Node::Dir(dir) => names(dir, &mut picks),
            };
            next.nodes.insert(*number, left);
        }
        next.trace.pop();
        next.trace.push(format!("-- power cut {cut:?}"));
        next.collect();
        next
    }
}

impl Machine {
    /// The machine after a power cut that took the first sector of a file and nothing else; `None` where it has no more.
    pub fn torn(&self, path: &Path) -> Option<Self> {
        let number = self.lookup(path).ok()?;
        let newest = choices(self).iter().map(|n| n - 1).collect();
        let mut next = self.cut(&newest);
        let file = next.file_mut(number);
        file.seen.get_mut(..SECTOR)?.fill(0);
        file.kept.clone_from(&file.seen);
        Some(next)
    }
}

impl File {
    fn left(&self, content: Vec<u8>) -> Node {
        Node::File(Self { seen: content.clone(), kept: content, ..Self::default() })
    }
}

fn content(file: &File, picks: &mut impl Iterator<Item = usize>) -> Vec<u8> {
    let versions = versions(file);
    let mut pick = || picks.next().expect("a choice for each");
    let length = lengths(&versions)[pick()];
    let mut content: Vec<u8> =
        (0..sectors(&versions)).flat_map(|at| sector(&versions, at).swap_remove(pick())).collect();
    content.resize(length, 0);
    content
}

fn names(dir: &Dir, picks: &mut impl Iterator<Item = usize>) -> Node {
    let mut names = dir.kept.clone();
    for naming in &dir.pending {
        if picks.next().expect("a choice for each") == 1 {
            naming.apply(&mut names);
        }
    }
    Node::Dir(Dir { seen: names.clone(), kept: names, ..Dir::default() })
}

/// What the file was since it was synced.
fn versions(file: &File) -> Vec<Vec<u8>> {
    let mut versions = vec![file.kept.clone()];
    for change in &file.pending {
        let mut next = versions.last().cloned().unwrap_or_default();
        change.apply(&mut next);
        versions.push(next);
    }
    versions
}

fn lengths(versions: &[Vec<u8>]) -> Vec<usize> {
    newest_last(versions.iter().map(Vec::len))
}

fn sectors(versions: &[Vec<u8>]) -> usize {
    versions.iter().map(Vec::len).max().unwrap_or(0).div_ceil(SECTOR)
}

/// What a sector may hold.
fn sector(versions: &[Vec<u8>], at: usize) -> Vec<Vec<u8>> {
    newest_last(versions.iter().map(|version| {
        let start = (at * SECTOR).min(version.len());
        let mut bytes = version[start..version.len().min(start + SECTOR)].to_vec();
        bytes.resize(SECTOR, 0);
        bytes
    }))
}

/// Each value once, in the order in which they came last.
fn newest_last<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct: Vec<T> = Vec::new();
    for value in values {
        distinct.retain(|old| *old != value);
        distinct.push(value);
    }
    distinct
}
