//! Content codings (RFC 9110, section 8.4.1): which ones an answer has, and how to undo them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Buf, Bytes, BytesMut};
use futures::stream::try_unfold;
use http::{HeaderMap, header};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, ReadBuf};
use tokio_util::io::StreamReader;

use crate::item::header_text;

/// What fetchd asks for.
pub const ACCEPT_ENCODING: &str = "gzip, br, zstd, deflate";

/// More codings than this, one over the other, are not undone.
const MOST_CODINGS: usize = 3;

/// The largest zstd window, as a power of two: 8 MiB, as RFC 9659 asks of decoders.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A coding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

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

type Reader<'a> = Box<dyn AsyncBufRead + Send + Unpin + 'a>;

/// A reader of what the body says once every coding is undone. Bytes after the end of a coding are ignored, as browsers and
/// curl do, but no more than `most_trailing`; so what encloses it is checked to its end, too.
///
/// # Errors
/// When the codings are too many.
pub(super) fn decoder<'a>(raw: Reader<'a>, codings: &[Coding], most_trailing: u64) -> io::Result<Reader<'a>> {
    if codings.len() > MOST_CODINGS {
        return Err(io::Error::other(format!("it is encoded more than {MOST_CODINGS} times over")));
    }
    let undo = |reader, coding: &Coding| {
        let members = Members { coding: *coding, state: State::Between(Peekable::new(reader)), most_trailing };
        let chunks = try_unfold(members, |mut members| async move {
            Ok::<_, io::Error>(members.next_chunk().await?.map(|chunk| (chunk, members)))
        });
        Box::new(StreamReader::new(Box::pin(chunks))) as Reader<'a>
    };
    Ok(codings.iter().rev().fold(raw, undo))
}

/// One body in one coding: gzip's members and zstd's frames may be several, one after the other.
struct Members<'a> {
    coding: Coding,
    state: State<'a>,
    most_trailing: u64,
}

enum State<'a> {
    Between(Peekable<'a>),
    Within(Decoder<'a>),
    Ended,
}

impl<'a> Members<'a> {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        const CHUNK: usize = 8 << 10;
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Between(reader) => {
                    self.state = State::Within(Decoder::new(self.coding, reader).await?);
                }
                State::Within(mut decoder) => {
                    let mut chunk = BytesMut::with_capacity(CHUNK);
                    if decoder.read_buf(&mut chunk).await? > 0 {
                        self.state = State::Within(decoder);
                        return Ok(Some(chunk.freeze()));
                    }
                    let mut reader = decoder.into_reader();
                    if self.coding.begins(reader.peek(4).await?) {
                        self.state = State::Within(Decoder::new(self.coding, reader).await?);
                    } else {
                        skip(reader, self.most_trailing).await?;
                    }
                }
                State::Ended => return Ok(None),
            }
        }
    }
}

impl Coding {
    /// Whether another member begins with these bytes (RFC 1952, section 2.3.1; RFC 8878, section 3.1).
    fn begins(self, start: &[u8]) -> bool {
        match self {
            Self::Gzip => start.starts_with(&[0x1f, 0x8b]),
            Self::Zstd => matches!(start, [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]),
            Self::Deflate | Self::Brotli => false,
        }
    }
}

async fn skip(mut reader: Peekable<'_>, most: u64) -> io::Result<()> {
    let mut skipped = 0;
    loop {
        let there = reader.fill_buf().await?.len();
        if there == 0 {
            return Ok(());
        }
        skipped += there as u64;
        if skipped > most {
            return Err(io::Error::other(format!("more than {most} bytes follow its end")));
        }
        reader.consume(there);
    }
}

/// The decoder of one member.
enum Decoder<'a> {
    Gzip(GzipDecoder<Peekable<'a>>),
    Zlib(ZlibDecoder<Peekable<'a>>),
    Deflate(DeflateDecoder<Peekable<'a>>),
    Brotli(Box<BrotliDecoder<Peekable<'a>>>),
    Zstd(ZstdDecoder<Peekable<'a>>),
}

impl<'a> Decoder<'a> {
    async fn new(coding: Coding, mut reader: Peekable<'a>) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzipDecoder::new(reader)),
            Coding::Deflate if is_zlib(reader.peek(2).await?) => Self::Zlib(ZlibDecoder::new(reader)),
            Coding::Deflate => Self::Deflate(DeflateDecoder::new(reader)),
            Coding::Brotli => Self::Brotli(Box::new(BrotliDecoder::new(reader))),
            Coding::Zstd => {
                Self::Zstd(ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]))
            }
        })
    }

    async fn read_buf(&mut self, to: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read_buf(to).await,
            Self::Zlib(decoder) => decoder.read_buf(to).await,
            Self::Deflate(decoder) => decoder.read_buf(to).await,
            Self::Brotli(decoder) => decoder.read_buf(to).await,
            Self::Zstd(decoder) => decoder.read_buf(to).await,
        }
    }

    fn into_reader(self) -> Peekable<'a> {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zlib(decoder) => decoder.into_inner(),
            Self::Deflate(decoder) => decoder.into_inner(),
            Self::Brotli(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.into_inner(),
        }
    }
}

/// `deflate` is the zlib format, but some servers send it raw; the first two bytes tell (RFC 1950, section 2.2).
fn is_zlib(start: &[u8]) -> bool {
    matches!(start, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

/// A reader whose next bytes can be looked at.
struct Peekable<'a> {
    start: BytesMut,
    rest: Reader<'a>,
}

impl<'a> Peekable<'a> {
    fn new(rest: Reader<'a>) -> Self {
        Self { start: BytesMut::new(), rest }
    }

    /// The next `n` bytes, or as many as there are.
    async fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.start.len() < n {
            let there = self.rest.fill_buf().await?;
            if there.is_empty() {
                break;
            }
            let take = there.len().min(n - self.start.len());
            self.start.extend_from_slice(&there[..take]);
            self.rest.consume(take);
        }
        Ok(&self.start)
    }
}

impl AsyncBufRead for Peekable<'_> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.start.is_empty() { Pin::new(&mut this.rest).poll_fill_buf(cx) } else { Poll::Ready(Ok(&this.start)) }
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        let this = self.get_mut();
        if this.start.is_empty() { Pin::new(&mut this.rest).consume(n) } else { this.start.advance(n) }
    }
}

impl AsyncRead for Peekable<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let there = ready!(self.as_mut().poll_fill_buf(cx))?;
        let n = there.len().min(to.remaining());
        to.put_slice(&there[..n]);
        self.consume(n);
        Poll::Ready(Ok(()))
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
