//! A series for each request: eight labels, of which one is unique, and three samples.
//!
//! The shape under which stores that keep a bitmap, a map entry or a chunk of some kilobytes for each series break
//! down. Every series can be made alone, by its number, so that a program that measures its own memory need not
//! hold the data.

use tsdb_core::{Labels, METRIC_NAME};
use tsdb_workload::{Mixed, STEP_MS};

/// Samples of each series.
pub const SAMPLES: u64 = 3;
/// Scrapes over which the series begin: an hour.
const SCRAPES: u64 = 240;

/// The labels of series `i`. The `request_id` has 36 bytes.
///
/// # Panics
/// Never: the labels are valid.
#[must_use]
pub fn labels(i: u64) -> Labels {
    let (a, b) = (mix(i), mix(!i));
    let id = format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b << 16 >> 16
    );
    Labels::from_pairs([
        (METRIC_NAME, "request_duration_ms"),
        ("handler", &format!("/api/v1/h{}", i % 23)),
        ("instance", &format!("10.9.{}.{}:8080", i % 7, i % 40)),
        ("job", ["api", "web", "db", "cache"][i as usize % 4]),
        ("namespace", &format!("ns-{}", i % 17)),
        ("pod", &format!("api-{:04}", i % 300)),
        ("region", ["eu-1", "us-1"][i as usize % 2]),
        ("request_id", &id),
    ])
    .expect("invariant: the label names are distinct")
}

/// The samples of series `i` of `count`: timestamps (milliseconds since the Unix epoch) and values.
#[must_use]
pub fn samples(i: u64, count: u64) -> [(i64, f64); SAMPLES as usize] {
    let offset_ms = i * SCRAPES * STEP_MS as u64 / count + mix(i) % (STEP_MS as u64 - 100);
    let first_ms = Mixed::default().start_ms + offset_ms as i64;
    let value = (mix(!i) % 10_000) as f64 / 100.0;
    [(first_ms, value), (first_ms + STEP_MS, value + 0.25), (first_ms + 2 * STEP_MS, value + 1.5)]
}

/// Every sample of `count` series as scrapes bring them: the number of the series and that of its sample. A scrape
/// has the first samples of the series that begin with it, and later ones of those that began before.
pub fn arrivals(count: u64) -> impl Iterator<Item = (u64, usize)> {
    let begin = move |scrape: u64| (scrape.min(SCRAPES) * count).div_ceil(SCRAPES);
    (0..SCRAPES + SAMPLES - 1).flat_map(move |scrape| {
        (0..SAMPLES.min(scrape + 1)).rev().flat_map(move |sample| {
            (begin(scrape - sample)..begin(scrape - sample + 1)).map(move |i| (i, sample as usize))
        })
    })
}

/// A number that looks random; different numbers give different ones (the end of SplitMix64).
fn mix(i: u64) -> u64 {
    let i = i.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let i = (i ^ i >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let i = (i ^ i >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    i ^ i >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_arrives_once_and_each_series_in_its_order() {
        for count in [1, 7, 239, 240, 1000] {
            let mut next = vec![0; count as usize];
            for (series, sample) in arrivals(count) {
                assert_eq!(next[series as usize], sample);
                next[series as usize] += 1;
            }
            assert!(next.iter().all(|&samples| samples == SAMPLES as usize));
        }
    }
}
