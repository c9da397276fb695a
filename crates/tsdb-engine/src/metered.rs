//! The streams of a query: what reads a source, with its time counted, and what the caller waits for, within the limits.
//!
//! The sources of an answer are polled one at a time, so that the time spent in each kind of them adds up. The limits on time
//! and on bytes are looked at before each poll of a source, and of the whole; the limit on time also ends a wait. Its timer is
//! no runtime's: an engine works on any executor, and a Tokio runtime may have none.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt;
use futures::stream::{BoxStream, FusedStream, Stream, StreamExt};
use futures_timer::Delay;
use tsdb_cold::SeriesSource;

use crate::error::{Error, Result};
use crate::query::Meter;

/// The kind of a source, for the time that it takes.
#[derive(Clone, Copy)]
pub(crate) enum Stage {
    Hot,
    Cold,
}

impl Meter {
    /// `source`, with its time counted and the limits looked at before each poll.
    pub(crate) fn metered<T: 'static>(
        self: &Arc<Self>,
        stage: Stage,
        source: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        Metered { source, stage, meter: Arc::clone(self), waiting_since: None }.boxed()
    }

    /// As [`metered`](Self::metered), of a source of series.
    pub(crate) fn metered_source(
        self: &Arc<Self>,
        stage: Stage,
        source: SeriesSource<'static, Error>,
    ) -> SeriesSource<'static, Error> {
        let SeriesSource { sequence, series } = source;
        SeriesSource { sequence, series: self.metered(stage, series) }
    }

    /// What the caller waits for: `stream`, whose sources are metered, within the limits.
    pub(crate) fn within<T>(self: &Arc<Self>, stream: BoxStream<'static, Result<T>>) -> Within<T> {
        Within { stream: Some(stream), meter: Arc::clone(self), deadline: None, waiting_since: None }
    }
}

struct Metered<T> {
    source: BoxStream<'static, Result<T>>,
    stage: Stage,
    meter: Arc<Meter>,
    waiting_since: Option<Instant>,
}

impl<T> Stream for Metered<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Err(error) = self.meter.check() {
            return Poll::Ready(Some(Err(error)));
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let polled = self.source.poll_next_unpin(context);
        if polled.is_ready() {
            self.waiting_since = None;
            self.meter.add_time(self.stage, since.elapsed());
        }
        polled
    }
}

/// A stream within the limits of a query. It ends at its first error.
pub(crate) struct Within<T> {
    /// `None` at the end.
    stream: Option<BoxStream<'static, Result<T>>>,
    meter: Arc<Meter>,
    /// Set while something is waited for: a query that never waits needs no timer.
    deadline: Option<Delay>,
    waiting_since: Option<Instant>,
}

impl<T> Within<T> {
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What is left of the stream, to make something else of it for the same caller.
    pub(crate) fn into_inner(self) -> (BoxStream<'static, Result<T>>, Arc<Meter>)
    where
        T: Send + 'static,
    {
        (self.stream.unwrap_or_else(|| futures::stream::empty().boxed()), self.meter)
    }

    /// Has the task woken when the query's time is over; ready when it is.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(left) = self.meter.time_left() else { return Poll::Pending };
        self.deadline.get_or_insert_with(|| Delay::new(left)).poll_unpin(context)
    }

    fn end(&mut self) {
        self.stream = None;
        self.deadline = None;
        self.meter.reads.end();
    }
}

impl<T> Stream for Within<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let within = &mut *self;
        let Some(stream) = &mut within.stream else { return Poll::Ready(None) };
        if let Err(error) = within.meter.check() {
            within.end();
            return Poll::Ready(Some(Err(error)));
        }
        let since = *within.waiting_since.get_or_insert_with(Instant::now);
        let next = match stream.poll_next_unpin(context) {
            Poll::Ready(next) => next,
            Poll::Pending if within.poll_deadline(context).is_ready() => Some(within.meter.too_late()),
            Poll::Pending => return Poll::Pending,
        };
        within.waiting_since = None;
        within.meter.add_waited(since.elapsed());
        if !matches!(next, Some(Ok(_))) {
            within.end();
        }
        Poll::Ready(next)
    }
}

impl<T> FusedStream for Within<T> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}
