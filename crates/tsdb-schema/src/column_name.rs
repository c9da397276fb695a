//! The injective rule from label names to column names.
//!
//! A label's column has the label's own name wherever that is safe. SQL engines ignore case and Hive-style
//! readers add a `day` column from the path, so a name is written `label_` + name when, case folded, it
//!
//! - is a reserved column (`timestamp`, `value`, `histogram`, `labels`) or `day`,
//! - equals another label of the table, or
//! - begins with `label_`.
//!
//! Where two prefixed names still fold to the same (`Job` and `job`), the ones later in byte order get `_2`,
//! `_3` and so on. Every prefixed name begins with `label_` and no plain one does, so no two labels ever share a
//! column, also when case is ignored. The true name is kept in the field's metadata; nothing is ever parsed
//! back from the column name. The result depends on the *set* of labels only, not on their order.

use std::collections::{BTreeMap, HashSet};

use crate::mapper::{HISTOGRAM_COLUMN, LABELS_COLUMN, TIMESTAMP_COLUMN, VALUE_COLUMN};

/// Column names that no label's column has, in any case: the table's own columns and the path partition
/// `day`.
pub const RESERVED_COLUMNS: [&str; 5] =
    [TIMESTAMP_COLUMN, VALUE_COLUMN, HISTOGRAM_COLUMN, LABELS_COLUMN, "day"];

/// What the column name of a label begins with when its own name is not safe.
pub const LABEL_COLUMN_PREFIX: &str = "label_";

/// A label that has a column of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelColumn {
    /// The true name of the label.
    pub label: String,
    /// The name of its column.
    pub column: String,
}

/// The columns of `labels`, which must be sorted and unique, in the same order.
pub(crate) fn label_columns(labels: Vec<String>) -> Vec<LabelColumn> {
    let mut times_folded: BTreeMap<String, usize> = BTreeMap::new();
    for label in &labels {
        *times_folded.entry(fold(label)).or_default() += 1;
    }
    let is_plain = |label: &str| {
        let folded = fold(label);
        !RESERVED_COLUMNS.contains(&folded.as_str())
            && !folded.starts_with(LABEL_COLUMN_PREFIX)
            && times_folded.get(&folded) == Some(&1)
    };

    let mut columns: Vec<LabelColumn> = labels
        .into_iter()
        .map(|label| {
            let column =
                if is_plain(&label) { label.clone() } else { format!("{LABEL_COLUMN_PREFIX}{label}") };
            LabelColumn { label, column }
        })
        .collect();
    number_repeated(&mut columns);
    columns
}

/// Adds `_2`, `_3` ... to columns that still fold to one that an earlier column has.
fn number_repeated(columns: &mut [LabelColumn]) {
    let mut taken = HashSet::new();
    let repeated: Vec<usize> =
        (0..columns.len()).filter(|&i| !taken.insert(fold(&columns[i].column))).collect();
    for i in repeated {
        let base = columns[i].column.clone();
        let numbered = (2_u32..)
            .map(|n| format!("{base}_{n}"))
            .find(|name| taken.insert(fold(name)))
            .expect("invariant: there are fewer columns than numbers");
        columns[i].column = numbered;
    }
}

/// Case folded letter by letter, as SQL engines compare identifiers.
fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(labels: &[&str], columns: &[&str]) {
        let mut sorted: Vec<String> = labels.iter().map(ToString::to_string).collect();
        sorted.sort();
        let named = label_columns(sorted);
        for (label, column) in labels.iter().zip(columns) {
            let found = named.iter().find(|c| c.label == *label).expect("every label has a column");
            assert_eq!(found.column, *column, "column of label {label} among {labels:?}");
        }
    }

    #[test]
    fn an_ordinary_label_keeps_its_name() {
        check(&["__name__", "job", "http.method", "größe"], &["__name__", "job", "http.method", "größe"]);
    }

    #[test]
    fn reserved_names_are_prefixed_in_any_case() {
        check(
            &["value", "Timestamp", "DAY", "labels"],
            &["label_value", "label_Timestamp", "label_DAY", "label_labels"],
        );
    }

    #[test]
    fn labels_that_differ_in_case_only_are_prefixed_and_numbered() {
        check(&["Job", "job"], &["label_Job", "label_job_2"]);
        // The number never takes the name of a label that has it by right.
        check(&["Job", "job", "job_2"], &["label_Job", "label_job_2", "job_2"]);
        check(
            &["DAY", "day", "Day_2", "day_2"],
            &["label_DAY", "label_day_3", "label_Day_2", "label_day_2_2"],
        );
    }

    #[test]
    fn a_name_that_begins_with_the_prefix_is_prefixed() {
        check(&["label_x", "x", "LABEL_Y"], &["label_label_x", "x", "label_LABEL_Y"]);
    }

    proptest! {
        #[test]
        fn no_two_labels_share_a_column_in_any_case(
            labels in prop::collection::btree_set("(label_|Label_)?(day|Day|value|job|JOB|a|A|Σ|ς)(_2|_3)?", 0..24)
        ) {
            let named = label_columns(labels.iter().cloned().collect());
            let folded: HashSet<String> = named.iter().map(|c| fold(&c.column)).collect();
            prop_assert_eq!(folded.len(), labels.len());
            for reserved in RESERVED_COLUMNS {
                prop_assert!(!folded.contains(reserved));
            }
        }
    }
}
