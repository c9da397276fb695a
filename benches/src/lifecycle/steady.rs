//! A writer, with background conversion and without: paired rounds, one after the other, of the same work.
//!
//! One who writes as much as goes shows what throughput the conversion costs; a steady one what it does to latency.
//!
//! The steady writer offers 500,000 samples a second in batches, each at its time. The latency of a batch runs from when it was
//! offered until its commit returned, so that waiting behind a slow commit counts. Only the batches that were offered before
//! the conversion ended count, and of the round without it as many. The worker pauses while there are commits, so that a few
//! blocks keep it busy for long enough.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{hint, thread};

use tsdb_core::SampleValue;
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Engine as AsyncEngine, EngineOptions};
use tsdb_hot::SeriesRef;

use super::Result;
use super::data::{Day, labels};
use crate::report::{Figure, Options, Report, median};

/// What the writer offers: samples a second, and in each batch.
const OFFERED_PER_S: f64 = 500_000.0;
const BATCH: usize = 5_000;
/// Blocks of two hours that are converted in a round.
const BLOCKS: usize = 4;
/// How much slower the slowest batch of a hundred may be.
const BAR: f64 = 1.1;
const PLACE: &str = "in process, 1 writer of 500k samples/s in batches of 5000, WalSync::Always, eight hours of 10k series in 4 blocks \
                     converted by the background worker or not, wall time from offer to commit, real files";

const AT_MOST_PLACE: &str = "as before, but the next batch is begun when the last one is committed, for 5 s, samples a second of wall time";

pub(super) fn run(day: &Day, options: &Options, report: &mut Report) -> Result<()> {
    throughput(day, options, report)?;
    latency(day, options, report)
}

fn throughput(day: &Day, options: &Options, report: &mut Report) -> Result<()> {
    let (pairs, seconds) = (options.pick(5, 1), options.pick(5.0, 0.2));
    let mut rates = [Vec::new(), Vec::new()];
    for pair in 0..pairs {
        let order = if pair % 2 == 0 { [false, true] } else { [true, false] };
        for converting in order {
            let batches = round(day, converting, seconds, None)?.latencies_ms;
            let took_s = batches.iter().sum::<f64>() / 1e3;
            rates[usize::from(converting)].push((batches.len() * BATCH) as f64 / took_s);
        }
    }
    let [without, with] = rates.map(median);
    Ok(report.add(&Figure {
        case: "append beside conversion",
        figure: "throughput",
        unit: "samples/s",
        value: with,
        baseline: Some(("without", without)),
        place: AT_MOST_PLACE,
    })?)
}

