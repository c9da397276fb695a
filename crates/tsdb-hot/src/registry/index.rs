//! The postings of a registry: for each pair its series.
//!
//! Series are added one by one as they are registered. At opening they come by the million and nobody reads yet: then a
//! thread of its own builds the index of what the registering one tells it.

use tsdb_core::Postings;

use super::{PairId, PairLists};

/// The postings of all pairs. (Those of a label name are the union of its pairs': few ask for them, and keeping them would
/// double what a new series costs here.)
#[derive(Debug, Default)]
pub(super) struct Index {
    by_pair: Vec<Postings>,
}

impl Index {
    /// Adds the series that comes after all others.
    pub(super) fn add(&mut self, series: u32, pairs: &[PairId]) {
        for &pair in pairs {
            let pair = pair as usize;
            if self.by_pair.len() <= pair {
                self.by_pair.resize(pair + 1, Postings::new());
            }
            self.by_pair[pair].insert(series);
        }
    }

    /// The series that have a pair, which some series has.
    pub(super) fn of_pair(&self, pair: PairId) -> &Postings {
        &self.by_pair[pair as usize]
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.by_pair.capacity() * size_of::<Postings>()
            + self.by_pair.iter().map(Postings::heap_bytes).sum::<usize>()
    }
}

/// The pairs of series that were registered and are not in the index.
#[derive(Debug, Default)]
pub(crate) struct NewSeries(PairLists);

impl NewSeries {
    pub(super) fn push(&mut self, pairs: &[PairId]) {
        self.0.push(pairs);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Builds an index of series in the order in which they were registered.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    index: Index,
    series: u32,
}

impl IndexBuilder {
    pub(crate) fn add(&mut self, new: &NewSeries) {
        for place in 0..new.len() {
            self.index.add(self.series, new.0.get(place));
            self.series += 1;
        }
    }

    pub(super) fn finish(self) -> Index {
        self.index
    }
}
