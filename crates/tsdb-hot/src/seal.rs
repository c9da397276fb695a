//! From a frozen generation to blocks: one for each time window that it touches.
//!
//! Windows partition time: two hours each, aligned (or whatever the setting says), from the UTC day on that lies a day
//! before the generation's newest sample; whole UTC days before that, because a year's import in two-hour windows would be
//! thousands of files.
//!
//! Memory follows the series: the order of the series and, for each window, the places in that order that have samples. The
//! samples are read from the generation, a series at a time, and streamed out. A chunk that lies inside its window and has
//! no late samples beside it is copied as it is.

use std::collections::BTreeMap;

use tsdb_core::{BlockId, Result, TimeRange};

use crate::HotOptions;
use crate::blocks::BlockManager;
use crate::head::Generation;
use crate::options::DAY_MS;
use crate::registry::SortedSeries;

/// Which window a timestamp belongs to.
#[derive(Clone, Copy, Debug)]
struct Windows {
    window_ms: i64,
    /// Before this, windows are whole days. It is the start of a day.
    days_before_ms: i64,
}

/// A window: `start..end`, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Window {
    start_ms: i64,
    end_ms: i64,
}

impl Window {
    fn range(self) -> TimeRange {
        TimeRange::new(self.start_ms, self.end_ms - 1)
    }
}

impl Windows {
    fn new(options: &HotOptions, newest_ms: i64) -> Self {
        let late = newest_ms.saturating_sub(options.late_after_ms);
        Self { window_ms: options.window_ms, days_before_ms: late.div_euclid(DAY_MS) * DAY_MS }
    }

    /// Timestamps are those of the door, so nothing here comes near the ends of `i64`.
    fn of(self, timestamp_ms: i64) -> Window {
        let length = if timestamp_ms < self.days_before_ms { DAY_MS } else { self.window_ms };
        let start_ms = timestamp_ms.div_euclid(length) * length;
        Window { start_ms, end_ms: start_ms + length }
    }
}

/// Writes a frozen generation, which must be still, as blocks. Their names are durable when this returns.
pub(crate) fn write_blocks(
    generation: &Generation,
    blocks: &BlockManager,
    options: &HotOptions,
) -> crate::Result<Vec<BlockId>> {
    let size = generation.size();
    if size.samples == 0 {
        return Ok(Vec::new());
    }
    let windows = Windows::new(options, size.time_range.end_ms);
    let registry = generation.registry();
    let mut series = SortedSeries::new(registry, generation.series());
    let (mut ids, mut samples) = (Vec::new(), 0);
    for (window, places) in places_by_window(generation, &series, windows)? {
        let id = BlockId {
            sequence: generation.sequence(),
            window_start_ms: window.start_ms,
            window_end_ms: window.end_ms,
        };
        let meta = blocks.write(&id, |writer| {
            for place in places {
                let place = place as usize;
                let chunks = generation.cut(series.series(place), window.range())?;
                writer.add_series(&series.labels(place), &chunks)?;
            }
            Ok(())
        })?;
        samples += meta.samples;
        ids.push(id);
    }
    // The pair of the count at the door: a seal that would lose or double a sample must not drop the log.
    assert_eq!(samples, size.samples, "invariant: the blocks hold what the generation held");
    blocks.sync()?;
    Ok(ids)
}

/// For each window with samples the places (in label order) of the series that have some there.
fn places_by_window(
    generation: &Generation,
    series: &SortedSeries,
    windows: Windows,
) -> Result<BTreeMap<Window, Vec<u32>>> {
    let mut by_window: BTreeMap<Window, Vec<u32>> = BTreeMap::new();
    // A range over more than two windows may skip some: only its samples tell.
    let long = |range: TimeRange| windows.of(range.start_ms).end_ms < windows.of(range.end_ms).start_ms;
    for place in 0..series.len() as u32 {
        let mut touch = |timestamp_ms: i64| {
            let places = by_window.entry(windows.of(timestamp_ms)).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        };
        generation.for_each_range(series.series(place as usize), long, |range| {
            touch(range.start_ms);
            touch(range.end_ms);
        })?;
    }
    Ok(by_window)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn windows_partition_time_and_old_ones_are_days() {
        let newest = 10 * DAY_MS + 5 * HOUR;
        let windows = Windows::new(&HotOptions::default(), newest);
        assert_eq!(
            windows.of(newest),
            Window { start_ms: 10 * DAY_MS + 4 * HOUR, end_ms: 10 * DAY_MS + 6 * HOUR }
        );
        // A day before the newest is inside day 9: all of day 9 is still in short windows.
        assert_eq!(windows.of(9 * DAY_MS), Window { start_ms: 9 * DAY_MS, end_ms: 9 * DAY_MS + 2 * HOUR });
        assert_eq!(windows.of(9 * DAY_MS - 1), Window { start_ms: 8 * DAY_MS, end_ms: 9 * DAY_MS });
        assert_eq!(windows.of(-1), Window { start_ms: -DAY_MS, end_ms: 0 });
        let mut before = windows.of(-3 * DAY_MS);
        for t in (-3 * DAY_MS..newest).step_by(HOUR as usize / 2) {
            let window = windows.of(t);
            assert!(window == before || window.start_ms == before.end_ms, "{t}");
            before = window;
        }
    }

    #[test]
    fn the_ends_of_valid_time_have_windows() {
        for t in [tsdb_core::MIN_TIMESTAMP_MS, tsdb_core::MAX_TIMESTAMP_MS] {
            for newest in [t, tsdb_core::MAX_TIMESTAMP_MS] {
                let window = Windows::new(&HotOptions::default(), newest).of(t);
                assert!(window.range().contains(t));
            }
        }
    }
}
