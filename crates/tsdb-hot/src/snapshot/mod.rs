//! The way out: a consistent set of sources, and selects over each.
//!
//! A snapshot is a list of shared handles. A generation that is sealed while a snapshot holds it stays in memory until the
//! snapshot is gone, so a sample is never missed and never seen twice by one snapshot. Samples committed to the live
//! generation later may be seen; what is deleted later is still seen.
//!
//! Selects hold no lock while they decode: a series' chunks are taken as handles, one series at a time.

mod lookup;

use std::ops::Range;
use std::sync::Arc;

use tsdb_core::{Deletes, Matcher, Series, TimeRange, Tombstones};

use crate::blocks::SealedBlock;
use crate::head::View;
use crate::registry::SortedSeries;
use crate::{Error, Result};

/// What the hot tier holds at one moment.
#[derive(Clone, Debug)]
pub struct HotSnapshot {
    /// By sequence; the last one is live.
    pub(crate) generations: Vec<View>,
    /// By identity.
    pub(crate) blocks: Vec<Arc<SealedBlock>>,
    pub(crate) tombstones: Tombstones,
}

impl HotSnapshot {
    /// The sources that have samples, by sequence: blocks, then generations of the head. Where two have a sample of one
    /// series at one timestamp, the one with the higher sequence counts. Sources of one sequence have no sample in common.
    #[must_use]
    pub fn sources(&self) -> Vec<HotSource> {
        let blocks = self.blocks.iter().map(|block| self.source(Source::Block(Arc::clone(block))));
        let head = self.generations.iter().filter_map(|view| {
            let time_range = view.generation().size().time_range;
            (!time_range.is_empty()).then(|| self.source(Source::Head { view: view.clone(), time_range }))
        });
        let mut sources: Vec<HotSource> = blocks.chain(head).collect();
        sources.sort_by_key(HotSource::sequence);
        sources
    }

    fn source(&self, source: Source) -> HotSource {
        let deletes = self.tombstones.over(source.sequence(), source.time_range());
        HotSource { source, deletes }
    }

    /// As [`sources`](Self::sources), without what tombstones that are kept elsewhere delete, too.
    #[must_use]
    pub fn sources_without<'a>(
        &self,
        elsewhere: impl IntoIterator<Item = &'a Tombstones> + Clone,
    ) -> Vec<HotSource> {
        let mut sources = self.sources();
        for source in &mut sources {
            for tombstones in elsewhere.clone() {
                source.deletes.extend(tombstones.over(source.sequence(), source.time_range()));
            }
        }
        sources
    }

    /// The sealed blocks, by identity.
    #[must_use]
    pub fn blocks(&self) -> &[Arc<SealedBlock>] {
        &self.blocks
    }
}

/// One source of samples: a block, or a generation of the head.
#[derive(Clone, Debug)]
pub struct HotSource {
    source: Source,
    deletes: Deletes,
}

#[derive(Clone, Debug)]
enum Source {
    Block(Arc<SealedBlock>),
    Head { view: View, time_range: TimeRange },
}

impl Source {
    fn sequence(&self) -> u64 {
        match self {
            Self::Block(block) => block.id().sequence,
            Self::Head { view, .. } => view.generation().sequence(),
        }
    }

    fn time_range(&self) -> TimeRange {
        match self {
            Self::Block(block) => block.block().meta().time_range,
            Self::Head { time_range, .. } => *time_range,
        }
    }
}

impl HotSource {
    /// Orders sources: at equal timestamps the higher one counts.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.source.sequence()
    }

    /// From the first to the last sample, as of the snapshot's [`HotSnapshot::sources`].
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        self.source.time_range()
    }

    /// The block, if the source is one.
    #[must_use]
    pub fn block(&self) -> Option<&Arc<SealedBlock>> {
        match &self.source {
            Source::Block(block) => Some(block),
            Source::Head { .. } => None,
        }
    }

    /// The series that satisfy all `matchers` with their samples in `range`, both ends inclusive, in the order of their
    /// label sets. Series without samples in the range are left out. Each series is decoded when it is asked for.
    ///
    /// # Errors
    /// [`Error::BlockDamaged`], here or from the iterator. The iterator goes on after an error; a caller that wants all
    /// or nothing stops.
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SelectIter> {
        let select = match &self.source {
            Source::Block(block) => {
                let overlaps = block.block().meta().time_range.overlaps(range);
                let ordinals = match overlaps {
                    true => {
                        block.block().select(matchers).map_err(|source| Error::block(block.path(), source))?
                    }
                    false => tsdb_core::Postings::new(),
                };
                let ordinals = ordinals.iter().collect::<Vec<_>>().into_iter();
                Select::Block { block: Arc::clone(block), ordinals }
            }
            Source::Head { view, .. } => {
                let registry = view.generation().registry();
                let present = view.present(&registry.select(matchers), range);
                let series = SortedSeries::new(registry, present);
                let places = 0..series.len();
                Select::Head { view: view.clone(), series: Box::new(series), places }
            }
        };
        Ok(SelectIter { select, range, deletes: self.deletes.clone() })
    }
}

/// The answer of one source: label-sorted series. See [`HotSource::select`].
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct SelectIter {
    select: Select,
    range: TimeRange,
    deletes: Deletes,
}

#[derive(Debug)]
enum Select {
    Block { block: Arc<SealedBlock>, ordinals: std::vec::IntoIter<u32> },
    Head { view: View, series: Box<SortedSeries>, places: Range<usize> },
}

impl Select {
    /// The next series, `None` at the end. It may have no sample in the range.
    fn next(&mut self, range: TimeRange) -> Option<Result<Series>> {
        match self {
            Self::Block { block, ordinals } => {
                let ordinal = ordinals.next()?;
                let read = || {
                    let samples = block.block().samples(ordinal, range)?;
                    // Labels cost a look-up each: leave them where they are for a series without samples.
                    let labels = if samples.is_empty() {
                        tsdb_core::Labels::empty()
                    } else {
                        block.block().labels(ordinal)?
                    };
                    Ok(Series { labels, samples })
                };
                Some(read().map_err(|source| Error::block(block.path(), source)))
            }
            Self::Head { view, series, places } => {
                let place = places.next()?;
                let copy = view.copy(series.series(place), range);
                let samples =
                    copy.map_or_else(|| Ok(tsdb_core::SampleBuffer::default()), |copy| copy.decode(range));
                Some(samples.map_err(Error::from).map(|samples| {
                    let labels =
                        if samples.is_empty() { tsdb_core::Labels::empty() } else { series.labels(place) };
                    Series { labels, samples }
                }))
            }
        }
    }
}

impl Iterator for SelectIter {
    type Item = Result<Series>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let answer = self.select.next(self.range)?.map(|mut series| {
                self.deletes.apply(&series.labels, &mut series.samples);
                series
            });
            match answer {
                Ok(series) if series.samples.is_empty() => {}
                answer => return Some(answer),
            }
        }
    }
}
