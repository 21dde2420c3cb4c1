//! The format of a batch. Pure: lines to bytes and back.
//!
//! ```text
//! TAB # checksum SP first-number SP lines SP bytes *(SP word [= value]) LF
//!                                  the head; the checksum covers all that follows it
//! http://example.com/ LF           a line
//! TAB ! length SP beginning LF     a line that was too long
//! ```
//!
//! The words of a head: `group=N`, the first line number of a group of batches that share an fsync, in all of them but
//! the first; `key`, `digest` and `at`, the idempotency key of the batch (`keys`). Others are for later versions.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use bytes::Bytes;

use super::keys::{BatchKey, KeyWords};
use crate::item::Text;

/// The beginning of a head; no accepted line begins with a tab.
pub(super) const HEAD: &[u8] = b"\t#";

/// The beginning of a line that was too long.
const TOO_LONG: &[u8] = b"\t!";

/// The most bytes of a head: 80 without words, and up to 110 more, besides the key, with all words of this version.
pub(super) const LONGEST_HEAD: usize = 512;

/// Lines that are accepted together.
#[derive(Debug, Default)]
pub struct Batch {
    lines: u64,
    body: Vec<u8>,
    key: Option<BatchKey>,
}

impl Batch {
    /// Sets the idempotency key with which the producer can repeat the batch.
    pub fn set_key(&mut self, key: BatchKey) {
        self.key = Some(key);
    }

    /// The idempotency key.
    pub fn key(&self) -> Option<&BatchKey> {
        self.key.as_ref()
    }

    /// Adds a line.
    pub fn push(&mut self, text: &Text) {
        match text {
            Text::Whole(text) => self.body.extend_from_slice(text),
            Text::TooLong(long) => {
                self.body.extend_from_slice(TOO_LONG);
                self.body.extend_from_slice(long.bytes.to_string().as_bytes());
                self.body.push(b' ');
                self.body.extend_from_slice(&long.head);
            }
            Text::Lost => return,
        }
        self.body.push(b'\n');
        self.lines += 1;
    }

    /// The number of lines.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The bytes of the lines.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Appends the encoded batch to `bytes`. `first` is the number of its first line, `group` that of the first line of
    /// its group.
    pub(super) fn encode(&self, first: u64, group: u64, bytes: &mut Vec<u8>) {
        let mut head = format!(" {first} {} {}", self.lines, self.body.len());
        if group < first {
            // Writing to a string cannot fail.
            let _ = write!(head, " group={group}");
        }
        if let Some(key) = &self.key {
            let _ = write!(head, " {key}");
        }
        head.push('\n');
        let checksum = checksum(head.as_bytes(), &self.body);
        bytes.extend_from_slice(format!("\t#{checksum:08x}").as_bytes());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(&self.body);
    }
}

/// The head of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    checksum: u32,
    /// The number of the first line.
    pub first: u64,
    /// The number of lines.
    pub lines: u64,
    /// The bytes of the lines.
    pub bytes: u64,
    /// The bytes of the head itself.
    pub length: usize,
    /// The first line number of the group that shares an fsync.
    pub group: u64,
    /// The batch's key.
    pub key: Option<BatchKey>,
}

