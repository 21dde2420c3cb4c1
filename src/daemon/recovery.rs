//! Recovers durable state and outputs at a start, for the daemon and for the crash tests.
//!
//! In: the locked data directory with its checkpoint, and outputs opened at their marks in it. Out: a new checkpoint in
//! which every line with a record is done. Sources are opened after that.

use crate::error::BoxError;
use crate::sink::{self, OpenedSink};
use crate::state::DataDir;
use crate::units::counted;

/// Recovers the data directory and outputs: notes where the outputs begin, makes them agree on which lines are done,
/// writes a new checkpoint, and gives old files of the outputs their final names.
///
/// # Errors
/// An output or the checkpoint cannot be read or written.
pub fn recover(state: &mut DataDir, sinks: &mut [OpenedSink]) -> Result<(), BoxError> {
    state.remember_logs(sinks.iter_mut().filter_map(OpenedSink::log))?;
    let done = sink::recover(sinks, &|id| state.is_pending(id))?;
    if !done.is_empty() {
        let lines = counted(done.len() as u64, "line");
        let verb = if done.len() == 1 { "was" } else { "were" };
        tracing::info!("{lines} {verb} done after the last checkpoint, according to the outputs");
    }
    for line in done {
        state.settle(&line.id, line.page)?;
    }
    state.checkpoint.end_finished_round(state.lines_of_round());
    let mut marks = Vec::new();
    for sink in sinks.iter_mut() {
        marks.extend(sink.mark()?);
    }
    // Only present sinks: a removed sink that came back would be read from its old position on.
    state.checkpoint.sinks = marks.iter().map(|mark| (mark.sink.to_string(), vec![mark.position.clone()])).collect();
    let checkpoint = state.checkpoint.clone();
    state.commit(&checkpoint, &marks)?;
    for sink in sinks {
        sink.finish_old_files()?;
    }
    Ok(())
}
