//! Building the index in bounded memory, however many series there are.
//!
//! Series are gathered into a [`run`]: the distinct values of each label with the series that have them, and of each
//! series what differs from the one before. When the series are all there, and they filled no more than one run, as is
//! usual, each label's values are sorted and written, and then the series with the places of their values. A run that
//! fills its budget before goes to the [`spill`], sorted, and all are merged in the end ([`merge`]). The bytes of the
//! index do not depend on the budget.

mod dictionary;
mod emit;
mod merge;
mod run;
mod spill;

use std::io::Write;

use tsdb_core::{Labels, TimeRange};

use super::bytes::Place;
use super::directory::{Directory, Label, REGION_HEAD};
use super::{
    BlockId, BlockKind, IndexError, IndexPointer, IndexResult, LabelBloomPlace, RowGroupPages,
    SERIES_INDEX_VERSION, page_table,
};
use emit::{BlockSink, SeriesWriter, ValueWriter, write_shared};
use merge::{Merge, SpilledRun};
use run::{Names, RUN_BYTES_MAX, Replay, Run};
use spill::Spilling;
pub use spill::{MemorySpill, Spill};

/// What a run takes in memory, about: 10,000 to 100,000 series a megabyte are gathered without any spill.
pub const DEFAULT_INDEX_MEMORY_BYTES: usize = 32 << 20;

/// Errors of what was put aside while building have no place in a file.
const SPILL: Place = Place { block: BlockKind::Spill, offset: 0 };

/// A series as the writer of a file knows it.
#[derive(Clone, Copy, Debug)]
pub struct SeriesEntry<'a> {
    /// Its labels.
    pub labels: &'a Labels,
    /// Number of its rows, at least 1. They lie behind those of the series before.
    pub rows: u64,
    /// From its first to its last timestamp.
    pub time_range: TimeRange,
    /// Whether a row is a float.
    pub has_floats: bool,
    /// Whether a row is a native histogram.
    pub has_histograms: bool,
}

/// Where an index was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenIndex {
    /// What a reader finds the index by.
    pub pointer: IndexPointer,
    /// What a reader finds the label bloom by, without the rest of the index.
    pub label_bloom: LabelBloomPlace,
}

/// Builds the series index of a file: takes its series in the order of rows, then writes the region in one go.
///
/// ```
/// use tsdb_parquet_io::tsdb_core::{Labels, TimeRange};
/// use tsdb_parquet_io::{Directory, SeriesEntry, SeriesIndexBuilder};
///
/// let mut builder = SeriesIndexBuilder::new();
/// let labels = Labels::from_pairs([("__name__", "up"), ("job", "api")])?;
/// let time_range = TimeRange::new(0, 60_000);
/// builder.push(&SeriesEntry { labels: &labels, rows: 5, time_range, has_floats: true, has_histograms: false })?;
///
/// let mut region = Vec::new();
/// let pointer = builder.finish(4, &[], &mut region)?.pointer;
/// let stored = &region[region.len() - pointer.directory_length as usize..];
/// assert_eq!(Directory::decode(stored, &pointer)?.series(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SeriesIndexBuilder {
    memory_budget_bytes: usize,
    names: Names,
    run: Run,
    spilled: Vec<SpilledRun>,
    spill: Spilling,
    series: u32,
    rows: u64,
    time_range: TimeRange,
}

impl Default for SeriesIndexBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SeriesIndexBuilder {
    /// A builder that keeps what goes beyond [`DEFAULT_INDEX_MEMORY_BYTES`] in memory too, but compressed.
    #[must_use]
    pub fn new() -> Self {
        Self::with_spill(DEFAULT_INDEX_MEMORY_BYTES, Box::new(MemorySpill::default()))
    }

    /// A builder that puts series into the spill whenever they take about `memory_budget_bytes` (at most 1 GiB). Its
    /// memory is some two times that, and 64 KiB for each time.
    #[must_use]
    pub fn with_spill(memory_budget_bytes: usize, spill: Box<dyn Spill>) -> Self {
        Self {
            memory_budget_bytes: memory_budget_bytes.min(RUN_BYTES_MAX),
            names: Names::default(),
            run: Run::default(),
            spilled: Vec::new(),
            spill: Spilling::new(spill),
            series: 0,
            rows: 0,
            time_range: TimeRange::EMPTY,
        }
    }

    /// Adds the next series. Series come in ascending order of labels, none twice.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] for more than 2^32-2 series, a series without rows or a label set of more than 256 MiB;
    /// [`IndexError::Io`] when the spill fails.
    pub fn push(&mut self, entry: &SeriesEntry<'_>) -> IndexResult<()> {
        if self.series == u32::MAX - 1 {
            return Err(IndexError::InvalidInput(format!("more than {} series", self.series)));
        }
        if entry.rows == 0 || !(entry.has_floats || entry.has_histograms) {
            return Err(IndexError::InvalidInput(format!("{} without samples", entry.labels)));
        }
        if !self.run.is_empty() && self.run.bytes() >= self.memory_budget_bytes {
            self.spill_run()?;
        }
        self.run.push(self.series, entry, &mut self.names)?;
        self.series += 1;
        self.rows += entry.rows;
        self.time_range = self.time_range.hull(entry.time_range);
        Ok(())
    }

