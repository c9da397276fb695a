//! The power loss: how much of what was not synced survives, and the driver that tries it everywhere.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Fault, SimDisk};

/// The seeds that [`crash_at_every_operation`] tries: everything lost, everything kept, and two in between.
pub const SEEDS: Range<u64> = 0..4;

/// What a power loss takes, from a seed: 0 loses everything that was not synced, 1 keeps all of it, any other
/// seed decides at random (SplitMix64).
#[derive(Debug)]
pub(super) struct Rng {
    seed: u64,
    state: u64,
}

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    pub(super) fn lose_all(&self) -> bool {
        self.seed == 0
    }

    pub(super) fn keep_all(&self) -> bool {
        self.seed == 1
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end`, `end` left out.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// Runs `script` on an empty disk once to count its operations, then once for every operation that changes the
/// disk and every seed of [`SEEDS`] with the power going away just before that operation, and once more with the
/// power going away after the last; `check` gets the disk as the power loss left it and what the script returned.
///
/// The script must not panic when an operation fails: it returns what it knows (what it attempted, what was
/// acknowledged), and `check` reopens and compares. The operations must be the same each time for the test to go
/// through all of them: a script with threads is still tested, only with less of a claim to completeness.
///
/// # Panics
/// When `check` or the script panics, after printing operation and seed; and when the script changes nothing.
pub fn crash_at_every_operation<T>(script: impl Fn(&SimDisk) -> T, check: impl Fn(&SimDisk, &T)) {
    fault_at_every_operation(&SimDisk::new(), Fault::Crash, script, check);
}

/// [`crash_at_every_operation`] with any fault and any disk to start on.
///
/// The script runs on copies of `start`: given a disk that a crash left, this tests crashes during recovery. After
/// a fault other than [`Fault::Crash`] the script may go on; the power goes away when it returns.
///
/// # Panics
/// As [`crash_at_every_operation`].
pub fn fault_at_every_operation<T>(
    start: &SimDisk,
    fault: Fault,
    script: impl Fn(&SimDisk) -> T,
    check: impl Fn(&SimDisk, &T),
) {
    let first = start.operations();
    let whole = start.fork();
    script(&whole);
    let end = whole.operations();
    assert!(end > first, "the script changed nothing: there is no operation to fail");
    for operation in first..=end {
        for seed in SEEDS {
            let disk = start.fork();
            disk.fail_at(operation, fault);
            let run = catch_unwind(AssertUnwindSafe(|| {
                let account = script(&disk);
                check(&disk.crash(seed), &account);
            }));
            if let Err(panic) = run {
                let struck = disk.faults_struck().pop().unwrap_or_else(|| "no operation failed".to_owned());
                eprintln!("operation {operation} of {first}..={end}, seed {seed}: {struck}");
                resume_unwind(panic);
            }
        }
    }
}
