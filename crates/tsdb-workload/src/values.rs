//! The values of one series, or of one histogram's buckets.
//!
//! Every generator draws its parameters first and then sample by sample, so a longer run begins with the
//! samples of a shorter one.

use crate::Kind;
use crate::random::Random;
use crate::template::BUCKET_BOUNDS;

/// Scrapes between two resets of a counter, on average: a restart every 21 hours at 15 s.
const MEAN_SCRAPES_BETWEEN_RESETS: f64 = 5000.0;

/// Fills `out` with the values of one series of a kind that stands alone (any but [`Kind::Bucket`]).
pub(crate) fn fill(kind: Kind, random: &mut Random, out: &mut [f64]) {
    match kind {
        Kind::CounterInteger => counter_integer(random, out),
        Kind::CounterCentisecond => counter_centisecond(random, out),
        Kind::GaugeTwoDecimals => gauge_two_decimals(random, out),
        Kind::GaugeInteger => gauge_integer(random, out),
        Kind::GaugeConstant => gauge_constant(random, out),
        Kind::Ratio => ratio(random, out),
        Kind::Bucket => unreachable!("buckets are filled together"),
    }
}

fn counter_integer(random: &mut Random, out: &mut [f64]) {
    let idle = random.chance(0.3);
    let mean = random.log_normal(2.0, 2.5);
    let mut count = random.log_normal(9.0, 3.0).floor();
    if idle {
        return out.fill(0.0);
    }
    let mut until_reset = random.exponential(MEAN_SCRAPES_BETWEEN_RESETS).ceil();
    for value in out {
        // The load itself varies: a gamma variable of mean 1 makes the increments burst.
        let load = random.gamma(4.0) / 4.0;
        count += random.poisson(mean * load);
        if until_reset == 0.0 {
            count = 0.0;
            until_reset = random.exponential(MEAN_SCRAPES_BETWEEN_RESETS).ceil();
        }
        until_reset -= 1.0;
        *value = count;
    }
}

fn counter_centisecond(random: &mut Random, out: &mut [f64]) {
    let rate = random.unit() * 1500.0;
    let mut centiseconds = random.below(100_000_000) as f64;
    for value in out {
        centiseconds += random.normal(rate, rate * 0.05).round().max(0.0);
        *value = centiseconds / 100.0;
    }
}

fn gauge_two_decimals(random: &mut Random, out: &mut [f64]) {
    let scale = random.log_normal(0.0, 1.0);
    let start = random.uniform(10.0, 100.0);
    let mut walked = 0.0;
    for value in out {
        walked += random.normal(0.0, 0.3) * scale;
        *value = ((start + walked) * 100.0).round() / 100.0;
    }
}

fn gauge_integer(random: &mut Random, out: &mut [f64]) {
    let change_chance = random.uniform(0.05, 1.0);
    let mut level = random.uniform(0.0, 1e9).floor();
    for value in out {
        if random.chance(change_chance) {
            level += random.normal(0.0, 4096.0).round();
        }
        *value = level;
    }
}

fn gauge_constant(random: &mut Random, out: &mut [f64]) {
    const LEVELS: [f64; 7] = [0.0, 1.0, 2.0, 4.0, 1_073_741_824.0, 107_374_182_400.0, 0.5];
    out.fill(LEVELS[random.below(LEVELS.len() as u64) as usize]);
}

fn ratio(random: &mut Random, out: &mut [f64]) {
    let level = random.beta(20.0, 3.0);
    for value in out {
        *value = (level + random.normal(0.0, 0.02)).clamp(0.0, 1.0);
    }
}

/// Fills `out`, bucket after bucket of `samples` values each, with one histogram: 15 buckets, or the first of
/// them that fit.
pub(crate) fn fill_buckets(random: &mut Random, samples: usize, out: &mut [f64]) {
    let events = random.log_normal(1.0, 1.5);
    let base = random.below(100_000) as f64;
    // A Dirichlet variable: how the events spread over the buckets.
    let weights = BUCKET_BOUNDS.map(|_| random.gamma(0.6));
    let total: f64 = weights.iter().sum();
    let mut counts = [0.0; BUCKET_BOUNDS.len()];
    for scrape in 0..samples {
        let mut below = base;
        for (bucket, count) in counts.iter_mut().enumerate() {
            *count += random.poisson(events * weights[bucket] / total);
            below += *count;
            if let Some(value) = out.get_mut(bucket * samples + scrape) {
                *value = below;
            }
        }
    }
}
