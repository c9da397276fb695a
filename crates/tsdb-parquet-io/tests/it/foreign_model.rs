//! Any foreign table, with labels in columns, in the map, or both, rows in any order and some of them twice: every query
//! gives what a search through the rows gives, and so what the query for everything gives, filtered.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float64Array, Int32Array, LargeListArray, MapArray, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use proptest::prelude::*;
use tsdb_core::{Labels, Matcher, Series, TimeRange};
use tsdb_parquet_io::Error;
use tsdb_testkit::assert_series_eq;
use tsdb_testkit::strategies::matchers_for;

use crate::common::{open, select, series};
use crate::foreign::{foreign_file, table};

const NAMES: [&str; 4] = ["__name__", "pod", "zone", "Host"];
const VALUES: [&str; 5] = ["a", "ab", "b", "größe", ""];

/// Where a row has a label, each an index into [`VALUES`].
#[derive(Clone, Copy, Debug)]
enum Place {
    Nowhere,
    Column(usize),
    Map(usize),
    Both(usize),
    MapTwice(usize),
}

#[derive(Clone, Debug)]
struct Row {
    labels: [Place; NAMES.len()],
    timestamp_ms: i64,
    /// A few values only, so that one sample comes twice and that two rows contradict each other.
    value: Option<u8>,
}

/// What the table looks like.
#[derive(Clone, Debug)]
struct Shape {
    /// Which labels have columns. A label without one is in the map where the row has it.
    has_column: [bool; NAMES.len()],
    /// Without a map, labels without a column are nowhere.
    has_map: bool,
    map_as_list: bool,
    text: DataType,
    has_ignored: bool,
    row_group_rows: usize,
    page_rows: usize,
    statistics: EnabledStatistics,
    bloom: bool,
}

fn row() -> impl Strategy<Value = Row> {
    let value = 0..VALUES.len();
    let place = prop_oneof![
        2 => Just(Place::Nowhere),
        4 => value.clone().prop_map(Place::Column),
        4 => value.clone().prop_map(Place::Map),
        1 => value.clone().prop_map(Place::Both),
        1 => value.prop_map(Place::MapTwice),
    ];
    let labels = [place.clone(), place.clone(), place.clone(), place];
    (labels, 0..30_i64, prop::option::weighted(0.95, 0..3_u8)).prop_map(|(labels, timestamp_ms, value)| Row {
        labels,
        timestamp_ms,
        value,
    })
}

fn shape() -> impl Strategy<Value = Shape> {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let text = prop::sample::select(vec![
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        dictionary,
    ]);
    let statistics = prop::sample::select(vec![
        EnabledStatistics::None,
        EnabledStatistics::Chunk,
        EnabledStatistics::Page,
    ]);
    let labels =
        (any::<[bool; NAMES.len()]>(), any::<bool>(), any::<bool>(), text, prop::bool::weighted(0.3));
    (labels, (1..20_usize, 1..6_usize, statistics, any::<bool>())).prop_map(
        |(
            (has_column, has_map, map_as_list, text, has_ignored),
            (row_group_rows, page_rows, statistics, bloom),
        )| Shape {
            has_column,
            has_map,
            map_as_list,
            text,
            has_ignored,
            row_group_rows,
            page_rows,
            statistics,
            bloom,
        },
    )
}

impl Shape {
    /// What the column of the label `i` has in `row`, and what the map has.
    fn places(&self, row: &Row, i: usize) -> (Option<&'static str>, Vec<&'static str>) {
        let (column, map) = match row.labels[i] {
            Place::Nowhere => (None, vec![]),
            Place::Column(value) if self.has_column[i] => (Some(VALUES[value]), vec![]),
            Place::Column(value) | Place::Map(value) => (None, vec![VALUES[value]]),
            Place::Both(value) => (Some(VALUES[value]), vec![VALUES[value]]),
            Place::MapTwice(value) => (None, vec![VALUES[value], "", VALUES[value]]),
        };
        (column.filter(|_| self.has_column[i]), if self.has_map { map } else { vec![] })
    }

    fn labels(&self, row: &Row) -> Labels {
        let value = |i| {
            let (column, map) = self.places(row, i);
            column.into_iter().chain(map).find(|value| !value.is_empty()).unwrap_or("")
        };
        Labels::from_pairs((0..NAMES.len()).map(|i| (NAMES[i], value(i)))).expect("unique names")
    }

