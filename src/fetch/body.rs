//! Receiving a body: within `max_body` by decoded bytes, within body memory without waiting, and whole or flagged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest::{self, SHA256};
use bytes::{Buf, Bytes};
use futures::{Stream, TryStreamExt};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, ReadBuf};

use super::Oversize;
use super::chunks::Chunks;
use super::decode::{Coding, decoder};
use crate::item::{Attempt, Body, BodyNeed, CHUNK, ErrorKind, Failure, Level, Reservation, Sent};

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyRules {
    pub max_body: u64,
    /// Where that is set.
    pub set_by: Level,
    pub oversize: Oversize,
    pub body: BodyNeed,
    pub digest: bool,
}

/// What the head says of the body.
#[derive(Debug)]
pub(super) struct Announced {
    /// In the order they were applied.
    pub codings: Vec<Coding>,
    /// Bytes before decoding.
    pub length: Option<u64>,
    /// Whether only the end of the connection ends the body.
    pub until_close: bool,
}

/// Receives the body to its end; what is kept of it is within the reservation, which grows with it.
///
/// # Errors
/// The attempt's result, when it is not a whole answer.
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

async fn receive_decoded(chunks: Chunks, announced: &Announced, to: &mut Receiver<'_>) -> Result<(), Attempt> {
    let left = to.rules.max_body.saturating_add(CHUNK);
    let set_by = to.rules.set_by;
    let mut raw = Raw { chunks, chunk: Bytes::new(), left, set_by, ended: false, broken: None };
    let decoded = decode_into(&mut raw, announced, to).await;
    match decoded {
        Ok(()) => Ok(()),
        Err(Decoding::Result(attempt)) => Err(attempt),
        Err(Decoding::Io(error)) => Err(match raw.broken {
            Some(failure) => Attempt::Failed(failure),
            None => {
                // Where only the close ends the body, the bytes that are missing may never have come.
                let kind =
                    if announced.until_close && raw.ended { ErrorKind::BodyIncomplete } else { ErrorKind::Decode };
                failed(kind, format!("the body cannot be decoded: {error}"))
            }
        }),
    }
}

enum Decoding {
    Io(io::Error),
    Result(Attempt),
}

async fn decode_into(raw: &mut Raw, announced: &Announced, to: &mut Receiver<'_>) -> Result<(), Decoding> {
    if raw.fill_buf().await.map_err(Decoding::Io)?.is_empty() {
        // Some servers announce a coding for nothing. Where only the close ends the body, nothing is a body that was cut.
        let cut = io::ErrorKind::UnexpectedEof.into();
        return if announced.until_close { Err(Decoding::Io(cut)) } else { Ok(()) };
    }
    let most_trailing = to.rules.max_body;
    let mut reader = decoder(Box::new(raw), &announced.codings, most_trailing).map_err(Decoding::Io)?;
    loop {
        let there = reader.fill_buf().await.map_err(Decoding::Io)?;
        let n = there.len();
        if n == 0 || to.take(there).map_err(Decoding::Result)? == Go::Stop {
            return Ok(());
        }
        reader.consume(n);
    }
}

/// Whether there is any use in reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    On,
    Stop,
}

/// Takes the decoded bytes as they come.
struct Receiver<'a> {
    rules: BodyRules,
    reservation: &'a mut Reservation,
    /// The whole length, when it is known.
    length: Option<u64>,
    data: Vec<u8>,
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
            bytes: 0,
            digest: rules.digest.then(|| digest::Context::new(&SHA256)),
            truncated: false,
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<Go, Attempt> {
        let room = self.rules.max_body - self.bytes;
        let fits = usize::try_from(room).map_or(chunk.len(), |room| chunk.len().min(room));
        let (chunk, surplus) = chunk.split_at(fits);
        if !surplus.is_empty() && self.rules.oversize == Oversize::Fail {
            return Err(too_large(self.rules));
        }
        self.bytes += chunk.len() as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(chunk);
        }
        if self.rules.body == BodyNeed::Decoded {
            self.store(chunk)?;
        }
        self.truncated = !surplus.is_empty();
        Ok(if self.truncated { Go::Stop } else { Go::On })
    }

    fn store(&mut self, chunk: &[u8]) -> Result<(), Attempt> {
        if !self.reservation.grow_to(self.bytes) {
            let need = self.length.unwrap_or(self.rules.max_body).min(self.rules.max_body);
            return Err(Attempt::NoMemory { need: need.max(self.bytes) });
        }
        // The buffer grows with what is held, not by doubling on its own.
        if self.data.capacity() - self.data.len() < chunk.len() && self.bytes > CHUNK {
            let reservation = usize::try_from(self.reservation.bytes().min(self.rules.max_body)).unwrap_or(usize::MAX);
            self.data.reserve_exact((reservation - self.data.len()).max(chunk.len()));
        }
        self.data.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(mut self) -> Body {
        let sha256 = self.digest.take().and_then(|digest| digest.finish().as_ref().try_into().ok());
        self.data.shrink_to_fit();
        Body { data: Bytes::from(self.data), bytes: self.bytes, sha256, truncated: self.truncated }
    }
}

/// The body as it comes off the wire, with what broke it kept: decoders only pass on that something did.
struct Raw {
    chunks: Chunks,
    chunk: Bytes,
    /// How many bytes may still come: no coding makes a body much longer, so more would never decode to what may be had.
    left: u64,
    /// Where that is set.
    set_by: Level,
    ended: bool,
    broken: Option<Failure>,
}

impl AsyncBufRead for Raw {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            match ready!(Pin::new(&mut this.chunks).poll_next(cx)) {
                Some(Ok(chunk)) => match this.left.checked_sub(chunk.len() as u64) {
                    Some(left) => (this.chunk, this.left) = (chunk, left),
                    None => {
                        let key = this.set_by.key("max_body");
                        let message = format!("the body is longer than {key} before decoding; raise it");
                        this.broken = Some(Failure::new(ErrorKind::BodyTooLarge, message, Sent::Something));
                        return Poll::Ready(Err(io::Error::other("the body is too long")));
                    }
                },
                Some(Err(failure)) => {
                    this.broken = Some(failure);
                    return Poll::Ready(Err(io::Error::other("the connection broke")));
                }
                None => {
                    this.ended = true;
                    break;
                }
            }
        }
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        self.get_mut().chunk.advance(n);
    }
}

impl AsyncRead for Raw {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let there = ready!(self.as_mut().poll_fill_buf(cx))?;
        let n = there.len().min(to.remaining());
        to.put_slice(&there[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
    }
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
