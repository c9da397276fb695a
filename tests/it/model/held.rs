//! A query that is begun at one step and ended at a later one, whatever is sealed, converted, compacted, deleted and expired
//! in between.
//!
//! If nothing was appended and nothing deleted meanwhile, the answer is that of the beginning, exactly. Otherwise: what was
//! there at the beginning, and was neither deleted nor replaced, is in it; and everything in it was there at the beginning or
//! was appended later. Of what a delete removes meanwhile it may have an older value, which had been replaced: the head
//! deletes on the spot, also under a query, which still sees what lies below (see `Engine::delete`).

use futures::TryStreamExt;
use tsdb_core::{Labels, Matcher, SampleValue, Series, TimeRange};
use tsdb_engine::Query;

use super::{drain, is_the_stores};
use crate::ways::{Row, assert_rows_eq, rows};

/// Such a query, and what it may answer.
pub(super) struct Held {
    query: Query,
    first: Vec<Series>,
    at_begin: Vec<Row>,
    /// Whether a row of the beginning must be in the answer.
    must_stay: Vec<bool>,
    appended: Vec<Row>,
    /// All that was appended before the beginning, also what was replaced.
    before: Vec<Row>,
    deletes: Vec<(Vec<Matcher>, TimeRange)>,
    has_changed: bool,
}

impl Held {
    /// Begins, and takes the first series if told so; `None` when the store fails.
    pub(super) async fn begin(
        mut query: Query,
        at_begin: Vec<Row>,
        before: Vec<Row>,
        take_first: bool,
    ) -> Option<Self> {
        let mut first = Vec::new();
        if take_first {
            match query.try_next().await {
                Ok(series) => first.extend(series),
                Err(error) if is_the_stores(&error) => return None,
                Err(error) => panic!("{error}"),
            }
        }
        let must_stay = vec![true; at_begin.len()];
        let (appended, deletes) = (Vec::new(), Vec::new());
        Some(Self { query, first, at_begin, must_stay, appended, before, deletes, has_changed: false })
    }

    pub(super) fn appended(&mut self, labels: &Labels, timestamp_ms: i64, value: &SampleValue) {
        self.has_changed = true;
        for (row, must_stay) in self.at_begin.iter().zip(&mut self.must_stay) {
            *must_stay &= (&row.0, row.1) != (labels, timestamp_ms);
        }
        self.appended.push((labels.clone(), timestamp_ms, value.clone()));
    }

    pub(super) fn deleted(&mut self, matchers: &[Matcher], range: TimeRange) {
        self.deletes.push((matchers.to_vec(), range));
        for (row, must_stay) in self.at_begin.iter().zip(&mut self.must_stay) {
            let is_deleted = range.contains(row.1) && Matcher::all_match(matchers, &row.0);
            self.has_changed |= is_deleted;
            *must_stay &= !is_deleted;
        }
    }

    pub(super) async fn end(self) {
        let mut found = rows(&self.first);
        match drain(self.query).await {
            Ok((rest, _)) => found.extend(rows(&rest)),
            Err(error) if is_the_stores(&error) => return,
            Err(error) => panic!("{error}"),
        }
        if !self.has_changed {
            return assert_rows_eq(&found, &self.at_begin);
        }
        let is_same = |a: &Row, b: &Row| (&a.0, a.1) == (&b.0, b.1) && a.2.bits_eq(&b.2);
        for row in &found {
            let known = self.at_begin.iter().chain(&self.appended).any(|known| is_same(known, row));
            let is_deleted = |(matchers, range): &(Vec<Matcher>, TimeRange)| {
                range.contains(row.1) && Matcher::all_match(matchers, &row.0)
            };
            let is_below =
                self.deletes.iter().any(is_deleted) && self.before.iter().any(|old| is_same(old, row));
            assert!(known || is_below, "nobody has appended {row:?}");
        }
        for (row, must_stay) in self.at_begin.iter().zip(&self.must_stay) {
            assert!(!must_stay || found.iter().any(|found| is_same(found, row)), "{row:?} is missing");
        }
        let is_in_order = found.windows(2).all(|pair| (&pair[0].0, pair[0].1) < (&pair[1].0, pair[1].1));
        assert!(is_in_order, "a sample comes twice, or out of order");
    }
}
