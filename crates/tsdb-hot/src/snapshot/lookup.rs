//! Looking up series, label names and label values, without decoding samples.
//!
//! A series counts when it has a sample in the range, exactly, so that the answer is the same wherever the samples lie. A
//! chunk's ends are samples, so only a range that lies between the ends of one chunk makes it be decoded; and deletes,
//! where there are some over the source.

use std::collections::{BTreeSet, HashSet};

use tsdb_core::{Block, Deletes, Labels, Matcher, Postings, TimeRange};

use super::{HotSource, Source};
use crate::head::View;
use crate::registry::{SeriesId, SortedSeries};
use crate::{Error, Result};

impl HotSource {
    /// The label sets of the series that satisfy all `matchers` and have a sample in `range`, both ends inclusive, in
    /// label order.
    ///
    /// # Errors
    /// [`Error::BlockDamaged`].
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>> {
        match &self.source {
            Source::Block(block) => {
                let read = || {
                    let mut reader = block.block().labels_reader();
                    let series = self.in_block(block.block(), matchers, range)?;
                    series.iter().map(|ordinal| reader.labels(ordinal)).collect::<Result<Vec<_>, _>>()
                };
                read().map_err(|source| Error::block(block.path(), source))
            }
            Source::Head { view, .. } => {
                let present = self.in_head(view, matchers, range)?;
                let mut series = SortedSeries::new(view.generation().registry(), present);
                Ok((0..series.len()).map(|place| series.labels(place)).collect())
            }
        }
    }

    /// The label names of the series that satisfy all `matchers` and have a sample in `range`.
    ///
    /// # Errors
    /// [`Error::BlockDamaged`].
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<BTreeSet<String>> {
        match &self.source {
            Source::Block(block) => {
                let read = || {
                    if matchers.is_empty() && self.is_whole(range) {
                        return Ok(block.block().label_names()?.into_iter().collect());
                    }
                    let series = self.in_block(block.block(), matchers, range)?;
                    let mut names = BTreeSet::new();
                    for name in block.block().label_names()? {
                        if block.block().any_has(&series, &name)? {
                            names.insert(name);
                        }
                    }
                    Ok(names)
                };
                read().map_err(|source| Error::block(block.path(), source))
            }
            Source::Head { view, .. } => {
                let present = self.in_head(view, matchers, range)?;
                let (mut seen, mut names) = (HashSet::new(), BTreeSet::new());
                view.generation().registry().for_each(&present, |_, symbols, pairs| {
                    for name in pairs.iter().map(|&pair| symbols.name_of(pair)) {
                        if seen.insert(name) {
                            names.insert(symbols.name(name).to_owned());
                        }
                    }
                });
                Ok(names)
            }
        }
    }

    /// The values that label `name` has in the series that satisfy all `matchers` and have a sample in `range`.
    ///
    /// # Errors
    /// [`Error::BlockDamaged`].
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<BTreeSet<String>> {
        match &self.source {
            Source::Block(block) => {
                let read = || {
                    if matchers.is_empty() && self.is_whole(range) {
                        return Ok(block.block().label_values(name)?.into_iter().collect());
                    }
                    let series = self.in_block(block.block(), matchers, range)?;
                    Ok(block.block().label_values_of(&series, name)?.into_iter().collect())
                };
                read().map_err(|source| Error::block(block.path(), source))
            }
            Source::Head { view, .. } => {
                let present = self.in_head(view, matchers, range)?;
                let (mut seen, mut values) = (HashSet::new(), BTreeSet::new());
                view.generation().registry().for_each(&present, |_, symbols, pairs| {
                    let of_name = pairs.iter().find(|&&pair| symbols.name(symbols.name_of(pair)) == name);
                    if let Some(&pair) = of_name.filter(|&&pair| seen.insert(pair)) {
                        values.insert(symbols.value(pair).to_owned());
                    }
                });
                Ok(values)
            }
        }
    }

    /// Whether all of the source's samples are in the range and none is deleted.
    fn is_whole(&self, range: TimeRange) -> bool {
        range.covers(self.time_range()) && self.deletes.is_empty()
    }

    /// The ordinals of a block's series.
    fn in_block(&self, block: &Block, matchers: &[Matcher], range: TimeRange) -> tsdb_core::Result<Postings> {
        if !self.time_range().overlaps(range) {
            return Ok(Postings::new());
        }
        let selected = block.select(matchers)?;
        if self.is_whole(range) {
            return Ok(selected);
        }
        let (mut kept, mut reader) = (Vec::new(), block.labels_reader());
        for ordinal in &selected {
            let has_samples = if self.deletes.is_empty() {
                let chunks = block.chunks(ordinal)?;
                match meets(chunks.iter().map(|chunk| chunk.time_range), range) {
                    Some(certain) => certain,
                    None => !block.samples(ordinal, range)?.is_empty(),
                }
            } else {
                left(&self.deletes, &reader.labels(ordinal)?, block.samples(ordinal, range)?)
            };
            if has_samples {
                kept.push(ordinal);
            }
        }
        Ok(kept.into_iter().collect())
    }

    /// The series of a generation of the head.
    fn in_head(&self, view: &View, matchers: &[Matcher], range: TimeRange) -> Result<Vec<SeriesId>> {
        let registry = view.generation().registry();
        let mut present = view.present(&registry.select(matchers), range);
        // Asked after the presence, so that no sample can have come between that lies outside the range.
        if range.covers(view.generation().size().time_range) && self.deletes.is_empty() {
            return Ok(present);
        }
        let mut result = Ok(());
        present.retain(|&id| {
            let has_samples = || {
                let Some(copy) = view.copy(id, range) else { return Ok(false) };
                if self.deletes.is_empty()
                    && let Some(certain) = meets(copy.ranges(), range)
                {
                    return Ok(certain);
                }
                Ok(left(&self.deletes, &registry.labels(id), copy.decode(range)?))
            };
            has_samples().unwrap_or_else(|error: tsdb_core::Error| {
                result = Err(error);
                false
            })
        });
        result?;
        Ok(present)
    }
}

/// Whether chunks, each of which begins and ends with a sample, have one in `range`. `None` if only decoding tells.
fn meets(chunks: impl Iterator<Item = TimeRange>, range: TimeRange) -> Option<bool> {
    let mut certain = Some(false);
    for chunk in chunks.filter(|chunk| chunk.overlaps(range)) {
        if range.contains(chunk.start_ms) || range.contains(chunk.end_ms) {
            return Some(true);
        }
        certain = None;
    }
    certain
}

/// Whether deletes leave any of the samples.
fn left(deletes: &Deletes, labels: &Labels, mut samples: tsdb_core::SampleBuffer) -> bool {
    deletes.apply(labels, &mut samples);
    !samples.is_empty()
}
