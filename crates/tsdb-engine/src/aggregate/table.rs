//! The groups of an aggregation and their windows, while series come in.
//!
//! The windows of a group are sorted columns. A series walks up them with a cursor: as a rule it has the windows that are there.
//! Those that it is the first to have go to the end, or aside into a tree that is merged in when it has grown as large as the
//! columns, so that no order of series makes this quadratic.

use std::collections::{BTreeMap, HashMap};

use tsdb_core::{Labels, LabelsBuilder, MIN_TIMESTAMP_MS, STALE_NAN_BITS, SampleBuffer, Series, TimeRange};

use super::fold::Fold;
use super::{AggregateCounts, Aggregation, Grouping};

/// A [`GroupTable`] of any function.
pub(super) trait Table: Send {
    /// Takes in a series.
    fn add(&mut self, series: &Series);
    fn counts(&self) -> AggregateCounts;
    /// The groups in label order.
    fn finish(self: Box<Self>) -> Box<dyn Iterator<Item = Series> + Send>;
}

pub(super) struct GroupTable<F> {
    /// Sorted.
    labels: Vec<String>,
    /// Whether grouping is by `labels`, or by all others.
    is_by: bool,
    step_ms: Option<i64>,
    range: TimeRange,
    /// The earliest sample that counts.
    first_ms: i64,
    /// The place in `groups` of each group, by the canonical bytes of its label set.
    places: HashMap<Box<[u8]>, usize>,
    groups: Vec<(Labels, Windows<F>)>,
    builder: LabelsBuilder,
    counts: AggregateCounts,
    /// Samples of a series without its staleness markers.
    fresh: SampleBuffer,
}

impl<F: Fold> GroupTable<F> {
    pub(super) fn boxed(aggregation: &Aggregation, range: TimeRange) -> Box<dyn Table> {
        let (is_by, labels) = match &aggregation.grouping {
            Grouping::By(labels) => (true, labels),
            Grouping::Without(labels) => (false, labels),
        };
        let mut labels = labels.clone();
        labels.sort_unstable();
        Box::new(Self {
            labels,
            is_by,
            step_ms: aggregation.step_ms,
            range,
            first_ms: i64::MAX,
            places: HashMap::new(),
            groups: Vec::new(),
            builder: LabelsBuilder::new(),
            counts: AggregateCounts::default(),
            fresh: SampleBuffer::default(),
        })
    }

    /// The place of the group that a series belongs to.
    fn group_of(&mut self, labels: &Labels) -> usize {
        self.builder.clear();
        for (name, value) in labels {
            let is_named = self.labels.binary_search_by(|label| label.as_str().cmp(name)).is_ok();
            if is_named == self.is_by {
                self.builder.push(name, value);
            }
        }
        const SOUND: &str = "invariant: a part of a label set is a label set";
        let key = self.builder.build_bytes().expect(SOUND);
        if let Some(&place) = self.places.get(key) {
            return place;
        }
        self.places.insert(key.into(), self.groups.len());
        self.groups.push((self.builder.build().expect(SOUND), Windows::default()));
        self.groups.len() - 1
    }
}