    fn table(&self, rows: &[Row]) -> RecordBatch {
        let text = |column: StringArray| cast(&column, &self.text).expect("one text type as another");
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("value", Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.value.map(f64::from))))),
            (
                "timestamp",
                Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.timestamp_ms))),
            ),
        ];
        for i in (0..NAMES.len()).filter(|&i| self.has_column[i]) {
            let values = rows.iter().map(|row| self.places(row, i).0);
            columns.push((NAMES[i], text(values.collect())));
        }
        if self.has_map {
            columns.push(("labels", self.map(rows)));
        }
        if self.has_ignored {
            columns.push(("shard", Arc::new(Int32Array::from_iter_values((0..).take(rows.len())))));
        }
        table(columns)
    }

    fn map(&self, rows: &[Row]) -> ArrayRef {
        let pairs_of = |row| {
            (0..NAMES.len())
                .rev()
                .flat_map(move |i| self.places(row, i).1.into_iter().map(move |v| (NAMES[i], v)))
        };
        let pairs: Vec<_> = rows.iter().flat_map(pairs_of).collect();
        let lengths = rows.iter().map(|row| pairs_of(row).count());
        let parts: Vec<ArrayRef> = vec![
            Arc::new(pairs.iter().map(|(name, _)| Some(*name)).collect::<StringArray>()),
            Arc::new(pairs.iter().map(|(_, value)| Some(*value)).collect::<StringArray>()),
        ];
        let fields: Fields =
            vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into();
        let pairs = StructArray::new(fields.clone(), parts, None);
        let field = Arc::new(Field::new("key_value", pairs.data_type().clone(), false));
        if self.map_as_list {
            Arc::new(LargeListArray::new(field, OffsetBuffer::from_lengths(lengths), Arc::new(pairs), None))
        } else {
            Arc::new(MapArray::new(field, OffsetBuffer::from_lengths(lengths), pairs, None, false))
        }
    }

    fn properties(&self) -> WriterProperties {
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(self.row_group_rows))
            .set_data_page_row_count_limit(self.page_rows)
            .set_write_batch_size(1)
            .set_statistics_enabled(self.statistics)
            .set_bloom_filter_enabled(self.bloom)
            .build()
    }

    /// The answer by a search through the rows; `None` where rows contradict each other and nothing says which is right.
    fn expected(&self, rows: &[Row], matchers: &[Matcher], range: TimeRange) -> Option<Vec<Series>> {
        let mut all: BTreeMap<Labels, BTreeMap<i64, f64>> = BTreeMap::new();
        for row in rows.iter().filter(|row| range.contains(row.timestamp_ms)) {
            let (labels, Some(value)) = (self.labels(row), row.value) else { continue };
            if !Matcher::all_match(matchers, &labels) {
                continue;
            }
            let before = all.entry(labels).or_default().insert(row.timestamp_ms, f64::from(value));
            if self.has_ignored && before.is_some_and(|before| before != f64::from(value)) {
                return None;
            }
        }
        let as_series = |(labels, samples): (Labels, BTreeMap<i64, f64>)| Series {
            labels,
            samples: series(&[], samples).samples,
        };
        Some(all.into_iter().map(as_series).collect())
    }
}

type Query = (Vec<Matcher>, TimeRange);

fn case() -> impl Strategy<Value = (Shape, Vec<Row>, Vec<Query>)> {
    (shape(), prop::collection::vec(row(), 1..60)).prop_flat_map(|(shape, rows)| {
        let sets: Vec<Labels> = rows.iter().map(|row| shape.labels(row)).collect();
        let range = prop_oneof![
            Just(TimeRange::ALL),
            (0..30_i64, 0..30_i64).prop_map(|(start, length)| TimeRange::new(start, start + length)),
        ];
        let queries = prop::collection::vec((matchers_for(&sets), range), 1..6);
        (Just(shape), Just(rows), queries)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_query_gives_what_a_search_through_the_rows_gives((shape, rows, queries) in case()) {
        let file = foreign_file(&[shape.table(&rows)], shape.properties());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let reader = open(file).await.expect("a foreign file");
            for (matchers, range) in queries.into_iter().chain([(Vec::new(), TimeRange::ALL)]) {
                match (select(&reader, &matchers, range).await, shape.expected(&rows, &matchers, range)) {
                    (Ok(found), Some(expected)) => assert_series_eq(&found, &expected),
                    (Err(Error::Ambiguous { .. }), None) => {}
                    (found, expected) => panic!("found {found:?}, expected {expected:?}"),
                }
            }
        });
    }
}
