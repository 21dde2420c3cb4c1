//! The `fetchd` binary: parses the arguments, runs a command and returns its exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use fetchd::cli::{Cli, Command, MAN_PAGE_END};
use fetchd::demo::{self, AfterTour};
use fetchd::{ctl, daemon, open_files};

/// jemalloc takes a fifth less CPU per line than the system's allocator, for 3 MiB (`benches/README.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::of_process();
    if let Err(short) = open_files::make_room_for_runtime() {
        writeln!(io::stderr(), "error: {short}").context("cannot write the error")?;
        return Ok(ExitCode::from(2));
    }
    daemon::unblock().context("cannot unblock signals")?;
    block_on(run(cli))?
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    daemon::outlive_file_size_limit().context("cannot listen to signals")?;
    let code = match cli.command {
        None => daemon::run(&cli.run).await,
        Some(Command::Run(args)) => daemon::run(&args).await,
        Some(Command::Check(args)) => daemon::check(&args),
        Some(Command::State { command }) => daemon::state(&command),
        Some(Command::Results(args)) => daemon::results(&args),
        Some(Command::Ctl(args)) => ctl::run(&args).await,
        Some(Command::Demo { serve }) => demo::run(if serve { AfterTour::Serve } else { AfterTour::End }).await,
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "fetchd", &mut script);
            io::stdout().write_all(&script).context("cannot write the completions")?;
            0
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).context("cannot render the manual page")?;
            page.extend_from_slice(MAN_PAGE_END.as_bytes());
            io::stdout().write_all(&page).context("cannot write the manual page")?;
            0
        }
    };
    Ok(ExitCode::from(code))
}

/// Runs a task on the one Tokio runtime, in this thread: threads that wake each other cost more. The end does not wait
/// for the runtime's threads: a reader or writer thread may be blocked on a pipe.
fn block_on<T>(task: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let result = runtime.block_on(task);
    runtime.shutdown_background();
    Ok(result)
}
