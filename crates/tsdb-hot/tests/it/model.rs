//! Random scripts against the oracle: whatever lies where, the answer is that of one map.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_hot::{HotOptions, HotStore, WalSync};
use tsdb_testkit::strategies::{Script, matchers_for, script, time_range};
use tsdb_testkit::{Oracle, SimDisk, assert_series_eq};

use crate::support::{Cold, append};

#[derive(Clone, Debug)]
enum Step {
    /// Commit the next so many samples of the script as one batch.
    Commit(Index),
    /// Delete what one of the queries selects.
    Delete(Index),
    Freeze,
    Seal,
    HandOver,
    Close,
    Kill,
    PowerLoss(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any::<Index>().prop_map(Step::Commit),
        2 => any::<Index>().prop_map(Step::Delete),
        1 => Just(Step::Freeze),
        2 => Just(Step::Seal),
        1 => Just(Step::HandOver),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerLoss),
    ]
}

fn queries(script: &Script) -> impl Strategy<Value = Vec<(Vec<Matcher>, TimeRange)>> + use<> {
    prop::collection::vec((matchers_for(&script.series), time_range()), 1..6)
}

fn run(script: &Script, steps: &[Step], queries: &[(Vec<Matcher>, TimeRange)]) {
    let options = HotOptions { wal_segment_bytes: 2_000, wal_sync: WalSync::Always, ..HotOptions::default() };
    let (mut disk, mut cold, mut oracle) = (SimDisk::new(), Cold::default(), Oracle::new());
    let (mut store, _) = cold.open(&disk, options.clone()).unwrap();
    let mut next = 0;
    for step in steps {
        match step {
            Step::Commit(size) => {
                let rest = &script.samples[next..];
                let size = size.index(40).min(rest.len());
                let samples: Vec<_> = rest[..size]
                    .iter()
                    .map(|sample| {
                        (script.series[sample.series].clone(), sample.timestamp_ms, sample.value.clone())
                    })
                    .collect();
                let committed = append(&store, &samples).unwrap();
                assert_eq!(committed.samples + committed.duplicates, size as u64);
                samples.iter().for_each(|(labels, t, value)| oracle.append(labels, *t, value.clone()));
                next += size;
            }
            Step::Delete(query) => {
                let (matchers, range) = &queries[query.index(queries.len())];
                cold.delete(&store, matchers, *range).unwrap();
                oracle.delete(matchers, *range);
            }
            Step::Freeze => drop(store.freeze().unwrap()),
            Step::Seal => {
                store.seal().unwrap();
                assert_eq!((store.stats().head.samples, store.stats().wal.segments), (0, 0));
            }
            Step::HandOver => cold.take_block(&store).unwrap(),
            Step::Close => {
                store.close().unwrap();
                store = cold.open(&disk, options.clone()).unwrap().0;
            }
            Step::Kill => {
                drop(store);
                store = cold.open(&disk, options.clone()).unwrap().0;
            }
            Step::PowerLoss(seed) => {
                drop(store);
                disk = disk.crash(*seed);
                store = cold.open(&disk, options.clone()).unwrap().0;
            }
        }
        assert_series_eq(&cold.merged(&store, &[], TimeRange::ALL), &oracle.all());
        for (matchers, range) in queries {
            assert_series_eq(&cold.merged(&store, matchers, *range), &oracle.select(matchers, *range));
            check_lookups(&cold, &store, &oracle, matchers, *range);
        }
    }
    let range = cold.blocks.values().flatten().map(|series| series.samples.time_range());
    let range = range.fold(store.stats().time_range, TimeRange::hull);
    let want = oracle.time_range().unwrap_or(TimeRange::EMPTY);
    let deleted = steps.iter().any(|step| matches!(step, Step::Delete(_)));
    assert!(range == want || deleted && (range.covers(want) || want.is_empty()), "{range:?} {want:?}");
}

/// Series, label names and label values of the store, with those that it handed over.
fn check_lookups(cold: &Cold, store: &HotStore, oracle: &Oracle, matchers: &[Matcher], range: TimeRange) {
    let sources = store.snapshot().sources();
    let mut series: BTreeSet<Labels> = cold.selected(matchers, range).map(|series| series.labels).collect();
    let in_cold: Vec<Labels> = series.iter().cloned().collect();
    for source in &sources {
        let found = source.series(matchers, range).unwrap();
        assert!(found.is_sorted_by(|a, b| a < b), "a source is label-sorted");
        series.extend(found);
    }
    let want = oracle.select(matchers, range).into_iter().map(|series| series.labels);
    assert_eq!(series.into_iter().collect::<Vec<_>>(), want.collect::<Vec<_>>());
    let mut names: BTreeSet<String> =
        in_cold.iter().flat_map(Labels::iter).map(|(name, _)| name.to_owned()).collect();
    sources.iter().for_each(|source| names.extend(source.label_names(matchers, range).unwrap()));
    let names: Vec<String> = names.into_iter().collect();
    assert_eq!(names, oracle.label_names(matchers, range));
    for name in names.iter().take(3).map(String::as_str).chain(["no such label"]) {
        let mut values: BTreeSet<String> =
            in_cold.iter().filter_map(|labels| labels.get(name)).map(String::from).collect();
        for source in &sources {
            values.extend(source.label_values(name, matchers, range).unwrap());
        }
        assert_eq!(values.into_iter().collect::<Vec<_>>(), oracle.label_values(name, matchers, range));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_one_map(
        (script, queries) in script(1..12, 0..300).prop_flat_map(|script| {
            let queries = queries(&script);
            (Just(script), queries)
        }),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        run(&script, &steps, &queries);
    }
}
