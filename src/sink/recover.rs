//! Recovery after a crash: records behind the last checkpoint are the results of their lines, in every output.
//!
//! In: outputs with their tails. Out: the lines that are done. Records missing in an output were appended there.

use std::collections::{BTreeMap, HashSet};

use super::derive::derive;
use super::jsonl::{Open, RecordHead};
use super::{Opened, Shows};
use crate::error::BoxError;
use crate::item::{Identity, Outcome};

/// A record, and where it was found.
struct Found {
    outcome: Outcome,
    /// By output, what it shows of the body and its number there.
    places: Vec<Option<(Shows, usize)>>,
}

type All = BTreeMap<Identity, Found>;

/// Makes the outputs agree on which lines are done, and says which. `is_pending` says whether a line is one of a durable
/// source that is not known to be done; all other records are let be.
///
/// A record that an output lacks and wants is made of one that another has. If none shows enough for that, which takes a
/// power cut, the line is not done: its records are taken back, and it is fetched again.
///
/// # Errors
/// What the system says.
pub fn recover(sinks: &mut [Opened], is_pending: &dyn Fn(&Identity) -> bool) -> Result<Vec<Identity>, BoxError> {
    let mut outputs: Vec<&mut Open> = sinks.iter_mut().filter_map(Opened::as_file).collect();
    let mut all = gather(&outputs, is_pending);
    let lost: HashSet<Identity> =
        all.iter().filter(|(_, found)| !can_be_everywhere(found, &outputs)).map(|(id, _)| id.clone()).collect();
    if !lost.is_empty() {
        let lost: HashSet<&Identity> = lost.iter().collect();
        for Open { output, tail, .. } in &mut outputs {
            tail.take_back(&lost, output)?;
        }
        all = gather(&outputs, is_pending);
    }
    for found in all.values() {
        complete(found, &mut outputs)?;
    }
    for Open { output, .. } in outputs {
        output.flush()?;
    }
    Ok(all.into_keys().collect())
}

/// Who has what.
fn gather(outputs: &[&mut Open], is_pending: &dyn Fn(&Identity) -> bool) -> All {
    let mut all = All::new();
    for (number, open) in outputs.iter().enumerate() {
        for (place, RecordHead { id, outcome, shows }) in open.tail.records().filter(|(_, told)| is_pending(&told.id)) {
            let new = || Found { outcome: *outcome, places: vec![None; outputs.len()] };
            let found = all.entry(id.clone()).or_insert_with(new);
            found.places[number].get_or_insert((*shows, place));
        }
    }
    all
}

/// The output that has a record from which that of the given one can be made.
fn origin(found: &Found, of: &Open) -> Option<(usize, usize)> {
    let body = of.encoder.body();
    let mut places = found.places.iter().enumerate();
    places.find_map(|(number, place)| place.filter(|(shows, _)| shows.suffices_for(body)).map(|(_, n)| (number, n)))
}

fn lacks(found: &Found, number: usize, open: &Open) -> bool {
    found.places[number].is_none() && open.encoder.takes(found.outcome)
}

fn can_be_everywhere(found: &Found, outputs: &[&mut Open]) -> bool {
    let mut all = outputs.iter().enumerate();
    all.all(|(number, open)| !lacks(found, number, open) || origin(found, open).is_some())
}

/// Appends a record to each output that wants and lacks it.
fn complete(found: &Found, outputs: &mut [&mut Open]) -> Result<(), BoxError> {
    for number in 0..outputs.len() {
        let open = &outputs[number];
        if lacks(found, number, open)
            && let Some((from, place)) = origin(found, open)
        {
            let body = open.encoder.body();
            let line = derive(outputs[from].tail.text(place)?, body)?;
            outputs[number].output.append(&line)?;
        }
    }
    Ok(())
}
