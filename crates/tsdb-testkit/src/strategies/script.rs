//! Scripts of samples in the order in which they arrive: mostly in the order of time, some late, some twice.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Labels, MAX_TIMESTAMP_MS, SampleValue};

use super::{distinct_label_sets, sample_value, timestamp};

/// Series, and samples for them in the order of their arrival.
#[derive(Clone, Debug)]
pub struct Script {
    /// Different label sets, in no order.
    pub series: Vec<Labels>,
    /// What arrives, in this order.
    pub samples: Vec<ScriptSample>,
}

/// One sample of a [`Script`].
#[derive(Clone, Debug)]
pub struct ScriptSample {
    /// Index into [`Script::series`].
    pub series: usize,
    /// Milliseconds since the Unix epoch; valid.
    pub timestamp_ms: i64,
    /// The value.
    pub value: SampleValue,
}

impl Script {
    /// The samples with their label sets.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, i64, &SampleValue)> {
        self.samples.iter().map(|sample| (&self.series[sample.series], sample.timestamp_ms, &sample.value))
    }
}

/// A script of so many series and samples.
///
/// Of the samples of a series most are in order, at ordinary intervals; some jump (over windows and days, once in a
/// while to the ends of time), some are late, some repeat an earlier timestamp with the same or with another value.
pub fn script(series: Range<usize>, samples: Range<usize>) -> impl Strategy<Value = Script> + Clone {
    let steps = vec((any::<Index>(), step(), sample_value()), samples);
    (distinct_label_sets(series), steps).prop_map(|(series, steps)| {
        let mut sent: Vec<Vec<(i64, SampleValue)>> = vec![Vec::new(); series.len()];
        let samples = steps.into_iter().map(|(at, step, value)| {
            let at = at.index(series.len());
            let (timestamp_ms, value) = next(&sent[at], &step, value);
            sent[at].push((timestamp_ms, value.clone()));
            ScriptSample { series: at, timestamp_ms, value }
        });
        let samples = samples.collect();
        Script { series, samples }
    })
}

/// Where a sample lies in relation to those of its series that came before.
#[derive(Clone, Debug)]
enum Step {
    /// So many milliseconds after the newest.
    InOrder(i64),
    /// So many milliseconds before the newest.
    Late(i64),
    /// Anywhere.
    Anywhere(i64),
    /// An earlier sample again, the same bits.
    Duplicate(Index),
    /// An earlier timestamp with another value.
    Replace(Index),
}

fn step() -> impl Strategy<Value = Step> + Clone {
    prop_oneof![
        12 => (1..60_000_i64).prop_map(Step::InOrder),
        2 => (1..20_000_000_i64).prop_map(Step::InOrder),
        3 => (1..10_000_000_i64).prop_map(Step::Late),
        1 => timestamp().prop_map(Step::Anywhere),
        2 => any::<Index>().prop_map(Step::Duplicate),
        2 => any::<Index>().prop_map(Step::Replace),
    ]
}

fn next(sent: &[(i64, SampleValue)], step: &Step, value: SampleValue) -> (i64, SampleValue) {
    // Newest by time, so that steps are in order whatever came late.
    let newest = sent.iter().map(|(timestamp_ms, _)| *timestamp_ms).max().unwrap_or(1_700_000_000_000);
    match step {
        Step::InOrder(ms) => ((newest + ms).min(MAX_TIMESTAMP_MS), value),
        Step::Late(ms) => (clamp(newest - ms), value),
        Step::Anywhere(timestamp_ms) => (*timestamp_ms, value),
        Step::Duplicate(at) if !sent.is_empty() => at.get(sent).clone(),
        Step::Replace(at) if !sent.is_empty() => (at.get(sent).0, value),
        Step::Duplicate(_) | Step::Replace(_) => (newest, value),
    }
}

fn clamp(timestamp_ms: i64) -> i64 {
    timestamp_ms.clamp(tsdb_core::MIN_TIMESTAMP_MS, MAX_TIMESTAMP_MS)
}
