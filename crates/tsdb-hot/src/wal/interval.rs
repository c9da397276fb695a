//! The thread behind `WalSync::Interval`: an fsync every so often, without holding commits up.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Wal;

/// Syncs a log every interval, until it is dropped.
#[derive(Debug)]
pub(crate) struct IntervalSync {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl IntervalSync {
    pub(crate) fn start(wal: Arc<Wal>, interval: Duration) -> std::io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let thread = thread::Builder::new().name("tsdb-wal-sync".into()).spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (stopped, wake) = &*stop;
                let mut stopped = stopped.lock();
                while !*stopped {
                    let timed_out = wake.wait_for(&mut stopped, interval).timed_out();
                    // A failure poisons the log; the next commit reports it.
                    if timed_out && wal.sync().is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for IntervalSync {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic but by a bug, and then there is nothing left to stop.
            let _ = thread.join();
        }
    }
}
