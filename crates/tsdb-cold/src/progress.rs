//! How far a long piece of work is, and the way to stop it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use crate::{Error, Result};

/// Lets other tasks of the thread go on, and the work be dropped: local stores never wait, and what is between two calls to
/// them is work for a processor.
pub(crate) async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a conversion or compaction tells about itself while it runs. Share it with the thread that wants to know, or
/// that wants the work to stop.
#[derive(Debug, Default)]
pub struct Progress {
    samples: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// Samples written so far, over everything this was given to.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Asks the work to stop: it ends with [`Error::Cancelled`] soon, and removes what it has written of the file it is
    /// at. Cannot be taken back.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn add_samples(&self, samples: u64) {
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }
}
