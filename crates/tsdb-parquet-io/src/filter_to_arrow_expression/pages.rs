//! Ruling out pages by the page index.
//!
//! Pages of different columns begin at different rows, so each column gives a selection of rows and the
//! selections are intersected. An index that contradicts itself is taken as absent.

use std::ops::Range;

use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::FilterToArrowExpression;
use super::bounds::LabelBounds;

/// The rows of `row_groups` that may match; `None` when no page is ruled out.
pub(super) fn row_selection(
    query: &FilterToArrowExpression<'_>,
    row_groups: &[usize],
) -> Option<RowSelection> {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut narrowed = false;
    for &group in row_groups {
        match group_selection(query, group) {
            Some(selection) => {
                narrowed = true;
                selectors.extend(selection.iter().copied());
            }
            None => selectors.push(RowSelector::select(rows_of(query, group)?)),
        }
    }
    narrowed.then(|| RowSelection::from(selectors))
}

fn rows_of(query: &FilterToArrowExpression<'_>, group: usize) -> Option<usize> {
    usize::try_from(query.metadata.row_group(group).num_rows()).ok()
}

/// The rows of one group that may match; `None` for all.
fn group_selection(query: &FilterToArrowExpression<'_>, group: usize) -> Option<RowSelection> {
    let by_time = query.time.and_then(|time| {
        column_selection(query, group, time.leaf, |index, page| {
            let ColumnIndexMetaData::INT64(index) = index else { return true };
            match (index.min_value(page), index.max_value(page)) {
                (Some(min), Some(max)) => time.range_ms(*min, *max).overlaps(query.range),
                _ => true,
            }
        })
    });
    let by_labels = query.on_columns.iter().filter_map(|c| {
        column_selection(query, group, c.leaf, |index, page| {
            page_bounds(index, page).is_none_or(|bounds| bounds.may_match(&c.matcher))
        })
    });
    by_time.into_iter().chain(by_labels).reduce(|all, one| all.intersection(&one))
}

/// The bounds of a page of strings; `None` when nothing certain is known.
fn page_bounds(index: &ColumnIndexMetaData, page: usize) -> Option<LabelBounds<'_>> {
    let ColumnIndexMetaData::BYTE_ARRAY(strings) = index else { return None };
    if index.is_null_page(page) {
        return Some(LabelBounds::all_missing());
    }
    let may_be_missing = index.null_count(page) != Some(0);
    // The index does not say whether its bounds are truncated.
    Some(LabelBounds {
        min: strings.min_value(page)?,
        max: strings.max_value(page)?,
        exact: false,
        may_be_missing,
    })
}

/// The rows of the pages that pass `keep`; `None` when all do or the column has no index.
fn column_selection(
    query: &FilterToArrowExpression<'_>,
    group: usize,
    leaf: usize,
    keep: impl Fn(&ColumnIndexMetaData, usize) -> bool,
) -> Option<RowSelection> {
    let index = query.metadata.column_index()?.get(group)?.get(leaf)?;
    if matches!(index, ColumnIndexMetaData::NONE) {
        return None;
    }
    let pages = page_rows(query, group, leaf)?;
    if usize::try_from(index.num_pages()).ok()? != pages.len() {
        return None;
    }
    let total = rows_of(query, group)?;
    let kept: Vec<Range<usize>> = pages
        .iter()
        .enumerate()
        .filter(|(page, _)| keep(index, *page))
        .map(|(_, rows)| rows.clone())
        .collect();
    (kept.len() < pages.len()).then(|| RowSelection::from_consecutive_ranges(kept.into_iter(), total))
}

/// The rows of each page; `None` when the offset index is missing or its rows do not ascend.
fn page_rows(query: &FilterToArrowExpression<'_>, group: usize, leaf: usize) -> Option<Vec<Range<usize>>> {
    let locations = query.metadata.offset_index()?.get(group)?.get(leaf)?.page_locations();
    let starts = locations.iter().map(|page| usize::try_from(page.first_row_index).ok());
    let mut borders: Vec<usize> = starts.collect::<Option<_>>()?;
    borders.push(rows_of(query, group)?);
    let sound = borders.first() == Some(&0) && borders.is_sorted();
    sound.then(|| borders.windows(2).map(|pair| pair[0]..pair[1]).collect())
}
