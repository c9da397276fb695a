//! A generation: the samples that came between two seals, in memory.
//!
//! A generation has a sequence number and is sharded by series number. Each shard has one lock, held to append a batch's
//! samples or to copy handles of a series; nothing is decoded, sorted or written under it.
//!
//! **Order.** "Last write wins, by arrival" must mean the same in memory and in the write-ahead log, or the answer would
//! change with a restart. The log gives each batch of a generation a ticket, dense and in log order; a shard lets batches in
//! in that order ([`Ticket`]). A batch goes through all shards in turn, so batches follow one another as in a pipeline
//! instead of one waiting for the whole of the other. A batch that failed passes empty-handed.
//!
//! A generation that is frozen gets no more tickets; once the last one has passed it never changes again. Only then does
//! the next one let its first batch in ([`Generation::open`]), so the order of arrival holds across generations too: a
//! reader that goes through them one after the other finds no later batch of a series without the earlier one.
//!
//! It names the registry that its series numbers are of, and knows nothing else of labels, nor of files or the log.

mod series;
mod view;

use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use tsdb_core::{Chunk, Matcher, Postings, Result, SampleValue, TimeRange};

pub(crate) use series::{Applied, SeriesCopy};
pub(crate) use view::View;

use crate::batch::Batch;
use crate::registry::{Registry, SeriesId};
use series::SeriesData;
use view::Epoch;

/// Shards of a generation, a power of two: enough that the batches of a few dozen threads find free ones.
const SHARDS: usize = 16;
/// The turn of a closed generation's shards: no batch's.
const CLOSED: u64 = u64::MAX;

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Samples of the batch that are now in the head: new ones and those that replaced a value.
    pub samples: u64,
    /// Of those, the ones that came at or before the newest timestamp of their series.
    pub late: u64,
    /// Of the late ones, those that replaced another value at the same timestamp.
    pub replaced: u64,
    /// Samples that the head already had, bit for bit. They were dropped and are not in `samples`.
    pub duplicates: u64,
}

impl Committed {
    fn count(&mut self, applied: Applied) {
        match applied {
            Applied::Duplicate => self.duplicates += 1,
            Applied::InOrder => self.samples += 1,
            Applied::Late => {
                self.samples += 1;
                self.late += 1;
            }
            Applied::Replaced => {
                self.samples += 1;
                self.late += 1;
                self.replaced += 1;
            }
        }
    }
}

/// The samples between two seals. See the module's comment.
#[derive(Debug)]
pub(crate) struct Generation {
    sequence: u64,
    registry: Arc<Registry>,
    shards: Box<[Shard]>,
    /// How many tickets were given in all: known once no more will be.
    tickets: OnceLock<u64>,
    /// The one that views begin in. A delete ends it.
    epoch: Mutex<Arc<Epoch>>,
}

#[derive(Debug, Default)]
struct Shard {
    state: Mutex<ShardState>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct ShardState {
    /// The ticket of the batch that comes next.
    next_ticket: u64,
    /// For each series of the shard, one more than its place in `series`; 0 if it has no samples here.
    places: Vec<u32>,
    series: Vec<SeriesData>,
    /// Those of `series` that have samples.
    occupied: u64,
    heap_bytes: usize,
    samples: u64,
    time_range: TimeRangeOrEmpty,
}

/// [`TimeRange`] with the empty range as its default.
#[derive(Clone, Copy, Debug)]
struct TimeRangeOrEmpty(TimeRange);

impl Default for TimeRangeOrEmpty {
    fn default() -> Self {
        Self(TimeRange::EMPTY)
    }
}

/// How much a generation holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GenerationSize {
    pub(crate) series: u64,
    pub(crate) samples: u64,
    pub(crate) heap_bytes: u64,
    pub(crate) time_range: TimeRange,
}

impl ShardState {
    fn get(&self, series: SeriesId) -> Option<&SeriesData> {
        let place = *self.places.get(slot(series))?;
        self.series.get((place as usize).checked_sub(1)?)
    }

    fn append(&mut self, series: SeriesId, timestamp_ms: i64, value: &SampleValue) -> Applied {
        let slot = slot(series);
        if self.places.len() <= slot {
            self.places.resize(slot + 1, 0);
        }
        if self.places[slot] == 0 {
            self.series.push(SeriesData::default());
            self.places[slot] = self.series.len() as u32;
        }
        let data = &mut self.series[self.places[slot] as usize - 1];
        self.occupied += u64::from(data.is_empty());
        let applied = data.append(timestamp_ms, value, &mut self.heap_bytes);
        if matches!(applied, Applied::InOrder | Applied::Late) {
            self.samples += 1;
            self.time_range.0 = self.time_range.0.including(timestamp_ms);
        }
        applied
    }

