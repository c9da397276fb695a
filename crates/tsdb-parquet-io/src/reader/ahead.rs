//! Decoding ahead: while whoever reads works on one step of a large selection, the next ones are decoded on other threads.
//!
//! A step is work of bounded size that needs no more input: its pages are in memory, and what it gives is taken in order. So
//! threads change neither answers nor what is read. The threads are the caller's: this crate knows of no runtime, and where a
//! step cannot be started (all places are taken, there is no thread to be had), or no thread has begun it when its turn comes, it
//! is decoded by whoever asks for it.
//!
//! Places are counted over all readers that share a [`ReadAhead`], until the result of a step is taken or dropped: this bounds
//! processors and memory. A step whose reader is dropped before it has begun does nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::channel::oneshot;

/// Work for another thread: a step of some milliseconds, which waits for nothing.
pub type Work = Box<dyn FnOnce() + Send>;

/// Threads for steps, and how many steps there may be at a time. A clone shares the places. The default has none: everything is
/// decoded by whoever polls.
#[derive(Clone, Default)]
pub struct ReadAhead {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    spawn: Box<dyn Fn(Work) -> bool + Send + Sync>,
    steps_max: usize,
    steps: AtomicUsize,
}

impl ReadAhead {
    /// At most `steps_max` steps at a time, for all readers together, each of some 10 MiB of memory at most. `spawn` hands work to
    /// another thread and says whether one took it; work that none takes it drops.
    #[must_use]
    pub fn new(steps_max: usize, spawn: impl Fn(Work) -> bool + Send + Sync + 'static) -> Self {
        let shared = Shared { spawn: Box::new(spawn), steps_max, steps: AtomicUsize::new(0) };
        Self { shared: (steps_max > 0).then(|| Arc::new(shared)) }
    }

    /// Whether a step could be started now.
    pub(super) fn has_place(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.steps.load(Ordering::Acquire) < shared.steps_max)
    }

    /// Starts `work` on another thread, if there is a place.
    pub(super) fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<Started<T>> {
        let shared = self.shared.as_ref()?;
        let place = Arc::new(Place::take(shared)?);
        let (sender, result) = oneshot::channel();
        let held = Arc::clone(&place);
        let work = move || {
            if !sender.is_canceled() {
                let _ = sender.send(work());
            }
            drop(held);
        };
        (shared.spawn)(Box::new(work)).then_some(Started { result, _place: place })
    }
}

impl fmt::Debug for ReadAhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps_max = self.shared.as_ref().map_or(0, |shared| shared.steps_max);
        write!(f, "ReadAhead({steps_max} steps)")
    }
}

/// Work on another thread. Dropped before it has begun, it is not done.
pub(super) struct Started<T> {
    result: oneshot::Receiver<T>,
    _place: Arc<Place>,
}

impl<T> Started<T> {
    /// What the work came to; nothing when its thread is gone.
    pub(super) async fn finish(self) -> Option<T> {
        self.result.await.ok()
    }
}

/// One of the steps that may be at a time.
struct Place {
    shared: Arc<Shared>,
}

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let more = |steps| (steps < shared.steps_max).then_some(steps + 1);
        shared.steps.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Self { shared: Arc::clone(shared) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.steps.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;

    use super::*;

    /// The result of work that is done, or that is not going to be.
    fn result<T>(started: Started<T>) -> Option<T> {
        started.finish().now_or_never().expect("the work is over")
    }

    #[test]
    fn places_are_taken_until_results_are() {
        let queue: Arc<Mutex<Vec<Work>>> = Arc::default();
        let to = Arc::clone(&queue);
        let ahead = ReadAhead::new(2, move |work| {
            to.lock().unwrap().push(work);
            true
        });
        let run_all = || std::mem::take(&mut *queue.lock().unwrap()).into_iter().for_each(|work| work());
        let (first, second) = (ahead.start(|| 1).unwrap(), ahead.clone().start(|| 2).unwrap());
        assert!(ahead.start(|| 3).is_none(), "no place is left");
        run_all();
        assert!(ahead.start(|| 3).is_none(), "results that wait take memory");
        assert_eq!((result(second), result(first)), (Some(2), Some(1)));

        let done = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&done);
        let dropped = ahead.start(move || count.fetch_add(1, Ordering::Relaxed)).unwrap();
        drop(dropped);
        run_all();
        assert_eq!(done.load(Ordering::Relaxed), 0, "nobody wanted it any more");
        let lost = ahead.start(|| 4).unwrap();
        queue.lock().unwrap().clear();
        assert_eq!(result(lost), None, "its thread is gone");
        assert!(ahead.start(|| 5).is_some() && ahead.start(|| 6).is_some(), "all places are free again");
    }

    #[test]
    fn without_a_thread_nothing_is_started() {
        assert!(ReadAhead::default().start(|| 1).is_none());
        assert!(ReadAhead::new(0, |_| true).start(|| 1).is_none());
        let none = ReadAhead::new(1, |_| false);
        assert!(none.start(|| 1).is_none() && none.start(|| 1).is_none());
        assert_eq!(none.shared.unwrap().steps.load(Ordering::Relaxed), 0);
    }
}
