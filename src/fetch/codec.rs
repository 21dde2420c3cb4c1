//! Decoders of one member of a content coding, from slice to slice.

use std::cell::RefCell;
use std::io;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

/// The largest window of gzip, as a power of two (RFC 1951, section 2).
const GZIP_WINDOW_LOG: u8 = 15;

/// The largest zstd window, as a power of two: 8 MiB, as RFC 9659 requires of decoders.
const ZSTD_WINDOW_LOG: u32 = 23;

/// The most memory of a thread's unused zstd contexts, in bytes.
const MOST_IDLE: usize = 8 << 20;

/// A content coding that fetchd can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The decoder of one member.
pub(super) enum Codec {
    /// gzip, zlib or raw deflate.
    Inflate(Decompress),
    Brotli(Box<Brotli>),
    Zstd(DCtx<'static>),
}

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// The progress of one call of a decoder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Input bytes read.
    pub consumed: usize,
    /// Output bytes written.
    pub produced: usize,
    /// Whether the member has ended, with a correct check value if its format has one.
    pub ended: bool,
}

impl Codec {
    /// A decoder of a member that begins with these bytes; the first two of `deflate` select its format.
    ///
    /// # Errors
    /// When a zstd context cannot be set up.
    pub fn new(coding: Coding, start: &[u8]) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Inflate(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            Coding::Deflate => Self::Inflate(Decompress::new(is_zlib(start))),
            Coding::Brotli => {
                let [bytes, words, codes] = [(); 3].map(|()| StandardAlloc::default());
                Self::Brotli(Box::new(BrotliState::new_strict(bytes, words, codes)))
            }
            Coding::Zstd => Self::Zstd(zstd_context()?),
        })
    }

    /// Decodes until the member ends, the input is used up, or the output is full.
    ///
    /// # Errors
    /// When the input is invalid; the message is the decoder's.
    pub fn decode(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        match self {
            Self::Inflate(inflate) => {
                let (taken, written) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, output, FlushDecompress::None)?;
                Ok(Step {
                    consumed: (inflate.total_in() - taken) as usize,
                    produced: (inflate.total_out() - written) as usize,
                    ended: status == Status::StreamEnd,
                })
            }
            Self::Brotli(state) => decode_brotli(state, input, output),
            Self::Zstd(context) => decode_zstd(context, input, output),
        }
    }

    /// Returns a zstd context to the thread's idle ones.
    pub fn recycle(self) {
        if let Self::Zstd(context) = self {
            keep_idle(context);
        }
    }
}

/// Whether a `deflate` body is in zlib format (RFC 1950, section 2.2); some servers send it raw.
fn is_zlib(start: &[u8]) -> bool {
    matches!(start, [cmf, flg, ..] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0)
}

fn decode_brotli(state: &mut Brotli, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
    let (mut left, mut consumed, mut room, mut produced) = (input.len(), 0, output.len(), 0);
    let result =
        BrotliDecompressStream(&mut left, &mut consumed, input, &mut room, &mut produced, output, &mut 0, state);
    match result {
        BrotliResult::ResultFailure => Err(io::Error::other("invalid brotli data")),
        result => Ok(Step { consumed, produced, ended: matches!(result, BrotliResult::ResultSuccess) }),
    }
}

thread_local! {
    /// Contexts for reuse: creating one costs as much as decoding a page.
    static IDLE: RefCell<Vec<DCtx<'static>>> = const { RefCell::new(Vec::new()) };
}

fn zstd_context() -> io::Result<DCtx<'static>> {
    if let Some(context) = IDLE.with_borrow_mut(Vec::pop) {
        return Ok(context);
    }
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(zstd_error)?;
    Ok(context)
}

/// Keeps the context of a member that has ended, unless the idle ones would hold too much memory.
fn keep_idle(mut context: DCtx<'static>) {
    IDLE.with_borrow_mut(|idle| {
        let held: usize = idle.iter().map(DCtx::sizeof).sum();
        if held + context.sizeof() <= MOST_IDLE && context.reset(ResetDirective::SessionOnly).is_ok() {
            idle.push(context);
        }
    });
}

fn decode_zstd(context: &mut DCtx<'_>, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
    let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(output));
    let left = context.decompress_stream(&mut output, &mut input).map_err(zstd_error)?;
    Ok(Step { consumed: input.pos(), produced: output.pos(), ended: left == 0 })
}

fn zstd_error(code: usize) -> io::Error {
    io::Error::other(get_error_name(code))
}
