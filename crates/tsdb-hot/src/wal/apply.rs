//! The second half of a replay, on a thread of its own: the index of new series, and their samples.
//!
//! The first half reads records and registers series. Nobody selects before the end, so the index may come later; and
//! samples are applied in the order in which they are sent, which is that of the log.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tsdb_core::{Labels, Matcher, SampleValue, TimeRange};

use crate::Result;
use crate::head::{Applied, Generation};
use crate::registry::{IndexBuilder, NewSeries, Registry, SeriesId};

/// Series, or samples, that are sent at once.
const AT_ONCE: usize = 4096;
/// How many such batches may wait.
const WAITING_MAX: usize = 32;

type Samples = Vec<(SeriesId, i64, SampleValue)>;

/// What a replay puts in memory. Whole after [`Apply::finish`].
#[derive(Debug)]
pub(super) struct Apply<'a> {
    registry: &'a Registry,
    new: NewSeries,
    samples: Samples,
    generation: Option<Arc<Generation>>,
    /// Without it (before the first record, after a finish, or where no thread can be had) all is done here.
    thread: Option<(SyncSender<Work>, JoinHandle<Done>)>,
    /// Samples that are in memory, those that [`Apply::thread`] counts left out.
    applied: u64,
}

#[derive(Debug)]
enum Work {
    Series(NewSeries),
    Samples(Arc<Generation>, Samples),
}

#[derive(Debug, Default)]
struct Done {
    index: IndexBuilder,
    applied: u64,
}

impl<'a> Apply<'a> {
    /// `registry` has no series yet.
    pub(super) fn start(registry: &'a Registry) -> Self {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new().name("tsdb-replay".into()).spawn(move || work(&receiver));
        Self {
            registry,
            new: NewSeries::default(),
            samples: Vec::new(),
            generation: None,
            thread: thread.ok().map(|thread| (sender, thread)),
            applied: 0,
        }
    }

    /// Later samples and deletes are of this generation.
    pub(super) fn begin(&mut self, generation: &Arc<Generation>) {
        self.send_samples();
        self.generation = Some(Arc::clone(generation));
    }

    pub(super) fn series(&mut self, labels: &Labels) -> Result<SeriesId> {
        if self.thread.is_none() {
            return self.registry.get_or_insert(labels);
        }
        let id = self.registry.get_or_insert_unindexed(labels, &mut self.new)?;
        if self.new.len() >= AT_ONCE {
            let new = std::mem::take(&mut self.new);
            self.send(Work::Series(new));
        }
        Ok(id)
    }

    pub(super) fn sample(&mut self, series: SeriesId, timestamp_ms: i64, value: SampleValue) {
        self.samples.push((series, timestamp_ms, value));
        if self.samples.len() >= AT_ONCE {
            self.send_samples();
        }
    }

    pub(super) fn delete(&mut self, matchers: &[Matcher], range: TimeRange) {
        self.finish();
        if let Some(generation) = &self.generation {
            self.applied -= generation.replay_delete(matchers, range);
        }
    }

    /// Has everything put in memory; gives the number of samples that are there, exact duplicates left out. What comes
    /// later is put there as it comes.
    pub(super) fn finish(&mut self) -> u64 {
        self.send_samples();
        let new = std::mem::take(&mut self.new);
        self.send(Work::Series(new));
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            let done = thread.join().expect("invariant: putting samples in memory does not panic");
            self.registry.set_index(done.index);
            self.applied += done.applied;
        }
        self.applied
    }

    fn send_samples(&mut self) {
        let samples = std::mem::take(&mut self.samples);
        let Some(generation) = self.generation.clone().filter(|_| !samples.is_empty()) else { return };
        match self.thread {
            Some(_) => self.send(Work::Samples(generation, samples)),
            None => self.applied += apply(&generation, &samples),
        }
    }

    fn send(&self, work: Work) {
        if let Some((sender, _)) = &self.thread {
            sender.send(work).expect("invariant: the thread takes all that it is sent");
        }
    }
}

fn work(receiver: &Receiver<Work>) -> Done {
    let mut done = Done::default();
    for work in receiver {
        match work {
            Work::Series(new) => done.index.add(&new),
            Work::Samples(generation, samples) => done.applied += apply(&generation, &samples),
        }
    }
    done
}

/// Puts samples in a generation; gives how many were none that it had.
fn apply(generation: &Generation, samples: &Samples) -> u64 {
    let new = |&&(series, timestamp_ms, ref value): &&(SeriesId, i64, SampleValue)| {
        generation.replay(series, timestamp_ms, value) != Applied::Duplicate
    };
    samples.iter().filter(new).count() as u64
}
