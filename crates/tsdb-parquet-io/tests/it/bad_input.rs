//! Damage and odd input: a typed error or correct data; never a panic, wrong data or silent loss.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use parquet::file::metadata::RowGroupMetaData;
use tsdb_core::{Histogram, Matcher, Series, TimeRange};
use tsdb_parquet_io::{
    BlockCache, Error, Origin, ParquetConfig, ParquetReader, ReadRequest, Result, SERIES_INDEX_KEY,
};
use tsdb_schema::LabelLayout;
use tsdb_testkit::{assert_series_eq, series_diff};

use crate::common::{PATH, footer_at, metric, open, reseal, select, series, store, write};
use crate::counting::Counting;

/// A file with several row groups, pages and a bloom filter; all its samples.
fn fixture() -> (Vec<Series>, Vec<u8>) {
    fixture_with(ParquetConfig::default())
}

/// The same with other settings.
fn fixture_with(config: ParquetConfig) -> (Vec<Series>, Vec<u8>) {
    let all = [metric("disk", 4, 30), metric("load", 4, 30)].concat();
    let config = ParquetConfig {
        promoted_labels: vec!["__name__".into(), "instance".into()],
        bloom_columns: vec!["instance".into()],
        row_group_rows: 100,
        page_rows: 20,
        timestamp_page_rows: 20,
        with_histograms: false,
        ..config
    };
    let (_, file) = write(config, &all).expect("a sound fixture");
    (all, file.to_vec())
}

/// A file of floats, histograms and both in one series, with labels in columns and in the map; all its samples.
fn mixed_fixture() -> (Vec<Series>, Vec<u8>) {
    let mut all = metric("load", 3, 20);
    for (number, series) in all.iter_mut().enumerate().skip(1) {
        let histogram =
            |at: usize| Arc::new(Histogram { sum: at as f64, ..Histogram::stale(at.is_multiple_of(2)) });
        let moved = if number == 1 { 10 } else { 20 };
        let times: Vec<i64> = series.samples.timestamps_ms.drain(..moved).collect();
        series.samples.values.drain(..moved);
        series.samples.histograms =
            times.into_iter().enumerate().map(|(at, ms)| (ms, histogram(at))).collect();
    }
    let config = ParquetConfig {
        promoted_labels: vec!["__name__".into()],
        row_group_rows: 25,
        page_rows: 10,
        timestamp_page_rows: 10,
        ..ParquetConfig::default()
    };
    let (_, file) = write(config, &all).expect("a sound fixture");
    (all, file.to_vec())
}