impl<F: Fold> Table for GroupTable<F> {
    fn add(&mut self, series: &Series) {
        let samples = &series.samples;
        let (mut timestamps_ms, mut values) = (&samples.timestamps_ms[..], &samples.values[..]);
        let mut fresh = std::mem::take(&mut self.fresh);
        if values.iter().any(is_stale) {
            fresh.timestamps_ms.clear();
            fresh.values.clear();
            for (&at_ms, value) in timestamps_ms.iter().zip(values).filter(|(_, value)| !is_stale(value)) {
                fresh.timestamps_ms.push(at_ms);
                fresh.values.push(*value);
            }
            (timestamps_ms, values) = (&fresh.timestamps_ms, &fresh.values);
        }
        let histograms: Vec<i64> =
            samples.histograms.iter().filter(|(_, h)| !h.is_stale()).map(|(at_ms, _)| *at_ms).collect();
        let counted = if F::COUNTS_HISTOGRAMS { &histograms[..] } else { &[] };
        self.counts.histograms_left_out += (histograms.len() - counted.len()) as u64;

        if !timestamps_ms.is_empty() || !counted.is_empty() {
            let group = self.group_of(&series.labels);
            let (step_ms, windows) = (self.step_ms, &mut self.groups[group].1);
            let before = windows.len();
            let mut cursor = 0;
            for_each_window(timestamps_ms, step_ms, |start_ms, from, to| {
                windows.at(start_ms, &mut cursor).add(&timestamps_ms[from..to], &values[from..to]);
            });
            let mut cursor = 0;
            for_each_window(counted, step_ms, |start_ms, from, to| {
                windows.at(start_ms, &mut cursor).add_histograms((to - from) as u64);
            });
            self.counts.windows += (windows.len() - before) as u64;
            self.counts.groups = self.groups.len() as u64;
            let first = timestamps_ms.first().into_iter().chain(counted.first());
            self.first_ms = first.fold(self.first_ms, |first_ms, &at_ms| first_ms.min(at_ms));
        }
        self.fresh = fresh;
    }

    fn counts(&self) -> AggregateCounts {
        self.counts
    }

    fn finish(self: Box<Self>) -> Box<dyn Iterator<Item = Series> + Send> {
        let Self { mut groups, step_ms, range, first_ms, .. } = *self;
        groups.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let only_ms = step_ms.is_none().then_some(match range.start_ms {
            MIN_TIMESTAMP_MS.. => range.start_ms,
            _ => first_ms,
        });
        Box::new(groups.into_iter().map(move |(labels, windows)| {
            let (mut timestamps_ms, folds) = windows.into_columns();
            if let Some(only_ms) = only_ms {
                timestamps_ms.fill(only_ms);
            }
            let values = folds.into_iter().map(F::value).collect();
            Series { labels, samples: SampleBuffer { timestamps_ms, values, histograms: Vec::new() } }
        }))
    }
}

