//! From series ordinals back to rows and labels, when the blocks come in later.
//!
//! First the series' blocks: they give rows, times and the numbers of the label values. Then, in the order of the
//! values, the value blocks: each is needed once, however many of the series have a value in it. Memory is that of the
//! answer and of a few blocks, so whoever asks for very many series asks in parts.

use std::ops::Range;

use tsdb_core::{Labels, LabelsBuilder, Postings, TimeRange};

use super::block::{BLOCKS_AT_A_TIME, Held};
use super::{
    Block, BlockId, BlockKind, BlockLookup, Directory, IndexError, IndexResult, SeriesBlock, SeriesRows, Step,
};

/// A series with its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Where its rows are.
    pub rows: SeriesRows,
}

/// Value numbers of labels of series, read from the series' blocks.
#[derive(Debug)]
pub(super) struct ValueNumbers {
    series: Vec<u32>,
    /// The series that are done.
    done: usize,
    /// Label, value number, and a number of the asker's. Sorted once all series are done.
    pub(super) found: Vec<(u32, u32, u32)>,
}

impl ValueNumbers {
    /// `series` ascend.
    pub(super) fn new(series: Vec<u32>) -> Self {
        Self { series, done: 0, found: Vec::new() }
    }

    /// Lets `read` look at each series in its block as far as the blocks are there; the blocks that are missing.
    pub(super) fn go_on(
        &mut self,
        directory: &Directory,
        held: &mut Held,
        mut read: impl FnMut(&SeriesBlock, u32, &mut Vec<(u32, u32, u32)>),
    ) -> IndexResult<Option<Vec<BlockId>>> {
        if self.done == self.series.len() {
            return Ok(None);
        }
        while let Some(&ordinal) = self.series.get(self.done) {
            let Some(id) = directory.series_block_of(ordinal) else {
                let detail = format!("there is no series {ordinal}");
                return Err(IndexError::Damaged { block: BlockKind::Series, offset: 0, detail });
            };
            if !held.has(id) {
                let mut next: Vec<BlockId> = Vec::new();
                for &ordinal in &self.series[self.done..] {
                    let block = directory.series_block_of(ordinal);
                    next.extend(block.filter(|block| next.last() != Some(block)));
                    if next.len() == BLOCKS_AT_A_TIME {
                        break;
                    }
                }
                return Ok(Some(held.missing(next)));
            }
            let block = held.series(id, directory)?;
            let end = block.ordinals().end;
            let in_block = self.series[self.done..].iter().take_while(|&&ordinal| ordinal < end).count();
            for &ordinal in &self.series[self.done..self.done + in_block] {
                read(&block, ordinal, &mut self.found);
            }
            self.done += in_block;
            held.take(id);
        }
        self.found.sort_unstable();
        Ok(None)
    }

    /// The blocks that the next values of `found` are in, at most a few. The others are dropped.
    pub(super) fn need(found: &[(u32, u32, u32)], directory: &Directory, held: &mut Held) -> Vec<BlockId> {
        let mut wanted: Vec<BlockId> = Vec::new();
        for &(label, value, _) in found.iter().filter(|found| found.1 > 0) {
            let block = directory.labels()[label as usize].block_numbered(value);
            wanted.extend(block.filter(|block| !wanted.contains(block)));
            if wanted.len() == BLOCKS_AT_A_TIME {
                break;
            }
        }
        held.retain(|id| wanted.contains(&id));
        held.missing(wanted)
    }
}

/// The strings of value numbers, read from the value blocks.
#[derive(Debug, Default)]
pub(super) struct ValueTexts {
    /// The place in the found numbers of the next value.
    next: usize,
    text: String,
    /// Label, number and place in `text` of each value, ascending.
    values: Vec<(u32, u32, Range<usize>)>,
    /// By label, where its values begin in `values`.
    labels: Vec<usize>,
}

impl ValueTexts {
    /// Reads the values of `found`, which is sorted, as far as the blocks are there; the blocks that are missing.
    pub(super) fn go_on(
        &mut self,
        found: &[(u32, u32, u32)],
        directory: &Directory,
        held: &mut Held,
    ) -> IndexResult<Option<Vec<BlockId>>> {
        while let Some(&(label, value, _)) = found.get(self.next) {
            let same = found[self.next..].iter().take_while(|f| (f.0, f.1) == (label, value)).count();
            if value > 0 {
                let block = directory.labels()[label as usize].block_numbered(value);
                let Some(block) = block.filter(|&block| held.has(block)) else {
                    return Ok(Some(ValueNumbers::need(&found[self.next..], directory, held)));
                };
                let block = held.values(block, directory)?;
                let start = self.text.len();
                self.text.push_str(block.values(label)?.numbered(value)?);
                if self.values.last().is_none_or(|last| last.0 != label) {
                    self.labels.resize(label as usize + 1, self.values.len());
                }
                self.values.push((label, value, start..self.text.len()));
            }
            self.next += same;
        }
        Ok(None)
    }

    fn get(&self, label: u32, value: u32) -> &str {
        let start = self.labels.get(label as usize).copied().unwrap_or(self.values.len());
        let end = self.labels.get(label as usize + 1).copied().unwrap_or(self.values.len());
        let values = &self.values[start..end.max(start)];
        match values.binary_search_by_key(&(label, value), |&(label, value, _)| (label, value)) {
            Ok(found) => &self.text[values[found].2.clone()],
            Err(_) => "",
        }
    }

