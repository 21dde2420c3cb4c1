//! What travels, in the order it comes to be: line → request → job → answer → record.
//!
//! One URL is one [`Ticket`] from acceptance to settlement; everything else here is what is known about it so far.

mod answer;
mod job;
mod json;
mod kind;
mod line;
mod memory;
mod record;
mod redact;
mod request;
mod settled;
mod target;
mod ticket;

pub use answer::{Answer, Attempt, Body, Failure, RetryAfter, Sent};
pub use job::{Aside, Connection, Home, Hop, Job, Leave, Next, POOL_IDLE_TIMEOUT};
pub use json::compact;
pub use kind::{Kind, Outcome, Retry};
pub use line::{Echo, EchoInput, Identity, Input, Line, Text};
pub use memory::{CHUNK, Held, Memory};
pub use record::{Done, Record, Times};
pub use request::{Extra, Rejection, Request, parse, parse_header};
pub use settled::{Place, Settled, Stretch};
pub use target::check_url;
pub use ticket::{Receipt, Room, Ticket, Window};
