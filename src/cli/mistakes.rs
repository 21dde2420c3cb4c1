//! Messages for wrong arguments: URLs and files without an option, misspelled commands, and keys as flags.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Subcommand};

use super::{Cli, Command, CtlCommand};
use crate::config::keys_like;
use crate::diagnostics::Problem;

/// What people call `drain`.
const STOPS: [&str; 4] = ["stop", "quit", "exit", "shutdown"];

/// The commands that take no keys of the configuration.
const WITHOUT_KEYS: [&str; 6] = ["state", "results", "ctl", "demo", "completions", "man"];

/// Adds a hint about `--set` to an error about a flag that is a key, and removes the hint to write it behind `--`.
pub(super) fn explained(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(command)) = error.get(ContextKind::InvalidSubcommand)
        && STOPS.contains(&command.as_str())
    {
        let tip = StyledStr::from("to stop the run, write: fetchd ctl drain".to_owned());
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        return error;
    }
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return error };
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let keys = if takes_keys(&error) { keys_like(flag) } else { Vec::new() };
    // No command has values that begin with `-`.
    error.remove(ContextKind::Suggested);
    if !keys.is_empty() {
        let tip = |key: &String| StyledStr::from(format!("it is a key of the configuration; write: --set {key}=VALUE"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(keys.iter().map(tip).collect()));
    }
    error
}

/// Whether the command of the error takes `--set`.
fn takes_keys(error: &clap::Error) -> bool {
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    WITHOUT_KEYS.iter().all(|command| !usage.contains(&format!("fetchd {command}")))
}

/// The problem of an argument without an option.
pub(super) fn stray(stray: &str) -> Problem {
    let message = if Cli::command().find_subcommand(stray).is_some() {
        format!("the command comes before its options; write: fetchd {stray} [OPTIONS]")
    } else if stray.contains("://") {
        format!("URLs are read from the input, not from the command line; write: echo '{stray}' | fetchd")
    } else if stray == "journal" {
        "the command `journal` is called `state` now; write: fetchd state".to_owned()
    } else if let Some(command) = of_ctl(stray) {
        format!("`{stray}` is asked of a run that goes on; write: fetchd ctl {command}")
    } else if let Some(command) = command_like(stray) {
        format!("there is no command `{stray}`; did you mean `{command}`? (A file is given with -i.)")
    } else {
        format!("files are given with -i; write: fetchd -i {stray}")
    };
    Problem::general(message)
}

/// The command of `fetchd ctl` that has this name.
fn of_ctl(stray: &str) -> Option<String> {
    if STOPS.contains(&stray) {
        return Some("drain".to_owned());
    }
    let commands = CtlCommand::augment_subcommands(clap::Command::new("ctl"));
    commands.find_subcommand(stray).map(|command| command.get_name().to_owned())
}

fn command_like(stray: &str) -> Option<String> {
    let commands = Command::augment_subcommands(clap::Command::new("fetchd"));
    let mut names = commands.get_subcommands().map(|command| command.get_name().to_owned());
    names.find(|name| strsim::jaro_winkler(name, stray) > 0.85)
}
