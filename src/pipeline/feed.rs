//! The feed stage: takes lines from all sources in turn, accepts each once the window has room for it, and queues it.
//! Like the schedule, it reacts to `stop`.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Accepted, Clock, FirstHost, Status};
use crate::error::BoxError;
use crate::item::{
    Done, Echo, ErrorKind, Input, Line, Record, Rejection, Request, Revalidation, Room, StoredResponse, Text, Ticket,
    Window, parse,
};
use crate::schedule::Job;
use crate::source::SourceMeter;
use crate::units::Size;

/// The time limit for counting the unread lines of files.
const COUNT_FOR: Duration = Duration::from_millis(500);

pub(super) struct Feed {
    pub lines: InTurns,
    /// Per source: the meter of its lines.
    pub meters: Vec<Arc<SourceMeter>>,
    /// Errors of sources, which end the run also while there is no room for lines.
    pub failures: FuturesUnordered<BoxFuture<'static, BoxError>>,
    /// Per source: whether the next start reads unfinished lines again.
    pub durable: Vec<bool>,
    pub window: Window,
    /// Per source: whether its input was complete at the start.
    pub is_finite: Vec<bool>,
    /// The longest body that a line can ask for.
    pub largest_body: u64,
    pub revalidation: Revalidation,
    pub first_host: FirstHost,
    pub queue: mpsc::Sender<Accepted>,
    pub stop: CancellationToken,
    pub status: Status,
    pub clock: Clock,
}

impl Feed {
    /// Accepts lines until the input ends or `stop` is cancelled.
    pub async fn run(mut self) -> Result<(), BoxError> {
        let mut failures = std::mem::take(&mut self.failures);
        tokio::select! {
            biased;
            Some(error) = failures.next() => Err(error),
            ended = self.feed() => ended,
        }
    }

    async fn feed(&mut self) -> Result<(), BoxError> {
        let mut ordinal = 0;
        let stop = self.stop.clone();
        while let Some(Some((room, slot))) = stop.run_until_cancelled(self.room()).await {
            let Some(input) = stop.run_until_cancelled(self.lines.next()).await else { break };
            let Some(input) = input else { return Ok(()) };
            let (source, line) = match input? {
                (_, Input::Blank) => {
                    self.status.metrics().blank.add(1);
                    continue;
                }
                (source, Input::Line(line)) => (source, line),
            };
            let ticket = self.window.ticket(room, &line, ordinal, source);
            let Some(ticket) = unless_stopped(&stop, ticket).await else {
                self.count_unread(source);
                break;
            };
            ordinal += 1;
            self.status.counters().accepted.add(1);
            let bytes = line.text.len() as u64 + 1;
            self.status.metrics().accepted_bytes.add(bytes);
            self.meters[source].note(bytes, line.id.seq);
            slot.send(self.accept(ticket, line));
        }
        self.count_read_ahead();
        self.lines.keep(&self.is_finite);
        if timeout(COUNT_FOR, self.count_to_the_end()).await.is_err() {
            self.status.metrics().uncounted.add(1);
        }
        Ok(())
    }

    /// Waits for a place in the window and one in the queue.
    async fn room(&mut self) -> Option<(Room, mpsc::OwnedPermit<Accepted>)> {
        let room = self.window.room().await?;
        Some((room, self.queue.clone().reserve_owned().await.ok()?))
    }

    fn accept(&mut self, ticket: Ticket, line: Line) -> Accepted {
        let (echo, request) = match &line.text {
            Text::Whole(text) => {
                let (echo, request) = parse(text);
                let request = request.and_then(|request| self.check_size(request));
                (echo, request.map(|request| self.revalidate(request, text)))
            }
            Text::TooLong(long) => {
                let message = format!("the line has {} bytes, more than the source's max_line", long.bytes);
                (Echo::cut(&long.head, long.bytes), Err(Rejection { kind: ErrorKind::LineTooLong, message }))
            }
            Text::Lost => {
                let message = "the journal that kept this line is damaged; its text is lost".to_owned();
                (Echo::text(""), Err(Rejection { kind: ErrorKind::JournalDamaged, message }))
            }
        };
        match request {
            Ok(request) => {
                let line_host = self.first_host.line_host(&line.id, &request);
                let mut job = Job::new(ticket, echo, request, self.clock.now());
                job.call.line_host = line_host;
                Accepted::Job(job)
            }
            Err(rejection) => {
                let record = Record::rejected(line.id, echo, rejection);
                Accepted::Rejected(Done { ticket, record: Box::new(record) })
            }
        }
    }

