//! `fetchd check`.

use std::fmt::Write;
use std::io;

use super::warnings::warnings;
use crate::cli::CheckArgs;

/// Checks a configuration without running it: prints its problems, or else the warnings that a run begins with. Returns
/// the exit code.
pub fn check(args: &CheckArgs) -> u8 {
    let args = args.of_run();
    let (text, code) = match args.config() {
        Ok(config) => {
            let mut text = warnings(&config).into_iter().fold(String::new(), |mut text, warning| {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "warning: {warning}");
                text
            });
            text.push_str(match args.config {
                None => "no configuration was given, so only the options were checked; write: fetchd check -c FILE\n",
                Some(_) => "the configuration is valid\n",
            });
            (text, 0)
        }
        Err(report) => (format!("{report}\n"), 2),
    };
    let _ = io::Write::write_all(&mut io::stderr(), text.as_bytes());
    code
}
