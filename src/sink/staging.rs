//! The staging output of a sink that ships: records are kept in the data directory until they are delivered. It is an
//! ordinary output with marks and recovery, in segments of at most a second or a MiB.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::json_lines::JsonLines;
use super::opened::{FileSink, Lifetime, StartedSink};
use super::rotating::{RotatingSink, Rotation};
use super::{Encoder, EndReason, OpenedSink, Opening, Sink, Written};
use crate::disk::{Disk, DiskThread, Mark, SyncPoint};
use crate::error::{AtPath, BoxError};
use crate::item::Record;
use crate::output::{Fsync, OpenedOutput, OutputSettings};
use crate::ship::{Backlog, Deliver, Segments, Shipper, StagingPlace, Writing};
use crate::units::{Size, counted, in_bytes};

/// When a segment is finished.
const ROTATION: Rotation = Rotation { size: Some(1 << 20), every: Some(Duration::from_secs(1)) };

/// Opens the staging output of a sink. It applies back-pressure from `most` undelivered bytes on.
pub(super) fn open(
    opening: Opening,
    encoder: Encoder,
    most: Size,
    deliver: Box<dyn Deliver>,
) -> Result<OpenedSink, BoxError> {
    let Opening { name, disk, saved, shipping, .. } = opening;
    let shipping =
        shipping.ok_or("its records are kept in a data directory until they are delivered; add state.data_dir")?;
    let place = StagingPlace::of(&shipping.data_dir, &name);
    disk.create_dir(&place.dir)
        .and_then(|()| disk.sync_dir(&shipping.data_dir, SyncPoint::OutputName))
        .map_err(|error| AtPath::new(&place.dir, error))?;
    let segments = Segments::new(Arc::clone(&disk), &place, Arc::clone(&name), &shipping.state_id);
    let settings = OutputSettings {
        sink: Arc::clone(&name),
        path: place.path.clone(),
        files: place.files(),
        fsync: Fsync::Commit,
        disk: Arc::clone(&disk),
        saved,
        reader: Arc::new(JsonLines),
    };
    let OpenedOutput { output, tail, .. } = settings.open()?;
    let start = Box::new(move |output, encoder| {
        let (backlog, found) = (Backlog::new(name, most.0), segments.lag()?);
        if found.segments > 0 {
            let (sink, found) = (backlog.sink(), (counted(found.segments, "segment"), in_bytes(found.bytes)));
            tracing::info!(sink, "`{sink}` ships what earlier runs left: {} ({})", found.0, found.1);
        }
        let inner = RotatingSink::start(output, encoder, ROTATION)?;
        let headroom = Headroom { disk, dir: place.dir, min_free: shipping.min_free };
        let sink = StagingSink { inner, writing: backlog.begin(found), headroom };
        let shipper = Shipper::new(backlog, Box::new(DiskThread::start(segments)), deliver);
        Ok(StartedSink { sink: Box::new(sink), shipper: Some(shipper) })
    });
    let lifetime = Lifetime::UntilShipped;
    Ok(OpenedSink::file(FileSink { output, tail, encoder, start, lifetime }, None))
}

/// The staging sink during the run.
struct StagingSink {
    inner: RotatingSink,
    writing: Writing,
    headroom: Headroom,
}

/// The disk space that staging leaves free, because recovery appends records before the shipper can delete any.
struct Headroom {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// `state.min_free`
    min_free: u64,
}

impl Headroom {
    fn is_lacking(&self) -> io::Result<bool> {
        Ok(self.disk.free(&self.dir)? < self.min_free)
    }
}

impl StagingSink {
    /// Waits while the backlog is full.
    async fn wait_for_room(&self) {
        if self.writing.has_room() {
            return;
        }
        let (sink, most) = (self.writing.backlog().sink(), in_bytes(self.writing.backlog().most()));
        tracing::warn!(
            event = "sink_full",
            sink,
            "{most} of `{sink}` have not arrived; the run waits until some have (staging_max)"
        );
        self.writing.room().await;
        tracing::info!(event = "sink_has_room", sink, "there is room for records of `{sink}` again");
    }

    /// Waits while the disk is nearly full and deliveries could free space.
    async fn wait_for_disk(&self) -> io::Result<()> {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let backlog = self.writing.backlog();
        let mut is_waiting = false;
        while self.writing.may_wait() && backlog.lag().segments > 0 && self.headroom.is_lacking()? {
            if !std::mem::replace(&mut is_waiting, true) {
                let (sink, least) = (backlog.sink(), in_bytes(self.headroom.min_free));
                let dir = self.headroom.dir.display();
                tracing::warn!(
                    event = "disk_nearly_full",
                    sink,
                    "the disk of {dir} has less than {least} left; the run waits until records of `{sink}` have arrived (state.min_free)"
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Sink for StagingSink {
    fn write<'a>(&'a mut self, batch: &'a [Box<Record>]) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            self.wait_for_room().await;
            self.wait_for_disk().await?;
            self.inner.write(batch).await
        }
        .boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<Option<Mark>, BoxError>> {
        self.inner.flush()
    }

    fn due(&mut self) -> BoxFuture<'_, ()> {
        self.inner.due()
    }

    fn request_rotation(&mut self) {
        self.inner.request_rotation();
    }

    fn end_file(&mut self, end: EndReason) -> BoxFuture<'_, Result<(), BoxError>> {
        async move {
            if let Some(length) = self.inner.end(end).await? {
                self.writing.add(length);
            }
            Ok(())
        }
        .boxed()
    }

    fn written(&self) -> Written {
        self.inner.written()
    }
}
