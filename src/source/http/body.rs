//! Receives the body of a request, with bounded memory and before a deadline.

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::answers::Refusal;
use super::memory::{BodyMemory, Held, MOST_BYTES, PIECE};

/// Bytes that an encoding may add to incompressible data.
const MOST_OVERHEAD: usize = 64 << 10;

/// A received body, still encoded, in pieces, with its memory permits.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub pieces: Vec<Bytes>,
    pub held: Held,
}

/// The body of a request.
pub(super) struct RequestBody {
    incoming: Incoming,
    /// Whether the producer waits for `100 Continue`, which the first read of the body sends.
    awaits_leave: bool,
}

impl RequestBody {
    pub fn new(incoming: Incoming, headers: &HeaderMap) -> Self {
        Self { incoming, awaits_leave: headers.contains_key(EXPECT) }
    }

    /// Receives the whole body before a deadline.
    ///
    /// # Errors
    /// When it is too large, too slow or cut short, or when there was no memory for it in time.
    pub async fn receive(&mut self, memory: &BodyMemory, until: Instant) -> Result<Received, Refusal> {
        let mut received = Received::default();
        let (mut piece, mut bytes) = (Vec::new(), 0);
        if is_too_large(self.incoming.size_hint().lower()) {
            return Err(Refusal::TooLarge);
        }
        self.awaits_leave = false;
        while let Some(frame) = timeout_at(until, self.incoming.frame()).await.map_err(|_| Refusal::TooSlow)? {
            let frame = frame.map_err(|error| Refusal::CutShort(error.to_string()))?;
            // Trailers are ignored.
            let Ok(data) = frame.into_data() else { continue };
            bytes += data.len();
            if is_too_large(bytes as u64) {
                return Err(Refusal::TooLarge);
            }
            timeout_at(until, memory.grow(&mut received.held, data.len())).await.map_err(|_| Refusal::Busy)?;
            // Copied, because each of many tiny frames may pin a buffer of its own.
            piece.extend_from_slice(&data);
            if piece.len() >= PIECE {
                received.pieces.push(std::mem::take(&mut piece).into());
            }
        }
        if !piece.is_empty() {
            received.pieces.push(piece.into());
        }
        Ok(received)
    }

    /// Reads and drops the rest for a moment, so that a producer that is still sending can read the response: closing a
    /// connection while bytes arrive resets it.
    pub async fn discard(&mut self) {
        const MOMENT: Duration = Duration::from_secs(1);
        if !self.awaits_leave {
            let _ = timeout(MOMENT, async { while let Some(Ok(_)) = self.incoming.frame().await {} }).await;
        }
    }
}

fn is_too_large(bytes: u64) -> bool {
    bytes > (MOST_BYTES + MOST_OVERHEAD) as u64
}
