//! The entry of a page: the key `page` of its record, and the position of its source.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::digest::Digest;
use super::moment::Moment;

/// See the module. What a later version added is dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PageEntry {
    /// The walk, from 1.
    pub walk: u64,
    /// The number of the page in its walk, from 1.
    pub number: u64,
    /// How many items it has; absent where it could not be read, or nobody counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// How often it has failed in a row; absent where it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// What is asked for next: the next page, or this one again where it has failed. Absent where the walk has ended.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_url",
        deserialize_with = "read_url"
    )]
    pub next: Option<Url>,
    /// When the walk began, where there will be another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
    /// The newest time before the walk, if it asks for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// The newest time in the walk so far, as long as nothing has cut it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Moment>,
    /// Of the `url` of the configuration.
    pub url_digest: Digest,
}

impl PageEntry {
    /// How many pages of the walk are read, this one included.
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
