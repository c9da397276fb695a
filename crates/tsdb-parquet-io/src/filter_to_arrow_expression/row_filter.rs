//! The exact test of rows, as predicates that the decoder runs before it decodes anything else.
//!
//! Each predicate sees the rows that the ones before it have passed. Label columns come first, a matcher is
//! asked once for each distinct value; then time; then the map, which is dear to decode.

use arrow::array::BooleanArray;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicate, ArrowPredicateFn, RowFilter};
use tsdb_core::TimeRange;
use tsdb_schema::{LABELS_COLUMN, LabelArray, LabelMapArray, timestamps_ms};

use super::{ColumnMatcher, FilterToArrowExpression, SharedMatchers};

/// The predicates of `query` on `row_groups`; `None` when there is nothing to test.
pub(super) fn row_filter(query: &FilterToArrowExpression<'_>, row_groups: &[usize]) -> Option<RowFilter> {
    let roots = |roots: &[usize]| {
        ProjectionMask::roots(query.metadata.file_metadata().schema_descr(), roots.iter().copied())
    };
    let root = |root| roots(&[root]);
    let mut predicates: Vec<Box<dyn ArrowPredicate>> = Vec::new();
    for column in &query.on_columns {
        predicates.push(label_predicate(root(column.root), column.clone()));
    }
    let all_within = row_groups.iter().all(|&group| query.is_within_range(group));
    if let Some(time) = query.time.filter(|_| query.range != TimeRange::ALL && !all_within) {
        predicates.push(time_predicate(root(time.root), query.range));
    }
    if let Some(map) = query.map_root.filter(|_| !query.on_map.is_empty()) {
        predicates.push(map_predicate(root(map), query.on_map.as_slice().into()));
    }
    for column in &query.on_both {
        let map = query.map_root.unwrap_or(column.root);
        predicates.push(either_predicate(roots(&[column.root, map]), column.clone()));
    }
    (!predicates.is_empty()).then(|| RowFilter::new(predicates))
}

fn label_predicate(mask: ProjectionMask, column: ColumnMatcher) -> Box<dyn ArrowPredicate> {
    Box::new(ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let labels = LabelArray::new(&column.column, batch.column(0)).map_err(external)?;
        Ok(labels.rows_where(|value| column.matcher.matches(value)))
    }))
}

fn time_predicate(mask: ProjectionMask, range: TimeRange) -> Box<dyn ArrowPredicate> {
    Box::new(ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let times = timestamps_ms(batch.column(0)).map_err(external)?;
        Ok(BooleanArray::from_iter(times.iter().map(|&ms| Some(range.contains(ms)))))
    }))
}

fn map_predicate(mask: ProjectionMask, matchers: SharedMatchers) -> Box<dyn ArrowPredicate> {
    Box::new(ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let labels = LabelMapArray::new(batch.column(0)).map_err(external)?;
        let passes = |row| {
            for matcher in &*matchers {
                if !matcher.matches(labels.value(row, matcher.name())?) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        labels.rows_where(passes).map_err(external)
    }))
}

/// The label of each row is in its column or, where that has none, in the map.
fn either_predicate(mask: ProjectionMask, column: ColumnMatcher) -> Box<dyn ArrowPredicate> {
    Box::new(ArrowPredicateFn::new(mask, move |batch: RecordBatch| {
        let array = |name: &str| {
            let missing = || external(tsdb_schema::Error::MissingColumn { column: name.to_owned() });
            batch.column_by_name(name).ok_or_else(missing)
        };
        let values = LabelArray::new(&column.column, array(&column.column)?).map_err(external)?;
        let map = LabelMapArray::new(array(LABELS_COLUMN)?).map_err(external)?;
        let passes = (0..batch.num_rows()).map(|row| {
            let value = map.value_beside(row, column.matcher.name(), values.value(row))?;
            Ok(Some(column.matcher.matches(value)))
        });
        passes.collect::<Result<BooleanArray, _>>().map_err(external)
    }))
}

fn external(error: tsdb_schema::Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}