async fn read(file: Vec<u8>, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Series>> {
    select(&open(file).await?, matchers, range).await
}

#[tokio::test]
async fn a_file_cut_anywhere_is_a_typed_error() {
    let (_, file) = fixture();
    for end in 0..file.len() {
        let error = open(file[..end].to_vec()).await.expect_err("a part of a file");
        assert!(matches!(error, Error::NotParquet { .. } | Error::Damaged { .. }), "{end} bytes: {error}");
    }
}

#[tokio::test]
async fn a_file_that_is_something_else_says_so() {
    for bytes in [&b""[..], b"PAR1", b"PAR1PAR1", b"{\"not\": \"parquet\"}", &[0; 4096]] {
        let error = open(bytes.to_vec()).await.expect_err("not Parquet");
        assert!(matches!(error, Error::NotParquet { .. } | Error::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(PATH), "{error} names the file");
    }
    let missing = ParquetReader::open(store(Bytes::new()).await, Path::from("nowhere"), None).await;
    assert!(matches!(missing, Err(Error::Store { .. })));
    let longer = ParquetReader::open(store(fixture().1).await, Path::from(PATH), Some(1 << 40)).await;
    assert!(longer.is_err(), "the catalog's size is beyond the file's end");
}

#[tokio::test]
async fn every_flipped_byte_is_found_or_harmless() {
    let (all, file) = fixture();
    let refused = flip_each_byte(&all, &file, "host-00002").await;
    // Only the magic at the file's head, the bloom filters and the name of the creator may change without harm; a file of
    // another creator is a foreign one.
    assert!(refused > file.len() - 500, "{refused} flips of {} refused", file.len());
}

#[tokio::test]
async fn every_flipped_byte_of_histograms_is_found_or_harmless() {
    let (all, file) = mixed_fixture();
    let refused = flip_each_byte(&all, &file, "host-00001").await;
    // Who has opened the file does not look at the label bloom.
    let bloom =
        open(file.clone()).await.expect("a sound fixture").file_meta().label_bloom.expect("an index").bytes;
    assert!(refused > file.len() - bloom as usize - 50, "{refused} flips of {} refused", file.len());
}

/// Flips a bit in each byte and asks in every way there is: right answers or typed errors. Returns how many were found by
/// some query.
async fn flip_each_byte(all: &[Series], file: &[u8], instance: &str) -> usize {
    let matcher = [Matcher::equal("instance", instance)];
    let one: Vec<Series> =
        all.iter().filter(|s| s.labels.get("instance") == Some(instance)).cloned().collect();
    assert!(!one.is_empty());
    let mut refused = 0;
    for at in 0..file.len() {
        let mut flipped = file.to_vec();
        flipped[at] ^= 1 << (at % 8);
        let mut is_refused = false;
        let mut check = |found: Result<Vec<Series>>, expected: &[Series]| match found {
            Ok(found) => assert_eq!(series_diff(&found, expected), None, "byte {at}"),
            Err(Error::Damaged { .. } | Error::NotParquet { .. } | Error::UnsupportedVersion { .. }) => {
                is_refused = true;
            }
            Err(other) => panic!("byte {at}: {other}"),
        };
        match open(flipped).await {
            Err(error) => check(Err(error), &[]),
            Ok(reader) => {
                check(select(&reader, &[], TimeRange::ALL).await, all);
                check(select(&reader, &matcher, TimeRange::ALL).await, &one);
                check(read_table(&reader, &[]).await, all);
                check(read_table(&reader, &matcher).await, &one);
                let is_own = reader.file_meta().origin == Origin::Tsdb;
                let is_sound = reader.verify().await.expect("a store that reads").is_sound();
                // Bloom filters say less than the series index and are not looked at.
                assert!(!is_sound || !is_own || is_bloom(&reader, at), "byte {at} is not missed by verify");
            }
        }
        refused += usize::from(is_refused);
    }
    refused
}

/// Whether the byte is in a bloom filter.
fn is_bloom(reader: &ParquetReader, at: usize) -> bool {
    let groups = reader.metadata().parquet().row_groups().iter();
    let mut places = groups.flat_map(RowGroupMetaData::columns).filter_map(|column| {
        let start = usize::try_from(column.bloom_filter_offset()?).ok()?;
        Some(start..start + usize::try_from(column.bloom_filter_length()?).ok()?)
    });
    places.any(|place| place.contains(&at))
}

#[tokio::test]
async fn a_sound_file_is_verified_and_its_index_rebuilt_byte_for_byte() {
    for (all, file) in [fixture(), mixed_fixture()] {
        let reader = open(file.clone()).await.expect("a sound fixture");
        let samples: usize = all.iter().map(|series| series.samples.len()).sum();
        let found = reader.verify().await.expect("a store that reads");
        assert!(found.is_sound(), "{found:?}");
        assert_eq!((found.series, found.samples), (all.len() as u64, samples as u64));
        let index = reader.layout().series_index.expect("an index");
        let rebuilt = reader.rebuild_series_index(index.offset).await.expect("a sound fixture");
        let embedded = &file[index.offset as usize..(index.offset + index.bytes) as usize];
        assert!(rebuilt.region == embedded, "{} bytes rebuilt of {}", rebuilt.region.len(), embedded.len());
    }
    let (_, unindexed) = fixture_with(ParquetConfig { series_index: false, ..ParquetConfig::default() });
    let found = open(unindexed).await.expect("a sound fixture").verify().await.expect("a store that reads");
    assert!(found.is_sound() && found.pages == 0 && found.samples == 240, "{found:?}");
}

#[tokio::test]
async fn a_verification_that_cannot_read_everything_says_so() {
    let (_, mut file) = fixture();
    // A page that only its checksum can tell from a sound one would go unnoticed if its page table was not read.
    file[6] ^= 1;
    for fails in 0.. {
        let store = Arc::new(Counting::failing(store(file.clone()).await, fails));
        // Without a cache each page table is read when it is needed.
        let cache = BlockCache::new(0);
        let opened = ParquetReader::open_cached(Arc::clone(&store) as _, Path::from(PATH), None, cache).await;
        let found = match opened {
            Ok(reader) => reader.verify().await,
            Err(error) => Err(error),
        };
        match found {
            Err(Error::Store { .. }) => assert!(store.requests() > fails),
            Ok(found) => {
                assert!(store.requests() <= fails, "request {fails} failed, and nobody says so: {found:?}");
                assert_eq!(found.damaged.len(), 1);
                break;
            }
            Err(other) => panic!("request {fails}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_forged_footer_or_page_index_with_right_checksums_never_panics() {
    let (_, file) = fixture();
    let key = b"tsdb.tail";
    let at = file.windows(key.len()).rposition(|w| w == key).expect("the key is in the footer") + key.len();
    let value = file[at..].windows(4).position(|w| w == b"0000").expect("the value") + at;
    let digits = std::str::from_utf8(&file[value..value + 20]).expect("digits");
    let tail_at: usize = digits.parse().expect("the tail's offset");
    let footer_at = footer_at(&file);
    assert!(tail_at < footer_at);
    for (at, bit) in (tail_at..file.len() - 8).map(|at| (at, 1 << (at % 8))).step_by(3) {
        if (value - 20..value + 54).contains(&at) {
            continue;
        }
        let mut forged = file.clone();
        forged[at] ^= bit;
        let hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&forged[tail_at..footer_at]));
        forged[value + 21..value + 37].copy_from_slice(hash.as_bytes());
        reseal(&mut forged);
        let Ok(reader) = open(forged).await else { continue };
        let _ = select(&reader, &[], TimeRange::ALL).await;
        let matchers = Arc::from([Matcher::equal("instance", "host-00002")]);
        let request = ReadRequest { matchers, ..ReadRequest::default() };
        let _: Result<Vec<_>> = reader.read_batch(request).try_collect().await;
        let _ = reader.verify().await;
        let _ = reader.rebuild_series_index(4).await;
    }
}

#[tokio::test]
async fn rows_are_read_where_the_index_is_damaged() {
    let (all, mut file) = fixture();
    let index = open(file.clone()).await.expect("a sound fixture").layout().series_index.expect("an index");
    // The directory is its last part.
    file[(index.offset + index.bytes) as usize - 3] ^= 1;
    assert!(matches!(open(file.clone()).await, Err(Error::Damaged { .. })));
    let reader = ParquetReader::open_without_index(store(file).await, Path::from(PATH), None).await;
    let found = select(&reader.expect("sound rows"), &[], TimeRange::ALL).await.expect("sound rows");
    assert_series_eq(&found, &all);
}

#[tokio::test]
async fn a_pointer_to_nowhere_is_a_damaged_index() {
    let (all, file) = fixture();
    let key = SERIES_INDEX_KEY.as_bytes();
    let at = file.windows(key.len()).rposition(|w| w == key).expect("the key is in the footer") + key.len();
    let value = file[at..].windows(5).position(|w| w == b"0001 ").expect("the value") + at;
    for offset in ["18446744073709551615", "18446744073709551610", "00000000000099999999", "x"] {
        let mut forged = file.clone();
        forged[value + 5..value + 5 + offset.len()].copy_from_slice(offset.as_bytes());
        reseal(&mut forged);
        let error = open(forged.clone()).await.expect_err("an index outside of the file");
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let reader = ParquetReader::open_without_index(store(forged).await, Path::from(PATH), None).await;
        let reader = reader.expect("sound rows");
        let found = reader.verify().await.expect("a store that reads");
        assert_eq!((found.damaged.len(), found.damaged_index.len()), (0, 1), "{found:?}");
        assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.expect("sound rows"), &all);
    }
}

/// The answer by way of tables.
async fn read_table(reader: &ParquetReader, matchers: &[Matcher]) -> Result<Vec<Series>> {
    let request = ReadRequest { matchers: matchers.into(), ..ReadRequest::default() };
    let tables: Vec<_> = reader.read_batch(request).try_collect().await?;
    let mapper = reader.metadata().mapper();
    let series =
        tables.iter().flat_map(|t| mapper.record_batch_to_sample_batch(t).expect("our table").series);
    let mut joined: Vec<Series> = Vec::new();
    for series in series {
        match joined.last_mut() {
            Some(last) if last.labels == series.labels => {
                last.samples.timestamps_ms.extend(series.samples.timestamps_ms);
                last.samples.values.extend(series.samples.values);
                last.samples.histograms.extend(series.samples.histograms);
            }
            _ => joined.push(series),
        }
    }
    Ok(joined)
}

#[tokio::test]
async fn a_flipped_byte_in_pages_without_checksums_never_panics() {
    let (_, file) = fixture_with(ParquetConfig { series_index: false, ..ParquetConfig::default() });
    for at in (4..footer_at(&file) - 400).step_by(7) {
        let mut flipped = file.clone();
        flipped[at] ^= 0x10;
        // Without the series index pages have no checksums: the answer may differ, but it is an answer or a typed error.
        let matcher = Matcher::equal("instance", "host-00002");
        for query in [&[][..], std::slice::from_ref(&matcher)] {
            if let Err(error) = read(flipped.clone(), query, TimeRange::new(0, 200_000)).await {
                assert!(
                    matches!(error, Error::Damaged { .. } | Error::NotSamples { .. }),
                    "byte {at}: {error}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_newer_format_version_says_so() {
    let (_, file) = fixture();
    // The version is one digit: replace it, and its checksum with it, by writing the footer's bytes by hand.
    let key = b"tsdb.format_version";
    let at = file.windows(key.len()).rposition(|w| w == key).expect("the key is in the footer") + key.len();
    let mut newer = file.clone();
    let digit = newer[at..].iter().position(|b| *b == b'1').expect("the version") + at;
    newer[digit] = b'9';
    reseal(&mut newer);
    let error = open(newer).await.expect_err("a newer version");
    assert!(matches!(&error, Error::UnsupportedVersion { found, .. } if *found == 9), "{error}");
}

#[tokio::test]
async fn zero_rows_are_a_file_like_any_other() {
    let (meta, file) = write(ParquetConfig::default(), &[]).expect("an empty file");
    assert_eq!((meta.rows, meta.series, meta.time_range), (0, 0, TimeRange::EMPTY));
    let reader = open(file).await.expect("an empty file");
    assert_eq!(reader.file_meta(), &meta);
    assert!(select(&reader, &[], TimeRange::ALL).await.expect("no rows").is_empty());
    // A series without samples leaves no trace.
    let (meta, _) = write(ParquetConfig::default(), &[series(&[("a", "b")], [])]).expect("an empty file");
    assert_eq!((meta.rows, meta.series), (0, 0));
}

#[tokio::test]
async fn reserved_and_colliding_labels_keep_their_names_and_values() {
    let all = vec![series(
        &[
            ("Day", "1"),
            ("JOB", "2"),
            ("__name__", "odd"),
            ("day", "3"),
            ("job", "4"),
            ("label_day", "5"),
            ("labels", "6"),
            ("timestamp", "7"),
            ("value", "8"),
        ],
        [(1, 1.0), (2, 2.0)],
    )];
    let names: Vec<String> = all[0].labels.iter().map(|(name, _)| name.to_owned()).collect();
    for label_layout in [LabelLayout::Columns, LabelLayout::Map, LabelLayout::Hybrid] {
        let config =
            ParquetConfig { label_layout, promoted_labels: names.clone(), ..ParquetConfig::default() };
        let reader = open(write(config, &all).expect("fits").1).await.expect("our own file");
        for (name, value) in &all[0].labels {
            let found =
                select(&reader, &[Matcher::equal(name, value)], TimeRange::ALL).await.expect("our own file");
            assert_series_eq(&found, &all);
            let none =
                select(&reader, &[Matcher::equal(name, "x")], TimeRange::ALL).await.expect("our own file");
            assert!(none.is_empty(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_label_value_of_a_megabyte_fits_every_layout() {
    let long = "é".repeat(1 << 19);
    let all = vec![
        series(&[("__name__", "up"), ("long", &long)], (0..60).map(|ms| (ms, 1.0))),
        series(&[("__name__", "up"), ("long", &format!("{long}!"))], (0..60).map(|ms| (ms, 2.0))),
    ];
    for label_layout in [LabelLayout::Columns, LabelLayout::Map, LabelLayout::Hybrid] {
        let promoted_labels = vec!["__name__".to_owned(), "long".into()];
        let config = ParquetConfig { label_layout, promoted_labels, ..ParquetConfig::default() };
        let reader = open(write(config, &all).expect("fits").1).await.expect("our own file");
        let found = select(&reader, &[Matcher::equal("long", &long)], TimeRange::new(5, 5)).await;
        assert_eq!(found.expect("our own file").len(), 1, "{label_layout}");
        assert_series_eq(&select(&reader, &[], TimeRange::ALL).await.expect("our own file"), &all);
    }
}

#[tokio::test]
async fn ten_thousand_label_names_fit_every_layout() {
    let names: Vec<String> = (0..10_000).map(|i| format!("label{i:05}")).collect();
    let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &name[5..])).collect();
    let all = vec![series(&pairs, (0..3).map(|ms| (ms, 1.0)))];
    for (label_layout, promoted_labels) in [
        (LabelLayout::Columns, names.clone()),
        (LabelLayout::Map, Vec::new()),
        (LabelLayout::Hybrid, vec!["label00007".to_owned()]),
    ] {
        let config = ParquetConfig { label_layout, promoted_labels, ..ParquetConfig::default() };
        let reader = open(write(config, &all).expect("fits").1).await.expect("our own file");
        let query = [Matcher::equal("label00007", "00007"), Matcher::equal("label09999", "09999")];
        assert_series_eq(&select(&reader, &query, TimeRange::ALL).await.expect("our own file"), &all);
    }
}

#[tokio::test]
async fn a_flipped_byte_in_a_foreign_footer_never_panics() {
    // A file that another tool rewrote: the same bytes under another creator, so that no checksum protects them.
    let (_, ours) = fixture();
    let creator = b"tsdb-parquet-io";
    let at = ours.windows(creator.len()).rposition(|w| w == creator).expect("the creator is in the footer");
    let mut foreign = ours.clone();
    foreign[at] = b'x';
    assert_eq!(open(foreign.clone()).await.expect("a foreign file").file_meta().origin, Origin::Foreign);
    for at in footer_at(&foreign) - 400..foreign.len() {
        for bit in [1, 6] {
            let mut flipped = foreign.clone();
            flipped[at] ^= 1 << bit;
            // Nothing tells whether a statistic was flipped: the answer may differ, but it is an answer or an error.
            let query = [Matcher::equal("instance", "host-00002")];
            let _ = read(flipped, &query, TimeRange::new(0, 200_000)).await;
        }
    }
}

#[tokio::test]
async fn inspecting_tells_damage_from_a_file_without_samples() {
    let (_, file) = fixture();
    let inspect =
        async |file: Vec<u8>| ParquetReader::inspect(store(file).await, Path::from(PATH), None).await;
    let found = inspect(file.clone()).await.expect("a sound fixture");
    let meta = found.samples.expect("our own file");
    assert_eq!((meta.rows, meta.bytes, found.layout.rows), (240, file.len() as u64, 240));
    let columns = found.layout.columns();
    let timestamp = &columns[0];
    assert_eq!((timestamp.path.as_str(), timestamp.values, timestamp.nulls), ("timestamp", 240, Some(0)));
    assert_eq!(timestamp.compressed_bytes, found.layout.compressed_bytes_of("timestamp"));
    assert!(timestamp.pages.is_some_and(|pages| pages >= 12), "{timestamp:?}");

    let mut flipped = file.clone();
    flipped[footer_at(&file) + 20] ^= 1;
    assert!(matches!(inspect(flipped).await, Err(Error::Damaged { .. })));
    assert!(matches!(inspect(file[..50].to_vec()).await, Err(Error::NotParquet { .. })));
}