impl Head {
    /// Parses the head at the beginning of these bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(LONGEST_HEAD)])?;
        let text = std::str::from_utf8(bytes[..end].strip_prefix(HEAD)?).ok()?;
        let mut words = text.split(' ');
        let checksum = words.next().filter(|word| word.len() == 8 && word.bytes().all(is_digit))?;
        let first = words.next()?.parse().ok()?;
        let mut head = Self {
            checksum: u32::from_str_radix(checksum, 16).ok()?,
            first,
            lines: words.next()?.parse().ok()?,
            bytes: words.next()?.parse().ok()?,
            length: end + 1,
            group: first,
            key: None,
        };
        head.read_words(words)?;
        let is_sound = head.lines > 0 && head.lines <= head.bytes && head.first > 0;
        (is_sound && head.first.checked_add(head.lines).is_some()).then_some(head)
    }

    /// Reads the words of this version and skips others; `None` where one of them is no word.
    fn read_words<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Option<()> {
        let mut key = KeyWords::default();
        for word in words {
            if !is_word(word) {
                return None;
            }
            match word.split_once('=') {
                Some(("group", first)) => self.group = first.parse().ok()?,
                Some((name, value)) => key.take(name, value),
                None => {}
            }
        }
        self.key = key.finish();
        Some(())
    }

    /// The numbers of the lines.
    pub fn seqs(&self) -> RangeInclusive<u64> {
        self.first..=self.first + self.lines - 1
    }

    /// The bytes of the batch, its head included.
    pub fn whole(&self) -> u64 {
        self.bytes.saturating_add(self.length as u64)
    }

    /// Whether `bytes`, the whole batch, has the number of lines and the checksum of this head.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let (head, body) = bytes.split_at(self.length);
        let ends = memchr::memchr_iter(b'\n', body).count() as u64;
        ends == self.lines && body.last() == Some(&b'\n') && checksum(&head[HEAD.len() + 8..], body) == self.checksum
    }

    /// The lines of a batch that matches, with their numbers.
    pub fn lines_of(&self, bytes: &Bytes) -> BatchLines {
        BatchLines { seqs: self.seqs(), rest: bytes.slice(self.length..) }
    }
}

/// The lines of a batch, with their numbers.
#[derive(Debug)]
pub struct BatchLines {
    seqs: RangeInclusive<u64>,
    rest: Bytes,
}

impl Iterator for BatchLines {
    type Item = (u64, Text);

    fn next(&mut self) -> Option<Self::Item> {
        let seq = self.seqs.next()?;
        let end = memchr::memchr(b'\n', &self.rest).unwrap_or(self.rest.len());
        let mut line = self.rest.split_to((end + 1).min(self.rest.len()));
        line.truncate(end);
        Some((seq, text(line)))
    }
}

