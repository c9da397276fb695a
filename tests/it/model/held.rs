//! A query that is begun at one step and ended at a later one, whatever is sealed, converted, compacted, deleted and expired
//! in between.
//!
//! If nothing was appended meanwhile, the answer is that of the beginning, exactly, also if samples were deleted. Otherwise:
//! what was there at the beginning, and was not replaced, is in it; and everything in it was there at the beginning or was
//! appended later.

use futures::TryStreamExt;
use tsdb_core::{Labels, SampleValue, Series};
use tsdb_engine::Query;

use super::{drain, is_the_stores};
use crate::ways::{Row, assert_rows_eq, rows};

/// Such a query, and what it may answer.
pub(super) struct Held {
    query: Query,
    first: Vec<Series>,
    at_begin: Vec<Row>,
    appended: Vec<Row>,
}

impl Held {
    /// Begins, and takes the first series if told so; `None` when the store fails.
    pub(super) async fn begin(mut query: Query, at_begin: Vec<Row>, take_first: bool) -> Option<Self> {
        let mut first = Vec::new();
        if take_first {
            match query.try_next().await {
                Ok(series) => first.extend(series),
                Err(error) if is_the_stores(&error) => return None,
                Err(error) => panic!("{error}"),
            }
        }
        Some(Self { query, first, at_begin, appended: Vec::new() })
    }

    pub(super) fn appended(&mut self, labels: &Labels, timestamp_ms: i64, value: &SampleValue) {
        self.appended.push((labels.clone(), timestamp_ms, value.clone()));
    }

    pub(super) async fn end(self) {
        let mut found = rows(&self.first);
        match drain(self.query).await {
            Ok((rest, _)) => found.extend(rows(&rest)),
            Err(error) if is_the_stores(&error) => return,
            Err(error) => panic!("{error}"),
        }
        if self.appended.is_empty() {
            return assert_rows_eq(&found, &self.at_begin);
        }
        let is_same = |a: &Row, b: &Row| (&a.0, a.1) == (&b.0, b.1) && a.2.bits_eq(&b.2);
        for row in &found {
            let known = self.at_begin.iter().chain(&self.appended).any(|known| is_same(known, row));
            assert!(known, "nobody has appended {row:?}");
        }
        let is_replaced = |row: &Row| self.appended.iter().any(|new| (&new.0, new.1) == (&row.0, row.1));
        for row in self.at_begin.iter().filter(|row| !is_replaced(row)) {
            assert!(found.iter().any(|found| is_same(found, row)), "{row:?} is missing");
        }
        let is_in_order = found.windows(2).all(|pair| (&pair[0].0, pair[0].1) < (&pair[1].0, pair[1].1));
        assert!(is_in_order, "a sample comes twice, or out of order");
    }
}
