//! Concurrent writers, readers and seals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tsdb_core::{SampleValue, TimeRange, parse_selector};
use tsdb_hot::{HotOptions, WalSync};
use tsdb_testkit::{FsStep, SimDisk, WatchedFs, assert_series_eq};
use tsdb_vfs::Vfs;

use crate::support::{Cold, all, append, labels, open, open_vfs, small_segments};

/// A file system that counts fsyncs of files and takes its time for each.
fn slow_sync(inner: Arc<dyn Vfs>, syncs: Arc<AtomicU64>) -> WatchedFs {
    WatchedFs::new(inner, move |step| {
        if step == FsStep::Sync {
            syncs.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(4));
        }
    })
}

#[test]
fn eight_committers_share_fsyncs() {
    const COMMITTERS: u64 = 8;
    const COMMITS: u64 = 25;
    let disk = SimDisk::new();
    let syncs = Arc::new(AtomicU64::new(0));
    let vfs = Arc::new(slow_sync(disk.vfs(), Arc::clone(&syncs)));
    let (store, _) = open_vfs(vfs, HotOptions::default()).unwrap();
    thread::scope(|scope| {
        for committer in 0..COMMITTERS {
            let store = &store;
            scope.spawn(move || {
                let series = labels(&[("__name__", "m"), ("committer", &committer.to_string())]);
                for t in 0..COMMITS as i64 {
                    append(store, &[(series.clone(), t, SampleValue::Float(t as f64))]).unwrap();
                }
            });
        }
    });
    let (syncs, commits) = (syncs.load(Ordering::Relaxed), COMMITTERS * COMMITS);
    assert!(syncs * 2 <= commits, "{syncs} fsyncs for {commits} commits");
    println!("{syncs} fsyncs for {commits} commits");
    // Each was durable when it returned.
    drop(store);
    let (store, recovery) = open(&disk.crash(0), HotOptions::default()).unwrap();
    assert_eq!((recovery.samples, all(&store).len() as u64), (commits, COMMITTERS));
}