    /// Bytes that the builder takes from the allocator, with what its spill keeps in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.run.memory_bytes() + self.spill.spill.memory_bytes()
    }

    fn spill_run(&mut self) -> IndexResult<()> {
        let mut run = std::mem::take(&mut self.run);
        run.close(self.series);
        self.spilled.push(SpilledRun::new(&run, &self.names, &mut self.spill)?);
        Ok(())
    }

    /// Writes the region, which begins at byte `region_offset` of the file. `row_groups` are those of the file in their
    /// order; together they have the rows of the series.
    ///
    /// # Errors
    /// [`IndexError::InvalidInput`] when the row groups have other rows, or pages that do not follow each other;
    /// [`IndexError::Io`] when `out` or the spill fails.
    pub fn finish(
        mut self,
        region_offset: u64,
        row_groups: &[RowGroupPages],
        out: &mut impl Write,
    ) -> IndexResult<WrittenIndex> {
        let grouped = row_groups.iter().map(|group| group.rows).sum::<u64>();
        if !row_groups.is_empty() && grouped != self.rows {
            let detail = format!("row groups of {grouped} rows for series of {}", self.rows);
            return Err(IndexError::InvalidInput(detail));
        }
        let is_sound = |group: &RowGroupPages| group.columns.iter().all(|column| column.is_sound(group.rows));
        if let Some(group) = row_groups.iter().position(|group| !is_sound(group)) {
            let detail = format!("pages of row group {group} that do not follow each other");
            return Err(IndexError::InvalidInput(detail));
        }
        let mut sink = BlockSink::new(out, region_offset);
        sink.write(&REGION_HEAD)?;

        let mut directory = Directory { series: self.series, ..Directory::default() };
        if self.series > 0 {
            (directory.start_ms, directory.end_ms) = (self.time_range.start_ms, self.time_range.end_ms);
        }
        let (label_bloom, shared) = self.values_and_series(&mut directory, &mut sink)?;
        directory.shared_blocks = shared.len() as u32;
        write_shared(&shared, &mut sink, &mut self.spill)?;
        directory.row_group_rows.push(0);
        let mut row = 0;
        for group in row_groups {
            let (mut raw, mut cuts) = (Vec::new(), Vec::new());
            page_table::encode(group, &mut raw, &mut cuts);
            sink.block(BlockKind::Pages, &raw, &cuts)?;
            row += group.rows;
            directory.row_group_rows.push(row);
        }

        directory.blocks = std::mem::take(&mut sink.blocks);
        let mut cuts = Vec::new();
        let raw = directory.encode(&mut cuts);
        let (directory_length, directory_hash) = sink.directory(&raw, &cuts)?;
        let (version, length) = (SERIES_INDEX_VERSION, sink.offset - region_offset);
        let pointer =
            IndexPointer { version, offset: region_offset, length, directory_length, directory_hash };
        Ok(WrittenIndex { pointer, label_bloom })
    }

    /// Writes the value blocks of single labels, the label bloom and the series blocks. Returns the place of the bloom, and
    /// the shared blocks, which come after them.
    fn values_and_series(
        &mut self,
        directory: &mut Directory,
        sink: &mut BlockSink<impl Write>,
    ) -> IndexResult<(LabelBloomPlace, Vec<super::BlockRef>)> {
        let names = &self.names.names;
        let mut by_name: Vec<u32> = (0..names.len() as u32).collect();
        by_name.sort_unstable_by(|&a, &b| names[a as usize].cmp(&names[b as usize]));
        let mut numbers = vec![0; by_name.len()];
        by_name.iter().zip(0..).for_each(|(&label, number)| numbers[label as usize] = number);

        let mut values = ValueWriter::default();
        let mut series = SeriesWriter::new(directory.start_ms);
        let label_bloom;
        if self.spilled.is_empty() {
            self.run.close(self.series);
            let mut places = vec![Vec::new(); by_name.len()];
            for &label in &by_name {
                values.begin_label(&self.names.names[label as usize]);
                places[label as usize] = self.run.each_value(label, |value, runs| {
                    runs.iter().for_each(|&run| values.run(run));
                    values.value(value, self.series, sink)
                })?;
                let name = self.names.names[label as usize].clone();
                directory.labels.push(values.label(name, sink, &mut self.spill)?);
            }
            directory.own_blocks = sink.blocks.len() as u32;
            label_bloom = values.label_bloom(sink)?;
            series.records(&self.run.records, &mut Replay::default(), &numbers, &places, sink)?;
        } else {
            self.spill_run()?;
            self.run = Run::default();
            let mut merge = Merge::new(std::mem::take(&mut self.spilled));
            for &label in &by_name {
                values.begin_label(&self.names.names[label as usize]);
                merge.label(label, self.series, &mut values, sink, &mut self.spill)?;
                let name = self.names.names[label as usize].clone();
                directory.labels.push(values.label(name, sink, &mut self.spill)?);
            }
            directory.own_blocks = sink.blocks.len() as u32;
            label_bloom = values.label_bloom(sink)?;
            merge.series(&numbers, &mut series, sink, &mut self.spill)?;
        }
        series.close(sink)?;
        directory.series_rows = series.first_rows;
        let first_shared = sink.blocks.len() as u32;
        for Label { shared, .. } in &mut directory.labels {
            *shared = shared.map(|BlockId(shared)| BlockId(first_shared + shared));
        }
        Ok((label_bloom, values.finish(sink, &mut self.spill)?))
    }
}
