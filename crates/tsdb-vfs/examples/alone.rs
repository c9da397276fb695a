//! A tiny append-only log with a published snapshot, on tsdb-vfs alone (and `tempfile` for a place to work).

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;

use tsdb_vfs::{RealFs, Vfs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = tempfile::tempdir()?;
    let vfs: Arc<dyn Vfs> = Arc::new(RealFs);
    let dir = root.path().join("store");
    vfs.create_dir_all(&dir)?;

    // One process at a time.
    let _lock = vfs.lock(&dir.join("LOCK"))?;
    assert_eq!(vfs.lock(&dir.join("LOCK")).map(drop).map_err(|e| e.kind()), Err(ErrorKind::WouldBlock));

    // A log: its bytes are durable after `sync`, its name after `sync_dir`.
    let log = vfs.create(&dir.join("events.log"))?;
    vfs.sync_dir(&dir)?;
    for event in ["started", "worked", "rested"] {
        log.append(format!("{event}\n").as_bytes())?;
    }
    log.sync()?;

    // A snapshot: written beside, then renamed into place.
    let snapshot = vfs.create(&dir.join("snapshot.tmp"))?;
    snapshot.append(&vfs.read(&dir.join("events.log"))?)?;
    snapshot.sync()?;
    vfs.rename(&dir.join("snapshot.tmp"), &dir.join("snapshot"))?;
    vfs.sync_dir(&dir)?;

    let names: Vec<String> = vfs.list(&dir)?.into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["LOCK", "events.log", "snapshot"]);
    let map = vfs.map(&dir.join("snapshot"))?;
    assert_eq!(map.len() as u64, log.len());
    assert_eq!(&vfs.open(&dir.join("snapshot"))?.read_at(8, 6)?[..], b"worked");
    println!("{} events in {} bytes", map.split(|b| *b == b'\n').count() - 1, map.len());
    Ok(())
}
