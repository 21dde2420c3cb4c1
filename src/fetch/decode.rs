//! Content codings (RFC 9110, section 8.4.1): which ones an answer has, and how to undo them.

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use http::{HeaderMap, header};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

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

/// The codings of an answer, in the order they were applied; `identity` is none.
///
/// # Errors
/// A sentence for the record.
pub(super) fn codings_of(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| "the content-encoding is not text".to_owned())?;
        for name in value.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            match name.as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                other => return Err(format!("the content coding `{}` is unknown", other.escape_debug())),
            }
        }
    }
    if codings.len() > MOST_CODINGS {
        return Err(format!("the body is encoded more than {MOST_CODINGS} times over"));
    }
    Ok(codings)
}

/// A reader of what the body says once every coding is undone.
///
/// Each decoder reads its input to the end, as if another member might follow: what encloses it is then checked to its
/// end, too, and bytes that belong to no coding are an error.
pub(super) async fn decoder<'a>(
    raw: Box<dyn AsyncBufRead + Send + Unpin + 'a>,
    codings: &[Coding],
) -> std::io::Result<Box<dyn AsyncBufRead + Send + Unpin + 'a>> {
    let mut reader = raw;
    for coding in codings.iter().rev() {
        let decoded: Box<dyn AsyncRead + Send + Unpin + 'a> = match coding {
            Coding::Gzip => {
                let mut gzip = GzipDecoder::new(reader);
                gzip.multiple_members(true);
                Box::new(gzip)
            }
            Coding::Deflate => deflate(reader).await?,
            Coding::Brotli => {
                let mut brotli = BrotliDecoder::new(reader);
                brotli.multiple_members(true);
                Box::new(brotli)
            }
            Coding::Zstd => {
                let mut zstd = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]);
                zstd.multiple_members(true);
                Box::new(zstd)
            }
        };
        reader = Box::new(BufReader::new(decoded));
    }
    Ok(reader)
}

/// `deflate` is the zlib format, but some servers send it raw; the first two bytes tell (RFC 1950, section 2.2).
async fn deflate<'a>(
    mut reader: Box<dyn AsyncBufRead + Send + Unpin + 'a>,
) -> std::io::Result<Box<dyn AsyncRead + Send + Unpin + 'a>> {
    let mut start = Vec::new();
    while start.len() < 2 {
        let there = reader.fill_buf().await?;
        if there.is_empty() {
            break;
        }
        let take = there.len().min(2 - start.len());
        start.extend_from_slice(&there[..take]);
        reader.consume(take);
    }
    let is_zlib =
        matches!(start.as_slice(), [cmf, flg] if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)) % 31 == 0);
    let whole = BufReader::new(std::io::Cursor::new(start).chain(reader));
    Ok(if is_zlib {
        let mut zlib = ZlibDecoder::new(whole);
        zlib.multiple_members(true);
        Box::new(zlib)
    } else {
        let mut deflate = DeflateDecoder::new(whole);
        deflate.multiple_members(true);
        Box::new(deflate)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codings(values: &[&str]) -> Result<Vec<Coding>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
        }
        codings_of(&headers)
    }

    #[test]
    fn codings_are_read_whatever_their_case_and_however_they_are_listed() {
        assert_eq!(codings(&[]), Ok(vec![]));
        assert_eq!(codings(&["identity"]), Ok(vec![]));
        assert_eq!(codings(&["X-GZip, br", "ZSTD"]), Ok(vec![Coding::Gzip, Coding::Brotli, Coding::Zstd]));
    }

    #[test]
    fn unknown_codings_and_long_chains_are_refused() {
        assert!(codings(&["gzip, snappy"]).unwrap_err().contains("`snappy`"));
        assert!(codings(&["gzip, gzip, gzip, gzip"]).is_err());
    }
}
