//! The options of `check`.

use std::path::PathBuf;

use clap::{Arg, Args};

use super::{RunArgs, lay_out};

/// The options of `check`: a file, and the options of `run`, which override its keys.
#[derive(Debug, Args)]
#[command(
    mut_args(show_few),
    after_help = "The options of `fetchd run` are accepted, too: they override keys, as in a run."
)]
pub struct CheckArgs {
    /// The configuration to check, without `-c` [default: none]. Example: fetchd check fetchd.toml
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The options of `run`.
    #[command(flatten)]
    run: RunArgs,
}

impl CheckArgs {
    /// The arguments of the run whose configuration is checked.
    pub fn of_run(&self) -> RunArgs {
        let config = self.run.config.clone().or_else(|| self.file.clone());
        RunArgs { config, ..self.run.clone() }
    }
}

/// Leaves the options that the help of `run` has out of that of `check`.
fn show_few(arg: Arg) -> Arg {
    let is_shown = ["file", "config", "set"].contains(&arg.get_id().as_str());
    lay_out(arg).hide(!is_shown)
}
