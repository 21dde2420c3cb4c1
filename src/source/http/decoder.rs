//! The thread that decodes bodies and splits them into lines, like standard input. In: bodies. Out: batches.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures::executor::block_on;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::answers::{BatchResult, Refusal};
use super::body::Received;
use super::decode::decode;
use super::memory::MOST_BYTES;
use super::request_head::Coding;
use crate::journal::{Batch, BatchKey};
use crate::source::splitter::{Split, Splitter};

/// A received body.
pub(super) struct Upload {
    pub body: Received,
    pub coding: Coding,
    pub key: Option<Arc<str>>,
    pub reply: oneshot::Sender<BatchResult>,
}

/// A batch that waits to be accepted.
pub(super) struct Submission {
    pub batch: Batch,
    pub reply: oneshot::Sender<BatchResult>,
    /// Its memory permit.
    pub _held: Option<OwnedSemaphorePermit>,
}

/// Decodes bodies into batches.
pub(super) struct Decoder {
    max_line: usize,
    batches: mpsc::Sender<Submission>,
    /// Bytes of waiting batches: at least those of one request.
    memory: Arc<Semaphore>,
}

impl Decoder {
    pub fn new(max_line: usize, batches: mpsc::Sender<Submission>) -> Self {
        Self { max_line, batches, memory: Arc::new(Semaphore::new(MOST_BYTES)) }
    }

    /// Decodes bodies until one of the channels closes.
    pub fn run(self, mut uploads: mpsc::Receiver<Upload>) {
        while let Some(Upload { body, coding, key, reply }) = uploads.blocking_recv() {
            let batch = match batch(body.pieces, coding, key, self.max_line) {
                Ok(batch) => batch,
                Err(refusal) => {
                    // The producer may have disconnected.
                    let _ = reply.send(Err(refusal));
                    continue;
                }
            };
            drop(body.held);
            let bytes = u32::try_from(batch.bytes().min(MOST_BYTES)).unwrap_or(u32::MAX);
            let held = block_on(Arc::clone(&self.memory).acquire_many_owned(bytes)).ok();
            if self.batches.blocking_send(Submission { batch, reply, _held: held }).is_err() {
                return;
            }
        }
    }
}

/// Decodes a body into a batch.
fn batch(pieces: Vec<Bytes>, coding: Coding, key: Option<Arc<str>>, max_line: usize) -> Result<Batch, Refusal> {
    if let (Coding::Identity, Some(coding)) = (coding, pieces.first().and_then(|piece| undeclared(piece))) {
        return Err(Refusal::Undeclared(coding));
    }
    let (mut batch, mut splitter) = (Batch::default(), Splitter::new(max_line));
    let mut key = key.map(|key| (key, Context::new(&SHA256)));
    decode(pieces, coding, MOST_BYTES, |bytes| {
        if let Some((_, digest)) = &mut key {
            digest.update(&bytes);
        }
        splitter.push(bytes);
        while let Some(split) = splitter.next() {
            push(split, &mut batch);
        }
    })?;
    splitter.finish().into_iter().for_each(|split| push(split, &mut batch));
    if let Some((key, digest)) = key
        && let Ok(digest) = digest.finish().as_ref().try_into()
    {
        batch.set_key(BatchKey { key, digest, at: now() });
    }
    Ok(batch)
}

/// The coding of a body by its magic number, as no line begins (RFC 1952, section 2.3.1; RFC 8878, section 3.1.1).
fn undeclared(beginning: &[u8]) -> Option<&'static str> {
    let magic: [(&[u8], _); 2] = [(&[0x1f, 0x8b], "gzip"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd")];
    magic.into_iter().find(|(magic, _)| beginning.starts_with(magic)).map(|(_, coding)| coding)
}

fn push(split: Split, batch: &mut Batch) {
    if let Split::Line(text) = split {
        batch.push(&text);
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, max_line: usize) -> Batch {
        batch(vec![Bytes::copy_from_slice(text.as_bytes())], Coding::Identity, None, max_line).unwrap()
    }

    #[test]
    fn a_body_is_split_like_standard_input() {
        let batch = lines("\u{feff}http://a/\r\n\n \t \n\thttp://b/ \nnonsense\nlast", 1000);
        assert_eq!(batch.lines(), 4);
        assert_eq!(batch.bytes(), "http://a/\nhttp://b/\nnonsense\nlast\n".len());
        assert_eq!(lines("123456\n12345\n", 5).lines(), 2, "a line that is too long is a line");
        assert_eq!(lines(" \n\r\n\n", 5).lines(), 0);
    }

    #[test]
    fn the_digest_of_a_key_is_that_of_the_bytes_whatever_their_coding() {
        let text = b"http://a/\n".repeat(1000);
        let encoded = zstd::encode_all(text.as_slice(), 3).unwrap();
        let digest = |bytes: Vec<u8>, coding| {
            let batch = batch(vec![bytes.into()], coding, Some("k".into()), 1000).unwrap();
            batch.key().unwrap().digest
        };
        assert_eq!(digest(text.clone(), Coding::Identity), digest(encoded, Coding::Zstd));
        assert_ne!(digest(text[..10].to_vec(), Coding::Identity), digest(text, Coding::Identity));
    }
}
