//! The postings of a registry: for each pair and each label name its series.
//!
//! Series are added one by one as they are registered. At opening they come by the million and nobody reads yet: then a
//! thread of its own builds the index of what the registering one tells it.

use tsdb_core::Postings;

use super::{PairId, PairLists, Symbols};

/// The postings of all pairs and names.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_pair: Vec<Postings>,
    by_name: Vec<Postings>,
}

impl Index {
    /// Adds the series that comes after all others.
    pub(super) fn add(&mut self, series: u32, pairs: &[PairId], symbols: &Symbols) {
        for &pair in pairs {
            self.add_pair(series, pair, symbols.name_of(pair));
        }
    }

    fn add_pair(&mut self, series: u32, pair: PairId, name: u32) {
        for (postings, number) in [(&mut self.by_pair, pair), (&mut self.by_name, name)] {
            let number = number as usize;
            if postings.len() <= number {
                postings.resize(number + 1, Postings::new());
            }
            postings[number].insert(series);
        }
    }

    /// The series that have a pair, which some series has.
    pub(super) fn of_pair(&self, pair: PairId) -> &Postings {
        &self.by_pair[pair as usize]
    }

    /// The series that have a label name, which some series has.
    pub(super) fn having(&self, name: u32) -> &Postings {
        &self.by_name[name as usize]
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let of = |postings: &Vec<Postings>| {
            postings.capacity() * size_of::<Postings>()
                + postings.iter().map(Postings::heap_bytes).sum::<usize>()
        };
        of(&self.by_pair) + of(&self.by_name)
    }
}

/// Series that were registered and are not in the index: their pairs, and the number of each pair's name.
#[derive(Debug, Default)]
pub(crate) struct NewSeries {
    lists: PairLists,
    names: Vec<u32>,
}

impl NewSeries {
    pub(super) fn push(&mut self, pairs: &[PairId], symbols: &Symbols) {
        self.lists.push(pairs);
        self.names.extend(pairs.iter().map(|&pair| symbols.name_of(pair)));
    }

    pub(crate) fn len(&self) -> usize {
        self.lists.len()
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
        let mut names = new.names.iter();
        for place in 0..new.lists.len() {
            for (&pair, &name) in new.lists.get(place).iter().zip(&mut names) {
                self.index.add_pair(self.series, pair, name);
            }
            self.series += 1;
        }
    }

    pub(super) fn finish(self) -> Index {
        self.index
    }
}
