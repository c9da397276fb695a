//! The background worker: a thread that does what is due, round by round, for as long as the engine is open.
//!
//! It never holds up ingest: it shares no lock with commits for longer than a moment, sealing has one of its own, where
//! processors are scarce its thread stands back, and while samples are appended it pauses most of the time ([`crate::pace`]). A
//! round that fails is tried again, later and later; what failed is in [`BackgroundStats`]. Closing the engine stops it in the middle of a file, of
//! which nothing stays.

use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::future::{Either, select};
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::error::{Error, Result};
use crate::options::BackgroundOptions;
use crate::pace::Paced;
use crate::store::Store;

/// How the background worker fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackgroundStats {
    /// Rounds that are done.
    pub rounds: u64,
    /// Rounds of these that failed.
    pub failures: u64,
    /// Time that all rounds took.
    pub time: Duration,
    /// Rounds that failed since the last one that did not.
    pub failures_in_a_row: u32,
    /// Why the last round failed, if it did.
    pub last_error: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Background {
    store: Arc<Store>,
    stop: Arc<Notify>,
    stats: Arc<Mutex<BackgroundStats>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    pub(crate) fn start(store: Arc<Store>, options: BackgroundOptions) -> Result<Self> {
        let mut background = Self { store, stop: Arc::default(), stats: Arc::default(), thread: None };
        let Some(interval) = options.interval else { return Ok(background) };
        let failed = |e: std::io::Error| Error::Runtime(e.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (store, stop) = (Arc::clone(&background.store), Arc::clone(&background.stop));
        let stats = Arc::clone(&background.stats);
        let work = move || {
            stand_back(options.niceness);
            // One `block_on` for the thread's life: connections of a remote store are driven by it between rounds.
            runtime.block_on(async {
                let mut wait = interval;
                loop {
                    let stopped = pin!(stop.notified());
                    if let Either::Left(_) = select(stopped, pin!(tokio::time::sleep(wait))).await {
                        return;
                    }
                    let stopped = pin!(stop.notified());
                    let started = Instant::now();
                    let round = store.maintain(store.clock.now_ms());
                    let round = Paced::new(round, options.duty_percent, store.stands_back());
                    match select(stopped, round).await {
                        Either::Left(_) => return,
                        Either::Right((done, _)) => {
                            let mut stats = stats.lock();
                            stats.time += started.elapsed();
                            wait = stats.count(done, interval, options.backoff_max);
                        }
                    }
                }
            });
        };
        let thread = thread::Builder::new().name("tsdb-background".into()).spawn(work).map_err(failed)?;
        background.thread = Some(thread);
        Ok(background)
    }

    pub(crate) fn stats(&self) -> BackgroundStats {
        self.stats.lock().clone()
    }

    /// The worker, to be stopped elsewhere; what stays has none.
    pub(crate) fn take(&mut self) -> Self {
        let (store, stop, stats) = (Arc::clone(&self.store), Arc::clone(&self.stop), Arc::clone(&self.stats));
        Self { store, stop, stats, thread: self.thread.take() }
    }

    /// Ends the worker, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.store.progress.cancel();
        self.stop.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the background worker panicked");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lowers the priority of this thread, and of those that it starts. It is no error where that cannot be done.
#[cfg(target_os = "linux")]
fn stand_back(niceness: u8) {
    use rustix::process::setpriority_process;
    // For Linux the priority is a thread's, whatever the call is named.
    if let Err(error) = setpriority_process(Some(rustix::thread::gettid()), i32::from(niceness.min(19))) {
        tracing::debug!(%error, "the background worker keeps the priority of the process");
    }
}

#[cfg(not(target_os = "linux"))]
fn stand_back(_niceness: u8) {}

impl BackgroundStats {
    /// Counts a round. Gives the time to wait until the next one.
    fn count<T>(&mut self, done: Result<T>, interval: Duration, backoff_max: Duration) -> Duration {
        self.rounds += 1;
        match done {
            Ok(_) => {
                (self.failures_in_a_row, self.last_error) = (0, None);
                interval
            }
            Err(error) => {
                self.failures += 1;
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.last_error = Some(error.to_string());
                let doubled = interval.saturating_mul(2_u32.saturating_pow(self.failures_in_a_row.min(16)));
                doubled.min(backoff_max.max(interval))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_and_longer_and_a_success_forgives_them() {
        let (interval, max) = (Duration::from_secs(10), Duration::from_secs(60));
        let mut stats = BackgroundStats::default();
        let mut count = |failed: bool| {
            let done = if failed { Err(Error::Runtime("no".into())) } else { Ok(()) };
            stats.count(done, interval, max).as_secs()
        };
        assert_eq!([true, true, true, true, false, true].map(&mut count), [20, 40, 60, 60, 10, 20]);
        assert_eq!((stats.rounds, stats.failures, stats.failures_in_a_row), (6, 5, 1));
        assert_eq!(stats.last_error.as_deref(), Some("async runtime: no"));
    }
}
