//! The same seed gives the same data, on every platform.

use tsdb_core::{Labels, Series};
use tsdb_workload::{Kind, Mixed, high_cardinality, wide_labels};

/// FNV-1a: enough to tell data apart, and nothing to depend on.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn labels(&mut self, labels: &Labels) {
        for (name, value) in labels {
            self.bytes(name.as_bytes());
            self.bytes(&[0]);
            self.bytes(value.as_bytes());
            self.bytes(&[0]);
        }
    }

    fn samples(&mut self, timestamps: &[i64], values: &[f64]) {
        for (timestamp, value) in timestamps.iter().zip(values) {
            self.bytes(&timestamp.to_le_bytes());
            self.bytes(&value.to_bits().to_le_bytes());
        }
    }

    fn series(&mut self, series: &Series) {
        self.labels(&series.labels);
        self.samples(&series.samples.timestamps_ms, &series.samples.values);
    }
}

/// The hash of all series of one kind, so that a failure names the generator that changed.
fn hash_of_kind(kind: Kind) -> u64 {
    let mut hash = Fnv::new();
    for target in Mixed::new(2000, 300).targets() {
        for row in (0..target.len()).filter(|&row| target.kind(row) == kind) {
            hash.labels(target.labels(row));
            hash.samples(target.timestamps(row), target.values(row));
        }
    }
    hash.0
}

/// A change of these numbers is a change of every benchmark's input: make it knowingly, or not at all.
#[test]
fn committed_hashes() {
    let expected = [
        (Kind::CounterInteger, 0x661a_3669_0d40_2c91),
        (Kind::CounterCentisecond, 0xc912_6953_0e37_7da6),
        (Kind::GaugeTwoDecimals, 0xff16_ee14_daa3_0543),
        (Kind::GaugeInteger, 0xf7a1_41b8_0cde_e49e),
        (Kind::GaugeConstant, 0x6e94_aca4_eea8_1e33),
        (Kind::Bucket, 0x3cbb_02dc_2a51_3055),
        (Kind::Ratio, 0x5010_90b4_1193_ee0b),
    ];
    let found = expected.map(|(kind, _)| (kind, hash_of_kind(kind)));
    assert_eq!(found, expected, "found {found:#x?}");

    let mut high = Fnv::new();
    high_cardinality(5000, 1).for_each(|series| high.series(&series));
    let mut wide = Fnv::new();
    wide_labels(2000, 1).iter().for_each(|labels| wide.labels(labels));
    assert_eq!(
        (high.0, wide.0),
        (0x0312_a7c0_9d94_e1a4, 0x288f_b2e6_f55e_12a3),
        "found {:#x?}",
        (high.0, wide.0)
    );
}

#[test]
fn a_longer_run_begins_with_the_shorter_one() {
    let (short, long) = (Mixed::new(150, 50).generate(), Mixed::new(150, 80).generate());
    for series in 0..150 {
        assert_eq!(short.labels(series), long.labels(series));
        assert_eq!(short.timestamps(series), &long.timestamps(series)[..50]);
        assert_eq!(short.values(series), &long.values(series)[..50], "{}", short.labels(series));
    }
}

#[test]
fn a_workload_with_fewer_series_is_cut_short() {
    let all = Mixed::new(200, 20).generate();
    for series in [1, 30, 75, 80, 90, 100, 101, 199] {
        let fewer = Mixed::new(series, 20).generate();
        assert_eq!(fewer.len(), series);
        assert_eq!(fewer.sample_count(), series * 20);
        for i in 0..series {
            assert_eq!((fewer.labels(i), fewer.values(i)), (all.labels(i), all.values(i)));
        }
    }
}

#[test]
fn targets_can_be_made_alone() {
    let settings = Mixed::new(500, 10);
    let all = settings.generate();
    let third = settings.target(3);
    assert_eq!(third.values(42), all.values(342));
    assert_eq!(third.to_series(42).samples.timestamps_ms, all.timestamps(342));
}

#[test]
fn seeds_and_starts_change_what_they_should() {
    let base = Mixed::new(100, 20).generate();
    let seeded = Mixed::new(100, 20).with_seed(2).generate();
    let moved = Mixed::new(100, 20).with_start_ms(0).generate();
    assert_ne!(base.values(35), seeded.values(35));
    assert_eq!(base.values(35), moved.values(35));
    assert!((0..15_000).contains(&moved.timestamps(0)[0]));
}
