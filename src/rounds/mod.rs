//! Rounds: lines whose records say that they failed are fetched once more.
//!
//! A round is a list. At its start lines are selected by their newest records (`selection`), and written with what they
//! said to a file of the data directory (`list`), which lasts before the first request. From then on neither outputs nor
//! sources are read for it: `source::round` reads the list, and the checkpoint has the ordinals that are done.

mod list;
mod selection;

pub use list::{ListEntry, ListReader, ListWriter, RoundList, remove_other_lists};
pub use selection::Selection;
