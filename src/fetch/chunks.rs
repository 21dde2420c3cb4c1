//! A body's bytes as they come off the wire, up to where its framing says that it is whole.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use http::Version;
use hyper::body::Body as _;

use super::body_clock::BodyClock;
use super::failure::{cut_short, within_body};
use crate::item::{Failure, Sent};

/// The chunks of one body; after the last one, it is whole.
pub(super) struct Chunks {
    body: reqwest::Body,
    clock: BodyClock,
    version: Version,
}

impl Chunks {
    pub fn of(response: reqwest::Response, clock: BodyClock) -> Self {
        Self { version: response.version(), body: response.into(), clock }
    }

    /// The client takes a stream that is reset with NO_ERROR for one that has ended; without END_STREAM it has not
    /// (RFC 9113, section 8.1).
    fn is_whole(&self) -> bool {
        self.version != Version::HTTP_2 || self.body.is_end_stream()
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
                let (kind, message) = ready!(this.clock.poll(cx));
                return Poll::Ready(Some(Err(Failure::new(kind, message, Sent::Something))));
            };
            let frame = match frame {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(within_body(error, this.version)))),
                None if this.is_whole() => return Poll::Ready(None),
                None => return Poll::Ready(Some(Err(cut_short()))),
            };
            // Trailers say nothing that a record shows.
            if let Ok(chunk) = frame.into_data() {
                this.clock.count(chunk.len());
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}
