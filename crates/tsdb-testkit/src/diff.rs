//! Comparison of answers, bit for bit, with a difference that a person can read.
//!
//! Also checks what every answer promises, whatever it is compared with: series in label order, each once, and
//! columns that ascend.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use tsdb_core::{Labels, SampleBuffer, SampleValue, Series};

/// How many differences are listed before the rest is only counted.
const MAX_LISTED: usize = 10;

/// Panics with a readable difference unless `actual` has the series of `expected`, in label order, with the same
/// samples, bit for bit.
///
/// # Panics
/// When they differ, or when `actual` breaks what every answer promises.
#[track_caller]
pub fn assert_series_eq(actual: &[Series], expected: &[Series]) {
    if let Some(diff) = series_diff(actual, expected) {
        panic!("{diff}");
    }
}

/// What [`assert_series_eq`] would say; nothing if the two are equal.
#[must_use]
pub fn series_diff(actual: &[Series], expected: &[Series]) -> Option<String> {
    let mut diff = Diff::default();
    for pair in actual.windows(2) {
        if compare(&pair[0].labels, &pair[1].labels) != Ordering::Less {
            diff.line(format!("out of order: {} comes before {}", pair[0].labels, pair[1].labels));
        }
    }
    let by_labels = |series: &[Series]| -> BTreeMap<Vec<(String, String)>, Series> {
        series.iter().map(|series| (key(&series.labels), series.clone())).collect()
    };
    let (actual, expected) = (by_labels(actual), by_labels(expected));
    for (key, series) in &actual {
        if !expected.contains_key(key) {
            diff.line(format!("unexpected series {}: {}", series.labels, summary(&series.samples)));
        }
    }
    for (key, series) in &expected {
        match actual.get(key) {
            Some(actual) => samples_diff(&series.labels, &actual.samples, &series.samples, &mut diff),
            None => diff.line(format!("missing series {}: {}", series.labels, summary(&series.samples))),
        }
    }
    diff.finish(actual.len(), expected.len())
}

fn samples_diff(labels: &Labels, actual: &SampleBuffer, expected: &SampleBuffer, diff: &mut Diff) {
    if actual.timestamps_ms.len() != actual.values.len() {
        diff.line(format!(
            "{labels}: {} timestamps, but {} values",
            actual.timestamps_ms.len(),
            actual.values.len()
        ));
    }
    let histogram_times: Vec<i64> = actual.histograms.iter().map(|(timestamp_ms, _)| *timestamp_ms).collect();
    for times in [&actual.timestamps_ms, &histogram_times] {
        if let Some(pair) = times.windows(2).find(|pair| pair[0] >= pair[1]) {
            diff.line(format!("{labels}: timestamps do not ascend: {} then {}", pair[0], pair[1]));
        }
    }
    let (actual, expected) = (by_time(actual), by_time(expected));
    for (timestamp_ms, values) in &actual {
        let shown = || values.iter().map(show).collect::<Vec<_>>().join(" and ");
        match expected.get(timestamp_ms).and_then(|expected| expected.first()) {
            _ if values.len() > 1 => diff.line(format!("{labels} @ {timestamp_ms}: twice, {}", shown())),
            None => diff.line(format!("{labels} @ {timestamp_ms}: unexpected {}", shown())),
            Some(expected) if !expected.bits_eq(&values[0]) => {
                diff.line(format!("{labels} @ {timestamp_ms}: got {}, expected {}", shown(), show(expected)));
            }
            Some(_) => {}
        }
    }
    for (timestamp_ms, values) in expected {
        if !actual.contains_key(&timestamp_ms) {
            diff.line(format!("{labels} @ {timestamp_ms}: missing {}", show(&values[0])));
        }
    }
}

/// Lines of differences, the first few kept and all counted.
#[derive(Default)]
struct Diff {
    lines: Vec<String>,
    count: usize,
}

impl Diff {
    fn line(&mut self, line: String) {
        self.count += 1;
        if self.lines.len() < MAX_LISTED {
            self.lines.push(line);
        }
    }

    fn finish(self, actual: usize, expected: usize) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let mut text = format!("{} differences ({actual} series, {expected} expected):", self.count);
        for line in &self.lines {
            let _ = write!(text, "\n  {line}"); // Writing to a string cannot fail.
        }
        if self.count > self.lines.len() {
            let _ = write!(text, "\n  ... and {} more", self.count - self.lines.len());
        }
        Some(text)
    }
}

/// The order of label sets spelt out: name and value pair by pair, a shorter set before its extensions.
fn compare(a: &Labels, b: &Labels) -> Ordering {
    key(a).cmp(&key(b))
}

fn key(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn by_time(samples: &SampleBuffer) -> BTreeMap<i64, Vec<SampleValue>> {
    let floats = samples.timestamps_ms.iter().zip(&samples.values);
    let floats = floats.map(|(timestamp_ms, value)| (*timestamp_ms, SampleValue::Float(*value)));
    let histograms = samples.histograms.iter();
    let histograms = histograms.map(|(timestamp_ms, h)| (*timestamp_ms, SampleValue::Histogram(h.clone())));
    let mut by_time = BTreeMap::<i64, Vec<SampleValue>>::new();
    for (timestamp_ms, value) in floats.chain(histograms) {
        by_time.entry(timestamp_ms).or_default().push(value);
    }
    by_time
}

fn summary(samples: &SampleBuffer) -> String {
    format!("{} floats, {} histograms", samples.timestamps_ms.len(), samples.histograms.len())
}

/// A value with its bits, because two NaNs print alike.
fn show(value: &SampleValue) -> String {
    match value {
        SampleValue::Float(value) => format!("{value:?} (bits {:#018x})", value.to_bits()),
        SampleValue::Histogram(histogram) => format!("{histogram:?}"),
    }
}
