//! Messages for wrong arguments: URLs and files without an option, misspelled commands, and keys as flags.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Subcommand};

use super::{Cli, Command};
use crate::config::keys_like;
use crate::diagnostics::Problem;

/// Adds a hint about `--set` to an error about a flag that is a key.
pub(super) fn explained(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    let keys = if error.kind() == ErrorKind::UnknownArgument { keys_like(flag) } else { Vec::new() };
    if !keys.is_empty() {
        let tip = |key: &String| StyledStr::from(format!("it is a key of the configuration; write: --set {key}=VALUE"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(keys.iter().map(tip).collect()));
    }
    error
}

/// The problem of an argument without an option.
pub(super) fn stray(stray: &str) -> Problem {
    let message = if Cli::command().find_subcommand(stray).is_some() {
        format!("the command comes before its options; write: fetchd {stray} [OPTIONS]")
    } else if stray.contains("://") {
        format!("URLs are read from the input, not from the command line; write: echo '{stray}' | fetchd")
    } else if stray == "journal" {
        "the command `journal` is called `state` now; write: fetchd state".to_owned()
    } else if let Some(command) = command_like(stray) {
        format!("there is no command `{stray}`; did you mean `{command}`? (A file is given with -i.)")
    } else {
        format!("files are given with -i; write: fetchd -i {stray}")
    };
    Problem::general(message)
}

fn command_like(stray: &str) -> Option<String> {
    let commands = Command::augment_subcommands(clap::Command::new("fetchd"));
    let mut names = commands.get_subcommands().map(|command| command.get_name().to_owned());
    names.find(|name| strsim::jaro_winkler(name, stray) > 0.85)
}
