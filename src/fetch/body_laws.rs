//! Property tests of encoded bodies: the result does not depend on how the bytes fall into chunks.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;
use proptest::sample::Index;

use super::Oversize;
use super::body::{Announced, BodyRules, receive};
use super::body_clock::BodyPace;
use super::chunks::Chunks;
use super::codec::Coding;
use crate::item::{Attempt, BodyMemory, BodyNeed, CHUNK, ErrorKind, Level, ResponseLimits, SetBy};

/// A coding and its encoder.
type Encoded = (Coding, fn(&[u8]) -> Vec<u8>);

const CODINGS: [Encoded; 5] = [
    (Coding::Gzip, |body| all_of(GzEncoder::new(body, Compression::default()))),
    (Coding::Zstd, |body| zstd::encode_all(body, 0).unwrap()),
    (Coding::Deflate, |body| all_of(ZlibEncoder::new(body, Compression::default()))),
    (Coding::Deflate, |body| all_of(DeflateEncoder::new(body, Compression::default()))),
    (Coding::Brotli, |body| all_of(brotli::CompressorReader::new(body, 4096, 5, 22))),
];

fn all_of(mut encoder: impl Read) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).unwrap();
    encoded
}

/// The result of receiving a body.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Whole { data: Vec<u8>, bytes: u64, sha256: Option<[u8; 32]>, truncated: bool },
    Failed(ErrorKind, String),
    NoMemory(u64),
}

/// An encoded body and the rules for it.
#[derive(Clone, Debug)]
struct Case {
    codings: Vec<Coding>,
    wire: Vec<u8>,
    until_close: bool,
    rules: BodyRules,
    /// The whole body memory, in bytes.
    memory: u64,
}

impl Case {
    fn new(codings: &[Coding], wire: Vec<u8>) -> Self {
        let rules = BodyRules {
            max_body: 1 << 20,
            set_by: Level::Fetch,
            oversize: Oversize::Fail,
            body: BodyNeed::Decoded,
            digest: false,
        };
        Self { codings: codings.to_vec(), wire, until_close: false, rules, memory: 4 << 20 }
    }

    /// Receives the body in chunks that end at these places.
    fn fate(&self, ends: &[Index]) -> Fate {
        let mut ends: Vec<_> = ends.iter().map(|end| end.index(self.wire.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(self.wire.len());
        let starts = std::iter::once(0).chain(ends.clone());
        let chunks = starts
            .zip(ends)
            .map(|(start, end)| Ok::<_, std::io::Error>(Bytes::copy_from_slice(&self.wire[start..end])));
        let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks.collect::<Vec<_>>()));
        let limits = ResponseLimits {
            timeout: Duration::from_secs(60),
            time_left: Duration::from_secs(60),
            min_speed: 0,
            max_body: self.rules.max_body,
            set_by: SetBy::default(),
        };
        let clock = BodyPace::new(Duration::from_secs(60)).start(&limits, Duration::ZERO);
        let chunks = Chunks::of(http::Response::new(body).into(), clock);
        let announced = Announced { codings: self.codings.clone(), length: None, until_close: self.until_close };
        let mut reservation = BodyMemory::new(self.memory).try_reserve(CHUNK).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        match runtime.block_on(receive(chunks, &announced, self.rules, &mut reservation)) {
            Ok(body) => {
                assert!(self.rules.body == BodyNeed::Length || reservation.bytes() >= body.bytes);
                let (data, bytes) = (body.data.to_vec(), body.bytes);
                Fate::Whole { data, bytes, sha256: body.sha256, truncated: body.truncated }
            }
            Err(Attempt::Failed(failure)) => Fate::Failed(failure.kind, failure.message),
            Err(Attempt::NoMemory { need }) => Fate::NoMemory(need),
            Err(attempt) => panic!("{}", attempt.name()),
        }
    }
}

fn whole(text: &[u8]) -> Fate {
    Fate::Whole { data: text.to_vec(), bytes: text.len() as u64, sha256: None, truncated: false }
}

/// Pages that can be compressed, and bytes that cannot; most are longer than one buffer.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::collection::vec("[a-d]{1,6} |<p class=\"e\">|[ -~]{1,20}", 0..300);
    let page = (words, 1..60usize).prop_map(|(words, times)| words.concat().repeat(times).into_bytes());
    let noise = (any::<u64>(), 0..150_000usize).prop_map(|(seed, length)| {
        let mut random = fastrand::Rng::with_seed(seed);
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    });
    prop_oneof![4 => page, 2 => noise, 1 => Just(vec![b'x'; 300_000])]
}

fn ends() -> impl Strategy<Value = Vec<Index>> {
    prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<Index>(), 1..12),
        prop::collection::vec(any::<Index>(), 500..501)
    ]
}

fn coding() -> impl Strategy<Value = Encoded> {
    (0..CODINGS.len()).prop_map(|n| CODINGS[n])
}

/// Codings that may have several members.
fn members() -> impl Strategy<Value = Encoded> {
    (0..2usize).prop_map(|n| CODINGS[n])
}

