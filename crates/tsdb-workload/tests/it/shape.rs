//! The workloads have the shape that they claim.

use std::collections::HashSet;

use tsdb_workload::{Kind, Mixed, STEP_MS, high_cardinality, wide_labels};

fn is_whole(value: f64) -> bool {
    value == value.floor()
}

fn has_two_decimals(value: f64) -> bool {
    (value * 100.0).round() / 100.0 == value
}

#[test]
fn values_behave_as_their_kind() {
    let (mut resets, mut idle, mut changes) = (0, 0, 0);
    for target in Mixed::new(3000, 400).targets() {
        for row in 0..target.len() {
            let (values, labels) = (target.values(row), target.labels(row));
            let falls = values.windows(2).filter(|pair| pair[1] < pair[0]).count();
            match target.kind(row) {
                Kind::CounterInteger => {
                    assert!(values.iter().all(|v| is_whole(*v) && *v >= 0.0), "{labels}");
                    resets += falls;
                    idle += usize::from(values.iter().all(|v| *v == 0.0));
                }
                Kind::CounterCentisecond => {
                    assert!(falls == 0 && values.iter().all(|v| has_two_decimals(*v)), "{labels}");
                }
                Kind::GaugeTwoDecimals => assert!(values.iter().all(|v| has_two_decimals(*v)), "{labels}"),
                Kind::GaugeInteger => {
                    assert!(values.iter().all(|v| is_whole(*v)), "{labels}");
                    changes += values.windows(2).filter(|pair| pair[0] != pair[1]).count();
                }
                Kind::GaugeConstant => assert!(values.iter().all(|v| *v == values[0]), "{labels}"),
                Kind::Bucket => {
                    assert!(falls == 0 && values.iter().all(|v| is_whole(*v)), "{labels}");
                    if labels.get("le") != Some("0.005") {
                        let below = target.values(row - 1);
                        assert!(below.iter().zip(values).all(|(below, value)| below <= value), "{labels}");
                    }
                }
                Kind::Ratio => {
                    assert!(values.iter().all(|v| (0.0..=1.0).contains(v)), "{labels}");
                    let distinct: HashSet<u64> = values.iter().map(|v| v.to_bits()).collect();
                    assert!(distinct.len() > values.len() / 2, "{labels}");
                }
                kind => panic!("a kind without a check: {kind:?}"),
            }
        }
    }
    // 900 counters of 400 samples: about 30% idle, about one reset in 5000 samples of the others.
    assert!((200..350).contains(&idle), "{idle} idle counters");
    assert!((20..110).contains(&resets), "{resets} resets");
    assert!(changes > 300 * 400 / 4, "{changes} changes of integer gauges");
}

#[test]
fn a_third_of_the_targets_jitter() {
    let settings = Mixed::new(40_000, 50);
    let mut jittering = 0;
    for target in settings.targets() {
        let timestamps = target.timestamps(0);
        let first = timestamps[0] - settings.start_ms;
        assert!((0..STEP_MS).contains(&first));
        assert!(timestamps.iter().zip(0..).all(|(t, i)| (t - timestamps[0] - i * STEP_MS).abs() < 100));
        jittering += usize::from(timestamps.windows(2).any(|pair| pair[1] - pair[0] != STEP_MS));
    }
    assert!((80..160).contains(&jittering), "{jittering} of 400 targets");
}

#[test]
fn label_sets_are_unique() {
    let mixed: HashSet<_> = Mixed::new(30_000, 0)
        .targets()
        .flat_map(|t| (0..t.len()).map(move |i| t.labels(i).clone()))
        .collect();
    assert_eq!(mixed.len(), 30_000);
    let high: HashSet<_> = high_cardinality(20_000, 3).map(|series| series.labels).collect();
    assert_eq!(high.len(), 20_000);
    let ids: HashSet<&str> = high.iter().filter_map(|labels| labels.get("request_id")).collect();
    assert_eq!(ids.len(), 20_000);
    let wide: HashSet<_> = wide_labels(20_000, 3).into_iter().collect();
    assert_eq!(wide.len(), 20_000);
}

#[test]
fn high_cardinality_series_are_short_and_spread_over_an_hour() {
    let series: Vec<_> = high_cardinality(1000, 1).collect();
    let start = Mixed::default().start_ms;
    for s in &series {
        assert!((1..=5).contains(&s.samples.values.len()));
        assert!(s.samples.timestamps_ms.windows(2).all(|pair| pair[1] - pair[0] == STEP_MS));
        assert!(s.samples.timestamps_ms.iter().all(|t| (start..start + 3_600_000).contains(t)));
    }
    assert!(series[999].samples.timestamps_ms[0] - series[0].samples.timestamps_ms[0] > 3_000_000);
}

#[test]
fn nothing_asked_for_gives_nothing() {
    assert_eq!(Mixed::new(0, 10).targets().len(), 0);
    assert!(Mixed::new(0, 10).generate().is_empty());
    let no_samples = Mixed::new(100, 0).generate();
    assert_eq!((no_samples.len(), no_samples.sample_count(), no_samples.values(99)), (100, 0, &[] as &[f64]));
    assert_eq!(high_cardinality(0, 1).count(), 0);
}
