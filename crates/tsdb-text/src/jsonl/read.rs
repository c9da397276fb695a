//! Lines to series.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tsdb_core::{Histogram, Labels, LabelsBuilder, SampleBuffer, Series, check_timestamp};

use super::value::parse_value;
use crate::exposition::LineError;

/// Reads one line without its line end. `line_number` counts from 1 and serves the messages only. The
/// error's place is where reading stopped: at or just behind what is wrong.
///
/// # Errors
/// What is wrong with the line, and where.
pub fn parse_line(text: &str, line_number: u64) -> Result<Series, LineError> {
    // serde would also take an array of the fields' values.
    if !text.trim_ascii_start().starts_with('{') {
        let reason = "expected a JSON object with labels, samples and histograms".to_owned();
        return Err(LineError::at_byte(text, line_number, 0, reason));
    }
    let read: Line = serde_json::from_str(text).map_err(|error| {
        // The column counts bytes, from 1; the message would repeat it.
        let reason = error.to_string();
        let reason = reason.rsplit_once(" at line ").map_or(reason.as_str(), |(reason, _)| reason).to_owned();
        LineError::at_byte(text, line_number, error.column().saturating_sub(1), reason)
    })?;
    let samples = buffer_of(read.samples, read.histograms)
        .map_err(|reason| LineError::at_byte(text, line_number, 0, reason))?;
    Ok(Series { labels: read.labels.0, samples })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    labels: LabelSet,
    #[serde(default)]
    samples: Vec<FloatSample>,
    #[serde(default)]
    histograms: Vec<HistogramSample>,
}

#[derive(Deserialize)]
#[serde(expecting = "a sample: [milliseconds,\"value\"]")]
struct FloatSample(Timestamp, Float);

#[derive(Deserialize)]
#[serde(expecting = "a histogram sample: [milliseconds,{...}]")]
struct HistogramSample(
    Timestamp,
    #[serde(deserialize_with = "super::histogram::deserialize")] Arc<Histogram>,
);

struct Timestamp(i64);

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let timestamp_ms = i64::deserialize(deserializer)?;
        check_timestamp(timestamp_ms).map_err(D::Error::custom)?;
        Ok(Self(timestamp_ms))
    }
}

/// A float, written as a string.
#[derive(Clone, Copy)]
pub(super) struct Float(pub(super) f64);

impl Float {
    pub(super) fn parse<E: serde::de::Error>(text: &str) -> Result<Self, E> {
        parse_value(text).map(Self).map_err(|reason| E::custom(format_args!("value {text:?} {reason}")))
    }
}

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FloatVisitor;
        impl Visitor<'_> for FloatVisitor {
            type Value = Float;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value as a string, such as \"1.5\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Float, E> {
                Float::parse(text)
            }
        }
        deserializer.deserialize_str(FloatVisitor)
    }
}

/// Labels, read pair by pair: a map type would silently keep one of two equal names.
struct LabelSet(Labels);

impl<'de> Deserialize<'de> for LabelSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = LabelSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of label names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LabelSet, A::Error> {
                let mut builder = LabelsBuilder::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    builder.push(&name, &value);
                }
                builder.build().map(LabelSet).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_map(LabelsVisitor)
    }
}

/// The samples sorted by time, the last of each timestamp.
fn buffer_of(
    mut floats: Vec<FloatSample>,
    mut histograms: Vec<HistogramSample>,
) -> Result<SampleBuffer, String> {
    sort_keeping_last(&mut floats, |sample| sample.0.0);
    sort_keeping_last(&mut histograms, |sample| sample.0.0);
    let mut later = histograms.iter().map(|sample| sample.0.0).peekable();
    for FloatSample(Timestamp(timestamp_ms), _) in &floats {
        while later.next_if(|histogram_ms| histogram_ms < timestamp_ms).is_some() {}
        if later.peek() == Some(timestamp_ms) {
            return Err(format!("there is both a float and a histogram at {timestamp_ms}"));
        }
    }
    Ok(SampleBuffer {
        timestamps_ms: floats.iter().map(|sample| sample.0.0).collect(),
        values: floats.iter().map(|sample| sample.1.0).collect(),
        histograms: histograms.into_iter().map(|sample| (sample.0.0, sample.1)).collect(),
    })
}

/// Sorts by time and keeps of each timestamp the sample that came last.
fn sort_keeping_last<T>(samples: &mut Vec<T>, timestamp_ms: impl Fn(&T) -> i64) {
    samples.sort_by_key(&timestamp_ms);
    samples.dedup_by(|later, kept| {
        let same = timestamp_ms(later) == timestamp_ms(kept);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}
