//! The threads on which large queries are decoded ahead: those that the runtime has for work that takes a while.

use tokio::runtime::Handle;
use tsdb_cold::tsdb_parquet_io::ReadAhead;

/// Steps of reading for so many threads at a time.
pub(crate) fn read_ahead(threads: usize) -> ReadAhead {
    // One thread there is already: the one that asks.
    let steps_max = if threads > 1 { threads } else { 0 };
    ReadAhead::new(steps_max, |work| match Handle::try_current() {
        Ok(runtime) => {
            drop(runtime.spawn_blocking(work));
            true
        }
        // Someone else's executor polls the query.
        Err(_) => false,
    })
}
