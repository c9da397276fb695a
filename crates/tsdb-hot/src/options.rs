//! Settings of the hot tier: plain data, each default a named constant.

use std::time::Duration;

use crate::{Error, Result};

/// Milliseconds of a UTC day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Default of [`HotOptions::window_ms`]: two hours.
pub const DEFAULT_WINDOW_MS: i64 = 2 * 60 * 60 * 1000;
/// Default of [`HotOptions::late_after_ms`]: a day.
pub const DEFAULT_LATE_AFTER_MS: i64 = DAY_MS;
/// Default of [`HotOptions::wal_segment_bytes`]: 64 MiB.
pub const DEFAULT_WAL_SEGMENT_BYTES: u64 = 64 << 20;
/// Default of [`HotOptions::head_bytes_max`]: 512 MiB.
pub const DEFAULT_HEAD_BYTES_MAX: u64 = 512 << 20;
/// A head that spans enough time is sealed only once it holds this part of [`HotOptions::head_bytes_max`], or has
/// been open for as long as it spans: an import of a year must not make a block a batch.
pub const SEAL_BYTES_DIVISOR: u64 = 8;

/// When a commit counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalSync {
    /// The log is fsynced before a commit returns; concurrent commits share one fsync. Loses nothing.
    #[default]
    Always,
    /// The log is written before a commit returns and fsynced this often. A power loss or a crash of the operating
    /// system can lose the commits of the last interval; the end of the process alone loses nothing.
    Interval(Duration),
    /// The log is written before a commit returns and fsynced when a segment is full and at a seal. A power loss can
    /// lose what the operating system had not written; the end of the process alone loses nothing.
    Os,
}

/// What happens to a sample whose timestamp the series already has, with another value. (The same value is dropped
/// silently under both.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicatePolicy {
    /// The later arrival replaces the earlier value, in whatever tier that lies.
    #[default]
    Replace,
    /// The batch is refused with [`Error::DuplicateSample`]. Only the head is looked at, as in Prometheus: a value
    /// that was sealed is replaced; so is one that a concurrent commit brings at the same moment.
    Reject,
}

/// Settings of a [`HotStore`](crate::HotStore).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotOptions {
    /// Length of a block's time window in milliseconds; it divides a day. Windows are aligned to the Unix epoch.
    pub window_ms: i64,
    /// Samples older than the UTC day that lies this many milliseconds before the newest sample of their generation
    /// are sealed into one block for each UTC day, so that an import of a year makes hundreds of blocks, not
    /// thousands.
    pub late_after_ms: i64,
    /// When a commit counts as durable.
    pub wal_sync: WalSync,
    /// A segment of the write-ahead log that would pass this many bytes is closed and the next one begun. (A batch is
    /// never split, so one large batch can make a longer segment.)
    pub wal_segment_bytes: u64,
    /// The head wants to be sealed when it holds this many bytes.
    pub head_bytes_max: u64,
    /// What happens to a second value at a timestamp.
    pub duplicate_policy: DuplicatePolicy,
}

impl Default for HotOptions {
    fn default() -> Self {
        Self {
            window_ms: DEFAULT_WINDOW_MS,
            late_after_ms: DEFAULT_LATE_AFTER_MS,
            wal_sync: WalSync::default(),
            wal_segment_bytes: DEFAULT_WAL_SEGMENT_BYTES,
            head_bytes_max: DEFAULT_HEAD_BYTES_MAX,
            duplicate_policy: DuplicatePolicy::default(),
        }
    }
}

impl HotOptions {
    /// Refuses settings that cannot work.
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::InvalidOption(what));
        if self.window_ms <= 0 || DAY_MS % self.window_ms != 0 {
            return refuse(format!("window_ms is {}, which does not divide a day", self.window_ms));
        }
        if self.late_after_ms < 0 {
            return refuse(format!("late_after_ms is {}, below zero", self.late_after_ms));
        }
        if self.wal_sync == WalSync::Interval(Duration::ZERO) {
            return refuse("an interval of zero between fsyncs: use WalSync::Always".into());
        }
        Ok(())
    }
}
