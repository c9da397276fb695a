//! How a reader sees a generation: with what is appended later, and with what is deleted later as it was.
//!
//! A delete changes the live generation on the spot. Were it to take a sample from under a query, the query would go on to
//! what that sample had replaced, in a block or in Parquet. So before a delete takes anything of a series that somebody may
//! be reading, it leaves the series as it was with the views that began earlier. A generation that nobody reads pays
//! nothing; what was left is freed with the last view that may ask for it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tsdb_core::{Postings, TimeRange};

use super::series::SeriesData;
use super::{Generation, SeriesCopy, by_shard, shard};
use crate::registry::SeriesId;

/// The time between two deletes of a generation, as the views that begin in it see it.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    /// Series as they were before the delete that ended the epoch, those that it changed.
    left: Mutex<HashMap<SeriesId, SeriesCopy>>,
    /// Set by that delete, before it changes anything.
    next: OnceLock<Arc<Epoch>>,
}

impl Epoch {
    /// Ends the epoch `current`, and begins the next one, for one delete at a time. Gives what it was if a view can ask for
    /// what it is left.
    pub(super) fn end(current: &Mutex<Arc<Self>>) -> Option<Arc<Self>> {
        let mut current = current.lock();
        let next = Arc::<Self>::default();
        let ended = std::mem::replace(&mut *current, Arc::clone(&next));
        // Nobody can begin to share it any more.
        if Arc::strong_count(&ended) == 1 {
            return None;
        }
        let ended_twice = ended.next.set(next).is_err();
        debug_assert!(!ended_twice, "invariant: an epoch is the current one until it ends");
        Some(ended)
    }

    /// Leaves a series as it is. To be called under its shard's lock, at most once.
    pub(super) fn leave(&self, series: SeriesId, data: &SeriesData) {
        self.left.lock().insert(series, data.copy(TimeRange::ALL));
    }

    /// A series as it was before the first delete that changed it since the epoch began; `None` if none did. To be called
    /// under its shard's lock.
    fn find<T>(&self, series: SeriesId, with: impl FnOnce(&SeriesCopy) -> T) -> Option<T> {
        let mut epoch = self;
        while let Some(next) = epoch.next.get() {
            if let Some(copy) = epoch.left.lock().get(&series) {
                return Some(with(copy));
            }
            epoch = next;
        }
        None
    }
}

impl Drop for Epoch {
    /// Frees the epochs that follow one after the other: they may be more than a stack has room for.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut epoch) = next.and_then(Arc::into_inner) {
            next = epoch.next.take();
        }
    }
}

/// A generation as of the view's beginning, and what was appended later: of a series that a delete changes, until then.
#[derive(Clone, Debug)]
pub(crate) struct View {
    generation: Arc<Generation>,
    epoch: Arc<Epoch>,
}

impl View {
    /// Begins.
    pub(crate) fn new(generation: &Arc<Generation>) -> Self {
        Self { generation: Arc::clone(generation), epoch: Arc::clone(&generation.epoch.lock()) }
    }

    /// What is viewed.
    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// Those of `series` that have samples in `range`, or seem to: a gap between chunks is not looked for.
    pub(crate) fn present(&self, series: &Postings, range: TimeRange) -> Vec<SeriesId> {
        let mut by_shard = by_shard(series);
        for (shard, ids) in self.generation.shards.iter().zip(&mut by_shard) {
            let state = shard.state.lock();
            ids.retain(|&id| {
                let left = self.epoch.find(id, |copy| copy.ranges().any(|found| found.overlaps(range)));
                let is_live = || state.get(id).is_some_and(|data| data.time_range().overlaps(range));
                left.unwrap_or_else(is_live)
            });
        }
        by_shard.concat()
    }

    /// Handles of a series' samples in `range`; `None` if it has none at all.
    pub(crate) fn copy(&self, series: SeriesId, range: TimeRange) -> Option<SeriesCopy> {
        let state = self.generation.shards[shard(series)].state.lock();
        let left = self.epoch.find(series, |copy| copy.within(range));
        left.or_else(|| state.get(series).map(|data| data.copy(range)))
    }
}

#[cfg(test)]
mod tests {
    use tsdb_core::{Labels, MatchOp, Matcher, SampleValue};

    use super::super::Ticket;
    use super::*;
    use crate::registry::Registry;

    fn timestamps(view: &View, series: SeriesId) -> Vec<i64> {
        let copy = view.copy(series, TimeRange::ALL);
        copy.map_or_else(Vec::new, |copy| copy.decode(TimeRange::ALL).unwrap().timestamps_ms)
    }

    /// A generation with one series, and deletes of it by tickets from 0 on.
    fn generation() -> (Arc<Generation>, SeriesId) {
        let registry = Arc::new(Registry::default());
        let labels = Labels::from_pairs([("a", "b")]).unwrap();
        let series = registry.get_or_insert(&labels).unwrap();
        (Arc::new(Generation::new(0, registry)), series)
    }

    fn delete(generation: &Arc<Generation>, number: u64, range: TimeRange) -> u64 {
        let all = [Matcher::new(MatchOp::Equal, "a", "b").unwrap()];
        Ticket::new(Arc::clone(generation), number).delete(&all, range)
    }

    #[test]
    fn a_view_keeps_what_is_deleted_after_it_began() {
        let (generation, series) = generation();
        for ms in 0..10 {
            generation.replay(series, ms, &SampleValue::Float(ms as f64));
        }
        let first = View::new(&generation);
        assert_eq!(delete(&generation, 0, TimeRange::new(2, 9)), 8);
        let second = View::new(&generation);
        assert_eq!(delete(&generation, 1, TimeRange::new(0, 0)), 1);
        let third = View::new(&generation);
        assert_eq!(delete(&generation, 2, TimeRange::ALL), 1);
        generation.replay(series, 20, &SampleValue::Float(0.0));
        assert_eq!(timestamps(&first, series), Vec::from_iter(0..10));
        assert_eq!(timestamps(&second, series), [0, 1]);
        assert_eq!(timestamps(&third, series), [1]);
        assert_eq!(timestamps(&View::new(&generation), series), [20]);
        let all = Postings::from_iter([series.0]);
        assert_eq!(first.present(&all, TimeRange::new(9, 9)), [series]);
        assert_eq!(third.present(&all, TimeRange::new(2, 9)), []);
        let within = first.copy(series, TimeRange::new(3, 4)).unwrap();
        assert_eq!(within.decode(TimeRange::new(3, 4)).unwrap().timestamps_ms, [3, 4]);
    }

    #[test]
    fn nothing_is_kept_for_nobody_and_a_long_row_of_deletes_is_freed() {
        let (generation, series) = generation();
        let view = View::new(&generation);
        let epoch = Arc::downgrade(&view.epoch);
        for number in 0..200_000 {
            generation.replay(series, 1, &SampleValue::Float(0.0));
            assert_eq!(delete(&generation, number, TimeRange::ALL), 1);
        }
        assert_eq!(epoch.strong_count(), 1);
        drop(view);
        assert_eq!(epoch.strong_count(), 0);
        let current = Arc::downgrade(&generation.epoch.lock());
        assert_eq!(delete(&generation, 200_000, TimeRange::ALL), 0);
        assert_eq!(current.strong_count(), 1, "nothing was changed");
        generation.replay(series, 1, &SampleValue::Float(0.0));
        assert_eq!(delete(&generation, 200_001, TimeRange::ALL), 1);
        assert_eq!(current.strong_count(), 0);
    }
}
