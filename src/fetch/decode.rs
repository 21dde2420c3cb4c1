//! Content codings (RFC 9110, section 8.4.1): which ones an answer has, and how to undo them.

use std::io;

use http::{HeaderMap, header};

use super::codec::{Codec, Coding, Step};
use crate::item::header_text;

/// What fetchd asks for.
pub const ACCEPT_ENCODING: &str = "gzip, br, zstd, deflate";

/// More codings than this, one over the other, are not undone.
const MOST_CODINGS: usize = 3;

/// The codings of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Codings {
    /// In the order they were applied; `identity` is none.
    Known(Vec<Coding>),
    /// One of them is unknown, so the body stays as it was sent.
    Unknown,
}

impl Codings {
    /// Reads them.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut codings = Vec::new();
        for value in headers.get_all(header::CONTENT_ENCODING) {
            for name in header_text(value.as_bytes()).split(',').map(|name| name.trim().to_ascii_lowercase()) {
                match name.as_str() {
                    "" | "identity" => {}
                    "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                    "deflate" => codings.push(Coding::Deflate),
                    "br" => codings.push(Coding::Brotli),
                    "zstd" => codings.push(Coding::Zstd),
                    _ => return Self::Unknown,
                }
            }
        }
        Self::Known(codings)
    }
}

/// What a decoder waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// More of the body. The input that it left is too short to tell anything, and must come again with what follows it.
    Input,
    /// To be called again, with room: there may be more to write.
    Turn,
}

/// What one call of a decoder did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Bytes of the input that it took.
    pub consumed: usize,
    /// Bytes that it wrote.
    pub produced: usize,
    pub wants: Wants,
}

/// Undoes all codings of a body. Bytes after the end of a coding are ignored, as browsers and curl do, but no more than
/// `most_trailing`; so what encloses it is checked to its end, too.
pub(super) struct Decoder {
    /// In the order in which they are undone.
    layers: Vec<Layer>,
}

impl Decoder {
    /// A decoder of these codings, of which there is one at least.
    ///
    /// # Errors
    /// When they are too many.
    pub fn new(codings: &[Coding], most_trailing: u64) -> io::Result<Self> {
        if codings.len() > MOST_CODINGS {
            return Err(io::Error::other(format!("it is encoded more than {MOST_CODINGS} times over")));
        }
        let layer = |coding: &Coding| Layer {
            coding: *coding,
            state: State::Before(Member::First),
            most_trailing,
            waiting: Vec::new(),
        };
        Ok(Self { layers: codings.iter().rev().map(layer).collect() })
    }

    /// Decodes as much of the input as it can into `output`, which is not empty.
    ///
    /// # Errors
    /// When the body is not in these codings.
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
        decode(&mut self.layers, input, output)
    }

    /// Whether the body may end here.
    pub fn is_whole(&self) -> bool {
        self.layers.iter().all(|layer| matches!(layer.state, State::Before(Member::Further) | State::After(_)))
    }
}

fn decode(layers: &mut [Layer], input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
    /// What an outer coding decodes to is passed on in pieces of so many bytes.
    const PIECE: usize = 8 << 10;
    let Some((inner, outer)) = layers.split_last_mut().filter(|(_, outer)| !outer.is_empty()) else {
        return layers[0].decode(input, output);
    };
    let mut waiting = std::mem::take(&mut inner.waiting);
    let Progress { consumed, produced, wants } = inner.decode(&waiting, output)?;
    waiting.drain(..consumed);
    let mut progress = Progress { consumed: 0, produced, wants };
    if wants == Wants::Input {
        let held = waiting.len();
        waiting.resize(held + PIECE, 0);
        let more = decode(outer, input, &mut waiting[held..])?;
        waiting.truncate(held + more.produced);
        progress.consumed = more.consumed;
        progress.wants = if more.produced == 0 { more.wants } else { Wants::Turn };
    }
    inner.waiting = waiting;
    Ok(progress)
}

/// One coding of a body: gzip's members and zstd's frames may be several, one after the other.
struct Layer {
    coding: Coding,
    state: State,
    most_trailing: u64,
    /// What the coding around it decoded to, and this one has not taken yet.
    waiting: Vec<u8>,
}

enum State {
    Before(Member),
    Within(Codec),
    /// The last member has ended, so many bytes ago.
    After(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// It must be there.
    First,
    Further,
}

impl Layer {
    fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
        match &mut self.state {
            State::Before(member) if input.len() < self.coding.needs(*member) => {
                Ok(Progress { consumed: 0, produced: 0, wants: Wants::Input })
            }
            State::Before(member) => {
                let is_there = *member == Member::First || self.coding.begins(input);
                self.state = if is_there { State::Within(Codec::new(self.coding, input)?) } else { State::After(0) };
                self.decode(input, output)
            }
            State::Within(codec) => {
                let Step { consumed, produced, ended } = codec.decode(input, output)?;
                if ended {
                    self.end_member();
                }
                let wants = if ended || produced == output.len() { Wants::Turn } else { Wants::Input };
                Ok(Progress { consumed, produced, wants })
            }
            State::After(trailing) => {
                *trailing += input.len() as u64;
                if *trailing > self.most_trailing {
                    return Err(io::Error::other(format!("more than {} bytes follow its end", self.most_trailing)));
                }
                Ok(Progress { consumed: input.len(), produced: 0, wants: Wants::Input })
            }
        }
    }

    fn end_member(&mut self) {
        if let State::Within(codec) = std::mem::replace(&mut self.state, State::Before(Member::Further)) {
            codec.recycle();
        }
    }
}

impl Coding {
    /// How many bytes tell of which kind the next member is, or whether there is one.
    fn needs(self, member: Member) -> usize {
        match (self, member) {
            (Self::Gzip, Member::Further) | (Self::Deflate, Member::First) => 2,
            (Self::Zstd, Member::Further) => 4,
            _ => 0,
        }
    }

    /// Whether another member begins with these bytes (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
    fn begins(self, start: &[u8]) -> bool {
        match self {
            Self::Gzip => start.starts_with(&[0x1f, 0x8b]),
            Self::Zstd => matches!(start, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]),
            Self::Deflate | Self::Brotli => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings(values: &[&[u8]]) -> Codings {
        let values = values.iter().map(|value| http::HeaderValue::from_bytes(value).unwrap());
        Codings::of(&values.map(|value| (header::CONTENT_ENCODING, value)).collect())
    }

    #[test]
    fn codings_are_read_whatever_their_case_and_however_they_are_listed() {
        assert_eq!(codings(&[]), Codings::Known(vec![]));
        assert_eq!(codings(&[b"identity", b""]), Codings::Known(vec![]));
        let three = Codings::Known(vec![Coding::Gzip, Coding::Brotli, Coding::Zstd]);
        assert_eq!(codings(&[b"X-GZip, br", b"ZSTD"]), three);
    }

    #[test]
    fn one_unknown_coding_makes_all_of_them_unknown() {
        for odd in [b"gzip, snappy".as_slice(), b"utf-8", b"none", b"aws-chunked,gzip", b"gz\xefp", b"gzip;q=1"] {
            assert_eq!(codings(&[odd]), Codings::Unknown, "{}", odd.escape_ascii());
        }
    }
}
