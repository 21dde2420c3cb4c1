//! Loop detection: the requests of a walk and, if pages are counted, their bodies. A walk that reaches one of them
//! again is in a loop.
//!
//! With a data directory they are also in a file, to detect loops that span a restart. A page is written before its
//! record; a start truncates pages that are not done. The file is not synced: after a power cut a loop may last one lap
//! longer.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::digest::Digest;
use crate::disk::{Disk, DiskFile, Mode, append_all};

/// The pages of the current walk.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The number of the walk; 0 for none.
    walk: u64,
    requests: HashSet<Digest>,
    bodies: HashSet<Digest>,
    file: Option<SeenFile>,
}

/// A page of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenPage {
    /// Its number in the walk.
    pub number: u64,
    /// The digest of its URL.
    pub request: Digest,
    /// The digest of its body, if pages are counted.
    pub body: Option<Digest>,
}

impl Seen {
    /// Opens the file of a walk of which `pages` are done; walk 0 is none.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written.
    pub fn open(disk: &dyn Disk, dir: &Path, walk: u64, pages: u64) -> io::Result<Self> {
        disk.create_dir(dir)?;
        let path = dir.join("seen");
        let mut file = SeenFile { file: disk.open(&path, Mode::Append)?, path, length: 0 };
        let mut seen = Self { walk, ..Self::default() };
        for page in file.resume(walk, pages)? {
            seen.note(page);
        }
        seen.file = Some(file);
        Ok(seen)
    }

    /// Begins a walk, and forgets the pages of another one.
    pub fn begin(&mut self, walk: u64) {
        if self.walk == walk {
            return;
        }
        (self.walk, self.requests, self.bodies) = (walk, HashSet::new(), HashSet::new());
        self.write(|file| file.begin(walk));
    }

    /// Whether the walk has had this request.
    pub fn has_request(&self, request: Digest) -> bool {
        self.requests.contains(&request)
    }

    /// Whether the walk has had this body.
    pub fn has_body(&self, body: Option<Digest>) -> bool {
        body.is_some_and(|body| self.bodies.contains(&body))
    }

    /// Adds a page.
    pub fn add(&mut self, page: SeenPage) {
        self.note(page);
        self.write(|file| file.append(&page.to_bytes()));
    }

    fn note(&mut self, page: SeenPage) {
        self.requests.insert(page.request);
        self.bodies.extend(page.body);
    }

    /// Writes to the file. After an error the walk continues without it, and misses only loops that span a restart.
    fn write(&mut self, write: impl FnOnce(&mut SeenFile) -> io::Result<()>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write(file) {
            let path = file.path.display();
            tracing::warn!(%path, %error, "cannot write {path}; a loop of pages that spans a restart is found one lap later");
            self.file = None;
        }
    }
}

impl SeenPage {
    const BYTES: usize = 8 + 2 * Digest::BYTES;

    /// Stands for no body: no digest is all zeros.
    const NO_BODY: [u8; Digest::BYTES] = [0; Digest::BYTES];

    fn to_bytes(self) -> Vec<u8> {
        let body = self.body.map_or(Self::NO_BODY, Digest::bytes);
        [&self.number.to_le_bytes()[..], &self.request.bytes(), &body].concat()
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, digests) = bytes.split_first_chunk()?;
        let (request, body) = digests.split_first_chunk()?;
        let body = Some(*body.first_chunk()?).filter(|body| *body != Self::NO_BODY);
        let number = u64::from_le_bytes(*number);
        Some(Self { number, request: Digest::from_bytes(*request), body: body.map(Digest::from_bytes) })
    }
}

/// The file: the number of the walk, and its pages.
#[derive(Debug)]
struct SeenFile {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    length: u64,
}

impl SeenFile {
    /// Reads the pages of this walk up to this number, and truncates the rest.
    fn resume(&mut self, walk: u64, pages: u64) -> io::Result<Vec<SeenPage>> {
        let text = self.read()?;
        let Some((head, rest)) = text.split_first_chunk().filter(|(head, _)| u64::from_le_bytes(**head) == walk) else {
            self.begin(walk)?;
            return Ok(Vec::new());
        };
        let read = rest.chunks_exact(SeenPage::BYTES).map_while(SeenPage::of_bytes);
        let seen: Vec<_> = read.take_while(|page| page.number <= pages).collect();
        self.length = (head.len() + seen.len() * SeenPage::BYTES) as u64;
        self.file.set_len(self.length)?;
        Ok(seen)
    }

    fn begin(&mut self, walk: u64) -> io::Result<()> {
        self.file.set_len(0)?;
        self.length = 0;
        self.append(&walk.to_le_bytes())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        append_all(self.file.as_ref(), bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let mut text = vec![0; usize::try_from(self.file.length()?).map_err(io::Error::other)?];
        let mut end = 0;
        while end < text.len() {
            match self.file.read_at(&mut text[end..], end as u64)? {
                0 => break,
                n => end += n,
            }
        }
        text.truncate(end);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::disk::RealDisk;

    fn page(number: u64, body: Option<u64>) -> SeenPage {
        let of = |number: u64| Digest::of(&number.to_le_bytes());
        SeenPage { number, request: of(number), body: body.map(of) }
    }

    /// The numbers of the seen pages, up to a hundred.
    fn had(seen: &Seen) -> Vec<u64> {
        (1..100).filter(|number| seen.has_request(page(*number, None).request)).collect()
    }

    proptest! {
        #[test]
        fn a_start_has_the_pages_that_are_done_and_no_others(
            written in 0u64..20, done in 0u64..20, torn in 0u64..60, other_walk in any::<bool>(),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut seen = Seen::open(&RealDisk, dir.path(), 0, 0).unwrap();
            seen.begin(1);
            seen.add(page(77, None));
            seen.begin(2);
            (1..=written).for_each(|number| seen.add(page(number, Some(number))));
            drop(seen);
            let (path, length) = (dir.path().join("seen"), 8 + written * 40);
            let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
            prop_assert_eq!(file.metadata().unwrap().len(), length);
            file.set_len(length.saturating_sub(torn)).unwrap();
            let whole = length.saturating_sub(torn).saturating_sub(8) / 40;
            let walk = if other_walk { 3 } else { 2 };
            let is_lost = other_walk || length.saturating_sub(torn) < 8;
            let left: Vec<u64> = (1..=if is_lost { 0 } else { whole.min(done) }).collect();

            let mut seen = Seen::open(&RealDisk, dir.path(), walk, done).unwrap();
            prop_assert_eq!(&had(&seen), &left);
            prop_assert_eq!(seen.has_body(page(1, Some(1)).body), !left.is_empty());
            // A page that is added is found after the others.
            seen.add(page(50, None));
            let again = Seen::open(&RealDisk, dir.path(), walk, 50).unwrap();
            prop_assert_eq!(had(&again), left.into_iter().chain([50]).collect::<Vec<_>>());
            prop_assert!(!again.has_body(Some(Digest::from_bytes(SeenPage::NO_BODY))));
        }
    }

    #[test]
    fn without_a_file_it_is_remembered_until_another_walk_begins() {
        let mut seen = Seen::default();
        seen.begin(1);
        seen.add(page(1, Some(1)));
        seen.begin(1);
        assert!(seen.has_request(page(1, None).request) && seen.has_body(page(1, Some(1)).body));
        seen.begin(2);
        assert!(!seen.has_request(page(1, None).request) && !seen.has_body(page(1, Some(1)).body));
    }
}
