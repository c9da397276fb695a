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
use tsdb_schema::{LabelArray, LabelMapArray, timestamps_ms};

use super::{ColumnMatcher, FilterToArrowExpression, SharedMatchers};

/// The predicates of `query` on `row_groups`; `None` when there is nothing to test.
pub(super) fn row_filter(query: &FilterToArrowExpression<'_>, row_groups: &[usize]) -> Option<RowFilter> {
    let root = |root| ProjectionMask::roots(query.metadata.file_metadata().schema_descr(), [root]);
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
        Ok(labels.rows_where(|row| matchers.iter().all(|m| m.matches(labels.value(row, m.name())))))
    }))
}

fn external(error: tsdb_schema::Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}