fn cut_to(mut text: Vec<u8>, most: usize) -> Vec<u8> {
    text.truncate(most);
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn up_to_three_codings_are_undone_however_the_bytes_fall_into_chunks(
        text in text(), codings in prop::collection::vec(coding(), 1..4), ends in ends()
    ) {
        let text = cut_to(text, 400_000);
        let wire = codings.iter().fold(text.clone(), |body, (_, encode)| encode(&body));
        let codings: Vec<_> = codings.iter().map(|(coding, _)| *coding).collect();
        prop_assert_eq!(Case::new(&codings, wire).fate(&ends), whole(&text));
    }

    #[test]
    fn members_and_what_follows_them_are_one_body_however_the_bytes_fall_into_chunks(
        texts in prop::collection::vec(text(), 1..4), (coding, encode) in members(), ends in ends(),
        trailer in prop_oneof![Just(vec![]), Just(vec![0x1f]), Just(vec![0x28, 0xb5, 0x2f]), Just(vec![b'x'; 500])],
    ) {
        let texts: Vec<_> = texts.into_iter().map(|text| cut_to(text, 100_000)).collect();
        let mut wire: Vec<u8> = texts.iter().flat_map(|text| encode(text)).collect();
        wire.extend(trailer);
        prop_assert_eq!(Case::new(&[coding], wire).fate(&ends), whole(&texts.concat()));
    }

    /// The last bytes of the body have the length and the check value of its last member only.
    #[test]
    fn members_that_are_alike_are_all_there(text in text(), count in 1..4usize, (coding, encode) in members(), ends in ends()) {
        let text = cut_to(text, 50_000);
        prop_assert_eq!(Case::new(&[coding], encode(&text).repeat(count)).fate(&ends), whole(&text.repeat(count)));
    }

    #[test]
    fn a_body_is_cut_or_refused_by_its_decoded_bytes_and_kept_within_memory(
        text in text(), (coding, encode) in coding(), ends in ends(), max_body in any::<Index>(),
        is_near in any::<bool>(), memory in 64..256u64, truncates in any::<bool>(), keeps in any::<bool>(),
    ) {
        let mut case = Case::new(&[coding], encode(&text));
        let most_less = if is_near { text.len().clamp(4, 2_000) } else { text.len() + 2 };
        case.rules.max_body = (text.len() + 2).saturating_sub(max_body.index(most_less)) as u64;
        case.rules.oversize = if truncates { Oversize::Truncate } else { Oversize::Fail };
        case.rules.body = if keeps { BodyNeed::Decoded } else { BodyNeed::Length };
        case.rules.digest = true;
        case.memory = memory << 10;
        let taken = &text[..text.len().min(case.rules.max_body as usize)];
        let truncated = taken.len() < text.len();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, taken);
        match case.fate(&ends) {
            Fate::Failed(kind, _) => prop_assert!(kind == ErrorKind::BodyTooLarge && truncated && !truncates),
            Fate::NoMemory(need) => {
                prop_assert!(keeps && taken.len() as u64 > case.memory);
                prop_assert_eq!(need, case.rules.max_body);
            }
            fate => prop_assert_eq!(fate, Fate::Whole {
                data: if keeps { taken.to_vec() } else { vec![] },
                bytes: taken.len() as u64,
                sha256: digest.as_ref().try_into().ok(),
                truncated,
            }),
        }
    }

    #[test]
    fn a_body_whose_end_is_missing_is_never_whole(
        text in text(), (coding, encode) in coding(), ends in ends(), at in any::<Index>(), until_close in any::<bool>(),
    ) {
        let mut case = Case::new(&[coding], encode(&text));
        prop_assume!(case.wire.len() > 1);
        case.wire.truncate(1 + at.index(case.wire.len() - 1));
        case.until_close = until_close;
        let kind = if until_close { ErrorKind::BodyIncomplete } else { ErrorKind::Decode };
        prop_assert!(matches!(case.fate(&ends), Fate::Failed(is, _) if is == kind));
    }

    #[test]
    fn a_damaged_body_fails_or_not_however_the_bytes_fall_into_chunks(
        text in text(), (coding, encode) in coding(), ends in ends(), at in any::<Index>(), flip in 1..=255u8,
    ) {
        let mut case = Case::new(&[coding], encode(&text));
        let at = at.index(case.wire.len());
        case.wire[at] ^= flip;
        let fates = [case.fate(&ends), case.fate(&[])];
        if !fates.iter().all(|fate| matches!(fate, Fate::Failed(..))) {
            prop_assert_eq!(&fates[0], &fates[1]);
            // gzip's check value detects damage; a few bits of the format have no meaning.
            prop_assert!(coding != Coding::Gzip || fates[0] == whole(&text));
        }
    }
}

/// One chunk may be longer than the whole of `max_body`.
#[test]
fn a_body_that_is_cut_may_come_in_one_long_chunk() {
    let mut random = fastrand::Rng::with_seed(1);
    let text: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(300_000).collect();
    for (coding, encode) in CODINGS {
        let mut case = Case::new(&[coding], encode(&text));
        (case.rules.max_body, case.rules.oversize) = (1_000, Oversize::Truncate);
        let cut = Fate::Whole { data: text[..1_000].to_vec(), bytes: 1_000, sha256: None, truncated: true };
        assert_eq!(case.fate(&[]), cut, "{coding:?}");
    }
}

/// Bodies with a wrong header checksum, and with the start of a second member of another method, followed by the length
/// of the first (RFC 1952, section 2.3).
#[test]
fn a_short_gzip_body_is_checked_as_exactly_as_a_long_one() {
    let text = b"short".repeat(20);
    let encoded = all_of(GzEncoder::new(&*text, Compression::default()));
    assert_eq!(Case::new(&[Coding::Gzip], encoded.clone()).fate(&[]), whole(&text));
    let flagged = [&encoded[..3], &[2], &encoded[4..10], b"no", &encoded[10..]].concat();
    let length = (text.len() as u32).to_le_bytes();
    let followed = [&*encoded, &[0x1f, 0x8b, 9, 0], &length].concat();
    for wire in [flagged, followed] {
        let fate = Case::new(&[Coding::Gzip], wire).fate(&[]);
        assert!(matches!(fate, Fate::Failed(ErrorKind::Decode, _)), "{fate:?}");
    }
}
