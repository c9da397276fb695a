//! Runs that were put aside, and their merge by label and value.
//!
//! A run goes to the spill as three streams: the distinct values of its labels with their series, labels by name and
//! values by their bytes; the place of each of the run's value numbers in that order; and the records of its series.
//! The merge reads the first of all runs side by side and writes for each run a fourth, the place of each of its values
//! among the values of the file. Then the records of one run after the other find their values through the two.
//!
//! ```text
//! value   := shared bytes varint, own bytes varint, own bytes, runs varint, (gap varint, length varint)*
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;

use super::super::IndexResult;
use super::super::bytes::put_varint;
use super::super::postings::OrdinalRun;
use super::super::value_block::shared_prefix;
use super::emit::{BlockSink, SeriesWriter, ValueWriter};
use super::run::{Names, Replay, Run};
use super::spill::{Spilling, StreamReader, StreamWriter};

/// A run in the spill.
#[derive(Debug)]
pub(super) struct SpilledRun {
    /// The labels by name: number, distinct values, and value numbers, of which several may mean one value.
    labels: Vec<SpilledLabel>,
    values: StreamReader,
    places: StreamReader,
    records: StreamReader,
}

#[derive(Clone, Copy, Debug)]
struct SpilledLabel {
    label: u32,
    distinct: u32,
    numbers: u32,
}

impl SpilledRun {
    pub(super) fn new(run: &Run, names: &Names, spill: &mut Spilling) -> IndexResult<Self> {
        let mut by_name: Vec<u32> = run.labels().collect();
        by_name.sort_unstable_by(|&a, &b| names.names[a as usize].cmp(&names.names[b as usize]));
        let (mut values, mut places) = (StreamWriter::default(), StreamWriter::default());
        let mut labels = Vec::with_capacity(by_name.len());
        for label in by_name {
            let (mut last, mut distinct) = (Vec::new(), 0);
            let of_label = run.each_value(label, |value, runs| {
                put_value(&mut values.raw, &mut last, value, runs);
                distinct += 1;
                values.end_record(spill)
            })?;
            for &place in &of_label {
                places.number(place, spill)?;
            }
            labels.push(SpilledLabel { label, distinct, numbers: of_label.len() as u32 });
        }
        let mut records = StreamWriter::default();
        let mut start = 0;
        for &end in &run.parts {
            records.raw.extend_from_slice(&run.records[start..end]);
            records.end_record(spill)?;
            start = end;
        }
        Ok(Self {
            labels,
            values: values.finish(spill)?,
            places: places.finish(spill)?,
            records: records.finish(spill)?,
        })
    }
}

fn put_value(out: &mut Vec<u8>, last: &mut Vec<u8>, value: &[u8], runs: &[OrdinalRun]) {
    let shared = shared_prefix(last, value);
    put_varint(out, shared as u64);
    put_varint(out, (value.len() - shared) as u64);
    out.extend_from_slice(&value[shared..]);
    last.truncate(shared);
    last.extend_from_slice(&value[shared..]);
    put_varint(out, runs.len() as u64);
    let mut end = 0;
    for run in runs {
        put_varint(out, u64::from(run.first - end));
        put_varint(out, u64::from(run.count));
        end = run.first + run.count;
    }
}

/// One of the runs while they are merged.
#[derive(Debug)]
struct Source {
    run: SpilledRun,
    /// The place in `run.labels` of the next label, and how many values of it are still to come.
    next_label: usize,
    left: u32,
    /// The value that was read last, with its series.
    value: Vec<u8>,
    runs: Vec<OrdinalRun>,
    /// The place of each value among those of the file, less that of the one before.
    numbers: StreamWriter,
    last_number: u32,
}

impl Source {
    fn new(run: SpilledRun) -> Self {
        let (value, runs, numbers) = (Vec::new(), Vec::new(), StreamWriter::default());
        Self { run, next_label: 0, left: 0, value, runs, numbers, last_number: 0 }
    }

    /// Begins a label if the run has it.
    fn begin(&mut self, label: u32) {
        self.value.clear();
        self.last_number = 0;
        self.left = match self.run.labels.get(self.next_label) {
            Some(next) if next.label == label => {
                self.next_label += 1;
                next.distinct
            }
            _ => 0,
        };
    }

