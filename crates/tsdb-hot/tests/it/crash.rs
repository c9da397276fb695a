//! The power goes away at every operation: acknowledged <= recovered <= attempted, and nothing twice.

use std::collections::BTreeSet;

use tsdb_core::TimeRange;
use tsdb_hot::{HotStore, Result};
use tsdb_testkit::{Fault, SimDisk, crash_at_every_operation, fault_at_every_operation};

use crate::support::{Cold, all, append, batch_range, numbered_batch, open, small_segments, whole_batches};

/// What the script knows when it ends.
#[derive(Debug, Default)]
pub(crate) struct Account {
    attempted: i64,
    acknowledged: BTreeSet<i64>,
    /// Batches of which a delete was tried, and of which it returned.
    deletes: BTreeSet<i64>,
    deleted: BTreeSet<i64>,
    cold: Cold,
}

impl Account {
    pub(crate) fn append(&mut self, store: &HotStore, batches: i64) {
        for _ in 0..batches {
            self.append_by(|number| append(store, &numbered_batch(number)));
        }
    }

    /// Appends the next batch by what is given.
    pub(crate) fn append_by<T>(&mut self, append: impl FnOnce(i64) -> Result<T>) {
        let number = self.attempted;
        self.attempted += 1;
        if append(number).is_ok() {
            self.acknowledged.insert(number);
        }
    }

    pub(crate) fn acknowledged(&self) -> &BTreeSet<i64> {
        &self.acknowledged
    }

    /// Deletes a batch, by its time.
    pub(crate) fn delete(&mut self, store: &HotStore, number: i64) {
        self.deletes.insert(number);
        if self.cold.delete(store, &[], batch_range(number)).is_ok() {
            self.deleted.insert(number);
        }
    }
}

/// Append over several segments, freeze, delete from the frozen and the live generation, seal two generations at once,
/// delete from a block, hand a block over, go on, reopen, delete from head and blocks, seal again: with so many batches at
/// each step. Goes on after errors as a server would.
fn script(disk: &SimDisk, batches: [i64; 5]) -> Account {
    let mut account = Account::default();
    let Ok((store, _)) = open(disk, small_segments()) else { return account };
    account.append(&store, batches[0]);
    let _ = store.freeze();
    account.append(&store, batches[1]);
    account.delete(&store, 1);
    account.delete(&store, batches[0]);
    let _ = store.seal();
    account.delete(&store, 0);
    account.append(&store, batches[2]);
    let _ = account.cold.take_block(&store);
    let _ = store.close();
    let Ok((store, _)) = account.cold.open(disk, small_segments()) else { return account };
    account.append(&store, batches[3]);
    account.delete(&store, account.attempted - 1);
    account.delete(&store, 2);
    let _ = store.seal();
    let _ = account.cold.take_block(&store);
    account.append(&store, batches[4]);
    account
}

fn check(disk: &SimDisk, account: &Account) {
    let (store, _) = account.cold.open(disk, small_segments()).unwrap();
    let present = check_contents(&store, account);
    // What was recovered stays, through a seal and another opening, and the store takes writes.
    append(&store, &numbered_batch(account.attempted)).unwrap();
    store.seal().unwrap();
    assert_eq!(store.stats().wal.segments, 0);
    drop(store);
    let (store, recovery) = account.cold.open(disk, small_segments()).unwrap();
    assert_eq!((recovery.samples, recovery.unfinished_files, recovery.torn_bytes), (0, 0, 0));
    let merged = account.cold.merged(&store, &[], TimeRange::ALL);
    let mut want = present;
    want.insert(account.attempted);
    assert_eq!(whole_batches(&merged, account.attempted + 1), want);
}

pub(crate) fn check_contents(store: &HotStore, account: &Account) -> BTreeSet<i64> {
    let merged = account.cold.merged(store, &[], TimeRange::ALL);
    let present = whole_batches(&merged, account.attempted);
    assert!(present.is_disjoint(&account.deleted), "{present:?} without {:?}", account.deleted);
    let kept: BTreeSet<i64> = account.acknowledged.difference(&account.deletes).copied().collect();
    assert!(present.is_superset(&kept), "{present:?} of {kept:?}");
    // Nothing twice: no timestamp is written twice by the script, so counts add up. Blocks count what is hidden in them.
    let stats = store.stats();
    let cold = account.cold.blocks.values().flatten().map(|series| series.samples.len() as u64).sum::<u64>();
    let (counted, seen) = (stats.head.samples + stats.blocks.samples + cold, present.len() as u64 * 4);
    assert!((seen..=seen + account.deletes.len() as u64 * 4).contains(&counted), "{counted} for {seen}");
    present
}

#[test]
fn power_loss_at_every_operation() {
    crash_at_every_operation(|disk| script(disk, [6, 3, 2, 4, 1]), check);
}

#[test]
fn an_error_of_every_operation() {
    for fault in [Fault::Io, Fault::ShortWrite, Fault::NoSpace] {
        fault_at_every_operation(&SimDisk::new(), fault, |disk| script(disk, [3, 1, 1, 2, 1]), check);
    }
}

#[test]
fn power_loss_at_every_operation_of_a_recovery() {
    // A disk with all that recovery has to do: a torn tail, an unfinished seal, a block that was handed over.
    let disk = SimDisk::new();
    let mut account = Account::default();
    let (store, _) = open(&disk, small_segments()).unwrap();
    account.append(&store, 3);
    store.seal().unwrap();
    account.append(&store, 5);
    account.cold.take_block(&store).unwrap();
    let operations = disk.operations();
    store.seal().unwrap();
    let sealing = disk.operations() - operations;
    drop(store);
    for step in 0..sealing {
        let disk = SimDisk::new();
        let mut account = Account::default();
        let (store, _) = open(&disk, small_segments()).unwrap();
        account.append(&store, 3);
        store.seal().unwrap();
        account.append(&store, 5);
        account.cold.take_block(&store).unwrap();
        disk.fail_at(disk.operations() + step, Fault::Crash);
        assert!(store.seal().is_err());
        let start = disk.crash(2);
        let recover = |disk: &SimDisk| drop(account.cold.open(disk, small_segments()));
        // An opening that finds nothing to do changes nothing: then there is nothing to test.
        let probe = start.fork();
        recover(&probe);
        if probe.operations() > start.operations() {
            fault_at_every_operation(&start, Fault::Crash, recover, |disk, ()| check(disk, &account));
        }
    }
}

#[test]
fn the_process_ends_without_closing() -> Result<()> {
    // Not a power loss: what was written is there, fsynced or not.
    let disk = SimDisk::new();
    let options = tsdb_hot::HotOptions { wal_sync: tsdb_hot::WalSync::Os, ..small_segments() };
    let mut account = Account::default();
    let (store, _) = open(&disk, options.clone())?;
    account.append(&store, 8);
    drop(store);
    let (store, recovery) = open(&disk, options.clone())?;
    assert_eq!((recovery.samples, recovery.torn_bytes), (8 * 4, 0));
    assert!(recovery.segments > 1 && recovery.series == 9);
    assert_eq!(whole_batches(&all(&store), 8).len(), 8);
    // The opening made durable what it read: a power loss now takes nothing.
    drop(store);
    let (store, _) = open(&disk.crash(0), options)?;
    assert_eq!(whole_batches(&all(&store), 8).len(), 8);
    Ok(())
}
