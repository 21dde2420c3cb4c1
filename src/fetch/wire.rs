//! An encoded body as it comes off the wire, of which there may be so much. In: its chunks. Next: `body`.

use bytes::Bytes;
use futures::stream::Fuse;
use futures::{StreamExt, TryStreamExt};

use super::chunks::Chunks;
use crate::item::{Attempt, CHUNK, ErrorKind, Failure, Level, Sent};

/// An encoded body as it comes off the wire.
pub(super) struct Wire {
    chunks: Fuse<Chunks>,
    /// How many bytes may still come: no coding makes a body much longer, so more would never decode to what may be had.
    left: u64,
    /// Where that is set.
    set_by: Level,
}

impl Wire {
    /// The body in these chunks, which may decode to `max_body` bytes.
    pub fn new(chunks: Chunks, max_body: u64, set_by: Level) -> Self {
        Self { chunks: chunks.fuse(), left: max_body.saturating_add(CHUNK), set_by }
    }

    /// The next chunk that is not empty, as far as it may come: what is before the bound may decode to all that is wanted.
    ///
    /// # Errors
    /// `body_too_large`, when more comes than may, or what broke the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Attempt> {
        while let Some(mut chunk) = self.chunks.try_next().await.map_err(Attempt::Failed)? {
            if chunk.is_empty() {
                continue;
            }
            if self.left == 0 {
                let key = self.set_by.key("max_body");
                let message = format!("the body is longer than {key} before decoding; raise it");
                return Err(Attempt::Failed(Failure::new(ErrorKind::BodyTooLarge, message, Sent::Something)));
            }
            chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= chunk.len() as u64;
            return Ok(Some(chunk));
        }
        Ok(None)
    }

    /// Adds what follows a first chunk, as long as the body may be short: whether it is all there then.
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
