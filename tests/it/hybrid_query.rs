//! The roadmap's `HybridQueryTest`: every query is asked of one history that lies all hot, all cold, and split in the middle
//! of its series, and gives the same bits.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{
    Histogram, Labels, Matcher, STALE_NAN_BITS, SampleValue, TimeRange, parse_selector, stale_nan,
};
use tsdb_testkit::strategies::{matchers_for, script, time_range};

use crate::ways::{Event, Way, check_every_query, check_scan_limits, check_select_limits, oracle};

/// 2026-01-01T23:00:00Z: an hour before a day's end.
const START_MS: i64 = 1_767_308_400_000;
const MINUTE_MS: i64 = 60_000;

/// Floats and histograms, in one series and apart; stale markers, NaN payloads, zeros of both signs; samples that came late,
/// that were replaced, that were deleted, and that came again after that.
pub(crate) fn history() -> Vec<Event> {
    let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
    let float = labels(&[("__name__", "temperature"), ("room", "hall"), ("day", "a label")]);
    let mixed = labels(&[("__name__", "latency"), ("Zone", "b"), ("job", "api")]);
    let histograms = labels(&[("__name__", "latency"), ("job", "batch")]);
    let bare = labels(&[("job", "api")]);
    let odd = [0x7ff8_0000_0000_0001, 0xfff0_0000_dead_beef, STALE_NAN_BITS, 1 << 63, 0x7ff0_0000_0000_0000];
    let at = |minute: i64| START_MS + minute * MINUTE_MS;
    let floats = |value: f64| SampleValue::Float(value);
    let histogram = |count: u64| {
        let mut histogram = Histogram::stale(false);
        (histogram.sum, histogram.zero_threshold) = (count as f64 / 3.0, 0.001);
        histogram.buckets = tsdb_core::Buckets::Int {
            count: (1 << 53) + count,
            zero_count: (1 << 53) + count,
            positive: Vec::new(),
            negative: Vec::new(),
        };
        SampleValue::Histogram(Arc::new(histogram))
    };
    let mut events = Vec::new();
    let mut append = |labels: &Labels, minute: i64, value: SampleValue| {
        events.push(Event::Append(labels.clone(), at(minute), value));
    };
    for minute in 0..120 {
        let bits = odd[minute as usize % odd.len()];
        append(
            &float,
            minute,
            floats(if minute % 4 == 0 { f64::from_bits(bits) } else { minute as f64 / 4.0 }),
        );
        append(&histograms, minute, histogram(minute as u64));
        append(&mixed, minute, if minute % 3 == 0 { histogram(7) } else { floats(minute as f64) });
        // Late, and over what is there.
        append(&bare, 119 - minute, floats(-0.0));
        append(&float, minute / 2, floats(minute as f64));
        append(&mixed, minute / 3, if minute % 2 == 0 { floats(stale_nan()) } else { histogram(9) });
    }
    let delete = |selector: &str, from: i64, to: i64| {
        Event::Delete(parse_selector(selector).unwrap(), TimeRange::new(at(from), at(to)))
    };
    let (middle, late) = (events.len() / 2, events.len() * 3 / 4);
    events.insert(late, delete(r#"{job="api"}"#, 70, 75));
    events.insert(middle, delete("latency", 10, 20));
    events.push(Event::Append(mixed, at(72), floats(1.0)));
    events.push(delete(r#"{job="batch"}"#, 100, 200));
    events
}

/// Matchers and ranges over [`history`].
pub(crate) fn queries() -> Vec<(Vec<Matcher>, TimeRange)> {
    let selectors = ["{}", "latency", r#"{job=~"api|batch",Zone=""}"#, r#"{room!=""}"#, r#"{job="none"}"#];
    let at = |minute: i64| START_MS + minute * MINUTE_MS;
    let ranges = [
        TimeRange::ALL,
        TimeRange::new(at(30), at(90)),
        // Between two samples; one sample; what is deleted; none.
        TimeRange::new(at(50) + 1, at(51) - 1),
        TimeRange::new(at(59), at(59)),
        TimeRange::new(at(71), at(73)),
        TimeRange::new(1, 0),
    ];
    let of = |selector: &str| {
        let matchers = parse_selector(selector).unwrap();
        ranges.map(|range| (matchers.clone(), range))
    };
    selectors.iter().flat_map(|selector| of(selector)).collect()
}

#[test]
fn hybrid_query_test() {
    let (history, oracle) = (history(), oracle(&history()));
    for way in Way::ALL {
        let engine = way.store(&history);
        let stats = engine.stats();
        let tiers = (stats.hot.head.samples > 0, stats.hot.blocks.count > 0, stats.cold.files);
        let expected = match way {
            Way::Hot => tiers == (true, false, 0),
            Way::Blocks => tiers == (false, true, 0),
            Way::Cold | Way::Compacted => tiers == (false, false, 2),
            Way::ManyFiles => tiers.2 > 2 && tiers == (false, false, tiers.2),
            Way::Split => tiers == (true, false, 2),
            Way::Interleaved => tiers.2 > 2 && tiers == (true, true, tiers.2),
        };
        assert!(expected, "{way:?}: {tiers:?}");
        for (matchers, range) in queries() {
            check_every_query(&engine, &oracle, &matchers, range);
            let expected = oracle.select(&matchers, range);
            for limits in [(0, 99), (1, 1_000), (9, 150), (2, 120), (9, 9_999)] {
                check_scan_limits(&engine, &matchers, range, &expected, limits);
                check_select_limits(&engine, &matchers, range, &expected, limits);
            }
        }
    }
}

/// A history, and queries of it.
#[derive(Clone, Debug)]
struct Case {
    history: Vec<Event>,
    queries: Vec<(Vec<Matcher>, TimeRange)>,
}

fn case() -> impl Strategy<Value = Case> {
    script(1..6, 1..60).prop_flat_map(|script| {
        let matchers = || matchers_for(&script.series);
        let deletes = prop::collection::vec((any::<Index>(), matchers(), time_range()), 0..4);
        let queries = prop::collection::vec((matchers(), time_range()), 1..4);
        let appends: Vec<Event> = script
            .iter()
            .map(|(labels, ms, value)| Event::Append(labels.clone(), ms, value.clone()))
            .collect();
        (Just(appends), deletes, queries).prop_map(|(mut history, deletes, queries)| {
            for (at, matchers, range) in deletes {
                history.insert(at.index(history.len() + 1), Event::Delete(matchers, range));
            }
            Case { history, queries }
        })
    })
}

/// Fewer cases than the state machine has: each is laid out in every way.
fn config() -> ProptestConfig {
    let cases = std::env::var("TSDB_MODEL_CASES").ok().and_then(|cases| cases.parse::<u32>().ok());
    ProptestConfig::with_cases(cases.map_or(64, |cases| cases.div_ceil(16)))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn hybrid_query_test_of_any_history(case in case()) {
        let oracle = oracle(&case.history);
        for way in Way::ALL {
            let engine = way.store(&case.history);
            for (matchers, range) in &case.queries {
                check_every_query(&engine, &oracle, matchers, *range);
            }
        }
    }
}
