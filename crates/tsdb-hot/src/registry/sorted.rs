//! Series in label order, without building their label sets.
//!
//! A select or a seal of a million series must neither hold a million label sets nor a lock while it sorts: this keeps
//! four bytes a series and a view of the registry, and builds a label set when it is asked for one.

use tsdb_core::{Labels, LabelsBuilder};

use super::{PairLists, Registry, SeriesId, Symbols};

/// Series sorted by label set.
#[derive(Debug, Default)]
pub(crate) struct SortedSeries {
    lists: PairLists,
    symbols: Symbols,
    order: Vec<SeriesId>,
    builder: LabelsBuilder,
}

impl SortedSeries {
    /// `series` in label order.
    pub(crate) fn new(registry: &Registry, mut series: Vec<SeriesId>) -> Self {
        let (lists, symbols) = registry.view();
        series.sort_unstable_by(|a, b| symbols.compare(lists.get(a.0 as usize), lists.get(b.0 as usize)));
        Self { lists, symbols, order: series, builder: LabelsBuilder::new() }
    }

    /// The number of series.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The series at a place of the order.
    pub(crate) fn series(&self, place: usize) -> SeriesId {
        self.order[place]
    }

    /// The label set at a place of the order.
    pub(crate) fn labels(&mut self, place: usize) -> Labels {
        self.symbols.labels(self.lists.get(self.order[place].0 as usize), &mut self.builder)
    }
}
