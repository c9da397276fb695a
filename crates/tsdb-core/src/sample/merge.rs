//! The merge that joins the tiers: two buffers of one series' samples, of which one is the newer.
//!
//! Sources mostly follow each other in time, or interleave in long runs, so the merge works on runs: it looks
//! for the end of a run by doubling steps and copies it whole. Sample-by-sample interleaving costs a few
//! comparisons more than a plain merge would.

use std::cmp::Ordering;
use std::ops::Range;

use super::SampleBuffer;

/// One side of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Older,
    Newer,
}

impl SampleBuffer {
    /// Takes in the samples of `newer`; at a timestamp that both have, `newer` wins, whatever the kinds.
    ///
    /// Costs no work for each sample when the two do not overlap in time, but copying them.
    pub fn merge_newer(&mut self, mut newer: Self) {
        if newer.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = newer;
            return;
        }
        let (ours, theirs) = (self.time_range(), newer.time_range());
        if ours.end_ms < theirs.start_ms {
            return self.append(&mut newer);
        }
        if theirs.end_ms < ours.start_ms {
            newer.append(self);
            *self = newer;
            return;
        }
        self.give_way_across_kinds(&newer);
        self.merge_floats(newer.timestamps_ms, newer.values);
        self.merge_histograms(newer.histograms);
    }

    /// Moves the samples of `later`, all of them later than ours, to the end.
    fn append(&mut self, later: &mut Self) {
        self.timestamps_ms.append(&mut later.timestamps_ms);
        self.values.append(&mut later.values);
        self.histograms.append(&mut later.histograms);
    }

    /// Drops floats where `newer` has a histogram, and histograms where it has a float.
    fn give_way_across_kinds(&mut self, newer: &Self) {
        if !newer.histograms.is_empty() && !self.timestamps_ms.is_empty() {
            let mut replaced = Cursor::new(newer.histograms.len(), |i| newer.histograms[i].0);
            let keeps: Vec<bool> = self.timestamps_ms.iter().map(|&t| !replaced.reaches(t)).collect();
            retain(&mut self.timestamps_ms, &keeps);
            retain(&mut self.values, &keeps);
        }
        if !newer.timestamps_ms.is_empty() && !self.histograms.is_empty() {
            let mut replaced = Cursor::new(newer.timestamps_ms.len(), |i| newer.timestamps_ms[i]);
            self.histograms.retain(|sample| !replaced.reaches(sample.0));
        }
    }

    fn merge_floats(&mut self, newer_timestamps_ms: Vec<i64>, newer_values: Vec<f64>) {
        if newer_timestamps_ms.is_empty() {
            return;
        }
        let (timestamps_ms, values) =
            (std::mem::take(&mut self.timestamps_ms), std::mem::take(&mut self.values));
        self.timestamps_ms.reserve_exact(timestamps_ms.len() + newer_timestamps_ms.len());
        self.values.reserve_exact(timestamps_ms.len() + newer_timestamps_ms.len());
        merge_runs(
            &timestamps_ms,
            &newer_timestamps_ms,
            |&t| t,
            |side, run| {
                let (timestamps_ms, values) = match side {
                    Side::Older => (&timestamps_ms, &values),
                    Side::Newer => (&newer_timestamps_ms, &newer_values),
                };
                self.timestamps_ms.extend_from_slice(&timestamps_ms[run.clone()]);
                self.values.extend_from_slice(&values[run]);
            },
        );
    }

    fn merge_histograms(&mut self, newer: Vec<(i64, std::sync::Arc<crate::Histogram>)>) {
        if newer.is_empty() {
            return;
        }
        let older = std::mem::take(&mut self.histograms);
        self.histograms.reserve_exact(older.len() + newer.len());
        merge_runs(
            &older,
            &newer,
            |sample| sample.0,
            |side, run| {
                let samples = if side == Side::Older { &older } else { &newer };
                self.histograms.extend_from_slice(&samples[run]);
            },
        );
    }
}

/// Walks up a sorted list of timestamps in step with another.
struct Cursor<F> {
    next: usize,
    len: usize,
    timestamp_ms: F,
}

impl<F: Fn(usize) -> i64> Cursor<F> {
    fn new(len: usize, timestamp_ms: F) -> Self {
        Self { next: 0, len, timestamp_ms }
    }

    /// Whether the list has `timestamp_ms`; asked for ascending timestamps only.
    fn reaches(&mut self, timestamp_ms: i64) -> bool {
        while self.next < self.len && (self.timestamp_ms)(self.next) < timestamp_ms {
            self.next += 1;
        }
        self.next < self.len && (self.timestamp_ms)(self.next) == timestamp_ms
    }
}

fn retain<T>(items: &mut Vec<T>, keeps: &[bool]) {
    let mut keeps = keeps.iter();
    items.retain(|_| keeps.next().is_none_or(|&keep| keep));
}

/// Calls `take` for the runs of a merge in time order; where both have a timestamp, the newer one is taken.
fn merge_runs<T>(
    older: &[T],
    newer: &[T],
    timestamp_ms: impl Fn(&T) -> i64,
    mut take: impl FnMut(Side, Range<usize>),
) {
    let (mut i, mut j) = (0, 0);
    while i < older.len() && j < newer.len() {
        let (a, b) = (timestamp_ms(&older[i]), timestamp_ms(&newer[j]));
        match a.cmp(&b) {
            Ordering::Equal => i += 1,
            Ordering::Less => {
                let end = i + run_len(&older[i..], |item| timestamp_ms(item) < b);
                take(Side::Older, i..end);
                i = end;
            }
            Ordering::Greater => {
                let end = j + run_len(&newer[j..], |item| timestamp_ms(item) < a);
                take(Side::Newer, j..end);
                j = end;
            }
        }
    }
    if i < older.len() {
        take(Side::Older, i..older.len());
    }
    if j < newer.len() {
        take(Side::Newer, j..newer.len());
    }
}

/// How many items at the start are in the run: doubling steps, then a binary search in the last one.
fn run_len<T>(items: &[T], in_run: impl Fn(&T) -> bool) -> usize {
    let mut bound = 1;
    while bound < items.len() && in_run(&items[bound]) {
        bound *= 2;
    }
    let (from, to) = (bound / 2, items.len().min(bound + 1));
    from + items[from..to].partition_point(in_run)
}
