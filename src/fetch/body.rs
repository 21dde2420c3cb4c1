//! Receives and decodes a response body of at most `max_body` decoded bytes. Takes body memory, but never waits for it.

use std::io;

use aws_lc_rs::digest::{self, SHA256};
use bytes::{Buf, Bytes};
use futures::TryStreamExt;

use super::chunks::Chunks;
use super::codec::Coding;
use super::decode::{Decoder, Wants};
use super::gunzip;
use super::wire::Wire;
use super::{FetchConfig, Oversize};
use crate::item::{Attempt, Body, BodyNeed, CHUNK, ErrorKind, Failure, Level, Needs, Reservation, Sent};

/// The first size of a buffer: the memory reserved at the start, and one byte to detect that the body is longer.
const FIRST: usize = CHUNK as usize + 1;

/// The limits of a body, and which parts of it are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyRules {
    pub max_body: u64,
    /// The configuration section that sets `max_body`.
    pub set_by: Level,
    pub oversize: Oversize,
    pub body: BodyNeed,
    pub digest: bool,
}

impl BodyRules {
    /// The rules of `[fetch]` for bodies with these needs.
    pub fn of(config: &FetchConfig, needs: Needs) -> Self {
        let (max_body, oversize) = (config.max_body.0, config.oversize);
        Self { max_body, set_by: Level::Fetch, oversize, body: needs.body, digest: needs.digest }
    }
}

/// The body's codings and framing according to the response head.
#[derive(Debug)]
pub(super) struct Announced {
    /// In the order in which the server applied them.
    pub codings: Vec<Coding>,
    /// Bytes before decoding.
    pub length: Option<u64>,
    /// Whether the body ends only with the connection.
    pub until_close: bool,
}

/// Receives the body to its end. The reservation grows with the bytes that are kept.
///
/// # Errors
/// The attempt's result if the body fails, is incomplete or too long, or does not fit into memory.
pub(super) async fn receive(
    mut chunks: Chunks,
    announced: &Announced,
    rules: BodyRules,
    reservation: &mut Reservation,
) -> Result<Body, Attempt> {
    let plain_length = announced.length.filter(|_| announced.codings.is_empty());
    if rules.oversize == Oversize::Fail && plain_length.is_some_and(|length| length > rules.max_body) {
        return Err(too_large(rules));
    }
    let mut receiver = Receiver::new(rules, reservation, plain_length);
    if announced.codings.is_empty() {
        while let Some(chunk) = chunks.try_next().await.map_err(Attempt::Failed)? {
            if receiver.take(&chunk)? == Go::Stop {
                break;
            }
        }
    } else {
        receive_decoded(chunks, announced, &mut receiver).await?;
    }
    Ok(receiver.finish())
}

/// Decodes each chunk into the receiver's buffer when it arrives.
async fn receive_decoded(chunks: Chunks, announced: &Announced, to: &mut Receiver<'_>) -> Result<(), Attempt> {
    let mut wire = Wire::new(chunks, to.rules.max_body, to.rules.set_by);
    let Some(mut input) = wire.next().await? else {
        // Some servers announce a coding for an empty body. If only the close ends the body, an empty one was cut.
        return if announced.until_close { Err(cut(announced)) } else { Ok(()) };
    };
    if announced.codings == [Coding::Gzip] && wire.gather(&mut input, gunzip::LONGEST).await? && to.take_gzip(&input)? {
        return Ok(());
    }
    let mut decoder = Decoder::new(&announced.codings, to.rules.max_body).map_err(undecodable)?;
    let mut pace = Pace::default();
    loop {
        let piece = &input[..input.len().min(Pace::MOST_INPUT)];
        let progress = decoder.decode(piece, to.room(piece.len())).map_err(undecodable)?;
        let is_last = piece.len() == input.len();
        input.advance(progress.consumed);
        if to.decoded(progress.produced)? == Go::Stop {
            return Ok(());
        }
        if progress.wants == Wants::Input && is_last {
            match wire.next().await? {
                Some(chunk) if input.is_empty() => input = chunk,
                Some(chunk) => input = [input, chunk].concat().into(),
                None if decoder.is_whole() => return Ok(()),
                None => return Err(cut(announced)),
            }
        }
        pace.spend(progress.produced).await;
    }
}

/// Yields to other tasks while a long body is decoded.
#[derive(Default)]
struct Pace {
    spent: usize,
}

impl Pace {
    /// The most bytes decoded in one call.
    const MOST_INPUT: usize = 16 << 10;
    const MOST_OUTPUT: usize = 64 << 10;
    /// The least bytes that a call counts for: some calls produce none.
    const LEAST: usize = 8 << 10;

    async fn spend(&mut self, produced: usize) {
        self.spent += produced.max(Self::LEAST);
        if self.spent > Self::MOST_OUTPUT {
            self.spent = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Whether to read further chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    On,
    Stop,
}

/// Collects the decoded bytes.
struct Receiver<'a> {
    rules: BodyRules,
    reservation: &'a mut Reservation,
    /// The whole length, if known.
    length: Option<u64>,
    data: Vec<u8>,
    /// How many bytes of `data` are kept; the rest is space to decode into.
    kept: usize,
    bytes: u64,
    digest: Option<digest::Context>,
    truncated: bool,
}

impl<'a> Receiver<'a> {
    fn new(rules: BodyRules, reservation: &'a mut Reservation, length: Option<u64>) -> Self {
        let expected = length.unwrap_or(0).min(CHUNK).min(rules.max_body);
        let capacity = if rules.body == BodyNeed::Decoded { usize::try_from(expected).unwrap_or(0) } else { 0 };
        Self {
            rules,
            reservation,
            length,
            data: Vec::with_capacity(capacity),
            kept: 0,
            bytes: 0,
            digest: rules.digest.then(|| digest::Context::new(&SHA256)),
            truncated: false,
        }
    }

