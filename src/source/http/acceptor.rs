//! The thread that owns the journal. In: batches. Out: a result for each, after the fsync if it was accepted.
//!
//! Waiting batches are accepted together, with one fsync (group commit). Only this thread checks idempotency keys, so
//! two requests with one key cannot both be new.

use std::collections::HashMap;
use std::sync::Arc;

use futures::executor::block_on;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::answers::{BatchResult, Lines, Refusal};
use super::decoder::Submission;
use crate::journal::{Batch, BatchKey, KeyTable};
use crate::source::intake::{Intake, NotTaken};

/// Approximate bytes of a group of batches.
const GROUP: usize = 1 << 20;

/// Accepts batches into the journal.
pub(super) struct Acceptor {
    intake: Intake,
    /// Whether the last batch was refused because the journal or its disk was full.
    is_full: bool,
    /// Cancels a token when the acceptor is dropped.
    _ended: DropGuard,
}

impl Acceptor {
    /// `ended` is cancelled once the acceptor has ended: requests without a result were not accepted.
    pub fn new(intake: Intake, ended: CancellationToken) -> Self {
        Self { intake, is_full: false, _ended: ended.drop_guard() }
    }

    /// Accepts batches until the source is stopped. Batches that still wait then get no result.
    pub fn run(mut self, mut submissions: mpsc::Receiver<Submission>, failed: oneshot::Sender<String>) {
        let stop = self.intake.stop().clone();
        let mut ended = Ok(());
        while let Some(Some(first)) = block_on(stop.run_until_cancelled(submissions.recv())) {
            let mut group = vec![first];
            while group.iter().map(|submission| submission.batch.bytes()).sum::<usize>() < GROUP
                && let Ok(next) = submissions.try_recv()
            {
                group.push(next);
            }
            ended = self.accept(group);
            if ended.is_err() {
                break;
            }
        }
        self.intake.end(ended, failed);
    }

    /// Accepts the batches of a group together, or one by one if there is no room for all.
    fn accept(&mut self, group: Vec<Submission>) -> Result<(), String> {
        let (batches, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|Submission { batch, reply, _held }| (batch, (reply, _held))).unzip();
        let plan = plan(batches, self.intake.keys());
        let taken = self.take(&plan.batches);
        for (answer, (reply, _)) in plan.answers.into_iter().zip(replies) {
            let result = match (answer, &taken) {
                (Answer::Now(result), _) => result,
                (Answer::Of(batch), Ok(taken)) => taken[batch].clone(),
                (Answer::Of(_), Err(why)) => Err(Refusal::Broken(why.clone())),
            };
            // The producer may have disconnected.
            let _ = reply.send(result);
        }
        taken.map(drop)
    }

