//! Splits bytes into lines, in bounded memory whatever their lengths. Pure: chunks in, lines out.

use bytes::{Buf, Bytes};

use crate::item::Text;

/// Bytes that are kept of a line that is too long.
const HEAD: usize = 1024;

/// One line of the input.
#[derive(Debug)]
pub(super) enum Split {
    Blank,
    Line(Text),
}

/// Splits an input that comes in chunks.
#[derive(Debug)]
pub(super) struct Splitter {
    max_line: usize,
    chunk: Bytes,
    /// The offset in the input after the chunk.
    pushed: u64,
    /// The beginning of a line that the last chunk did not finish.
    partial: Vec<u8>,
    /// The length of that line so far; more than `partial` holds once the line is too long.
    length: u64,
    at_start: bool,
}

impl Splitter {
    pub fn new(max_line: usize) -> Self {
        Self::starting_at(max_line, 0)
    }

    /// A splitter for an input after `offset`, where a line begins.
    pub fn starting_at(max_line: usize, offset: u64) -> Self {
        let (chunk, partial) = (Bytes::new(), Vec::new());
        Self { max_line, chunk, pushed: offset, partial, length: 0, at_start: offset == 0 }
    }

    /// Adds the next chunk; all lines of the chunk before must have been taken.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty());
        self.pushed += chunk.len() as u64;
        self.chunk = chunk;
    }

    /// The offset after the last line that was taken.
    pub fn position(&self) -> u64 {
        self.pushed - self.chunk.len() as u64
    }

    /// The next complete line.
    pub fn next(&mut self) -> Option<Split> {
        match memchr::memchr(b'\n', &self.chunk) {
            Some(end) => {
                let line = self.chunk.split_to(end);
                self.chunk.advance(1);
                Some(self.finish_line(line))
            }
            None => {
                let rest = std::mem::take(&mut self.chunk);
                self.keep(&rest);
                None
            }
        }
    }

    /// The last line, if the input did not end with LF.
    pub fn finish(&mut self) -> Option<Split> {
        (self.length > 0).then(|| self.finish_line(Bytes::new()))
    }

    fn keep(&mut self, rest: &[u8]) {
        self.length += rest.len() as u64;
        if self.length > self.max_line as u64 {
            let missing = HEAD.saturating_sub(self.partial.len()).min(rest.len());
            self.partial.extend_from_slice(&rest[..missing]);
            self.partial.truncate(HEAD);
            self.partial.shrink_to(HEAD);
        } else {
            self.partial.extend_from_slice(rest);
        }
    }

    fn finish_line(&mut self, end: Bytes) -> Split {
        let whole = if self.length == 0 && end.len() <= self.max_line {
            end
        } else {
            self.keep(&end);
            Bytes::from(std::mem::take(&mut self.partial))
        };
        let length = std::mem::take(&mut self.length);
        let bom = if std::mem::take(&mut self.at_start) { "\u{feff}".as_bytes() } else { b"" };
        let start = whole.strip_prefix(bom).map_or(0, |_| bom.len());
        if length > self.max_line as u64 {
            return Split::Line(Text::too_long(whole.slice(start..), length));
        }
        let text = trim(&whole.slice(start..));
        if text.is_empty() { Split::Blank } else { Split::Line(Text::Whole(text)) }
    }
}

/// Strips a CR at the end, then spaces and tabs around.
fn trim(line: &Bytes) -> Bytes {
    let text: &[u8] = line.strip_suffix(b"\r").unwrap_or(line);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = text.iter().position(|byte| !blank(byte)) else { return Bytes::new() };
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    line.slice(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The lines of an input that comes in chunks of these lengths, in a cycle.
    fn split(input: &[u8], max_line: usize, chunks: &[usize]) -> Vec<String> {
        let (mut splitter, mut out, mut rest) = (Splitter::new(max_line), Vec::new(), input);
        for length in chunks.iter().cycle() {
            let chunk = &rest[..rest.len().min(*length)];
            rest = &rest[chunk.len()..];
            splitter.push(Bytes::copy_from_slice(chunk));
            out.extend(std::iter::from_fn(|| splitter.next()));
            assert!(splitter.partial.len() <= max_line.max(HEAD));
            if rest.is_empty() {
                break;
            }
        }
        out.extend(splitter.finish());
        out.iter().map(show).collect()
    }

    fn show(split: &Split) -> String {
        match split {
            Split::Blank => "<blank>".into(),
            Split::Line(Text::Whole(text)) => String::from_utf8_lossy(text).into(),
            Split::Line(Text::TooLong(long)) => format!("<{} bytes, {} kept>", long.bytes, long.head.len()),
            Split::Line(Text::Lost) => unreachable!("a splitter loses nothing"),
        }
    }

    #[test]
    fn line_ends_spaces_and_the_byte_order_mark_are_stripped() {
        let input = b"\xef\xbb\xbfhttp://a/\r\n \thttp://b/ \t\n\n \r\n\xef\xbb\xbfx\nhttp://c/";
        let want = ["http://a/", "http://b/", "<blank>", "<blank>", "\u{feff}x", "http://c/"];
        assert_eq!(split(input, 100, &[1000]), want);
    }

    #[test]
    fn a_line_that_is_too_long_costs_no_memory_and_the_next_one_is_read() {
        let input = [vec![b'x'; 5000], b"\nhttp://a/\n".to_vec()].concat();
        assert_eq!(split(&input, 100, &[7]), ["<5000 bytes, 1024 kept>", "http://a/"]);
        assert_eq!(split(&input, 100, &[9000]), ["<5000 bytes, 1024 kept>", "http://a/"]);
    }

    #[test]
    fn the_longest_line_fits_and_one_byte_more_does_not() {
        let input = b"12345\n123456\n";
        for chunk in 1..14 {
            assert_eq!(split(input, 5, &[chunk]), ["12345", "<6 bytes, 6 kept>"]);
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_come(
            input in "[a \r\n\u{feff}]{0,60}", chunks in prop::collection::vec(1usize..9, 1..6), max_line in 1usize..8
        ) {
            prop_assert_eq!(split(input.as_bytes(), max_line, &chunks), split(input.as_bytes(), max_line, &[1000]));
        }
    }
}
