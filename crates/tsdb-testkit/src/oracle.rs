//! The model: a store that is one map, slow and plainly right, to compare every answer with.
//!
//! It shares as little as possible with what it judges. Series are ordered as lists of pairs of strings, not by
//! [`Labels`]' own order; matchers are evaluated from their text with the regex crate as it comes, not through the
//! compiled form. Patterns must therefore mean the same to that crate and to RE2: those of
//! [`strategies`](crate::strategies) do (no `\d`, `\w`, `\s`, `\b`, class set operators or bare braces).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex::Regex;
use tsdb_core::{Labels, MatchOp, Matcher, SampleBuffer, SampleValue, Series, TimeRange};

/// Sorted pairs of name and value: compared pair by pair, as Prometheus compares label sets.
type Pairs = Vec<(String, String)>;

/// The store as one map: label set to timestamp to value.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    series: BTreeMap<Pairs, (Labels, BTreeMap<i64, SampleValue>)>,
}

impl Oracle {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a sample; the last write wins.
    pub fn append(&mut self, labels: &Labels, timestamp_ms: i64, value: SampleValue) {
        let entry = self.series.entry(pairs(labels)).or_insert_with(|| (labels.clone(), BTreeMap::new()));
        entry.1.insert(timestamp_ms, value);
    }

    /// Removes the samples in `range`, both ends included, of the series that all `matchers` match. Returns how many.
    pub fn delete(&mut self, matchers: &[Matcher], range: TimeRange) -> u64 {
        let matchers = NaiveMatchers::new(matchers);
        let mut deleted = 0;
        self.series.retain(|pairs, (_, samples)| {
            if matchers.match_all(pairs) {
                let before = samples.len();
                samples.retain(|timestamp_ms, _| !in_range(*timestamp_ms, range));
                deleted += (before - samples.len()) as u64;
            }
            !samples.is_empty()
        });
        deleted
    }

    /// The series that all `matchers` match and that have samples in `range` (both ends included), in label order,
    /// each with those samples by time.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
        let matchers = NaiveMatchers::new(matchers);
        let matching = self.series.iter().filter(|(pairs, _)| matchers.match_all(pairs));
        let answers = matching.map(|(_, (labels, samples))| Series {
            labels: labels.clone(),
            samples: buffer(samples.iter().filter(|(timestamp_ms, _)| in_range(**timestamp_ms, range))),
        });
        answers
            .filter(|series| {
                !series.samples.timestamps_ms.is_empty() || !series.samples.histograms.is_empty()
            })
            .collect()
    }

    /// Everything in the store.
    #[must_use]
    pub fn all(&self) -> Vec<Series> {
        self.select(&[], TimeRange::ALL)
    }

    /// How many series have samples.
    #[must_use]
    pub fn series_count(&self) -> u64 {
        self.series.len() as u64
    }

    /// How many samples there are.
    #[must_use]
    pub fn sample_count(&self) -> u64 {
        self.series.values().map(|(_, samples)| samples.len() as u64).sum()
    }

    /// First and last timestamp; none of an empty store.
    #[must_use]
    pub fn time_range(&self) -> Option<TimeRange> {
        let timestamps = || self.series.values().flat_map(|(_, samples)| samples.keys().copied());
        Some(TimeRange::new(timestamps().min()?, timestamps().max()?))
    }

    /// The label names of the series that [`Oracle::select`] would give, sorted.
    #[must_use]
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Vec<String> {
        let series = self.select(matchers, range);
        let names = series.iter().flat_map(|series| pairs(&series.labels)).map(|(name, _)| name);
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The values that label `name` has in the series that [`Oracle::select`] would give, sorted.
    #[must_use]
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Vec<String> {
        let series = self.select(matchers, range);
        let labels = series.iter().flat_map(|series| pairs(&series.labels));
        let values = labels.filter(|(label, _)| label == name).map(|(_, value)| value);
        values.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn pairs(labels: &Labels) -> Pairs {
    let mut pairs: Pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.sort_unstable();
    pairs
}

fn in_range(timestamp_ms: i64, range: TimeRange) -> bool {
    range.start_ms <= timestamp_ms && timestamp_ms <= range.end_ms
}

/// Fills the columns by hand: they are public, and what fills them elsewhere is under test.
fn buffer<'a>(samples: impl Iterator<Item = (&'a i64, &'a SampleValue)>) -> SampleBuffer {
    let mut buffer = SampleBuffer::default();
    for (&timestamp_ms, value) in samples {
        match value {
            SampleValue::Float(value) => {
                buffer.timestamps_ms.push(timestamp_ms);
                buffer.values.push(*value);
            }
            SampleValue::Histogram(histogram) => buffer.histograms.push((timestamp_ms, histogram.clone())),
        }
    }
    buffer
}

/// Matchers evaluated the slow way, from their text.
struct NaiveMatchers {
    matchers: Vec<(MatchOp, String, String)>,
    patterns: HashMap<String, Regex>,
}

impl NaiveMatchers {
    fn new(matchers: &[Matcher]) -> Self {
        let matchers: Vec<_> =
            matchers.iter().map(|m| (m.op(), m.name().to_owned(), m.value().to_owned())).collect();
        let patterns = matchers.iter().filter(|(op, ..)| matches!(op, MatchOp::Regex | MatchOp::NotRegex));
        let compile = |pattern: &str| {
            Regex::new(&format!("^(?s:{pattern})$")).expect("a pattern of a valid matcher compiles here too")
        };
        let patterns = patterns.map(|(_, _, value)| (value.clone(), compile(value))).collect();
        Self { matchers, patterns }
    }

    fn match_all(&self, pairs: &Pairs) -> bool {
        self.matchers.iter().all(|(op, name, value)| {
            // A missing label is an empty one.
            let actual = pairs.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value);
            match op {
                MatchOp::Equal => actual == value,
                MatchOp::NotEqual => actual != value,
                MatchOp::Regex => self.patterns[value].is_match(actual),
                MatchOp::NotRegex => !self.patterns[value].is_match(actual),
            }
        })
    }
}
