//! What a connection does, step by step.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use super::log::{Log, Request, read_request};
use super::wire::Wire;

/// The steps of a connection, or of an answer to one request.
pub type Script = Vec<Step>;

/// One step. What a server does in time is part of a script; a test never waits by it.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// Sends these bytes one by one, with this pause before each.
    Trickle(Vec<u8>, Duration),
    Wait(Duration),
    /// Waits in line for one of these places, and keeps it for that time.
    WaitInLine(Arc<Semaphore>, Duration),
    /// Reads one request and remembers it.
    Read,
    /// Reads the first bytes of whatever comes.
    ReadSome,
    /// Reads requests and plays the script of each one's path, until the client leaves.
    Serve,
    /// Sends nothing, until the client leaves.
    Stall,
    /// Plays these steps again and again, until the client leaves.
    Repeat(Script),
    /// Ends the connection in good order: FIN, after close_notify where there is TLS.
    Close,
    /// Ends the connection with FIN alone, also where there is TLS.
    Cut,
    /// Ends the connection with RST.
    Reset,
}

/// A step that sends these bytes.
pub fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(bytes.into())
}

/// A connection on which a script is played.
pub struct Connection {
    wire: Wire,
    /// What was read and belongs to the next request.
    buffer: Vec<u8>,
    log: Arc<Log>,
}

/// Whether the connection goes on. An error is the client's leaving, too.
type Played = io::Result<ControlFlow<()>>;

const GO_ON: Played = Ok(ControlFlow::Continue(()));
const ENDED: Played = Ok(ControlFlow::Break(()));

impl Connection {
    pub fn new(wire: Wire, log: Arc<Log>) -> Self {
        Self { wire, buffer: Vec::with_capacity(4096), log }
    }

    /// Plays a script; where it ends, the connection ends in good order.
    pub async fn play_to_the_end(mut self, script: &[Step]) -> io::Result<()> {
        match self.play(script).await? {
            ControlFlow::Continue(()) => self.wire.close().await,
            ControlFlow::Break(()) => Ok(()),
        }
    }

    async fn play(&mut self, script: &[Step]) -> Played {
        for step in script {
            if self.step(step).await?.is_break() {
                return ENDED;
            }
        }
        GO_ON
    }

    /// Boxed, for a step may be a script.
    fn step<'a>(&'a mut self, step: &'a Step) -> BoxFuture<'a, Played> {
        async move {
            match step {
                Step::Send(bytes) => self.wire.write(bytes).await?,
                Step::Trickle(bytes, pause) => self.trickle(bytes, *pause).await?,
                Step::Wait(time) => tokio::time::sleep(*time).await,
                Step::WaitInLine(places, time) => wait_in_line(places, *time).await,
                Step::Read => return self.read().await,
                Step::ReadSome => _ = self.wire.read(&mut self.buffer).await?,
                Step::Serve => return self.serve().await,
                Step::Stall => return self.stall().await,
                Step::Repeat(steps) => {
                    while self.play(steps).await?.is_continue() {}
                    return ENDED;
                }
                Step::Close => return self.wire.close().await.and(ENDED),
                Step::Cut => return ENDED,
                Step::Reset => return self.wire.reset_on_drop().and(ENDED),
            }
            GO_ON
        }
        .boxed()
    }

    async fn trickle(&mut self, bytes: &[u8], pause: Duration) -> io::Result<()> {
        for byte in bytes {
            tokio::time::sleep(pause).await;
            self.wire.write(&[*byte]).await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Played {
        match self.request().await? {
            Some(request) => self.log.note(request),
            None => return ENDED,
        }
        GO_ON
    }

    async fn serve(&mut self) -> Played {
        while let Some(request) = self.request().await? {
            let script = self.log.begin(request);
            let played = self.play(&script).await;
            self.log.end();
            if played?.is_break() {
                break;
            }
        }
        ENDED
    }

    async fn stall(&mut self) -> Played {
        while self.wire.read(&mut self.buffer).await? > 0 {
            self.buffer.clear();
        }
        ENDED
    }

    async fn request(&mut self) -> io::Result<Option<Request>> {
        read_request(&mut self.wire, &mut self.buffer).await
    }
}

async fn wait_in_line(places: &Semaphore, time: Duration) {
    let _place = places.acquire().await.unwrap();
    tokio::time::sleep(time).await;
}
