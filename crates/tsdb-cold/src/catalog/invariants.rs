//! What holds in every committed snapshot, as named predicates. They are checked before each commit: a bug
//! then stops a commit instead of losing data.

use std::collections::HashMap;
use std::sync::Arc;

use super::snapshot::{CatalogSnapshot, ColdFile};
use crate::{Error, Partition, Result};

/// A predicate on a commit from one snapshot to the next: what breaks it, if anything does.
type Predicate = fn(&CatalogSnapshot, &CatalogSnapshot) -> Option<String>;

const INVARIANTS: &[(&str, Predicate)] = &[
    ("number_follows_predecessor", number_follows_predecessor),
    ("paths_are_unique", paths_are_unique),
    ("files_lie_in_their_partition", files_lie_in_their_partition),
    ("live_sequences_never_interleave", live_sequences_never_interleave),
    ("next_sequence_is_above_all", next_sequence_is_above_all),
    ("promoted_labels_only_grow", promoted_labels_only_grow),
    ("handed_over_blocks_were_taken", handed_over_blocks_were_taken),
    ("tombstones_stay_applied", tombstones_stay_applied),
];

/// Refuses a commit that breaks an invariant.
pub(super) fn check(previous: &CatalogSnapshot, next: &CatalogSnapshot) -> Result<()> {
    for (invariant, predicate) in INVARIANTS {
        if let Some(detail) = predicate(previous, next) {
            return Err(Error::Invariant { invariant, detail });
        }
    }
    Ok(())
}

fn number_follows_predecessor(previous: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    (next.predecessor != previous.number || next.number != previous.number + 1)
        .then(|| format!("{} after {} follows {}", next.number, next.predecessor, previous.number))
}

fn paths_are_unique(_: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    let repeated = next.files.windows(2).find(|pair| pair[0].path >= pair[1].path)?;
    Some(format!("{} is listed before {}", repeated[0].path, repeated[1].path))
}

fn files_lie_in_their_partition(_: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    let stray = next.files.iter().find(|f| {
        f.min_time_ms > f.max_time_ms
            || f.min_sequence > f.max_sequence
            || !f.partition.time_range().covers(f.time_range())
    })?;
    Some(format!("{} spans {}..={} ms", stray.path, stray.min_time_ms, stray.max_time_ms))
}

/// Between sources the higher sequence wins. That has one meaning only while the ranges of a partition's
/// live files do not interleave.
fn live_sequences_never_interleave(_: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    let mut partitions: HashMap<Partition, Vec<&Arc<ColdFile>>> = HashMap::new();
    for file in &next.files {
        partitions.entry(file.partition).or_default().push(file);
    }
    partitions.into_values().find_map(|mut files| {
        files.sort_by_key(|f| f.min_sequence);
        let pair = files.windows(2).find(|pair| pair[0].max_sequence >= pair[1].min_sequence)?;
        Some(format!("{} and {} share sequences", pair[0].path, pair[1].path))
    })
}

fn next_sequence_is_above_all(previous: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    let above = next.files.iter().all(|f| f.max_sequence < next.next_sequence);
    (!above || next.next_sequence < previous.next_sequence)
        .then(|| format!("next_sequence is {}, it was {}", next.next_sequence, previous.next_sequence))
}

fn promoted_labels_only_grow(previous: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    (!next.promoted_labels.starts_with(&previous.promoted_labels))
        .then(|| format!("the list of {} does not begin with the one before", next.promoted_labels.len()))
}

/// An id that no conversion has taken would have a block of the future removed.
fn handed_over_blocks_were_taken(_: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    let early = next.handed_over.iter().find(|id| id.sequence >= next.next_sequence)?;
    Some(format!("block {early} is handed over, but next_sequence is {}", next.next_sequence))
}

/// A file that takes the place of others must not bring back what was deleted in them.
fn tombstones_stay_applied(previous: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<String> {
    let replaces = |new: &ColdFile, old: &ColdFile| {
        new.partition == old.partition
            && new.min_sequence <= old.min_sequence
            && old.max_sequence <= new.max_sequence
    };
    // Both lists are sorted by path: a binary search finds what stayed.
    let is_new = |file: &&Arc<ColdFile>| previous.files.binary_search_by(|f| f.path.cmp(&file.path)).is_err();
    next.files.iter().filter(is_new).find_map(|new| {
        let old = previous
            .files
            .iter()
            .find(|old| replaces(new, old) && new.tombstones_below < old.tombstones_below)?;
        Some(format!("{} replaces {}, to which more tombstones were applied", new.path, old.path))
    })
}

#[cfg(test)]
mod tests {
    use super::super::FileId;
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn file(path: &str, day: i64, sequences: (u64, u64)) -> ColdFile {
        ColdFile {
            path: FileId(path.into()),
            bytes: 1,
            partition: Partition::of(day * DAY_MS),
            min_time_ms: day * DAY_MS,
            max_time_ms: day * DAY_MS + 5,
            min_sequence: sequences.0,
            max_sequence: sequences.1,
            level: 0,
            tombstones_below: 0,
            series: 1,
            samples: 1,
            checksum: String::new(),
            label_bloom: None,
        }
    }

    /// Commits `files` and names the invariant that was broken.
    fn check_files(files: Vec<ColdFile>) -> Option<&'static str> {
        let previous =
            CatalogSnapshot { promoted_labels: vec!["a".into()], next_sequence: 1, ..Default::default() };
        let files = files.into_iter().map(Arc::new).collect();
        let mut next = CatalogSnapshot { files, ..previous.clone() };
        next.succeed(&previous, "w");
        broken(&previous, &next)
    }

    fn broken(previous: &CatalogSnapshot, next: &CatalogSnapshot) -> Option<&'static str> {
        match check(previous, next) {
            Ok(()) => None,
            Err(Error::Invariant { invariant, .. }) => Some(invariant),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn sequences_may_meet_over_days_but_not_inside_one() {
        assert_eq!(check_files(vec![file("a", 0, (1, 3)), file("b", 1, (1, 3)), file("c", 0, (4, 4))]), None);
        let interleaved = vec![file("a", 0, (1, 9)), file("b", 0, (5, 5))];
        assert_eq!(check_files(interleaved), Some("live_sequences_never_interleave"));
    }

    #[test]
    fn a_file_stays_in_its_day_and_is_listed_once() {
        let mut long = file("a", 0, (1, 1));
        long.max_time_ms = DAY_MS;
        assert_eq!(check_files(vec![long]), Some("files_lie_in_their_partition"));
        assert_eq!(check_files(vec![file("a", 0, (1, 1)), file("a", 1, (1, 1))]), Some("paths_are_unique"));
    }

    #[test]
    fn sequences_and_promoted_labels_only_grow() {
        let previous = CatalogSnapshot {
            promoted_labels: vec!["a".into()],
            next_sequence: 5,
            number: 3,
            ..Default::default()
        };
        let mut next = previous.clone();
        next.succeed(&previous, "w");
        assert_eq!(broken(&previous, &next), None);

        let mut lower = next.clone();
        lower.next_sequence = 4;
        assert_eq!(broken(&previous, &lower), Some("next_sequence_is_above_all"));

        let mut shrunk = next.clone();
        shrunk.promoted_labels = vec!["b".into(), "a".into()];
        assert_eq!(broken(&previous, &shrunk), Some("promoted_labels_only_grow"));

        next.number = 9;
        assert_eq!(broken(&previous, &next), Some("number_follows_predecessor"));
    }
}
