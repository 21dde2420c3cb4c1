//! Decodes a body in pieces, up to a limit. Pure.

use std::io::{self, Read};
use std::vec::IntoIter;

use bytes::{Buf, Bytes};
use flate2::read::MultiGzDecoder;

use super::answers::Refusal;
use super::memory::PIECE;
use super::request_head::Coding;

/// The largest window of a zstd frame, as a power of two: 8 MiB, as for responses.
const WINDOW_LOG: u32 = 23;

/// Passes the decoded bytes to `each`.
///
/// # Errors
/// When there are more than `most`, or the body is not encoded so.
pub(super) fn decode(
    pieces: Vec<Bytes>,
    coding: Coding,
    most: usize,
    mut each: impl FnMut(Bytes),
) -> Result<(), Refusal> {
    let pieces = Pieces { current: Bytes::new(), rest: pieces.into_iter() };
    let coding = if pieces.rest.as_slice().is_empty() { Coding::Identity } else { coding };
    match coding {
        Coding::Identity => copy(pieces, most, &mut each),
        Coding::Gzip => copy(MultiGzDecoder::new(pieces), most, &mut each),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(pieces).map_err(undecodable)?;
            decoder.window_log_max(WINDOW_LOG).map_err(undecodable)?;
            copy(decoder, most, &mut each)
        }
    }
}

fn copy(mut from: impl Read, most: usize, each: &mut impl FnMut(Bytes)) -> Result<(), Refusal> {
    let mut bytes = 0;
    loop {
        let mut piece = vec![0; PIECE];
        let n = from.read(&mut piece).map_err(undecodable)?;
        if n == 0 {
            return Ok(());
        }
        bytes += n;
        if bytes > most {
            return Err(Refusal::TooLarge);
        }
        piece.truncate(n);
        each(piece.into());
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn undecodable(error: io::Error) -> Refusal {
    Refusal::Undecodable(error.to_string())
}

/// Reads pieces one after the other; each is freed once it is read.
struct Pieces {
    current: Bytes,
    rest: IntoIter<Bytes>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.rest.next() {
                Some(next) => self.current = next,
                None => return Ok(0),
            }
        }
        let n = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    fn decoded(pieces: Vec<Bytes>, coding: Coding, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut all = Vec::new();
        decode(pieces, coding, most, |bytes| all.extend_from_slice(&bytes))?;
        Ok(all)
    }

    /// The bytes in pieces of this length.
    fn cut(bytes: &[u8], length: usize) -> Vec<Bytes> {
        bytes.chunks(length).map(Bytes::copy_from_slice).collect()
    }

    proptest! {
        #[test]
        fn an_encoded_body_is_decoded_whatever_its_pieces(
            bytes in proptest::collection::vec(0u8..4, 0..3000), length in 1usize..700, second in any::<bool>()
        ) {
            let most = 2 * bytes.len();
            let times = if second { 2 } else { 1 };
            let want = bytes.repeat(times);
            for (coding, encoded) in
                [(Coding::Identity, bytes.clone()), (Coding::Gzip, gzip(&bytes)), (Coding::Zstd, zstd(&bytes))]
            {
                // Members and frames may follow one another.
                let pieces = cut(&encoded.repeat(times), length);
                prop_assert_eq!(decoded(pieces, coding, most), Ok(want.clone()), "{:?}", coding);
            }
        }

        #[test]
        fn a_torn_encoding_is_refused(bytes in proptest::collection::vec(any::<u8>(), 1..300), at in 0usize..100) {
            for (coding, encoded) in [(Coding::Gzip, gzip(&bytes)), (Coding::Zstd, zstd(&bytes))] {
                let end = 1 + at * (encoded.len() - 1) / 100;
                prop_assume!(end < encoded.len());
                let refused = decoded(cut(&encoded[..end], 64), coding, 1000);
                prop_assert!(matches!(refused, Err(Refusal::Undecodable(_))), "{:?} {}: {:?}", coding, end, refused);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let zeros = vec![0; 10 << 20];
        for (coding, bomb) in [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd(&zeros))] {
            let mut seen = 0;
            let refused = decode(cut(&bomb, 1000), coding, 1 << 20, |bytes| seen += bytes.len());
            assert_eq!(refused, Err(Refusal::TooLarge));
            assert!(seen <= 1 << 20, "{seen}");
        }
        assert_eq!(decoded(vec![Bytes::from_static(b"1234")], Coding::Identity, 3), Err(Refusal::TooLarge));
        assert_eq!(decoded(vec![Bytes::from_static(b"123")], Coding::Identity, 3), Ok(b"123".to_vec()));
    }

    #[test]
    fn a_window_larger_than_that_of_responses_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.window_log(WINDOW_LOG + 2).unwrap();
        encoder.long_distance_matching(true).unwrap();
        encoder.write_all(&[1; 100]).unwrap();
        let refused = decoded(cut(&encoder.finish().unwrap(), 1000), Coding::Zstd, 1000);
        assert!(matches!(refused, Err(Refusal::Undecodable(_))), "{refused:?}");
    }

    #[test]
    fn a_body_that_is_not_encoded_is_refused_and_an_empty_one_is_empty() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let refused = decoded(cut(b"http://a.test/\n", 100), coding, 1000);
            assert!(matches!(refused, Err(Refusal::Undecodable(_))), "{refused:?}");
            assert_eq!(decoded(Vec::new(), coding, 1000), Ok(Vec::new()));
        }
    }
}
