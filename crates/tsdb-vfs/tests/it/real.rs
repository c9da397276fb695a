//! The real file system against the conformance suite, and what only a real one shows.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tsdb_vfs::{RealFs, Vfs, conformance};

#[test]
fn it_conforms() {
    let root = tempfile::tempdir().unwrap();
    conformance(&RealFs, root.path()).unwrap();
}

#[test]
fn appends_of_several_threads_do_not_mix() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("log");
    let file = RealFs.create(&path).unwrap();
    std::thread::scope(|scope| {
        for byte in b'a'..=b'd' {
            let file = &file;
            scope.spawn(move || {
                for _ in 0..200 {
                    file.append(&[byte; 100]).unwrap();
                    if byte == b'a' {
                        file.sync().unwrap();
                    }
                }
            });
        }
    });
    let bytes = RealFs.read(&path).unwrap();
    assert_eq!(bytes.len() as u64, file.len());
    assert_eq!(bytes.len(), 4 * 200 * 100);
    assert!(bytes.chunks(100).all(|record| record.iter().all(|b| *b == record[0])));
}

#[test]
fn a_lock_of_another_process_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("LOCK");
    let guard = RealFs.lock(&path).unwrap();
    // `flock` from util-linux takes the same kind of lock; where it is missing the check proves nothing.
    let ask = || std::process::Command::new("flock").args(["--nonblock"]).arg(&path).arg("true").status();
    let Ok(status) = ask() else { return };
    assert!(!status.success(), "the other process must be refused");
    drop(guard);
    assert!(ask().unwrap().success(), "the lock ends with its guard");
}

#[test]
fn a_directory_without_permission_says_so() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("closed");
    RealFs.create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o500)).unwrap();
    match RealFs.create(&dir.join("file")) {
        // Permissions do not bind root.
        Ok(_) => {}
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::PermissionDenied);
            assert!(e.to_string().contains("closed/file"), "{e}");
        }
    }
}

#[test]
fn the_modification_time_is_the_files() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a");
    RealFs.create(&path).unwrap().append(b"x").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    for (since_epoch, expected_ms) in [(1_700_000_000_123, 1_700_000_000_123), (-1_500, -1_500)] {
        let offset = std::time::Duration::from_millis(i64::unsigned_abs(since_epoch));
        let epoch = std::time::UNIX_EPOCH;
        file.set_modified(if since_epoch < 0 { epoch - offset } else { epoch + offset }).unwrap();
        assert_eq!(RealFs.metadata(&path).unwrap().modified_ms, expected_ms);
    }
}

#[test]
fn the_working_directory_has_a_parent_to_sync() {
    // A relative data directory's parent is the empty path.
    RealFs.sync_dir(Path::new("")).unwrap();
    RealFs.create_dir_all(Path::new("")).unwrap();
}
