//! The sources and sinks of a run, as responses show them.

use std::sync::Arc;

use serde::Serialize;

use super::moment::seconds;
use crate::pipeline::Status;
use crate::sink::SinkView;
use crate::source::{JournalView, SourceView};

#[derive(Serialize)]
pub(super) struct SinkShown {
    name: Arc<str>,
    records: u64,
    bytes: u64,
    /// Seconds of the current wait for the sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_s: Option<f64>,
    /// Seconds of all waits for the sink.
    blocked_total_s: f64,
    /// Only of sinks that ship records.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping: Option<Shipping>,
}

#[derive(Serialize)]
struct Shipping {
    unshipped_segments: u64,
    unshipped_bytes: u64,
    dead_letters: u64,
}

#[derive(Serialize)]
pub(super) struct SourceShown {
    name: Arc<str>,
    /// Lines accepted in this run.
    accepted: u64,
    accepted_bytes: u64,
    /// Lines that earlier runs have done; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_before: Option<u64>,
    /// Bytes that wait to be read; 0 if unknown.
    lag_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<Journal>,
}

#[derive(Serialize)]
struct Journal {
    bytes: u64,
    most_bytes: u64,
    /// Lines that wait for room in the window.
    waiting_lines: u64,
    /// Seconds for which the journal has been full.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_s: Option<f64>,
}

/// All sinks.
pub(super) fn sinks(status: &Status) -> Vec<SinkShown> {
    let of = |SinkView { name, written, blocked, blocked_for }: SinkView| {
        let backlog = status.backlogs().iter().find(|backlog| *backlog.sink() == *name);
        let shipping = backlog.map(|backlog| Shipping {
            unshipped_segments: backlog.lag().segments,
            unshipped_bytes: backlog.lag().bytes,
            dead_letters: backlog.dead_letters(),
        });
        let (blocked_s, blocked_total_s) = (blocked_for.map(seconds), seconds(blocked));
        SinkShown { name, records: written.records, bytes: written.bytes, blocked_s, blocked_total_s, shipping }
    };
    status.sinks().into_iter().map(of).collect()
}

/// All sources.
pub(super) fn sources(status: &Status) -> Vec<SourceShown> {
    let of = |view: SourceView| {
        let waiting_lines = view.waiting_in_journal();
        let SourceView { name, known, lines, bytes, lag, journal, .. } = view;
        let journal = journal.map(|JournalView { bytes, most, full_for, .. }| Journal {
            bytes,
            most_bytes: most,
            waiting_lines,
            full_s: full_for.map(seconds),
        });
        let done_before = known.map(|lines| lines.count()).filter(|lines| *lines > 0);
        SourceShown { name, accepted: lines, accepted_bytes: bytes, done_before, lag_bytes: lag, journal }
    };
    status.sources().into_iter().map(of).collect()
}
