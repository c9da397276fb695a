//! Files whose series index says something else of their series and pages, with right checksums everywhere: damage or some
//! answer, never a panic, and never the store's fault.

use futures::TryStreamExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tsdb_core::{Labels, Series, TimeRange};
use tsdb_parquet_io::{
    ColumnPages, DataPage, Error, PageLocation, ParquetConfig, ParquetReader, ReadRequest, RowGroupPages,
    SERIES_INDEX_KEY, SeriesEntry, SeriesIndexBuilder,
};
use xxhash_rust::xxh3::xxh3_64;

use crate::common::{metric, open, reseal, select, write};

/// A file whose index takes some room: a label has long values that hardly compress.
fn fixture() -> (Vec<Series>, Vec<u8>) {
    let mut all = metric("load", 6, 40);
    for (number, series) in (0_u64..).zip(&mut all) {
        let text: String = (0..20).map(|i| format!("{:x}", xxh3_64(&[number as u8, i]))).collect();
        let labels = series.labels.iter().chain([("room", &*text)]);
        series.labels = Labels::from_pairs(labels).expect("valid labels");
    }
    let config = ParquetConfig {
        row_group_rows: 100,
        page_rows: 20,
        timestamp_page_rows: 20,
        with_histograms: false,
        ..ParquetConfig::default()
    };
    let (_, file) = write(config, &all).expect("a sound fixture");
    (all, file.to_vec())
}

/// The pages of a file by its page index.
fn row_groups(reader: &ParquetReader) -> Vec<RowGroupPages> {
    let parquet = reader.metadata().parquet();
    let offsets = parquet.offset_index().expect("a page index");
    let groups = parquet.row_groups().iter().zip(offsets);
    let groups = groups.map(|(group, offsets)| {
        let columns = group.columns().iter().zip(offsets).map(|(chunk, offsets)| {
            let location =
                |at: i64, length: i64| PageLocation { offset: at as u64, length: length as u32, hash: 0 };
            let data = offsets.page_locations().iter().map(|page| DataPage {
                location: location(page.offset, i64::from(page.compressed_page_size)),
                first_row: page.first_row_index as u64,
            });
            let dictionary =
                chunk.dictionary_page_offset().map(|at| location(at, chunk.data_page_offset() - at));
            ColumnPages { dictionary, data: data.collect() }
        });
        RowGroupPages { rows: group.num_rows() as u64, columns: columns.collect() }
    });
    groups.collect()
}

/// What an index says of `all`.
fn entries(all: &[Series]) -> Vec<SeriesEntry<'_>> {
    let entries = all.iter().map(|Series { labels, samples }| SeriesEntry {
        labels,
        rows: samples.len() as u64,
        time_range: samples.time_range(),
        has_floats: true,
        has_histograms: false,
    });
    entries.collect()
}