    pub(super) fn into_values(self) -> Vec<String> {
        self.values.into_iter().map(|(_, _, range)| self.text[range].to_owned()).collect()
    }
}

/// Rows, times and kinds of series, as a lookup in series blocks alone. Its answer ascends by ordinal.
#[derive(Debug)]
pub struct RowsLookup<'a> {
    directory: &'a Directory,
    held: Held,
    numbers: ValueNumbers,
    time_range: TimeRange,
    rows: Vec<SeriesRows>,
}

impl<'a> RowsLookup<'a> {
    /// A lookup of those of `series` with samples in reach of `time_range`: their first to last timestamp overlaps it.
    #[must_use]
    pub fn new(directory: &'a Directory, series: &Postings, time_range: TimeRange) -> Self {
        let numbers = ValueNumbers::new(series.iter().collect());
        Self { directory, held: Held::default(), numbers, time_range, rows: Vec::new() }
    }
}

impl BlockLookup for RowsLookup<'_> {
    type Answer = Vec<SeriesRows>;

    fn step(&mut self) -> IndexResult<Step<Self::Answer>> {
        let Self { directory, held, numbers, time_range, rows } = self;
        let needed = numbers.go_on(directory, held, |block, ordinal, _| {
            rows.extend(block.series(ordinal).filter(|rows| rows.time_range.overlaps(*time_range)));
        })?;
        Ok(needed.map_or_else(|| Step::Done(std::mem::take(rows)), Step::Need))
    }

    fn supply(&mut self, block: Block) {
        self.held.supply(block);
    }
}

/// Labels and rows of series, as a lookup in series blocks and then in value blocks. Its answer ascends by ordinal,
/// which is the order of labels.
#[derive(Debug)]
pub struct SeriesLookup<'a> {
    directory: &'a Directory,
    held: Held,
    numbers: ValueNumbers,
    time_range: TimeRange,
    rows: Vec<SeriesRows>,
    /// By series of `rows`, where its labels end in `labels`.
    ends: Vec<usize>,
    /// Label and value number.
    labels: Vec<(u32, u32)>,
    /// How many values were left when repetitions were dropped last.
    distinct: usize,
    texts: ValueTexts,
}

/// Values that may be gathered before repetitions are dropped.
const COMPACT_MIN: usize = 1 << 16;

impl<'a> SeriesLookup<'a> {
    /// A lookup of those of `series` with samples in reach of `time_range`: their first to last timestamp overlaps it.
    #[must_use]
    pub fn new(directory: &'a Directory, series: &Postings, time_range: TimeRange) -> Self {
        Self {
            directory,
            held: Held::default(),
            numbers: ValueNumbers::new(series.iter().collect()),
            time_range,
            rows: Vec::new(),
            ends: Vec::new(),
            labels: Vec::new(),
            distinct: 0,
            texts: ValueTexts::default(),
        }
    }

    fn finish(&mut self) -> IndexResult<Vec<ResolvedSeries>> {
        let mut builder = LabelsBuilder::new();
        let mut start = 0;
        let rows = std::mem::take(&mut self.rows).into_iter().zip(&self.ends);
        rows.map(|(rows, &end)| {
            builder.clear();
            for &(label, value) in &self.labels[start..end] {
                builder.push(&self.directory.labels()[label as usize].name, self.texts.get(label, value));
            }
            start = end;
            let labels = builder.build().map_err(|error| IndexError::Damaged {
                block: BlockKind::Series,
                offset: self
                    .directory
                    .series_block_of(rows.ordinal)
                    .map_or(0, |block| self.directory.block(block).map_or(0, |block| block.offset)),
                detail: error.to_string(),
            })?;
            Ok(ResolvedSeries { labels, rows })
        })
        .collect()
    }
}

impl BlockLookup for SeriesLookup<'_> {
    type Answer = Vec<ResolvedSeries>;

    fn step(&mut self) -> IndexResult<Step<Self::Answer>> {
        let Self { directory, held, numbers, time_range, rows, ends, labels, texts, .. } = self;
        let needed = numbers.go_on(directory, held, |block, ordinal, found| {
            let Some(series) = block.series(ordinal).filter(|rows| rows.time_range.overlaps(*time_range))
            else {
                return;
            };
            rows.push(series);
            let start = labels.len();
            labels.extend(block.labels(ordinal));
            ends.push(labels.len());
            found.extend(labels[start..].iter().map(|&(label, value)| (label, value, 0)));
        })?;
        if let Some(needed) = needed {
            if numbers.found.len() > 2 * self.distinct + COMPACT_MIN {
                numbers.found.sort_unstable();
                numbers.found.dedup();
                self.distinct = numbers.found.len();
            }
            return Ok(Step::Need(needed));
        }
        if let Some(needed) = texts.go_on(&numbers.found, directory, held)? {
            return Ok(Step::Need(needed));
        }
        self.finish().map(Step::Done)
    }

    fn supply(&mut self, block: Block) {
        self.held.supply(block);
    }
}
