//! A run: consecutive series, gathered in memory until they have filled their budget.
//!
//! Series come sorted by labels, so most labels of a series are those of the one before. Only what changes is looked
//! at and kept:
//!
//! ```text
//! record  := rows varint, first time less that of the series before zigzag varint, ms to the last time varint,
//!            kinds u8, changes varint, change*
//! change  := label varint, value varint          numbers of this run; value 0: the label is gone
//! ```
//!
//! The first series of a run changes from a series without labels.

use std::collections::HashMap;

use tsdb_core::Labels;

use super::super::bytes::{Cursor, put_varint, unzigzag, zigzag};
use super::super::postings::OrdinalRun;
use super::super::series_block::{SeriesRecord, kinds};
use super::super::{IndexError, IndexResult};
use super::SeriesEntry;
use super::dictionary::{Dictionary, LINK_BYTES, Link, VALUE_BYTES};

/// The most bytes of one label set: a block must hold any value, and a run one series more than its budget.
const LABELS_BYTES_MAX: usize = 256 << 20;
/// The most a run may take, so that places in it fit in 32 bits.
pub(super) const RUN_BYTES_MAX: usize = 1 << 30;

/// The label names of all series, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }
}

/// What a run knows of a label.
#[derive(Debug)]
struct RunLabel {
    values: Dictionary,
    /// The value of the last series, 0 for none, and the first of the series that have it in a row.
    current: u32,
    since: u32,
    /// The first of the series in a row that have the label.
    having_since: u32,
}

impl RunLabel {
    /// The last value has ended before `series`.
    fn close(&mut self, series: u32, links: &mut Vec<Link>) {
        if self.current > 0 {
            let run = OrdinalRun { first: self.since, count: series - self.since };
            self.values.add_run(self.current, run, links);
        }
    }

    fn change(&mut self, value: u32, series: u32, links: &mut Vec<Link>) {
        self.close(series, links);
        if self.current == 0 {
            self.having_since = series;
        } else if value == 0 {
            self.close_having(series, links);
        }
        self.current = value;
        self.since = series;
    }

    fn close_having(&mut self, series: u32, links: &mut Vec<Link>) {
        let having = OrdinalRun { first: self.having_since, count: series - self.having_since };
        self.values.add_run(0, having, links);
    }
}

/// Consecutive series in memory.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// By label number; `None` for labels of other runs.
    labels: Vec<Option<RunLabel>>,
    text: Vec<u8>,
    links: Vec<Link>,
    pub(super) records: Vec<u8>,
    /// Where the records end after every so many series, see [`RECORDS_PER_PART`].
    pub(super) parts: Vec<usize>,
    series: u32,
    /// Values of all labels, and the bytes of their hash tables.
    values: usize,
    slot_bytes: usize,
    previous: Labels,
    previous_start_ms: i64,
    changes: Vec<(u32, u32)>,
}

/// Records between two places of [`Run::parts`].
const RECORDS_PER_PART: u32 = 512;

impl Run {
    pub(super) fn is_empty(&self) -> bool {
        self.series == 0
    }

