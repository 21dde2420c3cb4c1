//! `fetchd ctl`: sends a request to a running fetchd over the socket of its API, and shows the response.

mod answers;
mod client;
mod failed;
mod json;
mod question;
mod screen;
mod status;
mod table;
mod text;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use self::client::{Answer, Client, NO_FETCHD, Unreached};
use self::question::Question;
use self::screen::Screen;
use self::text::{json_safe, safe_lines};
use crate::cli::{CtlArgs, CtlCommand, WhyArgs};
use crate::config::api_socket;

/// The socket of the packaged service.
const USUAL_SOCKET: &str = "/run/fetchd/api/api.sock";

/// Exit codes (docs/configuration.md, "Exit codes").
const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const NOBODY: u8 = 69;

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// Carries out a command; returns the exit code.
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

/// The text of `fetchd ctl why HOST`, as soon as the host waits.
///
/// # Errors
/// A sentence if there is no response, or the host does not wait.
pub async fn why_it_waits(socket: PathBuf, host: &str) -> Result<String, String> {
    const TRIES: u32 = 100;
    let (client, args) = (Client::new(socket), WhyArgs { host: Some(host.to_owned()), ..WhyArgs::default() });
    let command = CtlCommand::Why(args);
    let question = Question::of(&command);
    let mut last = "no request was sent to the API".to_owned();
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

/// Whether a host waits for anything but its turn.
fn waits(answer: &Value) -> bool {
    answer["causes"][0]["kind"].as_str().is_some_and(|kind| kind != "ready")
}

/// Shows a response; returns the exit code.
fn show(command: &CtlCommand, answer: &Answer, form: Form) -> u8 {
    let code = exit_code(command, answer);
    if let Some(message) = answer.error() {
        if form == Form::Json {
            return said(&format!("{}\n", json_safe(answer.text.trim_end())), code);
        }
        return failed(message, code);
    }
    if !answers::is_answer(command, answer.value.as_ref()) {
        return failed(NO_FETCHD, REFUSED);
    }
    match (form, &answer.value) {
        (Form::Text, Some(value)) => {
            for warning in answers::warnings(value) {
                let _ = writeln!(io::stderr(), "warning: {}", safe_lines(&warning));
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

/// Shows the status every second; on a terminal it continues while fetchd does not run.
async fn watch(client: &Client, question: &Question, form: Form) -> u8 {
    let is_terminal = io::stdout().is_terminal();
    loop {
        let (text, code) = match client.ask(question).await {
            Ok(answer) => match (form, answer.error(), &answer.value) {
                (Form::Text, None, Some(value)) => (status::text(value), 0),
                (Form::Text, Some(message), _) => (format!("{}\n", safe_lines(message)), REFUSED),
                _ => (format!("{}\n", json_safe(answer.text.trim_end())), 0),
            },
            Err(unreached) if is_terminal => (format!("{}\n", safe_lines(&unreached.to_string())), 0),
            Err(unreached) => return failed(&unreached.to_string(), unreached.exit_code()),
        };
        let text = if is_terminal && form == Form::Text { Screen::of_stdout().fit(&text) } else { text };
        // Move the cursor home, and clear the screen.
        let before = if is_terminal { "\x1b[H\x1b[2J" } else { "" };
        let after = if is_terminal || form == Form::Json { "" } else { "\n" };
        match write(&format!("{before}{text}{after}")) {
            Written::Whole => {}
            Written::NobodyReads => return code,
            Written::Failed => return REFUSED,
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Shows live records until the stream ends, or the reader of stdout has gone.
async fn tail(client: &Client, question: &Question, form: Form) -> u8 {
    let mut lines = match client.follow(question).await {
        Ok(Ok(lines)) => lines,
        Ok(Err(answer)) => return failed(answer.error().unwrap_or("the API sent no records"), REFUSED),
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
        match write(&format!("{text}\n")) {
            Written::Whole => {}
            Written::NobodyReads => return 0,
            Written::Failed => return REFUSED,
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
    let _ = writeln!(io::stderr(), "error: {}", safe_lines(message));
    code
}

/// Writes a text; a closed pipe is no failure.
fn said(text: &str, code: u8) -> u8 {
    match write(text) {
        Written::Whole | Written::NobodyReads => code,
        Written::Failed => REFUSED,
    }
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Whole,
    NobodyReads,
    /// The error was shown.
    Failed,
}

fn write(text: &str) -> Written {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Written::Whole,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Written::NobodyReads,
        Err(error) => {
            failed(&format!("cannot write to standard output: {error}"), REFUSED);
            Written::Failed
        }
    }
}
