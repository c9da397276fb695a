//! Matchers and a time range pushed down into a Parquet file that has no series index.
//!
//! [`FilterToArrowExpression`] turns one query into what the Parquet decoder understands, coarse to fine:
//!
//! 1. [`row_groups`](FilterToArrowExpression::row_groups): those whose statistics cannot be ruled out (`bounds`);
//! 2. [`exact_values`](FilterToArrowExpression::exact_values): what to ask the bloom filters for;
//! 3. [`row_selection`](FilterToArrowExpression::row_selection): pages ruled out by the page index (`pages`);
//! 4. [`row_filter`](FilterToArrowExpression::row_filter): the exact test of what is left (`row_filter`).
//!
//! Steps 1 to 3 may keep too much, never too little: an unknown or truncated bound rules nothing out. Step 4
//! is exact. A missing label equals the empty value throughout.
//!
//! Nothing here reads a file; the row filter is handed to the decoder, which brings the columns it names.

mod bounds;
mod pages;
mod row_filter;

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use parquet::arrow::arrow_reader::{RowFilter, RowSelection};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;
use tsdb_core::{Candidates, Matcher, TimeRange};
use tsdb_schema::{LABELS_COLUMN, SchemaMapper, TIMESTAMP_COLUMN};

use bounds::LabelBounds;

use crate::Origin;

/// One query on one file.
#[derive(Debug)]
pub struct FilterToArrowExpression<'a> {
    metadata: &'a ParquetMetaData,
    range: TimeRange,
    time: Option<TimeColumn>,
    /// The matchers on labels that have a column, equality first: it is the cheapest and rules out most.
    on_columns: Vec<ColumnMatcher>,
    /// The matchers on labels that may be in the map.
    on_map: Vec<Matcher>,
    /// The matchers on labels that have a column and may be in the map where that has none: nothing can be ruled out by
    /// the column alone.
    on_both: Vec<ColumnMatcher>,
    map_root: Option<usize>,
    /// Whether a matcher rules out every row of the file.
    nothing: bool,
}

/// A matcher and the column of its label.
#[derive(Clone, Debug)]
struct ColumnMatcher {
    matcher: Matcher,
    column: String,
    /// Its place among the top-level columns.
    root: usize,
    /// Its place among Parquet's leaf columns.
    leaf: usize,
}

/// The timestamp column.
#[derive(Clone, Copy, Debug)]
struct TimeColumn {
    root: usize,
    leaf: usize,
    unit: TimeUnit,
}

impl<'a> FilterToArrowExpression<'a> {
    /// The query of all `matchers` and `range` (both ends belong to it) on the file with `metadata`, whose
    /// Arrow schema is `schema` and whose columns `mapper` knows. Our files have a label in its column or in the map; a
    /// foreign one (files of different columns that a tool joined, say) can have it in either, row by row.
    #[must_use]
    pub fn new(
        metadata: &'a ParquetMetaData,
        schema: &Schema,
        mapper: &SchemaMapper,
        matchers: &[Matcher],
        range: TimeRange,
        origin: Origin,
    ) -> Self {
        let descriptor = metadata.file_metadata().schema_descr();
        let place = |column: &str| {
            let root = schema.fields().iter().position(|field| field.name() == column)?;
            Some((root, leaf_of(descriptor, root)?))
        };
        let mut on_columns = Vec::new();
        let (mut on_map, mut on_both) = (Vec::new(), Vec::new());
        let mut nothing = range.is_empty();
        for matcher in matchers {
            let column = mapper.label_column(matcher.name()).map(|c| c.column.clone());
            let found = column.and_then(|column| place(&column).map(|place| (column, place)));
            match found {
                Some((column, (root, leaf))) => {
                    let in_either = origin == Origin::Foreign && mapper.has_label_map();
                    let on = if in_either { &mut on_both } else { &mut on_columns };
                    on.push(ColumnMatcher { matcher: matcher.clone(), column, root, leaf });
                }
                None if mapper.has_label_map() => on_map.push(matcher.clone()),
                // No row has the label.
                None => nothing |= !matcher.matches_empty(),
            }
        }
        on_columns.sort_by_key(|c| !matches!(c.matcher.candidates(), Candidates::Literals(_)));
        let map_root = place(LABELS_COLUMN).map(|(root, _)| root).filter(|_| mapper.has_label_map());
        let time = time_column(schema, descriptor);
        Self { metadata, range, time, on_columns, on_map, on_both, map_root, nothing }
    }

