//! Content codings (RFC 9110, section 8.4.1): reads those of a response and decodes its body.

use std::io;

use http::{HeaderMap, header};

use super::codec::{Codec, Coding, Step};
use crate::item::header_text;

/// The `accept-encoding` header of requests.
pub const ACCEPT_ENCODING: &str = "gzip, br, zstd, deflate";

/// The most nested codings that are decoded.
const MOST_CODINGS: usize = 3;

/// The content codings of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Codings {
    /// In the order in which the server applied them, without `identity`.
    Known(Vec<Coding>),
    /// One of them is unknown, so the body is not decoded.
    Unknown,
}

impl Codings {
    /// Reads them from the `content-encoding` headers.
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

/// What a decoder needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// More input. Bytes that it left must be passed again, followed by more.
    Input,
    /// Another call, with free output space: there may be more to write.
    Turn,
}

/// The progress of one call of a decoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Input bytes read.
    pub consumed: usize,
    /// Output bytes written.
    pub produced: usize,
    pub wants: Wants,
}

/// Decodes all codings of a body. Up to `most_trailing` bytes after the end of a coding are ignored, as by browsers and
/// curl. They are read, though, so that the enclosing codings are checked to their end.
pub(super) struct Decoder {
    /// In the order of decoding.
    layers: Vec<Layer>,
}

impl Decoder {
    /// A decoder of these codings, at least one.
    ///
    /// # Errors
    /// When there are too many.
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

    /// Decodes as much of the input as possible into `output`, which is not empty.
    ///
    /// # Errors
    /// When the input is invalid, or too many bytes follow its end.
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
        decode(&mut self.layers, input, output)
    }

    /// Whether the body may end here.
    pub fn is_whole(&self) -> bool {
        self.layers.iter().all(|layer| matches!(layer.state, State::Before(Member::Further) | State::After(_)))
    }
}

fn decode(layers: &mut [Layer], input: &[u8], output: &mut [u8]) -> io::Result<Progress> {
    /// The most decoded bytes that an outer coding passes on at once.
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

/// The decoder of one coding, which for gzip and zstd may have several members or frames in sequence.
struct Layer {
    coding: Coding,
    state: State,
    most_trailing: u64,
    /// Bytes decoded by the enclosing coding that this one has not read yet.
    waiting: Vec<u8>,
}

enum State {
    Before(Member),
    Within(Codec),
    /// The last member has ended; the number of bytes since.
    After(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    /// Required.
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
    /// How many bytes show whether there is another member, and of which format.
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
