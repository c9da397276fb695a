//! How far a long piece of work is, and the way to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Error, Result};

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
