//! The entry of a page: the value of `page` in its record, and the saved position of its source.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::digest::Digest;
use super::moment::Moment;

/// The entry of a page. Fields of later versions are dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PageEntry {
    /// The walk, from 1.
    pub walk: u64,
    /// The number of the page in its walk, from 1.
    pub number: u64,
    /// The number of its items; absent if it could not be read, or `items` is not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Its consecutive failures; absent if it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// The next request: the next page, or this page again if it failed. Absent at the end of the walk.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_url",
        deserialize_with = "read_url"
    )]
    pub next: Option<Url>,
    /// When the walk began, if there will be another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// The newest time before the walk, if the walk requests only new items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// The newest time in the walk so far, unless the walk was cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Moment>,
    /// The digest of the configured `url`.
    pub url_digest: Digest,
}

impl PageEntry {
    /// The number of pages read in this walk, this one included.
    pub fn pages(&self) -> u64 {
        self.number - u64::from(self.failures.is_some()).min(self.number)
    }
}

fn write_url<S: Serializer>(url: &Option<Url>, to: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(Url::as_str).serialize(to)
}

fn read_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(from)?;
    text.map(|text| Url::parse(&text).map_err(D::Error::custom)).transpose()
}
