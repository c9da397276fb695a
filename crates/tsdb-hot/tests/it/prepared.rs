//! Prepared segments: taken when they are ready, without a trace when the store is closed, and lossless whenever the power
//! goes away.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tsdb_hot::{HotOptions, HotStore, Recovery, Result, WalSync};
use tsdb_testkit::{Fault, SimDisk, crash_at_every_operation, fault_at_every_operation};
use tsdb_vfs::Vfs;

use crate::crash::{Account, check_contents};
use crate::support::{DIR, numbered_batch, open};

const SEGMENT_BYTES: u64 = 256 << 10;
/// So often a sample is repeated in a batch that fills more than half of a segment.
const REPEATED: usize = 15_000;

fn options() -> HotOptions {
    HotOptions { wal_segment_bytes: SEGMENT_BYTES, wal_sync: WalSync::Always, ..HotOptions::default() }
}

/// The log's files with their lengths.
fn files(disk: &SimDisk) -> Vec<(String, u64)> {
    let entries = disk.list(&PathBuf::from(DIR).join("wal")).unwrap();
    entries.into_iter().map(|entry| (entry.name, entry.len)).collect()
}

/// The numbered batch, with one sample of it repeated: it is logged each time, and counts once.
fn append_large(store: &HotStore, number: i64) -> Result<()> {
    let mut batch = store.appender();
    for (labels, timestamp_ms, value) in numbered_batch(number) {
        let series = batch.append(&labels, timestamp_ms, value.clone())?;
        for _ in 0..REPEATED / 4 {
            batch.append_ref(series, timestamp_ms, value.clone())?;
        }
    }
    batch.commit().map(drop)
}

/// Waits until the next segment is ready, or nothing comes of it.
fn wait_until_prepared(disk: &SimDisk) {
    let begun = Instant::now();
    loop {
        let Ok(entries) = disk.list(&PathBuf::from(DIR).join("wal")) else { return };
        let len = entries.iter().find(|entry| entry.name == "next.prepared").map(|entry| entry.len);
        let patience_ms = match len {
            Some(SEGMENT_BYTES) => break,
            Some(_) => 1_000,
            None => 10,
        };
        if begun.elapsed() > Duration::from_millis(patience_ms) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    // For its last fsync, and the end of its thread.
    thread::sleep(Duration::from_millis(2));
}

/// Fills a segment, goes on in a prepared one, seals in the middle of another, ends without closing, and closes.
fn script(disk: &SimDisk) -> Account {
    let mut account = Account::default();
    let Ok((store, _)) = open(disk, options()) else { return account };
    account.append_by(|number| append_large(&store, number));
    wait_until_prepared(disk);
    account.append(&store, 2);
    account.delete(&store, 1);
    account.append_by(|number| append_large(&store, number));
    wait_until_prepared(disk);
    let _ = store.seal();
    account.append(&store, 1);
    drop(store);
    let Ok((store, _)) = open(disk, options()) else { return account };
    account.append_by(|number| append_large(&store, number));
    wait_until_prepared(disk);
    account.append(&store, 1);
    let _ = store.seal();
    account.append(&store, 1);
    let _ = store.close();
    account
}

fn check(disk: &SimDisk, account: &Account) {
    let (store, _) = open(disk, options()).unwrap();
    let present = check_contents(&store, account);
    store.close().unwrap();
    drop(store);
    assert!(files(disk).iter().all(|(name, _)| name != "next.prepared"));
    let (store, Recovery { torn_bytes, .. }) = open(disk, options()).unwrap();
    assert_eq!((check_contents(&store, account), torn_bytes), (present, 0));
}

#[test]
fn power_loss_at_every_operation() {
    crash_at_every_operation(script, check);
}

#[test]
fn an_error_of_every_operation() {
    fault_at_every_operation(&SimDisk::new(), Fault::NoSpace, script, check);
}

#[test]
fn zeros_that_a_full_disk_cut_off_do_not_come_back_in_an_older_segment() {
    for seed in 0..20 {
        let (disk, mut account) = (SimDisk::new(), Account::default());
        let (store, _) = open(&disk, options()).unwrap();
        append_until_taken(&disk, &store, &mut account);
        let acknowledged = account.acknowledged().len();
        disk.fail_at(disk.operations(), Fault::NoSpace);
        account.append(&store, 1);
        assert_eq!(account.acknowledged().len(), acknowledged);
        store.freeze().unwrap();
        account.append(&store, 1);
        let (store, _) = open(&disk.crash(seed), options()).unwrap();
        check_contents(&store, &account);
    }
}

/// Fills most of a segment, and appends batches until they go to a prepared one.
fn append_until_taken(disk: &SimDisk, store: &HotStore, account: &mut Account) {
    account.append_by(|number| append_large(store, number));
    let begun = Instant::now();
    while !matches!(&files(disk)[..], [_, (name, SEGMENT_BYTES)] if name.ends_with(".wal")) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", files(disk));
        thread::sleep(Duration::from_millis(1));
        account.append(store, 1);
    }
}

#[test]
fn a_segment_is_prepared_taken_and_cut() {
    let (disk, mut account) = (SimDisk::new(), Account::default());
    let (store, _) = open(&disk, options()).unwrap();
    append_until_taken(&disk, &store, &mut account);

    // Without closing: what is behind the end is no torn batch.
    let (again, recovery) = open(&disk.crash(0), options()).unwrap();
    assert_eq!((recovery.segments, recovery.torn_bytes), (2, 0));
    assert_eq!(check_contents(&again, &account), *account.acknowledged());

    let (disk, mut account) = (SimDisk::new(), Account::default());
    let (store, _) = open(&disk, options()).unwrap();
    append_until_taken(&disk, &store, &mut account);
    store.close().unwrap();
    let bytes: u64 = files(&disk).iter().map(|(_, len)| len).sum();
    assert_eq!((files(&disk).len() as u64, bytes), (2, store.stats().wal.bytes), "a closed log has no zeros");
}