    /// Bytes in use, about.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
            + self.records.len()
            + self.links.len() * LINK_BYTES
            + self.values * VALUE_BYTES
            + self.slot_bytes
    }

    /// Bytes taken from the allocator.
    pub(super) fn memory_bytes(&self) -> usize {
        let labels = self.labels.iter().flatten().map(|label| label.values.memory_bytes());
        self.text.capacity()
            + self.records.capacity()
            + self.links.capacity() * LINK_BYTES
            + labels.sum::<usize>()
    }

    /// Adds the series with this ordinal.
    pub(super) fn push(
        &mut self,
        ordinal: u32,
        entry: &SeriesEntry<'_>,
        names: &mut Names,
    ) -> IndexResult<()> {
        let len = entry.labels.as_bytes().len();
        if len > LABELS_BYTES_MAX {
            return Err(IndexError::InvalidInput(format!("a label set of {len} bytes")));
        }
        let previous = std::mem::replace(&mut self.previous, entry.labels.clone());
        self.find_changes(&previous, entry.labels, names);
        put_varint(&mut self.records, entry.rows);
        let from_previous = entry.time_range.start_ms.wrapping_sub(self.previous_start_ms);
        put_varint(&mut self.records, zigzag(from_previous));
        let span = entry.time_range.end_ms.wrapping_sub(entry.time_range.start_ms);
        put_varint(&mut self.records, span as u64);
        self.records.push(kinds(entry.has_floats, entry.has_histograms));
        put_varint(&mut self.records, self.changes.len() as u64);
        for &(number, value) in &self.changes {
            put_varint(&mut self.records, u64::from(number));
            put_varint(&mut self.records, u64::from(value));
            if let Some(label) = &mut self.labels[number as usize] {
                label.change(value, ordinal, &mut self.links);
            }
        }
        self.previous_start_ms = entry.time_range.start_ms;
        self.series += 1;
        if self.series.is_multiple_of(RECORDS_PER_PART) {
            self.parts.push(self.records.len());
        }
        Ok(())
    }

    fn find_changes(&mut self, previous: &Labels, labels: &Labels, names: &mut Names) {
        self.changes.clear();
        let mut old = previous.iter().peekable();
        for (name, value) in labels {
            while let Some((gone, _)) = old.next_if(|&(old_name, _)| old_name < name) {
                self.changes.push((names.number(gone), 0));
            }
            if old.next_if(|&(old_name, _)| old_name == name).is_some_and(|(_, old)| old == value) {
                continue;
            }
            let number = names.number(name);
            let value = self.value(number, value);
            self.changes.push((number, value));
        }
        for (gone, _) in old {
            self.changes.push((names.number(gone), 0));
        }
    }

    fn value(&mut self, label: u32, value: &str) -> u32 {
        if self.labels.len() <= label as usize {
            self.labels.resize_with(label as usize + 1, || None);
        }
        let label = self.labels[label as usize].get_or_insert_with(|| {
            self.values += 1;
            RunLabel { values: Dictionary::new(), current: 0, since: 0, having_since: 0 }
        });
        let (values, slot_bytes) = (label.values.len(), label.values.slot_bytes());
        let id = label.values.value(value, &mut self.text);
        self.values += label.values.len() - values;
        self.slot_bytes = self.slot_bytes + label.values.slot_bytes() - slot_bytes;
        id
    }

    /// Ends the run before the series `end`: no more series are added.
    pub(super) fn close(&mut self, end: u32) {
        for label in self.labels.iter_mut().flatten() {
            if label.current > 0 {
                label.change(0, end, &mut self.links);
            }
        }
        self.parts.push(self.records.len());
    }

    /// The numbers of the labels that occur.
    pub(super) fn labels(&self) -> impl Iterator<Item = u32> {
        (0..self.labels.len() as u32).filter(|&label| self.labels[label as usize].is_some())
    }

    /// Gives to `each` the distinct values of a label in the order of their bytes, the empty one first, with their
    /// series. Returns the place of each of the label's values in that order.
    pub(super) fn each_value(
        &self,
        label: u32,
        mut each: impl FnMut(&[u8], &[OrdinalRun]) -> IndexResult<()>,
    ) -> IndexResult<Vec<u32>> {
        let Some(label) = self.labels.get(label as usize).and_then(Option::as_ref) else {
            return Ok(Vec::new());
        };
        let values = &label.values;
        let sorted = values.sorted(&self.text);
        let mut places = vec![0; sorted.len()];
        let mut runs = Vec::new();
        let distinct = sorted.chunk_by(|&a, &b| a > 0 && values.is_same(a, b, &self.text));
        for (place, same) in distinct.enumerate() {
            same.iter().for_each(|&id| places[id as usize] = place as u32);
            values.runs(same, &self.links, &mut runs);
            each(values.text(same[0], &self.text), &runs)?;
        }
        Ok(places)
    }
}

/// Reads the records of a run back, with the labels that each series has.
#[derive(Debug, Default)]
pub(super) struct Replay {
    start_ms: i64,
    /// Number and value of each label of the last series.
    pub(super) labels: Vec<(u32, u32)>,
}

impl Replay {
    /// Reads a record: the series' labels are then in `labels`, in no order.
    pub(super) fn record(&mut self, cursor: &mut Cursor<'_>) -> IndexResult<SeriesRecord> {
        let rows = cursor.varint()?;
        self.start_ms = self.start_ms.wrapping_add(unzigzag(cursor.varint()?));
        let end_ms = self.start_ms.wrapping_add(cursor.varint()? as i64);
        let kinds = cursor.u8()?;
        for _ in 0..cursor.varint()? {
            let (label, value) = (cursor.varint_u32()?, cursor.varint_u32()?);
            let known = self.labels.iter().position(|&(known, _)| known == label);
            match (known, value) {
                (Some(known), 0) => {
                    self.labels.swap_remove(known);
                }
                (Some(known), value) => self.labels[known].1 = value,
                (None, value) => self.labels.push((label, value)),
            }
        }
        Ok(SeriesRecord { rows, start_ms: self.start_ms, end_ms, kinds })
    }
}