    /// Removes the samples of a series in `range`; gives their number. The series is left as it was with the epoch before.
    fn delete(&mut self, series: SeriesId, range: TimeRange, before: Option<&Epoch>) -> u64 {
        let place = self.places.get(slot(series)).map_or(0, |&place| place as usize);
        let Some(data) = place.checked_sub(1).map(|place| &mut self.series[place]) else { return 0 };
        if !data.time_range().overlaps(range) {
            return 0;
        }
        if let Some(before) = before {
            before.leave(series, data);
        }
        let deleted = data.delete(range, &mut self.heap_bytes);
        self.occupied -= u64::from(deleted > 0 && data.is_empty());
        self.samples -= deleted;
        deleted
    }
}

impl Generation {
    /// A generation that lets batches in.
    pub(crate) fn new(sequence: u64, registry: Arc<Registry>) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { sequence, registry, shards, tickets: OnceLock::new(), epoch: Mutex::default() }
    }

    /// A generation that gives tickets and keeps its batches waiting until it is opened.
    pub(crate) fn closed(sequence: u64, registry: Arc<Registry>) -> Self {
        let generation = Self::new(sequence, registry);
        generation.shards.iter().for_each(|shard| shard.state.lock().next_ticket = CLOSED);
        generation
    }

    /// Lets the batches of a closed generation in.
    pub(crate) fn open(&self) {
        for shard in &self.shards {
            let before = std::mem::replace(&mut shard.state.lock().next_ticket, 0);
            debug_assert_eq!(before, CLOSED, "invariant: a generation is opened once");
            shard.turn.notify_all();
        }
    }

    /// Whether no more tickets will be given.
    pub(crate) fn is_frozen(&self) -> bool {
        self.tickets.get().is_some()
    }

    /// The number that orders generations: at equal timestamps the higher one wins.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What the numbers of its series mean.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Says that no ticket from `tickets` on will ever be given.
    pub(crate) fn freeze(&self, tickets: u64) {
        let frozen_twice = self.tickets.set(tickets).is_err();
        debug_assert!(!frozen_twice, "invariant: a generation is frozen once");
    }

    /// Waits until all batches of a frozen generation have passed: from then on it does not change.
    pub(crate) fn wait_until_still(&self) {
        let tickets = *self.tickets.get().expect("invariant: only a frozen generation is waited for");
        for shard in &self.shards {
            let mut state = shard.state.lock();
            shard.turn.wait_while(&mut state, |state| state.next_ticket < tickets);
        }
    }

    /// Takes one sample of the log at opening, when nobody else is there yet.
    pub(crate) fn replay(&self, series: SeriesId, timestamp_ms: i64, value: &SampleValue) -> Applied {
        self.shards[shard(series)].state.lock().append(series, timestamp_ms, value)
    }

    /// Does a delete of the log at opening, when nobody else is there yet; gives the number of samples it removes.
    pub(crate) fn replay_delete(&self, matchers: &[Matcher], range: TimeRange) -> u64 {
        let series = self.registry.select(matchers);
        series
            .iter()
            .map(SeriesId)
            .map(|id| self.shards[shard(id)].state.lock().delete(id, range, None))
            .sum()
    }

    /// The value of a series at a timestamp.
    pub(crate) fn get(&self, series: SeriesId, timestamp_ms: i64) -> Option<SampleValue> {
        self.shards[shard(series)].state.lock().get(series)?.get(timestamp_ms)
    }

    /// A series' samples in `range` as chunks that do not reach outside it. For a frozen generation: it holds the shard
    /// for as long as an encoding takes.
    pub(crate) fn cut(&self, series: SeriesId, range: TimeRange) -> Result<Vec<Chunk>> {
        let state = self.shards[shard(series)].state.lock();
        state.get(series).map_or_else(|| Ok(Vec::new()), |data| data.cut(range))
    }

    /// Where the samples of a series lie: see [`SeriesData::for_each_range`].
    pub(crate) fn for_each_range(
        &self,
        series: SeriesId,
        long: impl Fn(TimeRange) -> bool,
        with: impl FnMut(TimeRange),
    ) -> Result<()> {
        let state = self.shards[shard(series)].state.lock();
        state.get(series).map_or(Ok(()), |data| data.for_each_range(long, with))
    }

    /// The series that have samples.
    pub(crate) fn series(&self) -> Vec<SeriesId> {
        let mut series = Vec::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let state = shard.state.lock();
            let with_samples =
                |&(_, &place): &(usize, &u32)| place != 0 && !state.series[place as usize - 1].is_empty();
            let places = state.places.iter().enumerate().filter(with_samples);
            series.extend(places.map(|(slot, _)| SeriesId((slot * SHARDS + index) as u32)));
        }
        series
    }

    /// How much the generation holds.
    pub(crate) fn size(&self) -> GenerationSize {
        let mut size = GenerationSize { series: 0, samples: 0, heap_bytes: 0, time_range: TimeRange::EMPTY };
        for shard in &self.shards {
            let state = shard.state.lock();
            let lists = state.places.capacity() * size_of::<u32>()
                + state.series.capacity() * size_of::<SeriesData>();
            size.series += state.occupied;
            size.samples += state.samples;
            size.heap_bytes += (state.heap_bytes + lists) as u64;
            size.time_range = size.time_range.hull(state.time_range.0);
        }
        size
    }
}