#[test]
fn readers_see_prefixes_while_writers_write_and_seals_run() {
    const WRITERS: i64 = 4;
    const BATCHES: i64 = 150;
    const BATCH: i64 = 20;
    let disk = SimDisk::new();
    let options = HotOptions { wal_segment_bytes: 20_000, wal_sync: WalSync::Os, ..HotOptions::default() };
    let (store, _) = open(&disk, options.clone()).unwrap();
    let done = AtomicBool::new(false);
    let check = |complete: bool| {
        let all =
            Cold::default().merged(&store, &parse_selector(r#"{writer=~".+"}"#).unwrap(), TimeRange::ALL);
        for series in &all {
            let samples = &series.samples;
            // Nothing missing between, nothing twice, the values as written.
            let want: Vec<i64> = (0..samples.len() as i64).map(|i| i * 60_000).collect();
            assert_eq!(samples.timestamps_ms, want, "{}", series.labels);
            assert!(samples.timestamps_ms.iter().zip(&samples.values).all(|(&t, &v)| v == t as f64));
            assert!(!complete || samples.len() as i64 == BATCHES * BATCH);
        }
        assert!(!complete || all.len() as i64 == WRITERS);
    };
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let series = labels(&[("__name__", "m"), ("writer", &writer.to_string())]);
                    for number in 0..BATCHES {
                        let mut batch = store.appender();
                        for i in number * BATCH..(number + 1) * BATCH {
                            batch.append_float(&series, i * 60_000, (i * 60_000) as f64).unwrap();
                        }
                        assert_eq!(batch.commit().unwrap().samples, BATCH as u64);
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            // Once more after the last write, so that there is a block however the threads were scheduled.
            while !done.load(Ordering::Relaxed) {
                store.seal().unwrap();
                thread::sleep(Duration::from_millis(3));
            }
            store.seal().unwrap();
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    check(false);
                }
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    check(true);
    assert!(store.stats().blocks.count > 0);
    let before = all(&store);
    drop(store);
    let (store, _) = open(&disk, options).unwrap();
    assert_series_eq(&all(&store), &before);
}

#[test]
fn deletes_beside_commits_and_seals_take_what_was_there_and_nothing_later() {
    const WRITERS: i64 = 4;
    const ROUNDS: i64 = 60;
    let disk = SimDisk::new();
    let options = HotOptions { wal_segment_bytes: 5_000, wal_sync: WalSync::Os, ..HotOptions::default() };
    let (store, _) = open(&disk, options.clone()).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let series = labels(&[("__name__", "m"), ("writer", &writer.to_string())]);
                    let own = parse_selector(&format!(r#"m{{writer="{writer}"}}"#)).unwrap();
                    for round in 0..ROUNDS {
                        // The same timestamps each time: what is deleted lies wherever a seal has brought it.
                        let samples = (0..5).map(|t| (series.clone(), t, SampleValue::Float(round as f64)));
                        append(store, &samples.collect::<Vec<_>>()).unwrap();
                        if round + 1 < ROUNDS {
                            store.delete(&own, TimeRange::new(0, round % 5)).unwrap();
                        }
                        let left = Cold::default().merged(store, &own, TimeRange::ALL);
                        let count = left.first().map_or(0, |series| series.samples.len() as i64);
                        assert_eq!(count, if round + 1 < ROUNDS { 4 - round % 5 } else { 5 }, "{round}");
                        assert!(left.iter().flat_map(|s| &s.samples.values).all(|&v| v == round as f64));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.seal().unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let before = all(&store);
    assert_eq!(before.len() as i64, WRITERS);
    drop(store);
    let (store, _) = open(&disk, options).unwrap();
    assert_series_eq(&all(&store), &before);
}

#[test]
fn the_order_of_arrival_is_the_same_in_memory_and_after_a_restart() {
    for round in 0..20 {
        let disk = SimDisk::new();
        let options = HotOptions { wal_sync: WalSync::Os, ..small_segments() };
        let (store, _) = open(&disk, options.clone()).unwrap();
        let series: Vec<_> =
            (0..40).map(|i| labels(&[("__name__", "contended"), ("i", &i.to_string())])).collect();
        thread::scope(|scope| {
            for writer in 0..6 {
                let (store, series) = (&store, &series);
                scope.spawn(move || {
                    for n in 0..15 {
                        // All writers write the same series and timestamps, each its own values.
                        let value = SampleValue::Float(f64::from(round * 10_000 + writer * 100 + n));
                        let batch: Vec<_> = series
                            .iter()
                            .map(|labels| (labels.clone(), i64::from(n % 3), value.clone()))
                            .collect();
                        append(store, &batch).unwrap();
                    }
                });
            }
        });
        let before = all(&store);
        // A batch is one moment: at each timestamp all series have the value of one batch.
        for t in 0..3 {
            assert!(before.windows(2).all(|two| two[0].samples.values[t] == two[1].samples.values[t]));
        }
        drop(store);
        let (store, _) = open(&disk, options).unwrap();
        assert_series_eq(&all(&store), &before);
    }
}

#[test]
fn an_interval_makes_commits_durable_without_another_commit() {
    let disk = SimDisk::new();
    let options =
        HotOptions { wal_sync: WalSync::Interval(Duration::from_millis(2)), ..HotOptions::default() };
    let (store, _) = open(&disk, options).unwrap();
    append(&store, &[(labels(&[("__name__", "up")]), 1, SampleValue::Float(1.0))]).unwrap();
    // Waits for as long as a slow machine may take, many intervals.
    let durable = (0..5_000).any(|_| {
        thread::sleep(Duration::from_millis(2));
        let (store, _) = open(&disk.fork().crash(0), HotOptions::default()).unwrap();
        all(&store).len() == 1
    });
    assert!(durable);
    store.close().unwrap();
}

#[test]
fn os_loses_at_most_what_was_not_synced() {
    let disk = SimDisk::new();
    let options = HotOptions { wal_sync: WalSync::Os, ..HotOptions::default() };
    let (store, _) = open(&disk, options.clone()).unwrap();
    let up = labels(&[("__name__", "up")]);
    append(&store, &[(up.clone(), 1, SampleValue::Float(1.0))]).unwrap();
    store.sync().unwrap();
    append(&store, &[(up, 2, SampleValue::Float(2.0))]).unwrap();
    let (lost, _) = open(&disk.fork().crash(0), options.clone()).unwrap();
    assert_eq!(all(&lost)[0].samples.values, [1.0]);
    store.close().unwrap();
    let (kept, _) = open(&disk.crash(0), options).unwrap();
    assert_eq!(all(&kept)[0].samples.values, [1.0, 2.0]);
}