    /// The row groups that may hold a matching row.
    #[must_use]
    pub fn row_groups(&self) -> Vec<usize> {
        if self.nothing {
            return Vec::new();
        }
        (0..self.metadata.num_row_groups()).filter(|&group| self.may_match(group)).collect()
    }

    fn may_match(&self, group: usize) -> bool {
        let group = self.metadata.row_group(group);
        if self.time.is_some_and(|time| {
            let bounds = group.column(time.leaf).statistics().and_then(|s| time.bounds_ms(s));
            bounds.is_some_and(|bounds| !bounds.overlaps(self.range))
        }) {
            return false;
        }
        self.on_columns.iter().all(|c| {
            let column = group.column(c.leaf);
            LabelBounds::of_chunk(column).is_none_or(|bounds| bounds.may_match(&c.matcher))
        })
    }

    /// The leaf columns of which only rows with one of some values can match, and those values: what a bloom
    /// filter can be asked for.
    pub fn exact_values(&self) -> impl Iterator<Item = (usize, &[Box<str>])> {
        self.on_columns.iter().filter_map(|c| match c.matcher.candidates() {
            Candidates::Literals(values) if !c.matcher.op().is_negated() && !c.matcher.matches_empty() => {
                Some((c.leaf, values))
            }
            _ => None,
        })
    }

    /// The rows of `row_groups`, one group after the other, whose pages may hold a matching row; `None` when
    /// no page can be ruled out.
    #[must_use]
    pub fn row_selection(&self, row_groups: &[usize]) -> Option<RowSelection> {
        pages::row_selection(self, row_groups)
    }

    /// The exact test of the rows of `row_groups`; `None` when every row passes.
    #[must_use]
    pub fn row_filter(&self, row_groups: &[usize]) -> Option<RowFilter> {
        row_filter::row_filter(self, row_groups)
    }

    /// Whether every row of the group is surely within the time range.
    fn is_within_range(&self, group: usize) -> bool {
        let Some(time) = self.time else { return false };
        let bounds =
            self.metadata.row_group(group).column(time.leaf).statistics().and_then(|s| time.bounds_ms(s));
        bounds.is_some_and(|bounds| self.range.covers(bounds))
    }
}

impl TimeColumn {
    /// The range that a column chunk's statistics name.
    fn bounds_ms(self, statistics: &Statistics) -> Option<TimeRange> {
        let Statistics::Int64(bounds) = statistics else { return None };
        Some(self.range_ms(*bounds.min_opt()?, *bounds.max_opt()?))
    }

    /// A range of the column's unit in milliseconds, rounded down.
    fn range_ms(self, min: i64, max: i64) -> TimeRange {
        let to_ms = |time: i64| match self.unit {
            TimeUnit::Second => time.saturating_mul(1_000),
            TimeUnit::Millisecond => time,
            TimeUnit::Microsecond => time.div_euclid(1_000),
            TimeUnit::Nanosecond => time.div_euclid(1_000_000),
        };
        TimeRange::new(to_ms(min), to_ms(max))
    }
}

/// The time range that the statistics of all row groups name; everything where one has none.
pub(crate) fn time_range_of(metadata: &ParquetMetaData, schema: &Schema) -> TimeRange {
    let Some(time) = time_column(schema, metadata.file_metadata().schema_descr()) else {
        return TimeRange::ALL;
    };
    let groups = metadata.row_groups().iter().filter(|group| group.num_rows() > 0);
    let bounds = groups.map(|group| group.column(time.leaf).statistics().and_then(|s| time.bounds_ms(s)));
    bounds.fold(TimeRange::EMPTY, |all, bounds| all.hull(bounds.unwrap_or(TimeRange::ALL)))
}

fn time_column(schema: &Schema, descriptor: &SchemaDescriptor) -> Option<TimeColumn> {
    let (root, field) = schema.column_with_name(TIMESTAMP_COLUMN)?;
    let unit = match field.data_type() {
        DataType::Timestamp(unit, _) => *unit,
        // Plain integers are milliseconds.
        DataType::Int64 => TimeUnit::Millisecond,
        _ => return None,
    };
    Some(TimeColumn { root, leaf: leaf_of(descriptor, root)?, unit })
}

/// The first leaf of a top-level column; a label or timestamp column has only that one.
fn leaf_of(descriptor: &SchemaDescriptor, root: usize) -> Option<usize> {
    (0..descriptor.num_columns()).find(|&leaf| descriptor.get_column_root_idx(leaf) == root)
}

/// The predicates share what they test with.
type SharedMatchers = Arc<[Matcher]>;