    /// Takes a chunk of a body without codings.
    fn take(&mut self, chunk: &[u8]) -> Result<Go, Attempt> {
        let chunk = &chunk[..self.count(chunk.len())?];
        if let Some(digest) = &mut self.digest {
            digest.update(chunk);
        }
        if self.rules.body == BodyNeed::Decoded {
            // The buffer grows with the reservation, not by doubling.
            if self.data.capacity() - self.data.len() < chunk.len() && self.bytes > CHUNK {
                self.data.reserve_exact(chunk.len() + self.may_take());
            }
            self.data.extend_from_slice(chunk);
            self.kept = self.data.len();
        }
        Ok(self.go())
    }

    /// Space to decode some encoded bytes into, never empty. One byte beyond the limit detects a longer body.
    fn room(&mut self, encoded: usize) -> &mut [u8] {
        let most = self.may_take().saturating_add(1);
        let wish = (8 * encoded).clamp(Pace::LEAST, Pace::MOST_OUTPUT).min(most);
        if self.kept == self.data.len() {
            // The buffer grows with the reservation; few bodies need more than the first one.
            let enough = if self.kept + wish <= FIRST { FIRST - self.kept } else { most };
            if self.rules.body == BodyNeed::Decoded {
                self.data.reserve_exact(enough.min(most));
            }
            self.data.resize(self.kept + wish, 0);
        }
        let end = self.data.len().min(self.kept + most.min(Pace::MOST_OUTPUT));
        &mut self.data[self.kept..end]
    }

    /// Decodes a whole gzip body in one call, if that is possible.
    fn take_gzip(&mut self, body: &[u8]) -> Result<bool, Attempt> {
        let length = gunzip::decoded_length(body).filter(|length| *length as u64 <= self.rules.max_body);
        let Some(length) = length else { return Ok(false) };
        if self.rules.body == BodyNeed::Decoded && !self.reservation.grow_to(length as u64) {
            return Ok(false);
        }
        self.data.resize(length, 0);
        let is_whole = gunzip::decode(body, &mut self.data);
        if is_whole {
            self.decoded(length)?;
        }
        Ok(is_whole)
    }

    /// Keeps and counts the bytes that were decoded into `room`.
    fn decoded(&mut self, count: usize) -> Result<Go, Attempt> {
        let end = self.kept + self.count(count)?;
        if let Some(digest) = &mut self.digest {
            digest.update(&self.data[self.kept..end]);
        }
        if self.rules.body == BodyNeed::Decoded {
            self.kept = end;
        }
        Ok(self.go())
    }

    /// Counts further bytes of the body and reserves memory for them; returns how many of them to take.
    fn count(&mut self, further: usize) -> Result<usize, Attempt> {
        let room = self.rules.max_body - self.bytes;
        let fits = usize::try_from(room).map_or(further, |room| further.min(room));
        self.truncated = fits < further;
        if self.truncated && self.rules.oversize == Oversize::Fail {
            return Err(too_large(self.rules));
        }
        self.bytes += fits as u64;
        if self.rules.body == BodyNeed::Decoded && !self.reservation.grow_to(self.bytes) {
            let need = self.length.unwrap_or(self.rules.max_body).min(self.rules.max_body);
            return Err(Attempt::NoMemory { need: need.max(self.bytes) });
        }
        Ok(fits)
    }

    /// How many further bytes fit into `max_body` and the reservation as it is.
    fn may_take(&self) -> usize {
        let held = if self.rules.body == BodyNeed::Decoded { self.reservation.bytes() } else { u64::MAX };
        usize::try_from(held.min(self.rules.max_body) - self.bytes).unwrap_or(usize::MAX)
    }

    fn go(&self) -> Go {
        if self.truncated { Go::Stop } else { Go::On }
    }

    fn finish(mut self) -> Body {
        let sha256 = self.digest.take().and_then(|digest| digest.finish().as_ref().try_into().ok());
        self.data.truncate(self.kept);
        self.data.shrink_to_fit();
        Body { data: Bytes::from(self.data), bytes: self.bytes, sha256, truncated: self.truncated }
    }
}

/// If only the close ends the body, the missing bytes may have been lost with the connection.
fn cut(announced: &Announced) -> Attempt {
    let kind = if announced.until_close { ErrorKind::BodyIncomplete } else { ErrorKind::Decode };
    failed(kind, "the body cannot be decoded: its end is missing".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it away")]
fn undecodable(error: io::Error) -> Attempt {
    failed(ErrorKind::Decode, format!("the body cannot be decoded: {error}"))
}

fn too_large(BodyRules { max_body, set_by, .. }: BodyRules) -> Attempt {
    let key = set_by.key("max_body");
    let message =
        format!("the body is longer than {max_body} bytes; raise {key}, or set fetch.oversize = \"truncate\"");
    failed(ErrorKind::BodyTooLarge, message)
}

fn failed(kind: ErrorKind, message: String) -> Attempt {
    Attempt::Failed(Failure::new(kind, message, Sent::Something))
}
