//! Settings of the engine: plain data. Components (file system, cold store, clock) go through the builder.

use std::num::NonZeroUsize;
use std::time::Duration;

use tsdb_cold::ColdOptions;
use tsdb_hot::HotOptions;

/// Settings of an [`Engine`](crate::Engine), each with its documented default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The hot tier: windows, WAL sync, memory budget.
    pub hot: HotOptions,
    /// The cold tier: how Parquet is written, which labels become columns, compaction.
    pub cold: ColdOptions,
    /// When data moves on, and when it goes.
    pub lifecycle: LifecycleOptions,
    /// The background worker.
    pub background: BackgroundOptions,
    /// Threads of the runtime that decode cold data ahead for large queries, over all queries, beside the threads that ask.
    /// With 1, or outside of Tokio, each query is decoded by whoever asks. The default is the number of processors, and
    /// [`READ_THREADS_MAX`](Self::READ_THREADS_MAX) at most.
    pub read_threads: usize,
}

impl EngineOptions {
    /// The highest default of [`EngineOptions::read_threads`]: what one thread merges and hands on, few more can decode.
    pub const READ_THREADS_MAX: usize = 4;
}

impl Default for EngineOptions {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            hot: HotOptions::default(),
            cold: ColdOptions::default(),
            lifecycle: LifecycleOptions::default(),
            background: BackgroundOptions::default(),
            read_threads: processors.min(Self::READ_THREADS_MAX),
        }
    }
}

/// When data moves from tier to tier, and when it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LifecycleOptions {
    /// A block is converted to Parquet when its window ended so many milliseconds ago: until then late samples are
    /// likely.
    pub convert_after_ms: i64,
    /// A head to which nothing was appended for so many milliseconds is sealed.
    pub seal_idle_after_ms: i64,
    /// Samples that are so many milliseconds older than the newest sample, or than the clock where that is behind, expire.
    /// They go by whole UTC days: a day's when all of it is older. `None` keeps everything.
    pub retention_ms: Option<i64>,
    /// A cold file that no catalog names is removed when it is so many milliseconds old. In a cold store of its own
    /// directory, where nobody else writes, an opening removes it at once.
    pub orphan_grace_ms: i64,
}

impl LifecycleOptions {
    /// Default of [`LifecycleOptions::convert_after_ms`]: two hours, a window.
    pub const CONVERT_AFTER_MS: i64 = 2 * 3_600_000;
    /// Default of [`LifecycleOptions::seal_idle_after_ms`]: an hour.
    pub const SEAL_IDLE_AFTER_MS: i64 = 3_600_000;
    /// Default of [`LifecycleOptions::orphan_grace_ms`]: an hour.
    pub const ORPHAN_GRACE_MS: i64 = 3_600_000;
}

impl Default for LifecycleOptions {
    fn default() -> Self {
        Self {
            convert_after_ms: Self::CONVERT_AFTER_MS,
            seal_idle_after_ms: Self::SEAL_IDLE_AFTER_MS,
            retention_ms: None,
            orphan_grace_ms: Self::ORPHAN_GRACE_MS,
        }
    }
}

/// The worker that moves data by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackgroundOptions {
    /// Time between two rounds, each of which does what is due. `None`: nothing is done but what is asked for
    /// ([`Engine::maintain`](crate::Engine::maintain) is a round), and the head is sealed only when it is over its limits.
    pub interval: Option<Duration>,
    /// After a round that failed, the next ones wait longer and longer, up to this.
    pub backoff_max: Duration,
    /// How far the worker's thread stands back where processors are scarce: a nice value from 0, as important as those who
    /// write, to 19. Linux only; elsewhere the worker has the priority of the process.
    pub niceness: u8,
    /// Share of its time, in percent from 1 to 100, for which the worker moves data while samples are appended: its fsyncs are in
    /// the way of the log's. It does not pause when nothing is appended, when more than
    /// [`BACKLOG_BLOCKS`](Self::BACKLOG_BLOCKS) blocks are due, or while a call waits for what it is at.
    pub duty_percent: u8,
}

impl BackgroundOptions {
    /// Default of [`BackgroundOptions::interval`].
    pub const INTERVAL: Duration = Duration::from_secs(15);
    /// Default of [`BackgroundOptions::backoff_max`].
    pub const BACKOFF_MAX: Duration = Duration::from_secs(300);
    /// Default of [`BackgroundOptions::niceness`]: beside a busy thread the worker has a tenth of a processor.
    pub const NICENESS: u8 = 10;
    /// Default of [`BackgroundOptions::duty_percent`]: a tenth, in which more is converted than one writer appends.
    pub const DUTY_PERCENT: u8 = 10;
    /// With more blocks than these due to be converted, those of a day and some, the worker is behind, and does not pause.
    pub const BACKLOG_BLOCKS: usize = 16;
}

impl Default for BackgroundOptions {
    fn default() -> Self {
        Self {
            interval: Some(Self::INTERVAL),
            backoff_max: Self::BACKOFF_MAX,
            niceness: Self::NICENESS,
            duty_percent: Self::DUTY_PERCENT,
        }
    }
}