    /// Makes the request conditional if the line is a record and `fetch.revalidate` is on.
    fn revalidate(&self, mut request: Request, line: &[u8]) -> Request {
        if self.revalidation == Revalidation::On
            && let Some(stored) = StoredResponse::of_line(line)
        {
            self.status.metrics().revalidated.add(1);
            request.revalidate(stored);
        }
        request
    }

    /// Refuses a line whose `max_body` exceeds the largest body that the memory allows.
    fn check_size(&self, request: Request) -> Result<Request, Rejection> {
        let max_body = request.extra.as_ref().and_then(|extra| extra.response.max_body).unwrap_or_default();
        if max_body <= self.largest_body {
            return Ok(request);
        }
        let message = format!(
            "`max_body` is {}, but limits.body_memory has room for two bodies of {} at most; raise it, or lower `max_body`",
            Size(max_body),
            Size(self.largest_body)
        );
        Err(Rejection { kind: ErrorKind::InvalidRequest, message })
    }

    /// Counts lines that the sources had already read when the run stopped: their producers consider them delivered.
    fn count_read_ahead(&mut self) {
        const MOST: usize = 100_000;
        for _ in 0..MOST {
            match self.lines.next().now_or_never() {
                Some(Some(Ok((source, Input::Line(_))))) => self.count_unread(source),
                Some(Some(Ok(_))) => {}
                _ => return,
            }
        }
    }

    /// Counts the unread lines of files.
    async fn count_to_the_end(&mut self) {
        /// Lines after which other tasks run.
        const AT_ONCE: u32 = 256;
        let mut count = 0;
        while let Some(Ok((source, input))) = self.lines.next().await {
            if let Input::Line(_) = input {
                self.count_unread(source);
            }
            count += 1;
            if count % AT_ONCE == 0 {
                yield_now().await;
            }
        }
    }

    /// Counts a line that was read and not accepted, unless a durable source stores it elsewhere than in a file.
    fn count_unread(&self, source: usize) {
        if self.is_finite[source] || !self.durable[source] {
            self.status.metrics().unread.add(1);
        }
    }
}

/// A line's ticket, unless the run stops first: at a stop, room comes from lines that are left for the next start.
async fn unless_stopped(stop: &CancellationToken, ticket: impl Future<Output = Option<Ticket>>) -> Option<Ticket> {
    if stop.is_cancelled() {
        return None;
    }
    let mut ticket = pin!(ticket);
    match ticket.as_mut().now_or_never() {
        Some(ticket) => ticket,
        None => stop.run_until_cancelled(ticket).await.flatten().filter(|_| !stop.is_cancelled()),
    }
}

/// The lines of several sources, each with the number of its source; the sources take turns.
pub(super) struct InTurns {
    sources: Vec<Option<BoxStream<'static, Result<Input, BoxError>>>>,
    next: usize,
}

impl InTurns {
    pub fn new(sources: Vec<BoxStream<'static, Result<Input, BoxError>>>) -> Self {
        Self { sources: sources.into_iter().map(Some).collect(), next: 0 }
    }

    /// Drops all sources except those marked `true`.
    fn keep(&mut self, which: &[bool]) {
        for (source, _) in self.sources.iter_mut().zip(which).filter(|(_, keep)| !**keep) {
            *source = None;
        }
    }
}

impl Stream for InTurns {
    type Item = Result<(usize, Input), BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (first, count) = (self.next, self.sources.len());
        for offset in 0..count {
            let place = (first + offset) % count;
            let Some(source) = &mut self.sources[place] else { continue };
            match source.poll_next_unpin(cx) {
                Poll::Pending => {}
                Poll::Ready(None) => self.sources[place] = None,
                Poll::Ready(Some(input)) => {
                    self.next = (place + 1) % count;
                    return Poll::Ready(Some(input.map(|input| (place, input))));
                }
            }
        }
        if self.sources.iter().all(Option::is_none) { Poll::Ready(None) } else { Poll::Pending }
    }
}
