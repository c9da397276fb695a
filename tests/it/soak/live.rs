//! The process that is soaked.
//!
//! Two threads write, in time, late, and over what they wrote before; two ask; one deletes; one does what is due. Each batch and
//! each delete is told when it is acknowledged, never before.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tsdb_core::{Matcher, TimeRange, parse_selector};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Clock, Error, LookupOptions, QueryOptions, ScanOptions};

use super::books::{HOUR_MS, RETENTION_MS, SERIES, WRITERS, builder, is_possible, labels, value};
use super::{DIR, Work, seconds};

/// 2026-01-01T00:00:00Z.
const START_MS: i64 = 1_767_225_600_000;
/// So many days go by in a run.
const DAYS: i64 = 10;
/// A writer rests so long between two batches: the load is the same on every machine that can bear it.
const PACE: Duration = Duration::from_millis(25);
/// What is written is at most so much older than the newest.
const LATE_MS: i64 = HOUR_MS;

/// A clock by which days go by fast.
#[derive(Debug)]
struct FastClock {
    started: Instant,
    times: i64,
}

impl Clock for FastClock {
    fn now_ms(&self) -> i64 {
        START_MS + self.started.elapsed().as_millis() as i64 * self.times
    }
}

/// What the threads share.
struct Life {
    engine: Engine,
    clock: Arc<FastClock>,
    is_over: AtomicBool,
    /// Of each writer the time of its batch under way: it writes nothing older than that less [`LATE_MS`].
    newest_ms: [AtomicI64; WRITERS],
    work: Mutex<Work>,
}

#[test]
#[ignore = "the test of the module above runs it as a process of its own"]
fn live_until_told_to_stop() {
    let Some(dir) = std::env::var_os(DIR) else {
        panic!("{DIR} is not set: this is no test by itself");
    };
    let length_ms = seconds() as i64 * 1000;
    let clock = Arc::new(FastClock { started: Instant::now(), times: DAYS * 24 * HOUR_MS / length_ms });
    let builder = builder(Path::new(&dir)).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let life = Life {
        engine: Engine::open_with(builder).unwrap(),
        clock,
        is_over: AtomicBool::new(false),
        newest_ms: [const { AtomicI64::new(START_MS) }; WRITERS],
        work: Mutex::default(),
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let life = &life;
            scope.spawn(move || life.write(writer));
            scope.spawn(move || life.ask(Random(writer as u64 + 1)));
        }
        scope.spawn(|| life.maintain());
        scope.spawn(|| life.delete(Random(99)));
        // Until whoever started the process closes its input, or is gone.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        life.is_over.store(true, Ordering::Relaxed);
    });
    life.tell(&life.work.lock().unwrap().to_line());
    life.engine.close().unwrap();
}

impl Life {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// A line as one write, so that it is there as a whole.
    fn tell(&self, line: &str) {
        std::io::stdout().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn count(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.work.lock().unwrap());
    }

    fn write(&self, writer: usize) {
        let (mut random, mut newest_ms, mut recent) = (Random(writer as u64 + 7), START_MS, Vec::new());
        while self.goes_on() {
            newest_ms = (newest_ms + 10).max(self.clock.now_ms() / 10 * 10);
            self.newest_ms[writer].store(newest_ms, Ordering::SeqCst);
            let mut batches = vec![(newest_ms, 1)];
            if random.below(5) == 0 {
                batches.push((newest_ms - LATE_MS / 2 + 3, 1));
            }
            recent.retain(|(timestamp_ms, _)| *timestamp_ms >= newest_ms - LATE_MS);
            if random.below(5) == 0 && !recent.is_empty() {
                let again = random.below(recent.len() as u64) as usize;
                let (timestamp_ms, version): (i64, i64) = recent.swap_remove(again);
                batches.push((timestamp_ms, version + 1));
            }
            for (timestamp_ms, version) in batches {
                let mut batch = self.engine.appender();
                for series in 0..SERIES {
                    let labels = labels(writer, series, timestamp_ms);
                    batch
                        .append_value(&labels, timestamp_ms, value(writer, series, timestamp_ms, version))
                        .unwrap();
                }
                batch.commit().unwrap();
                self.tell(&format!("B {writer} {timestamp_ms} {version}"));
                recent.push((timestamp_ms, version));
            }
            thread::sleep(PACE);
        }
    }

