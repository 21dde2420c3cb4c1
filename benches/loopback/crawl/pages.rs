//! Answers, made beforehand: each page in each content coding, with its head.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzEncoder;

use super::html;

/// Different pages.
const PAGES: usize = 64;

/// How the body of a page is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Brotli,
    Zstd,
    Identity,
}

impl Coding {
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Brotli, Self::Zstd, Self::Identity];

    /// The name of `Content-Encoding`, and the first segment of the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Identity => "identity",
        }
    }

    /// Encodes at the level of a server that does so for each answer: nginx's modules and Caddy have it as a default, or near it.
    fn encode(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => all_of(GzEncoder::new(body, Compression::new(6))),
            Self::Brotli => all_of(brotli::CompressorReader::new(body, 4096, 5, 22)),
            Self::Zstd => all_of(zstd::stream::read::Encoder::new(body, 3).expect("an encoder")),
            Self::Identity => body.to_owned(),
        }
    }
}

/// Whether the connection lasts beyond an answer.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    KeepAlive,
    Close,
}

/// All answers.
pub struct Pages(Vec<[Answer; Coding::ALL.len()]>);

/// A page in one coding.
struct Answer {
    keep_alive: Vec<u8>,
    close: Vec<u8>,
}

impl Pages {
    pub fn new() -> Self {
        Self((0..PAGES).map(|number| html::page(number).into_bytes()).map(|page| answers(&page)).collect())
    }

    /// The answer to a request, given its head: `GET /CODING/NUMBER …`.
    pub fn answer(&self, request: &[u8], then: Then) -> Option<&[u8]> {
        let path = std::str::from_utf8(request).ok()?.split(' ').nth(1)?;
        let (coding, number) = path.strip_prefix('/')?.split_once('/')?;
        let coding = Coding::ALL.iter().position(|known| known.name() == coding)?;
        let answer = &self.0[number.parse::<usize>().ok()? % PAGES][coding];
        Some(match then {
            Then::KeepAlive => &answer.keep_alive,
            Then::Close => &answer.close,
        })
    }
}

fn answers(page: &[u8]) -> [Answer; Coding::ALL.len()] {
    Coding::ALL.map(|coding| {
        let body = coding.encode(page);
        let [keep_alive, close] = ["keep-alive", "close"].map(|connection| whole(coding, connection, &body));
        Answer { keep_alive, close }
    })
}

fn whole(coding: Coding, connection: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(body.len() + 512);
    let coding = match coding {
        Coding::Identity => String::new(),
        coded => format!("Content-Encoding: {}\r\n", coded.name()),
    };
    let length = body.len();
    let _ = write!(
        answer,
        "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Fri, 01 Mar 2024 08:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\
         Vary: Accept-Encoding\r\n{coding}\r\n"
    );
    answer.extend_from_slice(body);
    answer
}

fn all_of(mut encoder: impl Read) -> Vec<u8> {
    let mut encoded = Vec::new();
    encoder.read_to_end(&mut encoded).expect("a page is encoded");
    encoded
}
