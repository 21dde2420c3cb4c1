//! Short gzip bodies that are there as a whole, decoded at once: that takes three quarters of the time that decoding them as
//! they come takes. Whatever is odd about one is left to `Codec`, which is exact.

use std::cell::RefCell;

use libdeflater::Decompressor;
use memchr::memmem;

/// The longest body that is waited for, in bytes before decoding.
pub(super) const LONGEST: usize = 64 << 10;

/// The longest body that is decoded at once, in bytes after decoding.
const LONGEST_DECODED: usize = 256 << 10;

thread_local! {
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// The flag of a header with a checksum of its own, which libdeflate does not check (RFC 1952, section 2.3.1).
const HEADER_CRC: u8 = 1 << 1;

/// How long a body says that it is after decoding, if it can be decoded at once (RFC 1952, section 2.3): nothing in it looks
/// like a second member, and it ends with its length.
pub(super) fn decoded_length(body: &[u8]) -> Option<usize> {
    let (_, last) = body.split_last_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*last)).ok()?;
    let is_plain = body.get(3)? & HEADER_CRC == 0 && memmem::find(body.get(1..)?, &[0x1f, 0x8b]).is_none();
    ((1..=LONGEST_DECODED).contains(&length) && is_plain).then_some(length)
}

/// Decodes a whole body into a buffer of the length that it says; false if it is not such a body.
pub(super) fn decode(body: &[u8], output: &mut [u8]) -> bool {
    DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.gzip_decompress(body, output) == Ok(output.len()))
}
