//! Which files to merge: the policy, as a pure function of sizes.
//!
//! Files are looked at in order of sequence, and only neighbours are merged, for sequences of live files must not
//! interleave. Every merge but one makes fewer files, and that one (a file alone, from which deletes are applied) leaves
//! nothing more to apply: so repeated merging ends. With everything at rest it ends when no two neighbours fit into
//! one file: one file a partition, or one for each [`CompactionOptions::file_bytes_max`].

use std::ops::Range;

/// Settings of compaction, each with its documented default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionOptions {
    /// Files are merged as long as the result is not larger than this, in bytes.
    pub file_bytes_max: u64,
    /// Most files that are merged at once: each takes memory for a batch of rows and its footer.
    pub files_max: usize,
    /// Fewest files that are merged while new ones still come to their partition.
    pub files_min: usize,
    /// While new files still come to a partition, a file is rewritten only together with at least this part of its own
    /// size: a late sample must not rewrite a day. So each byte is rewritten a few times, however many files come.
    pub small_divisor: u64,
    /// A partition to which no file came for so long, in milliseconds, and that has no unconverted block, is at rest:
    /// what is left of it is merged.
    pub rest_after_ms: i64,
}

impl CompactionOptions {
    /// Default of [`CompactionOptions::file_bytes_max`]: 1 GiB.
    pub const FILE_BYTES_MAX: u64 = 1 << 30;
    /// Default of [`CompactionOptions::files_max`].
    pub const FILES_MAX: usize = 32;
    /// Default of [`CompactionOptions::files_min`].
    pub const FILES_MIN: usize = 4;
    /// Default of [`CompactionOptions::small_divisor`]: a tenth.
    pub const SMALL_DIVISOR: u64 = 10;
    /// Default of [`CompactionOptions::rest_after_ms`]: four hours, the time of two windows.
    pub const REST_AFTER_MS: i64 = 4 * 3_600_000;
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self {
            file_bytes_max: Self::FILE_BYTES_MAX,
            files_max: Self::FILES_MAX,
            files_min: Self::FILES_MIN,
            small_divisor: Self::SMALL_DIVISOR,
            rest_after_ms: Self::REST_AFTER_MS,
        }
    }
}

/// What the policy knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) bytes: u64,
    /// Whether a tombstone deletes samples of it that are still in its bytes.
    pub(super) has_deletes: bool,
}

/// Which of the neighbours `files` to merge next: of the choices that are worth it the one of most files, and of those
/// the oldest. A single file is chosen to apply deletes to it.
pub(super) fn choose(
    files: &[Candidate],
    options: &CompactionOptions,
    at_rest: bool,
) -> Option<Range<usize>> {
    let mut best: Option<Range<usize>> = None;
    for from in 0..files.len() {
        let (mut sum, mut largest) = (0_u64, 0_u64);
        for (to, file) in (from..files.len()).map(|at| (at + 1, &files[at])) {
            sum = sum.saturating_add(file.bytes);
            largest = largest.max(file.bytes);
            let count = to - from;
            if count > options.files_max.max(2) || (count > 1 && sum > options.file_bytes_max) {
                break;
            }
            let worth_it = match count {
                1 => at_rest && file.has_deletes,
                _ if at_rest => true,
                _ => {
                    count >= options.files_min
                        && (sum - largest).saturating_mul(options.small_divisor) >= largest
                }
            };
            if worth_it && best.as_ref().is_none_or(|best| best.len() < count) {
                best = Some(from..to);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(file_bytes_max: u64) -> CompactionOptions {
        CompactionOptions { file_bytes_max, ..Default::default() }
    }

    fn candidates(sizes: &[u64]) -> Vec<Candidate> {
        sizes.iter().map(|&bytes| Candidate { bytes, has_deletes: false }).collect()
    }

    fn check(sizes: &[u64], at_rest: bool, expected: Option<Range<usize>>) {
        assert_eq!(choose(&candidates(sizes), &options(1000), at_rest), expected, "{sizes:?} {at_rest}");
    }

    /// Merges until nothing is left to do. Gives the files and the bytes that were written.
    fn settle(files: &mut Vec<Candidate>, options: &CompactionOptions, at_rest: bool) -> u64 {
        let mut written = 0;
        while let Some(chosen) = choose(files, options, at_rest) {
            let before = (files.len(), files.iter().filter(|f| f.has_deletes).count());
            let bytes = files[chosen.clone()].iter().map(|f| f.bytes).sum();
            written += bytes;
            files.splice(chosen, [Candidate { bytes, has_deletes: false }]);
            assert!((files.len(), files.iter().filter(|f| f.has_deletes).count()) < before, "no progress");
        }
        written
    }

    #[test]
    fn a_late_sample_does_not_rewrite_a_day() {
        check(&[], true, None);
        check(&[5], true, None);
        check(&[100, 1], false, None);
        check(&[100, 1, 1, 1], false, None);
        // The small ones merge among themselves; at rest, all.
        check(&[100, 1, 1, 1, 1], false, Some(1..5));
        check(&[100, 1, 1, 1, 1], true, Some(0..5));
        // A tenth of the main file is enough.
        check(&[100, 7, 1, 1, 1], false, Some(0..5));
    }

    #[test]
    fn no_file_grows_over_the_cap() {
        check(&[600, 600], true, None);
        check(&[600, 300, 300], true, Some(0..2));
        check(&[2000, 1, 1], true, Some(1..3));
    }

    #[test]
    fn a_file_alone_is_rewritten_for_its_deletes_only_and_at_rest() {
        let mut files = candidates(&[600, 600]);
        files[1].has_deletes = true;
        assert_eq!(choose(&files, &options(1000), false), None);
        assert_eq!(choose(&files, &options(1000), true), Some(1..2));
    }

    #[test]
    fn at_rest_it_ends_when_no_two_neighbours_fit_together() {
        // Every small case: sizes of 1 to 4 sixths of the cap, up to six files, with and without deletes.
        for case in 0..4_u32.pow(6) {
            for count in 0..=6_u32 {
                let size = |at: u32| u64::from(case / 4_u32.pow(at) % 4 + 1);
                let candidate = |at| Candidate { bytes: size(at), has_deletes: (case >> at) & 1 == 1 };
                let mut files: Vec<_> = (0..count).map(candidate).collect();
                let total: u64 = files.iter().map(|f| f.bytes).sum();
                settle(&mut files, &options(6), true);
                assert_eq!(files.iter().map(|f| f.bytes).sum::<u64>(), total);
                assert!(files.windows(2).all(|pair| pair[0].bytes + pair[1].bytes > 6), "{files:?}");
                assert!(files.iter().all(|f| !f.has_deletes));
            }
        }
    }

    #[test]
    fn while_files_come_each_byte_is_rewritten_a_few_times() {
        for arriving in [12_u64, 100, 1000] {
            let (mut files, mut written) = (Vec::new(), 0);
            for _ in 0..arriving {
                files.push(Candidate { bytes: 1000, has_deletes: false });
                written += settle(&mut files, &options(u64::MAX), false);
            }
            assert!(files.len() <= 16, "{} files stay of {arriving}", files.len());
            // Small ones with their like, and then each growth of the largest by a tenth.
            let times = written as f64 / (arriving as f64 * 1000.0);
            let bound = CompactionOptions::SMALL_DIVISOR as f64 + (arriving as f64).log2();
            assert!(times <= bound, "{arriving} files were written {times} times over");
            settle(&mut files, &options(u64::MAX), true);
            assert_eq!(files.len(), 1);
        }
    }
}
