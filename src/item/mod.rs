//! The data of a line through the pipeline: line → request → call → response → record.
//!
//! Each line has one [`Ticket`] from acceptance to settlement.

mod answer;
mod attempt;
mod call;
mod done_ranges;
mod durations;
mod freshness;
mod hex;
mod json;
mod kind;
mod line;
mod memory;
mod mistaken_line;
mod needs;
mod record;
mod redact;
mod redirect;
mod request;
mod response_limits;
mod stored_response;
mod target;
mod ticket;

pub use answer::{AnswerDesk, AnswerReader, NoAnswer, ReaderGone, answers};
pub use attempt::{Attempt, Body, Failure, Head, Quota, Received, Response, RetryAfter, Sent, header_text};
pub use call::{Call, Connection, CredentialScope, LineHost, POOL_IDLE_TIMEOUT, Purpose, Refreshed, TokenGeneration};
pub use done_ranges::{DoneRanges, FileGeneration, Fingerprint, Position, StoredRange};
pub use durations::{Durations, LINE_TIMES, REQUEST_TIMES, SharedDurations};
pub use freshness::{Freshness, Revalidation};
pub use hex::{sha256_of_hex, to_hex};
pub use json::{RawJson, compact};
pub use kind::{ErrorKind, Outcome, Rejection, Retry};
pub use line::{CutInput, Echo, EchoInput, Identity, Input, Line, LinePosition, SavePosition, Text, TooLong, Trim};
pub use memory::{BodyMemory, CHUNK, Reservation};
pub use needs::{BodyNeed, Needs};
pub use record::{Done, Hop, Record, Times, WaitedFor};
pub use redirect::Redirect;
pub use request::{Extra, Request, is_credential, parse, parse_header, parse_method};
pub use response_limits::{Level, ResponseLimits, ResponseRules, SetBy};
pub use stored_response::StoredResponse;
pub use target::check_url;
pub use ticket::{Receipt, ReleaseReceipt, Room, Ticket, Window, WindowLimit};