fn is_stale(value: &f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Calls `window` for each window that has any of `timestamps_ms`, which ascend: its start, and which of them it has. Without a
/// step there is one, at 0.
fn for_each_window(timestamps_ms: &[i64], step_ms: Option<i64>, mut window: impl FnMut(i64, usize, usize)) {
    let Some(step_ms) = step_ms else {
        if !timestamps_ms.is_empty() {
            window(0, 0, timestamps_ms.len());
        }
        return;
    };
    let mut from = 0;
    let mut next_ms = i64::MIN;
    while let Some(&first_ms) = timestamps_ms.get(from) {
        // Mostly the window behind the last one: that saves a division.
        let since_next_ms = first_ms.checked_sub(next_ms).filter(|_| from > 0);
        let is_next = since_next_ms.is_some_and(|since_ms| (0..step_ms).contains(&since_ms));
        let window_of = |ms: i64| ms.div_euclid(step_ms).checked_mul(step_ms).unwrap_or(i64::MIN);
        let start_ms = if is_next { next_ms } else { window_of(first_ms) };
        let end_ms = start_ms.checked_add(step_ms);
        let rest = &timestamps_ms[from..];
        // The last window that there can be has no end.
        let count = end_ms.and_then(|end_ms| rest.iter().position(|&at_ms| at_ms >= end_ms));
        let to = from + count.unwrap_or(rest.len());
        window(start_ms, from, to);
        (from, next_ms) = (to, end_ms.unwrap_or(i64::MAX));
    }
}

/// The windows of a group.
struct Windows<F> {
    /// Ascending.
    starts_ms: Vec<i64>,
    folds: Vec<F>,
    /// Windows that belong between those.
    between: BTreeMap<i64, F>,
}

impl<F> Default for Windows<F> {
    fn default() -> Self {
        Self { starts_ms: Vec::new(), folds: Vec::new(), between: BTreeMap::new() }
    }
}

/// Windows that are kept aside although there are fewer in the columns.
const BETWEEN_MIN: usize = 64;

impl<F: Fold> Windows<F> {
    fn len(&self) -> usize {
        self.starts_ms.len() + self.between.len()
    }

    /// The window that starts at `start_ms`. `cursor` is where the last one was found, which started earlier.
    fn at(&mut self, start_ms: i64, cursor: &mut usize) -> &mut F {
        if self.between.len() > BETWEEN_MIN.max(self.starts_ms.len()) {
            let windows = std::mem::take(self);
            (self.starts_ms, self.folds) = windows.into_columns();
            *cursor = 0;
        }
        if self.starts_ms.get(*cursor).is_some_and(|&at_ms| at_ms < start_ms) {
            *cursor += 1;
            if self.starts_ms.get(*cursor).is_some_and(|&at_ms| at_ms < start_ms) {
                *cursor += self.starts_ms[*cursor..].partition_point(|&at_ms| at_ms < start_ms);
            }
        }
        match self.starts_ms.get(*cursor) {
            Some(&at_ms) if at_ms == start_ms => &mut self.folds[*cursor],
            Some(_) => self.between.entry(start_ms).or_default(),
            None => {
                self.starts_ms.push(start_ms);
                self.folds.push(F::default());
                &mut self.folds[*cursor]
            }
        }
    }

    /// All windows, by time.
    fn into_columns(self) -> (Vec<i64>, Vec<F>) {
        let Self { starts_ms, folds, between } = self;
        if between.is_empty() {
            return (starts_ms, folds);
        }
        let mut columns = Vec::with_capacity(starts_ms.len() + between.len());
        columns.extend(starts_ms.into_iter().zip(folds));
        columns.extend(between);
        // Two runs, which a stable sort merges.
        columns.sort_by_key(|(start_ms, _)| *start_ms);
        columns.into_iter().unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold::Sum;
    use super::*;

    #[test]
    fn windows_are_multiples_of_the_step_also_before_the_epoch() {
        let windows = |timestamps_ms: &[i64], step_ms| {
            let mut found = Vec::new();
            for_each_window(timestamps_ms, step_ms, |start_ms, from, to| found.push((start_ms, from, to)));
            found
        };
        assert_eq!(windows(&[], Some(10)), []);
        assert_eq!(windows(&[], None), []);
        assert_eq!(windows(&[-7, 3], None), [(0, 0, 2)]);
        let expected = [(-20, 0, 1), (-10, 1, 3), (0, 3, 5), (30, 5, 6), (40, 6, 7)];
        assert_eq!(windows(&[-11, -10, -1, 0, 9, 30, 49], Some(10)), expected);
        assert_eq!(windows(&[-1, 0], Some(i64::MAX)), [(-i64::MAX, 0, 1), (0, 1, 2)]);
        // A file of another tool may have any time: none falls into the window of another.
        let ends = [i64::MIN, -1, 0, i64::MAX];
        let last_ms = i64::MAX / 10 * 10;
        assert_eq!(windows(&ends, Some(10)), [(i64::MIN, 0, 1), (-10, 1, 2), (0, 2, 3), (last_ms, 3, 4)]);
    }

    #[test]
    fn windows_come_out_by_time_whatever_series_bring_them() {
        let mut windows = Windows::<Sum>::default();
        let mut expected = BTreeMap::new();
        // Each series has a few windows, later series earlier and earlier ones, and some again.
        for series in 0..400_i64 {
            let mut cursor = 0;
            for window in [-series, 3 - series, 40, 400 + series % 7, 1000 + series] {
                windows.at(window, &mut cursor).add(&[0], &[1.0]);
                *expected.entry(window).or_insert(0.0) += 1.0;
            }
            assert_eq!(windows.len(), expected.len());
        }
        let (starts_ms, folds) = windows.into_columns();
        let found: BTreeMap<i64, f64> =
            starts_ms.iter().copied().zip(folds.into_iter().map(Sum::value)).collect();
        assert!(starts_ms.is_sorted_by(|a, b| a < b));
        assert_eq!(found, expected);
    }
}
