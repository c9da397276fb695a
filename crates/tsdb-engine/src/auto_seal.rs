//! Sealing the head by itself, on a thread of its own: the commit that finds the head over its limits does not wait.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tsdb_hot::HotStore;

/// How long after a seal that failed the next one is tried, unless somebody asks for it.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The seals that an engine does by itself. Dropping it waits for the one under way: nothing writes to the data directory
/// after its lock was given up.
#[derive(Debug, Default)]
pub(crate) struct AutoSeal {
    thread: Mutex<Option<JoinHandle<()>>>,
    not_before: Arc<Mutex<Option<Instant>>>,
}

impl AutoSeal {
    /// Seals `hot` in the background, unless that failed a moment ago. `sealing` is held until it is done. The appends
    /// that made it necessary are durable already, so a failure is nobody's: it is logged, and tried again.
    pub(crate) fn start(&self, hot: Arc<HotStore>, sealing: OwnedMutexGuard<()>) {
        if self.not_before.lock().is_some_and(|time| Instant::now() < time) {
            return;
        }
        let not_before = Arc::clone(&self.not_before);
        let seal = move || {
            // Dropped in the other order: the store is let go before anybody else may come.
            let (_one_at_a_time, hot) = (sealing, hot);
            let failed = hot.seal().inspect_err(|error| {
                tracing::error!(%error, "could not seal the head; it stays in memory and in the log");
            });
            *not_before.lock() = failed.is_err().then(|| Instant::now() + RETRY_AFTER);
        };
        match thread::Builder::new().name("tsdb-seal".into()).spawn(seal) {
            // The one before has given `sealing` back: it is at its end.
            Ok(thread) => drop(self.thread.lock().replace(thread)),
            Err(error) => tracing::error!(%error, "could not start a thread to seal the head"),
        }
    }
}

impl Drop for AutoSeal {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.get_mut().take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that seals the head panicked");
        }
    }
}