/// `file` with an index of these series and pages in the place of its own; `None` if it has no room.
fn forge(
    file: &[u8],
    at: u64,
    len: u64,
    all: &[SeriesEntry<'_>],
    mut groups: Vec<RowGroupPages>,
) -> Option<Vec<u8>> {
    for location in groups.iter_mut().flat_map(|group| &mut group.columns).flat_map(|column| {
        column.dictionary.iter_mut().chain(column.data.iter_mut().map(|page| &mut page.location))
    }) {
        let range = location.offset as usize..location.range().end as usize;
        location.hash = file.get(range).map_or(0, xxh3_64);
    }
    let mut builder = SeriesIndexBuilder::new();
    all.iter().for_each(|entry| builder.push(entry).expect("memory"));
    let mut region = Vec::new();
    let pointer = builder.finish(at, &groups, &mut region).expect("memory").pointer;
    if region.len() as u64 > len {
        return None;
    }
    let mut forged = file.to_vec();
    forged[at as usize..at as usize + region.len()].copy_from_slice(&region);
    let key = SERIES_INDEX_KEY.as_bytes();
    let key = forged.windows(key.len()).rposition(|window| window == key).expect("the key") + key.len();
    let value = forged[key..].windows(5).position(|window| window == b"0001 ").expect("its value") + key;
    let text = pointer.to_value();
    forged[value..value + text.len()].copy_from_slice(text.as_bytes());
    reseal(&mut forged);
    Some(forged)
}

/// Asks in every way: an answer or damage.
async fn ask(forged: Vec<u8>, all: &[Series]) {
    let reader = match open(forged).await {
        Ok(reader) => reader,
        Err(Error::Damaged { .. }) => return,
        Err(other) => panic!("{other}"),
    };
    for range in [TimeRange::ALL, TimeRange::new(15_000, 150_000)] {
        match select(&reader, &[], range).await {
            Ok(found) => assert!(found.len() <= all.len()),
            Err(Error::Damaged { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let tables: Result<Vec<_>, _> = reader.read_batch(ReadRequest::default()).try_collect().await;
    assert!(matches!(tables, Ok(_) | Err(Error::Damaged { .. })), "{:?}", tables.map(|_| ()));
    reader.verify().await.expect("a store that reads");
}

/// A change of one page: what it names, and by how much.
#[derive(Clone, Copy, Debug)]
enum Change {
    Offset(i64),
    Length(i32),
    FirstRow(i64),
    SwapWith(usize),
    DropDictionary,
    DropPages,
    DropColumn,
}

fn change(groups: &mut [RowGroupPages], group: Index, column: Index, page: Index, change: Change) {
    let group = &mut groups[group.index(2)];
    let at = column.index(group.columns.len());
    if let Change::SwapWith(other) = change {
        let other = other % group.columns.len();
        group.columns.swap(at, other);
        return;
    }
    if let Change::DropColumn = change {
        if group.columns.len() > 1 {
            group.columns.remove(at);
        }
        return;
    }
    let rows = group.rows;
    let column = &mut group.columns[at];
    if column.data.is_empty() {
        return;
    }
    let page = page.index(column.data.len());
    let bounds = (
        page.checked_sub(1).map_or(0, |before| column.data[before].first_row),
        column.data.get(page + 1).map_or(rows, |next| next.first_row),
    );
    let data = &mut column.data[page];
    match change {
        Change::Offset(by) => {
            data.location.offset = data.location.offset.saturating_add_signed(by).min(1 << 60);
        }
        Change::Length(by) => data.location.length = data.location.length.saturating_add_signed(by),
        Change::FirstRow(by) if page > 0 => {
            data.first_row = data.first_row.saturating_add_signed(by).clamp(bounds.0, bounds.1);
        }
        Change::FirstRow(_) | Change::SwapWith(_) | Change::DropColumn => {}
        Change::DropDictionary => column.dictionary = None,
        Change::DropPages => column.data.clear(),
    }
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        prop_oneof![-200..200_i64, any::<i64>()].prop_map(Change::Offset),
        prop_oneof![-50..50_i32, any::<i32>()].prop_map(Change::Length),
        (-30..30_i64).prop_map(Change::FirstRow),
        any::<usize>().prop_map(Change::SwapWith),
        Just(Change::DropDictionary),
        Just(Change::DropPages),
        Just(Change::DropColumn),
    ]
}

proptest! {
    #[test]
    fn an_index_that_lies_is_damage_or_gives_an_answer(
        which in vec((any::<Index>(), any::<Index>(), any::<Index>(), changes()), 0..3),
        series in vec((any::<Index>(), any::<Index>(), 0..60_u64, any::<(bool, bool)>(), -99_999..99_999_i64), 0..3),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (all, file) = fixture();
            let reader = open(file.clone()).await.expect("a sound fixture");
            let index = reader.layout().series_index.expect("an index");
            let mut groups = row_groups(&reader);
            for (group, column, page, by) in which {
                change(&mut groups, group, column, page, by);
            }
            // Without its longest label the index has room for longer page tables.
            let short = metric("load", 6, 40);
            let mut entries = entries(&short);
            for (from, to, rows, (has_floats, has_histograms), ms) in series {
                let from = &mut entries[from.index(6)];
                let rows = rows.min(from.rows - 1);
                from.rows -= rows;
                from.time_range.end_ms += ms.max(0);
                from.time_range.start_ms += ms.min(0);
                (from.has_floats, from.has_histograms) = (has_floats, has_histograms || !has_floats);
                entries[to.index(6)].rows += rows;
            }
            let forged = forge(&file, index.offset, index.bytes, &entries, groups).expect("room");
            ask(forged, &all).await;
        });
    }
}

#[tokio::test]
async fn the_same_pages_are_the_same_file() {
    let (all, file) = fixture();
    let reader = open(file.clone()).await.expect("a sound fixture");
    let index = reader.layout().series_index.expect("an index");
    let same = forge(&file, index.offset, index.bytes, &entries(&all), row_groups(&reader));
    assert!(same.expect("room") == file);
}