    fn take(&mut self, batches: &[Batch]) -> Result<Vec<BatchResult>, String> {
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.intake.index().next();
        match self.intake.take_now(batches) {
            Ok(()) => {
                if std::mem::take(&mut self.is_full) {
                    tracing::info!(event = "batches_accepted", "batches are accepted again");
                }
                Ok(ranges(batches, first).map(Ok).collect())
            }
            Err(NotTaken::Full(_)) if batches.len() > 1 => {
                let alone = batches.iter().map(|batch| self.take(std::slice::from_ref(batch)));
                Ok(alone.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Err(NotTaken::Full(lack)) => {
                if !std::mem::replace(&mut self.is_full, true) {
                    tracing::warn!(event = "batches_refused", "batches are refused until there is room: {lack}");
                }
                Ok(vec![Err(Refusal::Full(lack))])
            }
            Err(NotTaken::Broken(why)) => Err(why),
        }
    }
}

/// The line numbers of batches; the first line has the number `first`.
fn ranges(batches: &[Batch], first: u64) -> impl Iterator<Item = Lines> {
    batches.iter().scan(first, |next, batch| {
        let begin = std::mem::replace(next, *next + batch.lines());
        Some((batch.lines() > 0).then(|| begin..=*next - 1))
    })
}

/// The new batches of a group of requests, and the results.
struct Plan {
    /// The batches to accept.
    batches: Vec<Batch>,
    /// The source of each request's result.
    answers: Vec<Answer>,
}

/// The source of a result.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The result is known.
    Now(BatchResult),
    /// The result of this batch of the plan.
    Of(usize),
}

/// Decides which of these batches are new. Pure.
fn plan(batches: Vec<Batch>, keys: &KeyTable) -> Plan {
    let mut plan = Plan { batches: Vec::new(), answers: Vec::new() };
    let mut of_plan: HashMap<Arc<str>, usize> = HashMap::new();
    for batch in batches {
        let answer = match batch.key() {
            _ if batch.lines() == 0 => Answer::Now(Ok(None)),
            Some(key) => match (keys.find(&key.key, key.at), of_plan.get(&key.key)) {
                (Some(known), _) => Answer::Now(same(&known.key, key).map(|()| Some(known.lines.clone()))),
                (None, Some(of)) => {
                    let is_same = plan.batches[*of].key().map_or(Ok(()), |known| same(known, key));
                    is_same.map_or_else(|refusal| Answer::Now(Err(refusal)), |()| Answer::Of(*of))
                }
                (None, None) => {
                    of_plan.insert(Arc::clone(&key.key), plan.batches.len());
                    plan.push(batch)
                }
            },
            None => plan.push(batch),
        };
        plan.answers.push(answer);
    }
    plan
}

impl Plan {
    fn push(&mut self, batch: Batch) -> Answer {
        self.batches.push(batch);
        Answer::Of(self.batches.len() - 1)
    }
}

/// Refuses a key with which another body was sent.
fn same(known: &BatchKey, key: &BatchKey) -> Result<(), Refusal> {
    if known.digest == key.digest { Ok(()) } else { Err(Refusal::KeyReused) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::item::Text;
    use crate::journal::KeyedBatch;

    fn batch(lines: u8, key: Option<(u8, u8)>) -> Batch {
        let mut batch = Batch::default();
        (0..lines).for_each(|_| batch.push(&Text::Whole("x".into())));
        if let Some((key, digest)) = key {
            batch.set_key(BatchKey { key: key.to_string().into(), digest: [digest; 32], at: 7 });
        }
        batch
    }

    /// The results of requests one after the other.
    #[derive(Debug, Default)]
    struct Model {
        keys: HashMap<u8, (u8, Lines)>,
        last: u64,
    }

    impl Model {
        fn take(&mut self, lines: u8, key: Option<(u8, u8)>) -> BatchResult {
            if lines == 0 {
                return Ok(None);
            }
            match key.and_then(|(key, digest)| Some((digest, self.keys.get(&key)?))) {
                Some((digest, (known, lines))) if digest == *known => Ok(lines.clone()),
                Some(_) => Err(Refusal::KeyReused),
                None => {
                    let range = Some(self.last + 1..=self.last + u64::from(lines));
                    self.last += u64::from(lines);
                    if let Some((key, digest)) = key {
                        self.keys.insert(key, (digest, range.clone()));
                    }
                    Ok(range)
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_group_is_answered_as_its_requests_would_be_one_after_the_other(
            groups in proptest::collection::vec(
                proptest::collection::vec((0u8..3, proptest::option::of((0u8..3, 0u8..2))), 1..6), 1..5
            )
        ) {
            let (mut model, mut table, mut first) = (Model::default(), KeyTable::default(), 1);
            for group in groups {
                let want: Vec<_> = group.iter().map(|(lines, key)| model.take(*lines, *key)).collect();
                let plan = plan(group.iter().map(|(lines, key)| batch(*lines, *key)).collect(), &table);
                let taken: Vec<_> = ranges(&plan.batches, first).collect();
                for (batch, lines) in plan.batches.iter().zip(&taken) {
                    let lines = lines.clone().unwrap();
                    first = lines.end() + 1;
                    table_insert(&mut table, batch, lines);
                }
                let answer = |answer| match answer {
                    Answer::Now(result) => result,
                    Answer::Of(place) => Ok(taken[place].clone()),
                };
                prop_assert_eq!(plan.answers.into_iter().map(answer).collect::<Vec<_>>(), want);
            }
        }
    }

    fn table_insert(table: &mut KeyTable, batch: &Batch, lines: std::ops::RangeInclusive<u64>) {
        if let Some(key) = batch.key() {
            table.insert(KeyedBatch { key: key.clone(), lines });
        }
    }
}
