//! The whole life of files on a store that fails, at every operation: nothing that was acknowledged is lost, nothing is
//! there twice, and the same writer gets on once the store works again.

use std::sync::Arc;

use tsdb_cold::{ColdTier, Error, Unconverted};
use tsdb_core::{Block, SampleValue, TimeRange};
use tsdb_testkit::{FaultyStore, Oracle, StoreFault, series_diff, store_fault_at_every_operation};

use crate::support::{DAY, NOW, all, block, compact, convert, objects, open, tombstone};

const STEPS: usize = 8;
/// Faults of one operation each, so one more try is enough after the writer knows where it is.
const TRIES: usize = 4;

/// The blocks that a step converts: of one partition, for a conversion is one step for each.
fn blocks(step: usize) -> Vec<Block> {
    match step {
        0 => vec![block(1, 0, &["a", "b"], 1.0), block(2, 0, &["b", "c"], 2.0)],
        1 => vec![block(3, 7_200_000, &["a"], 3.0)],
        3 => vec![block(4, 0, &["a"], 4.0)],
        4 => vec![block(3, 86_400_000, &["b"], 3.0)],
        _ => Vec::new(),
    }
}

async fn take(tier: &ColdTier, step: usize) -> Result<(), Error> {
    match step {
        2 => tier.delete(tombstone("a", 4), &Unconverted::default()).await,
        5 => compact(tier).await.map(drop),
        6 => tier.sweep_orphans(NOW, 0).await.map(drop),
        7 => tier.expire(DAY + 86_400_000).await.map(drop),
        _ => {
            let blocks = blocks(step);
            convert(tier, &blocks.iter().collect::<Vec<_>>()).await
        }
    }
}

/// What is there after so many steps.
fn oracle(steps: usize) -> Oracle {
    let mut oracle = Oracle::new();
    for step in 0..steps {
        for block in blocks(step) {
            for ordinal in 0..block.meta().series {
                let (labels, samples) =
                    (block.labels(ordinal).unwrap(), block.samples(ordinal, TimeRange::ALL).unwrap());
                for (ms, value) in samples.timestamps_ms.iter().zip(&samples.values) {
                    oracle.append(&labels, *ms, SampleValue::Float(*value));
                }
            }
        }
        match step {
            2 => _ = oracle.delete(&tombstone("a", 4).matchers, TimeRange::ALL),
            7 => _ = oracle.delete(&[], TimeRange::new(i64::MIN, DAY + 86_400_000 - 1)),
            _ => {}
        }
    }
    oracle
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Takes step after step, each again while it fails. Gives the number of those that were acknowledged.
fn run(store: &FaultyStore) -> usize {
    block_on(async {
        let mut tries = 0..TRIES;
        let tier = loop {
            match open(Arc::new(store.clone())).await {
                Ok(tier) => break tier,
                Err(_) if tries.next().is_some() => {}
                Err(_) => return 0,
            }
        };
        for step in 0..STEPS {
            let mut tries = 0..TRIES;
            while let Err(error) = take(&tier, step).await {
                assert!(
                    !matches!(error, Error::Fenced { .. } | Error::Invariant { .. }),
                    "step {step}: {error}"
                );
                if tries.next().is_none() {
                    return step;
                }
            }
        }
        STEPS
    })
}

fn check(store: &FaultyStore, acknowledged: &usize) {
    block_on(async {
        let tier = open(Arc::new(store.clone())).await.unwrap();
        let recovered = all(&tier).await;
        let attempted = (acknowledged + 1).min(STEPS);
        let is_state = |steps: usize| series_diff(&recovered, &oracle(steps).all()).is_none();
        assert!((*acknowledged..=attempted).any(is_state), "after {acknowledged} steps: {recovered:?}");
        tier.sweep_orphans(NOW, 0).await.unwrap();
        compact(&tier).await.unwrap();
        assert!(series_diff(&all(&tier).await, &recovered).is_none());
        let inner = store.inner();
        assert_eq!(objects(inner.as_ref(), "data").await.len() as u64, tier.stats().files);
        assert!(objects(inner.as_ref(), "tombstones").await.is_empty());
        for file in &tier.snapshot().files {
            tier.verify(file).await.unwrap();
        }
    });
}

#[test]
fn an_operation_that_fails_is_got_over() {
    for fault in [StoreFault::Fails, StoreFault::DoneButFails, StoreFault::Slow] {
        store_fault_at_every_operation(fault, run, |store, acknowledged| {
            assert_eq!(*acknowledged, STEPS, "{:?}", store.faults_struck());
            check(store, acknowledged);
        });
    }
}

#[test]
fn a_store_that_goes_away_at_any_operation_loses_nothing_acknowledged() {
    for fault in [StoreFault::Gone, StoreFault::DoneThenGone] {
        store_fault_at_every_operation(fault, run, check);
    }
}

#[test]
fn two_failures_in_a_row_leave_the_catalog_in_doubt_and_the_next_commit_finds_out() {
    let whole = FaultyStore::new();
    run(&whole);
    // The put is done and answers with an error, and it cannot be read back.
    for operation in 0..whole.operations() {
        let store = FaultyStore::new();
        store.fail_at(operation, StoreFault::DoneButFails);
        store.fail_at(operation + 1, StoreFault::Fails);
        let acknowledged = run(&store);
        store.heal();
        assert_eq!(acknowledged, STEPS, "{:?}", store.faults_struck());
        check(&store, &acknowledged);
    }
}
