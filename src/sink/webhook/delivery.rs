//! One delivery: a signed POST of a message, and its response.

use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use jiff::Timestamp;
use tokio::time::timeout;
use url::Url;

use super::answer::{Answer, retry_after, shown};
use super::signature::SigningKeys;
use crate::error::{BoxError, Chain};
use crate::ship::{Deliver, Delivery, Message};

/// About how many bytes of a response body are read: enough for a log message, and to reuse the connection.
const READ: usize = 4096;

/// The timeout for these bytes.
const BODY: Duration = Duration::from_secs(5);

/// Delivers to one receiver.
pub(super) struct Receiver {
    pub client: reqwest::Client,
    pub url: Url,
    pub keys: SigningKeys,
    /// Configured headers, besides those of each message.
    pub headers: HeaderMap,
    /// The timeout of one delivery.
    pub timeout: Duration,
}

impl Receiver {
    /// Sends a message. An error is the reason why there is no response.
    async fn send(&self, message: &Message) -> Result<Answer, String> {
        let sent = timeout(self.timeout, self.client.execute(self.request(message))).await;
        let mut response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let error: BoxError = error.without_url().into();
                return Err(format!("the receiver cannot be reached: {}", Chain::of(&error)));
            }
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                return Err(format!("the receiver has not answered within {seconds} s (timeout)"));
            }
        };
        let (status, retry_after) = (response.status(), retry_after(response.headers(), SystemTime::now()));
        // The status decides, even if the body cannot be read.
        let text = timeout(BODY, beginning(&mut response)).await.unwrap_or_default();
        Ok(Answer { status, retry_after, text: shown(&text) })
    }

    fn request(&self, message: &Message) -> reqwest::Request {
        let timestamp = Timestamp::now().as_second();
        let signature = self.keys.sign(&message.id, timestamp, &message.text);
        let mut request = reqwest::Request::new(http::Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        headers.insert("webhook-timestamp", timestamp.into());
        for (name, text) in [("webhook-id", message.id.as_str()), ("webhook-signature", signature.as_str())] {
            // Both are ASCII, so this does not fail.
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        *request.body_mut() = Some(message.text.clone().into());
        request
    }
}

/// Reads the beginning of a body.
async fn beginning(response: &mut reqwest::Response) -> Vec<u8> {
    let mut text = Vec::new();
    while text.len() < READ
        && let Ok(Some(chunk)) = response.chunk().await
    {
        text.extend_from_slice(&chunk);
    }
    text.truncate(READ);
    text
}

impl Deliver for Receiver {
    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Delivery> {
        async move {
            let answer = self.send(message).await;
            answer.map_or_else(|reason| Delivery::Failed { reason, retry_after: None }, Answer::delivery)
        }
        .boxed()
    }
}
