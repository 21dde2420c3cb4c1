//! `fetchd results`: prints the newest record of each line unchanged, in (source, file, seq) order.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::value::RawValue;

use crate::cli::{By, ResultsArgs};
use crate::error::{AtPath, BoxError, Chain};
use crate::results::{ExternalSort, FoundRecord, Rank, RecordFile, RecordKeys, SORT_MEMORY};
use crate::units::counted;

/// Runs the command; returns the exit code. A closed pipe is no error.
pub fn results(args: &ResultsArgs) -> u8 {
    match sorted(args).and_then(print) {
        Ok(()) => 0,
        Err(error) if is_closed_pipe(error.as_ref()) => 0,
        Err(error) => {
            super::say(&format_args!("error: {}", Chain::of(&error)));
            2
        }
    }
}

fn is_closed_pipe(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// All records of the files, sorted.
fn sorted(args: &ResultsArgs) -> Result<ExternalSort, BoxError> {
    let mut all = Records { sort: ExternalSort::new(SORT_MEMORY, &std::env::temp_dir()), by: args.by, next: 0 };
    for path in &args.files {
        all.add(path)?;
    }
    Ok(all.sort)
}

fn print(sort: ExternalSort) -> Result<(), BoxError> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    sort.for_each(|_, text| {
        io::copy(text, &mut out)?;
        out.write_all(b"\n")
    })?;
    Ok(out.flush()?)
}

struct Records {
    sort: ExternalSort,
    by: By,
    /// The number of the next record over all files.
    next: u64,
}

impl Records {
    fn add(&mut self, path: &Path) -> Result<(), BoxError> {
        let (name, file): (_, Box<dyn BufRead>) = if path == Path::new("-") {
            ("standard input".to_owned(), Box::new(io::stdin().lock()))
        } else {
            let file = File::open(path).map_err(|error| AtPath::new(path, error))?;
            (path.display().to_string(), Box::new(BufReader::with_capacity(1 << 16, file)))
        };
        let mut file = RecordFile::new(name.clone(), file)?;
        let mut others = 0;
        loop {
            let Some(FoundRecord { text, keys }) = file.read()? else { break };
            let Some(keys) = keys else {
                others += 1;
                continue;
            };
            match self.key(&keys) {
                Ok((key, round)) => self.sort.push(&key, Rank { round, place: self.next }, text)?,
                Err(why) => return Err(format!("{} {why}", file.place()).into()),
            }
            self.next += 1;
        }
        if others > 0 {
            super::say(&format_args!("{} of {name} left out: no records", counted(others, "line")));
        }
        if file.is_torn() {
            super::say(&format_args!("the end of {name} is torn, and was left out"));
        }
        Ok(())
    }

    /// The key that identifies the line of a record, and the round of the record.
    fn key(&self, keys: &RecordKeys<'_>) -> Result<(Vec<u8>, u32), &'static str> {
        match (self.by, keys.state_id(), keys.id) {
            (By::Line, Some(_), _) => Ok((keys.line().encode(), keys.round)),
            (By::Line, None, _) => Err(
                "has no `state_id`, so its number identifies no line over several runs; give each line an `id`, and write: fetchd results --by id FILE...",
            ),
            (By::Id, _, Some(id)) => Ok((id_key(id), 0)),
            (By::Id, _, None) => Err("has no `id`; give each line one, or leave out --by id"),
        }
    }
}

/// An `id` as a sort key: whole numbers come first, in numeric order, then all other values by their text.
fn id_key(id: &RawValue) -> Vec<u8> {
    match id.get().parse::<u64>() {
        Ok(number) => [&[0], number.to_be_bytes().as_slice()].concat(),
        Err(_) => [b"\x01", id.get().as_bytes()].concat(),
    }
}
