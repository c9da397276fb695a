//! Wide label sets: 9 to 14 labels a series, some with long values, about 500 bytes as JSON.
//!
//! The sizes follow the 20,000 label sets that Prometheus' own benchmarks use.

use std::collections::HashSet;

use tsdb_core::{Labels, METRIC_NAME};

use crate::random::Random;

/// Number of metric names.
const METRICS: usize = 400;
/// For each label: shortest and longest value in letters, number of distinct values.
const LABELS: [(u64, u64, usize); 13] = [
    (95, 124, 900),
    (3, 17, 12),
    (3, 25, 60),
    (18, 37, 300),
    (30, 30, 1),
    (13, 13, 1),
    (40, 46, 900),
    (5, 6, 3),
    (7, 9, 2),
    (13, 13, 1),
    (13, 32, 150),
    (4, 21, 40),
    (2, 3, 12),
];
/// Labels that a series leaves out.
const DROP_CHANCE: f64 = 0.08;

/// `count` distinct wide label sets, in no order.
///
/// ```
/// let sets = tsdb_workload::wide_labels(100, 1);
/// assert!(sets.iter().all(|labels| labels.len() > 5));
/// ```
#[must_use]
pub fn wide_labels(count: usize, seed: u64) -> Vec<Labels> {
    let mut random = Random::new(seed, u64::MAX - 1);
    let metrics: Vec<String> = (0..METRICS).map(|_| word(&mut random, 21, 49)).collect();
    let vocabulary = vocabulary(&mut random);
    let mut seen = HashSet::with_capacity(count);
    let mut sets = Vec::with_capacity(count);
    while sets.len() < count {
        let labels = label_set(&mut random, &metrics, &vocabulary);
        if seen.insert(labels.clone()) {
            sets.push(labels);
        }
    }
    sets
}

fn label_set(random: &mut Random, metrics: &[String], vocabulary: &[(String, Vec<String>)]) -> Labels {
    let mut pairs = vec![(METRIC_NAME, pick(random, metrics))];
    for (name, values) in vocabulary {
        let value = pick(random, values);
        if !random.chance(DROP_CHANCE) {
            pairs.push((name, value));
        }
    }
    Labels::from_pairs(pairs).expect("invariant: the label names are distinct")
}

/// The label names, all distinct, with their possible values.
fn vocabulary(random: &mut Random) -> Vec<(String, Vec<String>)> {
    let mut names: Vec<String> = Vec::with_capacity(LABELS.len());
    while names.len() < LABELS.len() {
        let name = word(random, 3, 15);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let values = LABELS.map(|(shortest, longest, distinct)| {
        (0..distinct).map(|_| word(random, shortest, longest)).collect::<Vec<_>>()
    });
    names.into_iter().zip(values).collect()
}

fn pick<'a>(random: &mut Random, from: &'a [String]) -> &'a str {
    &from[random.below(from.len() as u64) as usize]
}

/// A word of `shortest..=longest` letters.
fn word(random: &mut Random, shortest: u64, longest: u64) -> String {
    let length = shortest + random.below(longest - shortest + 1);
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}
