//! The high-cardinality workload: every series has a label value of its own and hardly any samples.
//!
//! This is what metrics with a request or trace id look like, and what breaks stores that keep a bitmap, a map
//! entry and a chunk of some kilobytes for each series.

use tsdb_core::{Labels, METRIC_NAME, SampleBuffer, Series};

use crate::mixed::{DEFAULT_START_MS, STEP_MS};
use crate::random::Random;
use crate::template::JOBS;

/// Scrapes over which the series' first samples spread: an hour.
const SPREAD_SCRAPES: usize = 240;
/// The most samples a series has.
const MAX_SAMPLES: u64 = 5;

/// `count` series, each with a unique `request_id` of 32 hexadecimal digits and 1 to 5 samples, their starts
/// spread over an hour from 2026-01-01T00:00:00Z.
///
/// ```
/// let series: Vec<_> = tsdb_workload::high_cardinality(3, 1).collect();
/// assert_eq!(series[0].labels.get("request_id").map(str::len), Some(32));
/// assert!((1..=5).contains(&series[0].samples.values.len()));
/// ```
#[must_use]
pub fn high_cardinality(count: usize, seed: u64) -> HighCardinality {
    HighCardinality { next: 0, count, random: Random::new(seed, u64::MAX) }
}

/// The series of [`high_cardinality`], made as they are asked for.
pub struct HighCardinality {
    next: usize,
    count: usize,
    random: Random,
}

impl Iterator for HighCardinality {
    type Item = Series;

    fn next(&mut self) -> Option<Series> {
        let series = self.next;
        if series >= self.count {
            return None;
        }
        self.next += 1;
        Some(Series { labels: self.labels(series), samples: self.samples(series) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count - self.next, Some(self.count - self.next))
    }
}

impl ExactSizeIterator for HighCardinality {}

impl HighCardinality {
    fn labels(&mut self, series: usize) -> Labels {
        // The first half is a bijection of the series' number, so ids are unique by construction.
        let request_id = format!("{:016x}{:016x}", scramble(series as u64), self.random.next_u64());
        let instance = format!("10.9.{}.{}:8080", series % 7, series % 40);
        let (namespace, handler) = (format!("ns-{}", series % 17), format!("/api/v1/h{}", series % 23));
        Labels::from_pairs([
            (METRIC_NAME, "request_duration_ms"),
            ("job", JOBS[4 + series % 6]),
            ("instance", instance.as_str()),
            ("namespace", namespace.as_str()),
            ("handler", handler.as_str()),
            ("request_id", request_id.as_str()),
        ])
        .expect("invariant: the label names are distinct")
    }

    fn samples(&mut self, series: usize) -> SampleBuffer {
        let length = 1 + self.random.below(MAX_SAMPLES) as i64;
        let spread = SPREAD_SCRAPES - MAX_SAMPLES as usize;
        let start_scrape = (series as u128 * spread as u128 / self.count as u128) as i64;
        let offset_ms = self.random.below(STEP_MS as u64 - 100) as i64;
        let first_ms = DEFAULT_START_MS + start_scrape * STEP_MS + offset_ms;
        SampleBuffer {
            timestamps_ms: (0..length).map(|i| first_ms + i * STEP_MS).collect(),
            values: (0..length)
                .map(|_| (self.random.log_normal(3.0, 1.0) * 1000.0).round() / 1000.0)
                .collect(),
            ..SampleBuffer::default()
        }
    }
}

/// SplitMix64's finalizer: a bijection of the 64-bit numbers that looks random.
fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