fn latency(day: &Day, options: &Options, report: &mut Report) -> Result<()> {
    let (pairs, seconds) = (options.pick(9, 1), options.pick(60.0, 0.2));
    let (mut ratios, mut without, mut with) = (Vec::new(), Vec::new(), Vec::new());
    let (mut medians, mut rates, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut last_s = options.pick(15.0, 0.2);
    for pair in 0..pairs {
        // Which of the two comes first takes turns: the machine's moods are not to favour one.
        let order = if pair % 2 == 0 { [false, true] } else { [true, false] };
        let mut latencies = [Vec::new(), Vec::new()];
        for converting in order {
            // With the conversion it lasts as long as that; without, as long as a conversion did, or does as a rule.
            let seconds = if converting { seconds } else { last_s };
            let round = round(day, converting, seconds, Some(OFFERED_PER_S))?;
            if let Some((rate, took_s)) = round.converted {
                rates.push(rate);
                last_s = took_s;
            }
            latencies[usize::from(converting)] = round.latencies_ms;
        }
        latencies.iter_mut().for_each(|latencies| latencies.sort_by(f64::total_cmp));
        let [without_ms, with_ms] = latencies;
        counts.push(without_ms.len().min(with_ms.len()) as f64);
        medians.push((percentile(&without_ms, 0.5), percentile(&with_ms, 0.5)));
        let (without_ms, with_ms) = (percentile(&without_ms, 0.99), percentile(&with_ms, 0.99));
        ratios.push(with_ms / without_ms);
        without.push(without_ms);
        with.push(with_ms);
    }
    let mut add = |figure, unit, value, baseline| {
        report.add(&Figure { case: "append beside conversion", figure, unit, value, baseline, place: PLACE })
    };
    let (p50_without, p50_with) = medians.into_iter().unzip();
    add("p50", "ms", median(p50_with), Some(("without", median(p50_without))))?;
    add("p99", "ms", median(with), Some(("without", median(without))))?;
    add("p99, median of pairs", "ratio", median(ratios), Some(("the bar", BAR)))?;
    add("batches of a round", "batches", median(counts), None)?;
    Ok(add("converted meanwhile", "samples/s", median(rates), None)?)
}

struct Round {
    latencies_ms: Vec<f64>,
    /// Samples a second, and how many seconds.
    converted: Option<(f64, f64)>,
}

/// A round of a writer that offers so many samples a second, or as many as go.
fn round(day: &Day, converting: bool, seconds: f64, offered_per_s: Option<f64>) -> Result<Round> {
    let dir = tempfile::tempdir()?;
    let blocks = BLOCKS.min(day.windows);
    day.copy_blocks(dir.path(), blocks)?;
    let samples = day.samples / day.windows * blocks;
    let mut options = EngineOptions::default();
    options.background.interval = converting.then_some(Duration::from_millis(1));
    // Nothing but the conversion is to come between.
    options.hot.head_bytes_max = u64::MAX;
    let engine = Engine::open_with(AsyncEngine::builder(dir.path()).options(options))?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = converting.then(|| scope.spawn(|| watch(&engine, samples, &stop)));
        let latencies_ms = write(&engine, seconds, offered_per_s, &stop);
        stop.store(true, Ordering::SeqCst);
        let converted = watch.map(|thread| thread.join().expect("invariant: the watch does not panic"));
        Ok(Round { latencies_ms: latencies_ms?, converted })
    })
}

/// Stops the writer when the worker has converted all blocks. Gives samples a second, and the seconds.
fn watch(engine: &Engine, samples: usize, stop: &AtomicBool) -> (f64, f64) {
    let started = Instant::now();
    while engine.stats().hot.blocks.count > 0 && !stop.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::SeqCst);
    let seconds = started.elapsed().as_secs_f64();
    (samples as f64 / seconds, seconds)
}

/// The latency that all but this part of the sorted ones do not exceed.
fn percentile(latencies_ms: &[f64], part: f64) -> f64 {
    let place = (latencies_ms.len() as f64 * part) as usize;
    latencies_ms.get(place).copied().unwrap_or(f64::NAN)
}

/// Offers batches at their times, or one after the other, for so many seconds or until it is stopped. Gives their latencies, in
/// milliseconds.
fn write(engine: &Engine, seconds: f64, offered_per_s: Option<f64>, stop: &AtomicBool) -> Result<Vec<f64>> {
    let labels = labels(BATCH);
    // After everything that is sealed.
    let start_ms = 1_767_225_600_000 + 30 * 86_400_000;
    let mut first = engine.appender();
    let references: Vec<SeriesRef> = labels
        .iter()
        .map(|labels| first.append(labels, start_ms, 0.0))
        .collect::<tsdb_engine::Result<_>>()?;
    first.commit()?;
    let (begun, end) = (Instant::now(), Duration::from_secs_f64(seconds));
    let every = offered_per_s.map(|per_s| Duration::from_secs_f64(BATCH as f64 / per_s));
    let (mut latencies, mut offered) = (Vec::new(), begun);
    for n in 1.. {
        offered = every.map_or_else(Instant::now, |every| offered + every);
        if n > 1 && (offered - begun >= end || stop.load(Ordering::SeqCst)) {
            break;
        }
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
    Ok(latencies)
}
