//! Series in label order, without building their label sets.
//!
//! A select or a seal of a million series must neither hold a million label sets nor a lock while it sorts: this keeps
//! the interned pairs (four bytes a label) and a view of the symbols, and builds a label set when it is asked for one.

use tsdb_core::{Labels, LabelsBuilder};

use super::{PairLists, Registry, SeriesId, Symbols};

/// Series sorted by label set.
#[derive(Debug, Default)]
pub(crate) struct SortedSeries {
    symbols: Symbols,
    lists: PairLists,
    /// The series, and where its pairs are in `lists`; in label order.
    order: Vec<(SeriesId, u32)>,
    builder: LabelsBuilder,
}

impl SortedSeries {
    /// `series` in label order.
    pub(crate) fn new(registry: &Registry, series: &[SeriesId]) -> Self {
        let mut lists = PairLists::default();
        let mut order = Vec::with_capacity(series.len());
        registry.for_each(series, |id, _, pairs| {
            order.push((id, lists.len() as u32));
            lists.push(pairs);
        });
        let symbols = registry.symbols();
        order.sort_unstable_by(|a, b| symbols.compare(lists.get(a.1 as usize), lists.get(b.1 as usize)));
        Self { symbols, lists, order, builder: LabelsBuilder::new() }
    }

    /// The number of series.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The series at a place of the order.
    pub(crate) fn series(&self, place: usize) -> SeriesId {
        self.order[place].0
    }

    /// The label set at a place of the order.
    pub(crate) fn labels(&mut self, place: usize) -> Labels {
        self.symbols.labels(self.lists.get(self.order[place].1 as usize), &mut self.builder)
    }
}