/// Whether this is a digit as the writer writes it: a checksum with other digits (upper case) is damaged.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether this is a word, `word` or `word=value`, of this version or a later one. Names have a small alphabet, so that
/// a line that a damaged LF joins to the head is seen as damage, not as a head that was cut short.
fn is_word(word: &str) -> bool {
    let (name, value) = word.split_once('=').unwrap_or((word, "-"));
    let is_of_name = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let is_name = !name.is_empty() && name.bytes().all(is_of_name);
    is_name && !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Decodes an accepted line.
fn text(line: Bytes) -> Text {
    let too_long = || {
        let rest = line.strip_prefix(TOO_LONG)?;
        let space = memchr::memchr(b' ', rest)?;
        let bytes = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
        Some(Text::too_long(line.slice(TOO_LONG.len() + space + 1..), bytes))
    };
    too_long().unwrap_or(Text::Whole(line))
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_text() -> impl Strategy<Value = Text> {
        let bytes = proptest::collection::vec(any::<u8>().prop_filter("no line has one", |byte| *byte != b'\n'), 0..40);
        let whole = bytes.clone().prop_map(|mut text| {
            // Like the lines of the splitter: nothing blank in front, and not empty.
            text.insert(0, b'x');
            Text::Whole(text.into())
        });
        let too_long = (bytes, any::<u64>()).prop_map(|(head, bytes)| Text::too_long(head.into(), bytes));
        prop_oneof![4 => whole, 1 => too_long]
    }

    fn show(text: &Text) -> String {
        format!("{text:?}")
    }

    /// Encodes a batch that is a group of its own.
    fn encode(batch: &Batch, first: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        batch.encode(first, first, &mut bytes);
        bytes
    }

    /// The longest possible key.
    fn longest_key() -> BatchKey {
        BatchKey { key: "~".repeat(BatchKey::LONGEST).into(), digest: [0xa5; 32], at: u64::MAX }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(first in 1..u64::MAX / 2, texts in proptest::collection::vec(any_text(), 1..20)) {
            let mut batch = Batch::default();
            texts.iter().for_each(|text| batch.push(text));
            let bytes = Bytes::from(encode(&batch, first));
            let head = Head::read(&bytes).unwrap();
            prop_assert!(head.matches(&bytes));
            let read: Vec<_> = head.lines_of(&bytes).collect();
            prop_assert_eq!(read.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), head.seqs().collect::<Vec<_>>());
            let read: Vec<_> = read.iter().map(|(_, text)| show(text)).collect();
            prop_assert_eq!(read, texts.iter().map(show).collect::<Vec<_>>());
        }
    }

    /// The same batch with these words in its head.
    fn with_words(written: &[u8], words: &str) -> Vec<u8> {
        let end = memchr::memchr(b'\n', written).unwrap();
        let rest = [&written[HEAD.len() + 8..end], words.as_bytes(), &written[end..]].concat();
        let sum = format!("{:08x}", checksum(&rest, b""));
        [HEAD, sum.as_bytes(), &rest].concat()
    }

    #[test]
    fn unknown_words_of_a_head_are_passed_over_and_what_is_no_word_is_damage() {
        let mut batch = Batch::default();
        batch.push(&Text::Whole(Bytes::from_static(b"http://a.test/1")));
        let read = |words: &str| {
            let bytes = Bytes::from(with_words(&encode(&batch, 7), words));
            let head = Head::read(&bytes).filter(|head| head.matches(&bytes) && head.whole() == bytes.len() as u64)?;
            head.lines_of(&bytes).map(|(seq, text)| (seq, show(&text))).next()
        };
        let plain = read("");
        assert!(plain.is_some());
        let longest = format!(" k={}", "v".repeat(LONGEST_HEAD - 3 - encode(&batch, 7).len() + batch.bytes()));
        for words in [" sealed", " key=00ff:/=", " a b=c d_1-2", &longest] {
            assert_eq!(read(words), plain, "{words}");
        }
        for words in [" ", "  a", " =", " k=", " A", " a ", " a\tb", " é", " http://a.test/", &format!("{longest}v")] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }

    #[test]
    fn the_longest_head_has_room_for_all_of_its_words() {
        let mut batch = Batch::default();
        batch.push(&Text::Whole(Bytes::from_static(b"http://a.test/1")));
        batch.set_key(longest_key());
        let (first, mut bytes) = (u64::MAX - 2, Vec::new());
        batch.encode(first, first - 1, &mut bytes);
        let head = Head::read(&bytes).unwrap();
        assert_eq!((head.group, head.key.as_ref()), (first - 1, Some(&longest_key())));
        assert!(head.matches(&bytes) && head.length + 2 * 19 <= LONGEST_HEAD, "{}", head.length);
    }

    #[test]
    fn a_key_without_all_of_its_words_is_none() {
        let mut batch = Batch::default();
        batch.push(&Text::Whole(Bytes::from_static(b"http://a.test/1")));
        let digest = "0".repeat(64);
        for (words, has_key) in [
            (format!(" key=k digest={digest} at=1"), true),
            (format!(" at=1 other key=k digest={digest}"), true),
            (format!(" key=k digest={digest}"), false),
            (format!(" key=k digest={}0 at=1", &digest[2..]), false),
            (format!(" key=k digest={digest} at=x"), false),
            (" key=k".to_owned(), false),
        ] {
            let head = Head::read(&with_words(&encode(&batch, 7), &words)).unwrap();
            assert_eq!(head.key.is_some(), has_key, "{words}");
        }
    }

    #[test]
    fn a_batch_with_any_byte_changed_is_not_taken_for_whole() {
        // One of these checksums begins with 0; a parser that accepted a sign would take `+` for it.
        for first in 1..40 {
            let mut batch = Batch::default();
            batch.push(&Text::Whole(Bytes::from_static(b"http://a.test/1")));
            batch.push(&Text::too_long(Bytes::from_static(b"http://b.test/2"), 5000));
            let written = match first % 3 {
                0 => encode(&batch, first),
                1 => with_words(&encode(&batch, first), " a b=c"),
                _ => {
                    batch.set_key(BatchKey { key: "a-key".into(), ..longest_key() });
                    encode(&batch, first)
                }
            };
            let is_whole = |bytes: &[u8]| {
                Head::read(bytes)
                    .is_some_and(|head| head.length as u64 + head.bytes == bytes.len() as u64 && head.matches(bytes))
            };
            assert!(is_whole(&written));
            for (place, by) in (0..written.len()).flat_map(|place| (1..=u8::MAX).map(move |by| (place, by))) {
                let mut bytes = written.clone();
                bytes[place] ^= by;
                assert!(!is_whole(&bytes), "batch {first}, byte {place} changed by {by}");
            }
        }
    }
}
