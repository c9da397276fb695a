//! The hot tier used alone: write, crash, recover, seal. Needs only this crate, and `tempfile` for a directory.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use tsdb_hot::tsdb_core::{Labels, SampleBuffer, SampleValue, TimeRange, parse_selector};
use tsdb_hot::tsdb_vfs::RealFs;
use tsdb_hot::{HotOptions, HotStore, Recovery};

const START_MS: i64 = 1_700_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;

    let (store, _) = open(dir.path())?;
    let mut batch = store.appender();
    for instance in 0..100 {
        let labels = Labels::from_pairs([("__name__", "up"), ("instance", &format!("host-{instance:03}"))])?;
        for i in 0..60 {
            batch.append(&labels, START_MS + i * 15_000, SampleValue::Float(1.0))?;
        }
    }
    let committed = batch.commit()?;
    println!("committed {} samples", committed.samples);
    assert_eq!(committed.samples, 6_000);
    // No close: as after `kill -9`, only the log is there.
    drop(store);

    let (store, recovery) = open(dir.path())?;
    println!("recovered {} samples of {} series from the log", recovery.samples, recovery.series);
    assert_eq!((recovery.samples, recovery.series), (6_000, 100));

    let blocks = store.seal()?;
    println!("sealed into {} block(s); the log has {} segment(s)", blocks.len(), store.stats().wal.segments);
    assert_eq!((store.stats().blocks.samples, store.stats().wal.segments), (6_000, 0));

    // A late sample and a corrected one go to the head; the higher sequence counts.
    let labels = Labels::from_pairs([("__name__", "up"), ("instance", "host-007")])?;
    let mut batch = store.appender();
    batch.append_float(&labels, START_MS, 0.0)?;
    batch.append_float(&labels, START_MS - 15_000, 1.0)?;
    batch.commit()?;

    let matchers = parse_selector(r#"up{instance="host-007"}"#)?;
    let mut merged = SampleBuffer::default();
    for source in store.snapshot().sources() {
        for series in source.select(&matchers, TimeRange::ALL)? {
            merged.merge_newer(series?.samples);
        }
    }
    println!("host-007 has {} samples, the first two are {:?}", merged.len(), &merged.values[..2]);
    assert_eq!((merged.len(), &merged.values[..3]), (61, &[1.0, 0.0, 1.0][..]));
    store.close()?;
    Ok(())
}

fn open(dir: &Path) -> tsdb_hot::Result<(HotStore, Recovery)> {
    HotStore::open(Arc::new(RealFs), dir, HotOptions::default(), &|_| false, 0)
}
