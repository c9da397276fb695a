//! A native histogram from its JSON object.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Error as _, Unexpected};
use tsdb_core::{Buckets, Histogram, ResetHint, Span};

use super::read::Float;

/// The object as written. Which form the counts must have is known only when all fields are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    is_float: bool,
    #[serde(default)]
    reset_hint: u8,
    schema: i32,
    zero_threshold: Option<Float>,
    zero_count: Option<Count>,
    count: Count,
    sum: Float,
    #[serde(default)]
    positive_spans: Vec<(i32, u32)>,
    #[serde(default)]
    negative_spans: Vec<(i32, u32)>,
    #[serde(default)]
    positive_counts: Vec<Count>,
    #[serde(default)]
    negative_counts: Vec<Count>,
    #[serde(default)]
    custom_values: Vec<Float>,
}

/// A count: a JSON integer in an integer histogram, a string in a float histogram.
#[derive(Clone, Copy)]
enum Count {
    Int(u64),
    Float(f64),
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Count;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a count: an integer, or a string with a float")
            }

            fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Count, E> {
                Ok(Count::Int(count))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Count, E> {
                Float::parse(text).map(|Float(count)| Count::Float(count))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Count {
    fn int(self) -> Result<u64, &'static str> {
        match self {
            Self::Int(count) => Ok(count),
            Self::Float(_) => Err("the counts of an integer histogram are integers, not strings"),
        }
    }

    fn float(self) -> Result<f64, &'static str> {
        match self {
            Self::Float(count) => Ok(count),
            Self::Int(_) => Err("the counts of a float histogram are strings, such as \"2\""),
        }
    }
}

/// Reads and validates a histogram, so that the error has its place.
pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Arc<Histogram>, D::Error> {
    let fields = Fields::deserialize(deserializer)?;
    let reset_hint = match fields.reset_hint {
        0 => ResetHint::Unknown,
        1 => ResetHint::Reset,
        2 => ResetHint::NoReset,
        3 => ResetHint::Gauge,
        other => {
            return Err(D::Error::invalid_value(Unexpected::Unsigned(other.into()), &"a hint of 0 to 3"));
        }
    };
    let buckets = buckets(&fields).map_err(D::Error::custom)?;
    let spans = |pairs: Vec<(i32, u32)>| {
        pairs.into_iter().map(|(offset, length)| Span { offset, length }).collect::<Vec<_>>()
    };
    let histogram = Histogram {
        reset_hint,
        schema: fields.schema,
        zero_threshold: fields.zero_threshold.map_or(0.0, |Float(threshold)| threshold),
        sum: fields.sum.0,
        positive_spans: spans(fields.positive_spans),
        negative_spans: spans(fields.negative_spans),
        buckets,
        custom_bounds: fields.custom_values.into_iter().map(|Float(bound)| bound).collect(),
    };
    histogram.validate().map_err(D::Error::custom)?;
    Ok(Arc::new(histogram))
}

fn buckets(fields: &Fields) -> Result<Buckets, &'static str> {
    if fields.is_float {
        let all = |counts: &[Count]| counts.iter().map(|count| count.float()).collect::<Result<Vec<_>, _>>();
        return Ok(Buckets::Float {
            count: fields.count.float()?,
            zero_count: fields.zero_count.map_or(Ok(0.0), Count::float)?,
            positive: all(&fields.positive_counts)?,
            negative: all(&fields.negative_counts)?,
        });
    }
    let all = |counts: &[Count]| counts.iter().map(|count| count.int()).collect::<Result<Vec<_>, _>>();
    Ok(Buckets::Int {
        count: fields.count.int()?,
        zero_count: fields.zero_count.map_or(Ok(0), Count::int)?,
        positive: all(&fields.positive_counts)?,
        negative: all(&fields.negative_counts)?,
    })
}
