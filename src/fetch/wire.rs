//! Limits the length of an encoded body before decoding. In: its chunks. Next: `body`.

use bytes::Bytes;
use futures::stream::Fuse;
use futures::{StreamExt, TryStreamExt};

use super::chunks::Chunks;
use crate::item::{Attempt, CHUNK, ErrorKind, Failure, Level, Sent};

/// The encoded bytes of a body, up to a limit.
pub(super) struct Wire {
    chunks: Fuse<Chunks>,
    /// How many bytes may follow. No coding makes a body much longer, so a longer one would exceed `max_body` decoded.
    left: u64,
    /// The configuration section that sets `max_body`.
    set_by: Level,
}

impl Wire {
    /// The body in these chunks, of at most `max_body` decoded bytes.
    pub fn new(chunks: Chunks, max_body: u64, set_by: Level) -> Self {
        Self { chunks: chunks.fuse(), left: max_body.saturating_add(CHUNK), set_by }
    }

    /// The next non-empty chunk, cut at the limit: the bytes before it may decode to all that is needed.
    ///
    /// # Errors
    /// `body_too_large` beyond the limit, or the failure of the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Attempt> {
        while let Some(mut chunk) = self.chunks.try_next().await.map_err(Attempt::Failed)? {
            if chunk.is_empty() {
                continue;
            }
            if self.left == 0 {
                let key = self.set_by.key("max_body");
                let message = format!("the encoded body is longer than {key}; raise it");
                return Err(Attempt::Failed(Failure::new(ErrorKind::BodyTooLarge, message, Sent::Something)));
            }
            chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= chunk.len() as u64;
            return Ok(Some(chunk));
        }
        Ok(None)
    }

    /// Appends chunks to the first one while the body is at most `most` bytes; returns whether it is the whole body.
    ///
    /// # Errors
    /// As `next`.
    pub async fn gather(&mut self, start: &mut Bytes, most: usize) -> Result<bool, Attempt> {
        let mut all = std::mem::take(start);
        let mut joined = Vec::new();
        let is_all = loop {
            if all.len().max(joined.len()) > most || self.left == 0 {
                break false;
            }
            let Some(chunk) = self.next().await? else { break true };
            joined.extend_from_slice(&std::mem::take(&mut all));
            joined.extend_from_slice(&chunk);
        };
        *start = if joined.is_empty() { all } else { joined.into() };
        Ok(is_all)
    }
}
