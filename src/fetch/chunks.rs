//! The stream of a body's bytes from the connection to the end of its framing.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use http::Version;
use hyper::body::Body as _;

use super::body_clock::BodyClock;
use super::failure::{cut_short, within_body};
use crate::item::{Failure, Sent};

/// The chunks of one body. If the stream ends without an error, the body is whole.
pub(super) struct Chunks {
    body: reqwest::Body,
    clock: BodyClock,
    version: Version,
}

impl Chunks {
    pub fn of(response: reqwest::Response, clock: BodyClock) -> Self {
        Self { version: response.version(), body: response.into(), clock }
    }

    /// The client treats an HTTP/2 stream that was reset with NO_ERROR as ended, but without END_STREAM its body is not
    /// whole (RFC 9113, section 8.1).
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
            // Records do not contain trailers.
            if let Ok(chunk) = frame.into_data() {
                this.clock.count(chunk.len());
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }
}
