//! The driver: it meets every operation, and it finds the bugs that it is for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tsdb_testkit::{Fault, SEEDS, SimDisk, crash_at_every_operation, fault_at_every_operation};
use tsdb_vfs::Vfs;

/// Which of the steps that publishing a file takes are taken.
#[derive(Clone, Copy)]
struct Steps {
    sync: bool,
    temporary: bool,
    sync_dir: bool,
}

const ALL: Steps = Steps { sync: true, temporary: true, sync_dir: true };

/// Publishes two files one after the other; returns how many were acknowledged.
fn publish(disk: &SimDisk, steps: Steps) -> usize {
    let one = |name: &str| -> io::Result<()> {
        let first = if steps.temporary { Path::new("tmp") } else { Path::new(name) };
        let file = disk.create(first)?;
        file.append(name.repeat(1000).as_bytes())?;
        if steps.sync {
            file.sync()?;
        }
        if steps.temporary {
            disk.rename(first, Path::new(name))?;
        }
        if steps.sync_dir { disk.sync_dir(Path::new("")) } else { Ok(()) }
    };
    ["a", "b"].into_iter().take_while(|name| one(name).is_ok()).count()
}

/// Every acknowledged file is there, and every file that is there is whole.
fn check(disk: &SimDisk, acknowledged: &usize) {
    for (i, name) in ["a", "b"].into_iter().enumerate() {
        match disk.read(Path::new(name)) {
            Ok(bytes) => assert!(bytes == name.repeat(1000).as_bytes(), "{name} is torn"),
            Err(_) => assert!(i >= *acknowledged, "{name} was acknowledged and is lost"),
        }
    }
}

#[test]
fn the_right_order_of_steps_survives_everything() {
    crash_at_every_operation(|disk| publish(disk, ALL), check);
    for fault in [Fault::Io, Fault::ShortWrite, Fault::NoSpace] {
        fault_at_every_operation(&SimDisk::new(), fault, |disk| publish(disk, ALL), check);
    }
}

#[test]
fn each_step_left_out_is_found() {
    let finds = |steps| {
        let run = || crash_at_every_operation(|disk| publish(disk, steps), check);
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    assert!(finds(Steps { sync: false, ..ALL }), "bytes not synced before the rename");
    assert!(finds(Steps { temporary: false, ..ALL }), "written under the final name");
    assert!(finds(Steps { sync_dir: false, ..ALL }), "the name not synced");
}

#[test]
fn it_crashes_before_each_operation_and_after_the_last() {
    let acknowledged = RefCell::new(Vec::new());
    crash_at_every_operation(|disk| publish(disk, ALL), |_, count| acknowledged.borrow_mut().push(*count));
    // Five operations each: a crash before one of the first five acknowledges nothing.
    let expected: Vec<usize> = (0..=10).flat_map(|operation| SEEDS.map(move |_| operation / 5)).collect();
    assert_eq!(acknowledged.into_inner(), expected);
}

#[test]
fn it_starts_where_a_crash_left_the_disk() {
    let before = SimDisk::new();
    publish(&before, ALL);
    let before = before.crash(0);
    let left = RefCell::new(BTreeSet::new());
    fault_at_every_operation(
        &before,
        Fault::Crash,
        |disk| drop(disk.remove_file(Path::new("a")).and_then(|()| disk.sync_dir(Path::new("")))),
        |disk, ()| {
            left.borrow_mut().insert(disk.list(Path::new("")).unwrap().len());
        },
    );
    assert_eq!(left.into_inner(), BTreeSet::from([1, 2]), "the file removed, and still there");
    assert_eq!(before.list(Path::new("")).unwrap().len(), 2, "the disk to start on stays as it was");
}

#[test]
#[should_panic(expected = "the script changed nothing")]
fn a_script_that_does_nothing_is_no_test() {
    crash_at_every_operation(|disk| drop(disk.list(Path::new(""))), |_, ()| {});
}
