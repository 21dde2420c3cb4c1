//! Rounds: fetch lines again whose records show that they failed.
//!
//! A round is a list. At its start, lines are selected by their newest records (`selection`) and written with their
//! inputs to a file in the data directory (`list`), which is fsynced before the first request. Afterwards the round
//! needs neither outputs nor sources: `source::round` reads the list, and the checkpoint contains the ordinals that are
//! done.

mod list;
mod selection;

pub use list::{ListEntry, ListReader, ListWriter, RoundList, remove_other_lists};
pub use selection::Selection;
