//! Work that stands back while others write.
//!
//! A conversion shares its disk with the log, for which commits wait: an fsync of either is in the way of the other's. No
//! priority helps there, but conversion is in no hurry: it moves in a minute what took hours to come. So while samples are
//! appended, the worker works for a share of the time and pauses for the rest. It does not pause when nobody writes, when
//! somebody waits for it, or when more waits to be converted than it should: it must never fall behind for good.
//!
//! Work is paced from outside, between two polls: it gives way often enough by itself, and need not know.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Work for about so long goes between two pauses.
const PIECE: Duration = Duration::from_millis(20);
/// No pause is longer: whoever comes to wait for the work is noticed after it.
const PAUSE_MAX: Duration = Duration::from_millis(300);

/// `work`, done for `duty_percent` of the time while `stands_back` says so. Needs a runtime with timers.
pub(crate) struct Paced<'a, F> {
    work: Pin<Box<F>>,
    duty_percent: u8,
    stands_back: Box<dyn FnMut() -> bool + Send + 'a>,
    /// Time spent since the last pause.
    worked: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<'a, F: Future> Paced<'a, F> {
    pub(crate) fn new(work: F, duty_percent: u8, stands_back: impl FnMut() -> bool + Send + 'a) -> Self {
        Self {
            work: Box::pin(work),
            duty_percent: duty_percent.clamp(1, 100),
            stands_back: Box::new(stands_back),
            worked: Duration::ZERO,
            pause: None,
        }
    }

    /// The pause that is due after what was worked.
    fn pause_due(&mut self) -> Option<Duration> {
        if self.worked < PIECE {
            return None;
        }
        let worked = std::mem::take(&mut self.worked);
        if !(self.stands_back)() {
            return None;
        }
        let idle_percent = u32::from(100 - self.duty_percent);
        let pause = worked * idle_percent / u32::from(self.duty_percent);
        (!pause.is_zero()).then(|| pause.min(PAUSE_MAX))
    }
}

impl<F: Future> Future for Paced<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let paced = &mut *self;
        if let Some(pause) = &mut paced.pause {
            if pause.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            paced.pause = None;
        }
        let started = Instant::now();
        let polled = paced.work.as_mut().poll(context);
        paced.worked += started.elapsed();
        if polled.is_pending()
            && let Some(pause) = paced.pause_due()
        {
            let pause = paced.pause.insert(Box::pin(tokio::time::sleep(pause)));
            // Asks to be woken at its end; the work's own wake-ups find the pause first.
            if pause.as_mut().poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause_after(worked_ms: u64, duty_percent: u8, stands_back: bool) -> Option<u128> {
        let mut paced = Paced::new(std::future::pending::<()>(), duty_percent, || stands_back);
        paced.worked = Duration::from_millis(worked_ms);
        let pause = paced.pause_due();
        assert!(pause.is_none() || paced.worked.is_zero());
        pause.map(|pause| pause.as_millis())
    }

    #[test]
    fn work_pauses_for_the_rest_of_the_time() {
        assert_eq!(pause_after(20, 10, true), Some(180));
        assert_eq!(pause_after(40, 50, true), Some(40));
        assert_eq!(pause_after(19, 10, true), None, "a piece is not done yet");
        assert_eq!(pause_after(20, 100, true), None);
        assert_eq!(pause_after(500, 1, true), Some(PAUSE_MAX.as_millis()));
        assert_eq!(pause_after(20, 10, false), None, "nobody is to be stood back for");
    }

    #[test]
    fn what_is_paced_comes_to_its_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (mut pieces, mut asked) = (0, 0);
        let work = std::future::poll_fn(|context| {
            std::thread::sleep(PIECE);
            pieces += 1;
            context.waker().wake_by_ref();
            if pieces == 4 { Poll::Ready(pieces) } else { Poll::Pending }
        });
        let paced = Paced::new(work, 99, || {
            asked += 1;
            true
        });
        assert_eq!(runtime.block_on(paced), 4);
        assert_eq!(asked, 3);
    }
}
