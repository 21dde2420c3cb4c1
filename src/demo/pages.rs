//! The third part of the tour: a paginated API, page by page like an async generator.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::time::Instant;

use super::server::PAGES;
use super::{bar, bold, run_with, say};
use crate::config::Written;
use crate::error::BoxError;
use crate::item::{Outcome, RawJson, Record};
use crate::pipeline::Status;
use crate::sink::{BodyFormat, Content, Encoder, Sink, Style, Wanted};

/// Walks the API of this host.
pub(super) async fn walk(host: SocketAddr) -> Result<(), BoxError> {
    let table = format!(
        "[source.issues.pages]\nurl = \"http://{host}/issues/1\"\nnext = {{ link = \"next\" }}\nitems = \"\"\n"
    );
    say(&format!("  {}\n", table.trim_end().replace('\n', "\n  ")))?;
    let toml = format!("{table}[network]\nallow = [\"127.0.0.0/8\"]\n");
    let config =
        Written::parse(Path::new("pages.toml"), &toml, |_| None).check().map_err(|report| report.to_string())?;
    let sources =
        config.sources.iter().map(|source| source.component.open(source.name.as_deref().map(Into::into), None));
    let (sources, walked) = (sources.collect::<Result<_, _>>()?, Walked::default());
    let start = Instant::now();
    run_with(&config, sources, &Status::default(), vec![Box::new(walked.clone())]).await?;
    let (took, Counts { pages, items, last }) = (start.elapsed(), walked.counts());
    say(&format!("  {pages} of {PAGES} pages, {items} items in {:.2} s  {}\n", took.as_secs_f64(), bar(took)))?;
    say(&format!("\n{}\n{last}\n", bold("The record of the last page, without its items")))?;
    Ok(())
}

/// A sink that counts pages and items, and keeps the last record.
#[derive(Clone, Default)]
struct Walked(Arc<Mutex<Counts>>);

#[derive(Clone, Default)]
struct Counts {
    pages: u64,
    items: u64,
    last: String,
}

/// The key `page` of a record.
#[derive(Deserialize)]
struct Page {
    items: u64,
}

impl Walked {
    fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Counts {
    fn add(&mut self, record: &Record) -> Result<(), BoxError> {
        let content = Content { body: BodyFormat::None, ..Content::default() };
        let encoder = Encoder::new(Style { content, epoch: jiff::Timestamp::now() }, Wanted::All, None);
        let mut text = Vec::new();
        encoder.encode(record, &mut text)?;
        self.last = String::from_utf8_lossy(text.trim_ascii_end()).into_owned();
        let page: Option<Page> = record.page.as_ref().map(RawJson::read).transpose()?;
        self.pages += u64::from(record.outcome == Outcome::Ok);
        self.items += page.map_or(0, |page| page.items);
        Ok(())
    }
}

impl Sink for Walked {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = batch.iter().try_for_each(|record| counts.add(record));
        async { counted }.boxed()
    }
}