    /// Deletes what is older than anything that is yet to be written.
    fn delete(&self, mut random: Random) {
        while self.goes_on() {
            thread::sleep(Duration::from_millis(seconds().clamp(5, 100) * 20));
            let newest_ms =
                self.newest_ms.iter().map(|ms| ms.load(Ordering::SeqCst)).min().unwrap_or(START_MS);
            let end_ms = newest_ms - 2 * LATE_MS - random.below(20 * HOUR_MS as u64) as i64;
            let start_ms = end_ms - random.below(3 * HOUR_MS as u64) as i64;
            let (writer, digit) = (random.below(WRITERS as u64), random.below(9) + 1);
            let matchers = parse_selector(&format!(r#"{{writer="{writer}",series=~"{digit}.*"}}"#)).unwrap();
            self.engine.delete(&matchers, TimeRange::new(start_ms, end_ms)).unwrap();
            self.tell(&format!("D {writer} {digit} {start_ms} {end_ms}"));
            self.count(|work| work.deletes += 1);
        }
    }

    fn maintain(&self) {
        while self.goes_on() {
            let done = self.engine.maintain(self.clock.now_ms()).unwrap();
            let cold = self.engine.stats().cold;
            self.count(|work| {
                work.blocks_sealed += done.sealed;
                work.files_converted += done.converted.files;
                work.files_compacted += done.compacted.files_in;
                work.files_expired += done.expired.files;
                (work.cold_files, work.cold_samples) = (cold.files, cold.samples);
            });
            self.tell(&self.work.lock().unwrap().to_line());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Queries of every kind; whatever they give can have been written.
    fn ask(&self, mut random: Random) {
        while self.goes_on() {
            let now_ms = self.clock.now_ms();
            let start_ms = now_ms - random.below(RETENTION_MS as u64) as i64;
            let range = TimeRange::new(start_ms, start_ms + random.below(12 * HOUR_MS as u64) as i64);
            let (writer, series) = (random.below(WRITERS as u64), random.below(SERIES as u64));
            let selector = match random.below(4) {
                0 => format!(r#"{{writer="{writer}",series="{series}"}}"#),
                1 => format!(r#"{{series=~"{series}|1{series}"}}"#),
                2 => format!(r#"{{pod=~"pod-.*{}"}}"#, random.below(10)),
                _ => format!(r#"soaked{{series!~"[2-9].*",writer="{writer}"}}"#),
            };
            let matchers = parse_selector(&selector).unwrap();
            match random.below(8) {
                0 => self.scan(&matchers, range),
                1 => self.look_up(&matchers, range),
                2 => self.query(&matchers, range, Some(random.below(4)), None),
                3 => self.query(&matchers, range, None, Some(random.below(500))),
                _ => self.query(&matchers, range, None, None),
            }
        }
    }

    /// A query, of which perhaps only some series are taken, or that has a limit.
    fn query(&self, matchers: &[Matcher], range: TimeRange, take: Option<u64>, samples_max: Option<u64>) {
        let mut options = QueryOptions::default();
        options.limits.samples_max = samples_max;
        let (mut taken, mut is_limited) = (0, false);
        for series in self.engine.query(matchers, range, &options).unwrap() {
            let series = match series {
                Ok(series) => series,
                Err(Error::LimitExceeded { .. }) if samples_max.is_some() => {
                    is_limited = true;
                    break;
                }
                Err(error) => panic!("{error}"),
            };
            for (timestamp_ms, found) in series.samples.iter() {
                let is_possible = is_possible(&series.labels, timestamp_ms, &found);
                assert!(
                    is_possible && range.contains(timestamp_ms),
                    "{} {timestamp_ms} {found:?}",
                    series.labels
                );
            }
            taken += 1;
            if take.is_some_and(|take| taken > take) {
                break;
            }
        }
        self.count(|work| {
            work.queries += 1;
            work.dropped += u64::from(take.is_some_and(|take| taken > take));
            work.limited += u64::from(is_limited);
        });
    }

    fn scan(&self, matchers: &[Matcher], range: TimeRange) {
        let scan = self.engine.scan(matchers, range, &ScanOptions::default()).unwrap();
        let schema = scan.schema();
        for batch in scan {
            assert_eq!(batch.unwrap().schema(), schema);
        }
        self.count(|work| work.scans += 1);
    }

    fn look_up(&self, matchers: &[Matcher], range: TimeRange) {
        let options = LookupOptions::default();
        let pods = self.engine.label_values_within("pod", matchers, range, &options).unwrap().found;
        assert!(pods.iter().all(|pod| pod.starts_with("pod-")), "{pods:?}");
        let series = self.engine.series_within(matchers, range, &options).unwrap().found;
        assert!(series.iter().all(|labels| labels.metric_name() == Some("soaked")));
        self.count(|work| work.look_ups += 1);
    }
}

/// Enough randomness for a load.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
