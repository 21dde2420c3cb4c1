//! `fetchd ctl`: asks a running fetchd over the socket of its API, and shows the answer to people or programs.

mod answers;
mod client;
mod json;
mod question;
mod status;
mod table;
mod text;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use self::client::{Answer, Client, Unreached};
use self::question::Question;
use self::text::{json_safe, safe};
use crate::cli::{CtlArgs, CtlCommand, WhyArgs};
use crate::config::api_socket;

/// Where the packaged service listens.
const USUAL_SOCKET: &str = "/run/fetchd/api/api.sock";

/// Exit codes (docs/configuration.md, "Exit codes").
const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const NOBODY: u8 = 69;

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// Carries out a command; the number is the exit code.
pub async fn run(args: &CtlArgs) -> u8 {
    let form = if args.json { Form::Json } else { Form::Text };
    let socket = match &args.config {
        Some(file) => match api_socket(file) {
            Ok(socket) => socket,
            Err(message) => return failed(&message, USAGE),
        },
        None => args.socket.clone().unwrap_or_else(|| PathBuf::from(USUAL_SOCKET)),
    };
    let client = Client::new(socket);
    let question = Question::of(&args.command);
    match &args.command {
        CtlCommand::Tail { .. } => tail(&client, &question, form).await,
        CtlCommand::Status { watch: true } => watch(&client, &question, form).await,
        _ => match client.ask(&question).await {
            Ok(answer) => show(&args.command, &answer, form),
            Err(unreached) => failed(&unreached.to_string(), unreached.exit_code()),
        },
    }
}

/// Why a host waits, as `fetchd ctl why HOST` shows it, as soon as it does.
///
/// # Errors
/// A sentence when nobody answers, or the host does not wait.
pub async fn why_it_waits(socket: PathBuf, host: &str) -> Result<String, String> {
    const TRIES: u32 = 100;
    let (client, args) = (Client::new(socket), WhyArgs { host: Some(host.to_owned()), ..WhyArgs::default() });
    let command = CtlCommand::Why(args);
    let question = Question::of(&command);
    let mut last = "the API was not asked".to_owned();
    for _ in 0..TRIES {
        match client.ask(&question).await {
            Ok(Answer { value: Some(value), .. }) if waits(&value) => return Ok(answers::text(&command, &value)),
            Ok(answer) => last = answer.error().unwrap_or("the host waits for nothing").to_owned(),
            Err(unreached) => last = unreached.to_string(),
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(last)
}

/// Whether a host waits for more than its turn.
fn waits(answer: &Value) -> bool {
    answer["causes"][0]["kind"].as_str().is_some_and(|kind| kind != "ready")
}

/// Shows an answer; the number is the exit code.
fn show(command: &CtlCommand, answer: &Answer, form: Form) -> u8 {
    let code = exit_code(command, answer);
    if let Some(message) = answer.error() {
        if form == Form::Json {
            return said(&format!("{}\n", json_safe(answer.text.trim_end())), code);
        }
        return failed(message, code);
    }
    match (form, &answer.value) {
        (Form::Text, Some(value)) => {
            for warning in answers::warnings(value) {
                let _ = writeln!(io::stderr(), "warning: {}", safe(&warning));
            }
            said(&answers::text(command, value), code)
        }
        _ => said(&format!("{}\n", json_safe(answer.text.trim_end())), code),
    }
}

fn exit_code(command: &CtlCommand, answer: &Answer) -> u8 {
    let is_ready = || answer.value.as_ref().is_some_and(|value| value["ready"] == Value::Bool(true));
    match (answer.status, command) {
        (400, _) => USAGE,
        (401.., _) => REFUSED,
        (_, CtlCommand::Status { .. }) if !is_ready() => REFUSED,
        _ => 0,
    }
}

/// Shows the status every second: on a terminal for as long as somebody looks, whether fetchd is there or not.
async fn watch(client: &Client, question: &Question, form: Form) -> u8 {
    let is_terminal = io::stdout().is_terminal();
    loop {
        let (text, code) = match client.ask(question).await {
            Ok(answer) => match (form, answer.error(), &answer.value) {
                (Form::Text, None, Some(value)) => (status::text(value), 0),
                (Form::Text, Some(message), _) => (format!("{}\n", safe(message)), REFUSED),
                _ => (format!("{}\n", json_safe(answer.text.trim_end())), 0),
            },
            Err(unreached) if is_terminal => (format!("{}\n", safe(&unreached.to_string())), 0),
            Err(unreached) => return failed(&unreached.to_string(), unreached.exit_code()),
        };
        // Home, and what was there is gone.
        let before = if is_terminal { "\x1b[H\x1b[2J" } else { "" };
        let after = if is_terminal || form == Form::Json { "" } else { "\n" };
        if !write(&format!("{before}{text}{after}")) {
            return code;
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Shows records as they come, until there are no more, or nobody reads.
async fn tail(client: &Client, question: &Question, form: Form) -> u8 {
    let mut lines = match client.follow(question).await {
        Ok(Ok(lines)) => lines,
        Ok(Err(answer)) => return failed(answer.error().unwrap_or("the API gave no records"), REFUSED),
        Err(unreached) => return failed(&unreached.to_string(), unreached.exit_code()),
    };
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return 0,
            Err(unreached) => return failed(&unreached.to_string(), unreached.exit_code()),
        };
        let text = match (form, serde_json::from_str(&line)) {
            (Form::Text, Ok(record)) => answers::record(&record),
            _ => json_safe(&line),
        };
        if !write(&format!("{text}\n")) {
            return 0;
        }
    }
}

impl Unreached {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Path(_) => USAGE,
            Self::Nobody(_) | Self::Lost(_) => NOBODY,
        }
    }
}

fn failed(message: &str, code: u8) -> u8 {
    let _ = writeln!(io::stderr(), "error: {}", safe(message));
    code
}

/// Writes this; where nobody reads it, that is no failure.
fn said(text: &str, code: u8) -> u8 {
    write(text);
    code
}

/// Whether somebody reads.
fn write(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
