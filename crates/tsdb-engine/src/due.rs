//! What is due: pure functions of times and identities.

use tsdb_cold::Partition;
use tsdb_core::BlockId;

/// Milliseconds of a UTC day, the length of a partition.
const DAY_MS: i64 = 86_400_000;

/// The blocks to convert of all that there are: those whose window has ended before a time. A partition's go in order of
/// sequence, and those of one generation together: a generation that is half in a cold file would interleave with the file
/// of its other half.
pub(crate) fn to_convert(mut ids: Vec<BlockId>, ended_before_ms: i64) -> Vec<BlockId> {
    let partition = |id: &BlockId| Partition::of(id.window_start_ms);
    let generation = |id: &BlockId| (partition(id), id.sequence);
    ids.sort_by_key(|id| (generation(id), id.window_start_ms));
    let mut due = Vec::new();
    for partition in ids.chunk_by(|a, b| partition(a) == partition(b)) {
        let generations = partition.chunk_by(|a, b| a.sequence == b.sequence);
        let ended = |ids: &&[BlockId]| ids.iter().all(|id| id.window_end_ms <= ended_before_ms);
        due.extend(generations.take_while(ended).flatten());
    }
    due
}

/// Days before the one of this time are over the retention: relative to the newest sample, or to the clock where that is
/// behind, for one sample from the future must not expire everything.
pub(crate) fn retention_cutoff(newest_ms: i64, now_ms: i64, retention_ms: i64) -> i64 {
    newest_ms.min(now_ms).saturating_sub(retention_ms.max(0)).div_euclid(DAY_MS).saturating_mul(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn id(sequence: u64, start_hour: i64) -> BlockId {
        let window_start_ms = start_hour * HOUR;
        BlockId { sequence, window_start_ms, window_end_ms: window_start_ms + 2 * HOUR }
    }

    fn check(ids: &[(u64, i64)], ended_before_hour: i64, expected: &[(u64, i64)]) {
        let all = |ids: &[(u64, i64)]| ids.iter().map(|&(s, h)| id(s, h)).collect::<Vec<_>>();
        assert_eq!(to_convert(all(ids), ended_before_hour * HOUR), all(expected), "{ids:?}");
    }

    #[test]
    fn blocks_are_due_when_their_window_has_ended() {
        check(&[], 10, &[]);
        check(&[(1, 0), (2, 2), (3, 4)], 4, &[(1, 0), (2, 2)]);
        // Each day for itself.
        check(&[(1, 0), (2, 26), (2, 0)], 4, &[(1, 0), (2, 0)]);
    }

    #[test]
    fn a_generation_of_a_day_goes_as_a_whole_and_later_ones_wait_for_it() {
        check(&[(1, 0), (1, 4)], 4, &[]);
        check(&[(1, 0), (2, 0), (2, 4), (3, 0)], 4, &[(1, 0)]);
        check(&[(1, 0), (1, 24)], 4, &[(1, 0)]);
    }

    #[test]
    fn retention_drops_whole_days_and_is_not_misled_by_the_future() {
        let day = |n: i64| n * DAY_MS;
        assert_eq!(retention_cutoff(day(10) + 5, day(20), day(3)), day(7));
        assert_eq!(retention_cutoff(day(2_932_890), day(20) + 7, day(3)), day(17));
        assert_eq!(retention_cutoff(day(10) - 1, day(20), day(3)), day(6));
        assert_eq!(retention_cutoff(-5, 0, 0), -DAY_MS);
    }
}
