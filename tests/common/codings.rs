//! Bodies as servers send them: in each content coding, and in chunks.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};

use super::origin::ok_with;

pub type Encode = fn(&[u8]) -> Vec<u8>;

/// The codings by the name a server gives them, and how a body looks in each; `deflate` comes in two shapes.
pub const CODINGS: [(&str, Encode); 5] = [
    ("gzip", gzip),
    ("deflate", |body| all_of(ZlibEncoder::new(body, Compression::default()))),
    ("deflate", |body| all_of(DeflateEncoder::new(body, Compression::default()))),
    ("br", brotli),
    ("zstd", |body| zstd::encode_all(body, 0).unwrap()),
];

pub fn gzip(body: &[u8]) -> Vec<u8> {
    all_of(GzEncoder::new(body, Compression::default()))
}

pub fn brotli(body: &[u8]) -> Vec<u8> {
    all_of(brotli::CompressorReader::new(body, 4096, 6, 22))
}

fn all_of(mut encoder: impl Read) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).unwrap();
    encoded
}

/// A 200 with this body, which is in these codings.
pub fn encoded(codings: &str, body: &[u8]) -> Vec<u8> {
    ok_with(&format!("content-encoding: {codings}\r\n"), body)
}

/// A 200 with this body in one chunk, and these further header lines, each ended with CRLF.
pub fn chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
    [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
}