    /// Reads the next value of the label; false after the last.
    fn advance(&mut self, spill: &mut Spilling) -> IndexResult<bool> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        self.left = left;
        let Self { run, value, runs, .. } = self;
        run.values.record(spill, |cursor| {
            let (shared, own) = (cursor.varint()?, cursor.varint()?);
            value.truncate(shared as usize);
            value.extend_from_slice(cursor.take(own)?);
            runs.clear();
            let mut end = 0;
            for _ in 0..cursor.varint()? {
                let first = end + cursor.varint_u32()?;
                let count = cursor.varint_u32()?;
                runs.push(OrdinalRun { first, count });
                end = first + count;
            }
            Ok(())
        })?;
        Ok(true)
    }

    /// Notes the place of the value that was read last.
    fn number(&mut self, number: u32, spill: &mut Spilling) -> IndexResult<()> {
        let delta = number - std::mem::replace(&mut self.last_number, number);
        self.numbers.number(delta, spill)
    }
}

/// The merge of all runs.
#[derive(Debug)]
pub(super) struct Merge {
    sources: Vec<Source>,
    heap: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
}

impl Merge {
    pub(super) fn new(runs: Vec<SpilledRun>) -> Self {
        Self { sources: runs.into_iter().map(Source::new).collect(), heap: BinaryHeap::new() }
    }

    /// Writes the values of the label with this number; labels come by name.
    pub(super) fn label(
        &mut self,
        label: u32,
        all_series: u32,
        values: &mut ValueWriter,
        sink: &mut BlockSink<impl Write>,
        spill: &mut Spilling,
    ) -> IndexResult<()> {
        for (index, source) in self.sources.iter_mut().enumerate() {
            source.begin(label);
            if source.advance(spill)? {
                self.heap.push(Reverse((source.value.clone(), index)));
            }
        }
        let mut number = 0;
        while let Some(Reverse((value, index))) = self.heap.pop() {
            self.take(index, number, values, spill)?;
            // Equal values come by run, and so by series.
            while let Some(Reverse((_, index))) = self.pop_equal(&value) {
                self.take(index, number, values, spill)?;
            }
            values.value(&value, all_series, sink)?;
            number += 1;
        }
        Ok(())
    }

    fn pop_equal(&mut self, value: &[u8]) -> Option<Reverse<(Vec<u8>, usize)>> {
        self.heap.peek().is_some_and(|Reverse((next, _))| next == value).then(|| self.heap.pop()).flatten()
    }

    fn take(
        &mut self,
        index: usize,
        number: u32,
        values: &mut ValueWriter,
        spill: &mut Spilling,
    ) -> IndexResult<()> {
        let source = &mut self.sources[index];
        source.runs.iter().for_each(|&run| values.run(run));
        source.number(number, spill)?;
        if source.advance(spill)? {
            self.heap.push(Reverse((source.value.clone(), index)));
        }
        Ok(())
    }

    /// Writes the series of one run after the other. `labels` gives the file's number of each label number.
    pub(super) fn series(
        self,
        labels: &[u32],
        series: &mut SeriesWriter,
        sink: &mut BlockSink<impl Write>,
        spill: &mut Spilling,
    ) -> IndexResult<()> {
        for source in self.sources {
            let mut numbers = source.numbers.finish(spill)?;
            let SpilledRun { labels: of_run, mut places, mut records, .. } = source.run;
            let mut values = vec![Vec::new(); labels.len()];
            for SpilledLabel { label, distinct, numbers: count } in of_run {
                let mut number = 0;
                let mut next_number = |_| {
                    number += numbers.number(spill)?;
                    Ok(number)
                };
                let by_place: Vec<u32> = (0..distinct).map(&mut next_number).collect::<IndexResult<_>>()?;
                let of_label = &mut values[label as usize];
                of_label.reserve_exact(count as usize);
                for _ in 0..count {
                    let place = places.number(spill)?;
                    of_label.push(by_place[place as usize]);
                }
            }
            let mut replay = Replay::default();
            while let Some(records) = records.next_chunk(spill)? {
                series.records(&records, &mut replay, labels, &values, sink)?;
            }
        }
        Ok(())
    }
}
