//! Large selections with threads that decode ahead, and without: the same answers at the same cost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use tsdb_core::{MatchOp, Matcher, TimeRange};
use tsdb_parquet_io::{ParquetConfig, ReadAhead};
use tsdb_testkit::assert_series_eq;

use crate::common::{metric, open, select, write};

/// Threads of its own for each step, and how many steps there were.
fn threads(steps_max: usize) -> (ReadAhead, Arc<AtomicUsize>) {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let ahead = ReadAhead::new(steps_max, move |work| {
        count.fetch_add(1, Ordering::Relaxed);
        drop(std::thread::spawn(work));
        true
    });
    (ahead, started)
}

#[tokio::test]
async fn threads_change_neither_answers_nor_what_is_read() {
    let series = metric("m", 3_000, 100);
    let config = ParquetConfig { row_group_rows: 70_001, ..ParquetConfig::default() };
    let (_, file) = write(config, &series).unwrap();
    let some = [Matcher::equal("instance", "host-00777")];
    let ranges = [TimeRange::ALL, TimeRange::new(300_000, 900_000), TimeRange::new(-5, -1)];
    for steps_max in [1, 2, 5] {
        let (ahead, started) = threads(steps_max);
        for range in ranges {
            let (alone, beside) = (open(file.clone()).await.unwrap(), open(file.clone()).await.unwrap());
            let beside = beside.with_read_ahead(ahead.clone());
            let expected = select(&alone, &[], range).await.unwrap();
            assert_series_eq(&select(&beside, &[], range).await.unwrap(), &expected);
            assert_eq!(beside.statistics(), alone.statistics(), "{steps_max} steps, {range:?}");
        }
        let steps = started.load(Ordering::Relaxed);
        assert!(steps >= 2, "{steps} steps were decoded ahead");
        // A small selection pays nothing.
        let small = open(file.clone()).await.unwrap().with_read_ahead(ahead);
        assert_eq!(select(&small, &some, TimeRange::ALL).await.unwrap().len(), 1);
        assert_eq!(started.load(Ordering::Relaxed), steps);
    }
}

#[tokio::test]
async fn few_rows_of_many_pages_are_decoded_ahead() {
    let (_, file) = write(ParquetConfig::default(), &metric("m", 6_000, 100)).unwrap();
    let matchers = [Matcher::new(MatchOp::Regex, "instance", "host-...50").unwrap()];
    let alone = open(file.clone()).await.unwrap();
    let expected = select(&alone, &matchers, TimeRange::ALL).await.unwrap();
    assert_eq!(expected.len(), 60);
    let (ahead, started) = threads(2);
    let beside = open(file).await.unwrap().with_read_ahead(ahead);
    assert_series_eq(&select(&beside, &matchers, TimeRange::ALL).await.unwrap(), &expected);
    assert_eq!(beside.statistics(), alone.statistics());
    assert!(started.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn a_thread_that_does_not_begin_is_not_waited_for() {
    let series = metric("m", 3_000, 100);
    let (_, file) = write(ParquetConfig::default(), &series).unwrap();
    let queue: Arc<Mutex<Vec<Box<dyn FnOnce() + Send>>>> = Arc::default();
    let to = Arc::clone(&queue);
    let ahead = ReadAhead::new(2, move |work| {
        to.lock().unwrap().push(work);
        true
    });
    let reader = open(file).await.unwrap().with_read_ahead(ahead);
    assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.unwrap(), &series);
    let begun_too_late = std::mem::take(&mut *queue.lock().unwrap());
    assert!(!begun_too_late.is_empty());
    begun_too_late.into_iter().for_each(|work| work());
}

#[tokio::test]
async fn who_stops_reading_leaves_the_places_to_others() {
    let series = metric("m", 3_000, 100);
    let (_, file) = write(ParquetConfig::default(), &series).unwrap();
    let (ahead, started) = threads(2);
    for _ in 0..3 {
        let reader = open(file.clone()).await.unwrap().with_read_ahead(ahead.clone());
        let before = started.load(Ordering::Relaxed);
        let mut stream = reader.select(Arc::from([]), TimeRange::ALL);
        // Far enough for steps to be under way.
        while started.load(Ordering::Relaxed) == before {
            assert!(stream.next().await.expect("steps are started before the end").is_ok());
        }
    }
    let reader = open(file).await.unwrap().with_read_ahead(ahead);
    assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.unwrap(), &series);
}

#[tokio::test]
async fn damage_that_a_thread_finds_is_the_readers_error() {
    let series = metric("m", 3_000, 100);
    let (_, file) = write(ParquetConfig::default(), &series).unwrap();
    let reader = open(file.clone()).await.unwrap();
    // A byte of the last row group's values, of which pages lie in front of the labels' and of the index.
    let group = reader.metadata().parquet().row_groups().last().unwrap().clone();
    let values =
        (0..group.num_columns()).find(|&at| group.column(at).column_path().string() == "value").unwrap();
    let (start, length) = group.column(values).byte_range();
    let mut damaged = file.to_vec();
    damaged[(start + length - 9) as usize] ^= 1;
    let (ahead, started) = threads(2);
    let reader = open(damaged).await.unwrap().with_read_ahead(ahead);
    let error = select(&reader, &[], TimeRange::ALL).await.unwrap_err().to_string();
    assert!(error.contains("does not match its checksum"), "{error}");
    assert!(started.load(Ordering::Relaxed) > 0);
}
