//! A steady writer, with background conversion and without: paired rounds, one after the other, of the same work.
//!
//! The writer offers 500,000 samples a second in batches, each at its time. The latency of a batch runs from when it was
//! offered until its commit returned, so that waiting behind a slow commit counts.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{hint, thread};

use tsdb_core::SampleValue;
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Engine as AsyncEngine, EngineOptions};
use tsdb_hot::SeriesRef;

use super::Result;
use super::data::{Data, WINDOW_MS, WINDOW_SCRAPES, labels};
use crate::report::{Figure, Options, Report, median};

/// What the writer offers: samples a second, and in each batch.
const OFFERED_PER_S: f64 = 500_000.0;
const BATCH: usize = 5_000;
/// How much slower the slowest batch of a hundred may be.
const BAR: f64 = 1.1;
const PLACE: &str = "in process, 1 writer of 500k samples/s in batches of 5000, WalSync::Always, blocks of 2 h of 10k series \
                     converted in another thread or not, wall time from offer to commit, real files";

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let data = Data::mixed("c10k", options.pick(10_000, 100), options.pick(WINDOW_SCRAPES, 20));
    let (pairs, seconds) = (options.pick(5, 1), options.pick(8.0, 0.2));
    let (mut ratios, mut without, mut with, mut rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Which of the two comes first takes turns: the machine's moods are not to favour one.
        let order = if pair % 2 == 0 { [false, true] } else { [true, false] };
        let mut p99 = [0.0; 2];
        for converting in order {
            let dir = tempfile::tempdir()?;
            let round = round(dir.path(), &data, converting, seconds)?;
            p99[usize::from(converting)] = round.p99_ms;
            rates.extend(round.converted_per_s);
        }
        ratios.push(p99[1] / p99[0]);
        without.push(p99[0]);
        with.push(p99[1]);
    }
    let mut add = |figure, unit, value, baseline| {
        report.add(&Figure { case: "append beside conversion", figure, unit, value, baseline, place: PLACE })
    };
    add("p99", "ms", median(with), Some(("without", median(without))))?;
    add("p99, median of pairs", "ratio", median(ratios), Some(("the bar", BAR)))?;
    if !rates.is_empty() {
        add("converted meanwhile", "samples/s", median(rates), None)?;
    }
    Ok(())
}

struct Round {
    p99_ms: f64,
    converted_per_s: Option<f64>,
}

fn round(dir: &Path, data: &Data, converting: bool, seconds: f64) -> Result<Round> {
    let mut options = EngineOptions::default();
    options.background.interval = None;
    // Nothing but the conversion is to come between.
    options.hot.head_bytes_max = u64::MAX;
    let engine = Engine::open_with(AsyncEngine::builder(dir).options(options))?;
    let blocks = 2;
    for window in 0..blocks {
        let mut batch = engine.appender();
        for series in &data.series {
            for (ms, value) in series.samples.timestamps_ms.iter().zip(&series.samples.values) {
                batch.append(&series.labels, ms + window * WINDOW_MS, *value)?;
            }
        }
        batch.commit()?;
        engine.seal()?;
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let converter = converting.then(|| scope.spawn(|| convert(&engine, &stop)));
        let p99_ms = write(&engine, seconds).map_err(|e| e.to_string());
        stop.store(true, Ordering::SeqCst);
        let converted =
            converter.map(|thread| thread.join().expect("invariant: the converter does not panic"));
        let converted_per_s = converted.transpose()?;
        Ok::<_, Box<dyn std::error::Error>>(Round { p99_ms: p99_ms?, converted_per_s })
    })
}

/// Converts what is sealed, as the worker does, until there is no more. Gives samples a second.
fn convert(engine: &Engine, stop: &AtomicBool) -> std::result::Result<f64, String> {
    let started = Instant::now();
    let flushed = engine.convert_due(i64::MAX).map_err(|e| e.to_string())?;
    let rate = flushed.samples as f64 / started.elapsed().as_secs_f64();
    if !stop.load(Ordering::SeqCst) {
        eprintln!("the conversion ended before the writer did: its share of the round is less");
    }
    Ok(rate)
}

/// Offers batches at their times. Gives the latency that one batch of a hundred exceeds, in milliseconds.
fn write(engine: &Engine, seconds: f64) -> Result<f64> {
    let labels = labels(BATCH);
    // After everything that is sealed.
    let start_ms = 1_767_225_600_000 + 30 * 86_400_000;
    let mut first = engine.appender();
    let references: Vec<SeriesRef> = labels
        .iter()
        .map(|labels| first.append(labels, start_ms, 0.0))
        .collect::<tsdb_engine::Result<_>>()?;
    first.commit()?;
    let every = Duration::from_secs_f64(BATCH as f64 / OFFERED_PER_S);
    let batches = (seconds / every.as_secs_f64()) as u32;
    let begun = Instant::now();
    let mut latencies = Vec::new();
    for n in 1..=batches {
        let offered = begun + every * n;
        while let Some(left) = offered.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if left > Duration::from_micros(200) { thread::sleep(left / 2) } else { hint::spin_loop() }
        }
        let mut batch = engine.appender();
        for (i, reference) in references.iter().enumerate() {
            let value = SampleValue::Float(f64::from(n) * i as f64);
            batch.append_ref(*reference, start_ms + i64::from(n) * 10, value)?;
        }
        batch.commit()?;
        latencies.push(offered.elapsed().as_secs_f64() * 1e3);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies[latencies.len() * 99 / 100])
}