/// A batch's place in a generation's order. Dropped, by a failure or a panic, it passes the shards that are left
/// empty-handed, so that the batches behind it go on.
#[derive(Debug)]
pub(crate) struct Ticket {
    generation: Arc<Generation>,
    number: u64,
    /// The shards before this one were passed.
    shard: usize,
}

impl Ticket {
    /// The ticket of a number that no other has; numbers are dense from 0.
    pub(crate) fn new(generation: Arc<Generation>, number: u64) -> Self {
        Self { generation, number, shard: 0 }
    }

    /// Puts the samples of the batch in the generation, after those of every lower ticket.
    pub(crate) fn apply(mut self, batch: &Batch) -> Committed {
        let mut committed = Committed::default();
        let by_shard = batch.by_shard(SHARDS, shard);
        for samples in &by_shard {
            self.pass_shard(|state| {
                for &sample in samples {
                    let sample = &batch.samples()[sample as usize];
                    committed.count(state.append(sample.series, sample.timestamp_ms, &batch.value(sample)));
                }
            });
        }
        committed
    }

    /// Removes the samples in `range`, of the series that satisfy `matchers`, which lower tickets put in the generation.
    /// Gives their number. One delete at a time.
    pub(crate) fn delete(mut self, matchers: &[Matcher], range: TimeRange) -> u64 {
        // The series of all lower tickets are registered: that comes before the log. Those of higher ones may be, but have
        // no samples here yet.
        let series = self.generation.registry.select(matchers);
        // A delete that changes nothing ends no epoch. What comes with lower tickets until its turn is as if it had not come yet.
        let changes = !View::new(&self.generation).present(&series, range).is_empty();
        let before = if changes { Epoch::end(&self.generation.epoch) } else { None };
        let mut deleted = 0;
        for series in by_shard(&series) {
            self.pass_shard(|state| {
                deleted += series.iter().map(|&id| state.delete(id, range, before.as_deref())).sum::<u64>();
            });
        }
        deleted
    }

    /// Waits for the batch's turn in the next shard, does `with` it and gives the turn on.
    fn pass_shard(&mut self, with: impl FnOnce(&mut ShardState)) {
        let shard = &self.generation.shards[self.shard];
        let mut state = shard.state.lock();
        shard.turn.wait_while(&mut state, |state| state.next_ticket != self.number);
        // Counted and told first: should `with` panic, the drop below must neither wait for this turn again nor skip it, and
        // the next batch must not sleep on. It gets the lock when this one is done.
        state.next_ticket += 1;
        self.shard += 1;
        shard.turn.notify_all();
        with(&mut state);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        while self.shard < SHARDS {
            self.pass_shard(|_| {});
        }
    }
}

/// The numbers of `series`, for each shard those that are in it.
fn by_shard(series: &Postings) -> Vec<Vec<SeriesId>> {
    let mut by_shard = vec![Vec::new(); SHARDS];
    series.iter().map(SeriesId).for_each(|id| by_shard[shard(id)].push(id));
    by_shard
}

fn shard(series: SeriesId) -> usize {
    series.0 as usize % SHARDS
}

fn slot(series: SeriesId) -> usize {
    series.0 as usize / SHARDS
}
