//! The last records that are not `ok`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::hosts::host_name;
use crate::item::{ErrorKind, Outcome, Record};

/// How many failures are kept.
const MOST: usize = 20;

/// The last failures; clones share them.
#[derive(Clone, Default)]
pub(super) struct Failures(Arc<Mutex<VecDeque<Failed>>>);

/// The kept part of a record.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub at: SystemTime,
    pub source: Option<Arc<str>>,
    pub file: Option<Arc<str>>,
    pub seq: u64,
    pub url: Option<String>,
    pub host: Option<String>,
    pub outcome: Outcome,
    pub kind: Option<ErrorKind>,
    pub status: Option<u16>,
    pub message: Option<String>,
    pub attempts: u32,
}

impl Failed {
    fn of(record: &Record) -> Self {
        let url = record.final_url.as_ref().or(record.url.as_ref());
        let status = record.received.head().map(|head| head.status).or(record.hop_status);
        Self {
            at: SystemTime::now(),
            source: record.id.source.clone(),
            file: record.id.file.clone(),
            seq: record.id.seq,
            url: url.map(|url| cut(url.as_str())),
            host: url.map(|url| host_name(url).to_owned()),
            outcome: record.outcome,
            kind: record.kind(),
            status: status.map(|status| status.as_u16()),
            message: record.error.as_ref().map(|(_, message)| cut(message)),
            attempts: record.attempts,
        }
    }
}

/// The first 500 characters of a text, which bound the memory of all failures.
fn cut(text: &str) -> String {
    const MOST_CHARS: usize = 500;
    text.chars().take(MOST_CHARS).collect()
}

impl Failures {
    /// Adds the failures of a batch; only those that are kept are copied.
    pub fn add(&self, batch: &[Box<Record>]) {
        if batch.iter().all(|record| record.outcome == Outcome::Ok) {
            return;
        }
        let newest: Vec<_> = batch
            .iter()
            .rev()
            .filter(|record| record.outcome != Outcome::Ok)
            .take(MOST)
            .map(|record| Failed::of(record))
            .collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(newest.into_iter().rev());
        let surplus = kept.len().saturating_sub(MOST);
        kept.drain(..surplus);
    }

    /// All failures that are kept, the oldest first.
    pub fn all(&self) -> Vec<Failed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{Echo, Identity, Rejection};

    #[test]
    fn the_last_twenty_are_kept_in_their_order() {
        let failures = Failures::default();
        let record = |seq| {
            let id = Identity { state_id: None, source: None, file: None, seq, round: 0 };
            let echo = Echo::text("a");
            let mut record = Box::new(Record::rejected(
                id,
                echo,
                Rejection { kind: ErrorKind::InvalidUrl, message: "é".repeat(2000) },
            ));
            record.outcome = if seq % 2 == 0 { Outcome::Ok } else { record.outcome };
            record
        };
        for batch in [0..7, 7..8, 8..100, 100..104] {
            failures.add(&batch.map(record).collect::<Vec<_>>());
        }
        let seqs: Vec<_> = failures.all().iter().map(|failed| failed.seq).collect();
        assert_eq!(seqs, (64..104).filter(|seq| seq % 2 == 1).collect::<Vec<_>>());
        assert!(failures.all().iter().all(|failed| failed.message.as_ref().unwrap().len() == 1000));
    }
}
