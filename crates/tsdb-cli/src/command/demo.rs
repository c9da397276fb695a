//! `tsdb demo`: the whole life of data on generated monitoring metrics, told as it happens.
//!
//! Every answer is compared, bit for bit, with what the generator made: the demo fails when the store does.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tsdb_core::{Labels, Matcher, SampleBuffer, SampleValue, Series, TimeRange, parse_selector};
use tsdb_engine::EngineStats;
use tsdb_engine::blocking::Engine;
use tsdb_workload::{Mixed, Workload};

use super::Store;
use crate::args::DemoArgs;
use crate::error::{Failure, Result};
use crate::output::human_bytes;

/// The data directory when none is named.
const DEFAULT_DEMO_DIR: &str = "tsdb-demo-data";
/// The file that says that a directory was made by the demo, and may be made anew by the next.
const MARKER: &str = "MADE-BY-TSDB-DEMO";
/// The query that is asked of every tier.
const SELECTOR: &str = r#"http_requests_total{job="api",code=~"5.."}"#;
/// Of ten parts of the time, how many are ingested before the first flush.
const TENTHS_BEFORE_FLUSH: usize = 6;

pub(crate) fn run(store: &Store, args: &DemoArgs) -> Result<()> {
    let dir = store.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DEMO_DIR));
    prepare(&dir)?;
    let mut demo = Demo { tell: !store.json, facts: Vec::new() };
    let workload = Mixed::new(args.series as usize, args.samples as usize).generate();
    demo.run(&dir, &workload)?;
    if store.json {
        writeln!(io::stdout(), "{}", Value::Object(demo.facts.into_iter().collect()))?;
    }
    Ok(())
}

/// Makes `dir` an empty directory of the demo's. Anything in it that the demo did not make is left alone.
fn prepare(dir: &Path) -> Result<()> {
    let failed = |source| Failure::Input { path: dir.to_owned(), source };
    if dir.join(MARKER).exists() {
        fs::remove_dir_all(dir).map_err(failed)?;
    }
    fs::create_dir_all(dir).map_err(failed)?;
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        let dir = dir.display();
        return Err(Failure::Usage(format!("{dir} is not empty: name another place with --data-dir")));
    }
    fs::write(dir.join(MARKER), "`tsdb demo` removes this directory when it runs again.\n").map_err(failed)
}

/// The narration: text for people as it happens, or facts for scripts at the end.
struct Demo {
    tell: bool,
    facts: Vec<(String, Value)>,
}

impl Demo {
    fn say(&self, text: &str) -> Result<()> {
        if self.tell {
            writeln!(io::stdout(), "{text}")?;
        }
        Ok(())
    }

    fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.push((name.to_owned(), value.into()));
    }

    fn run(&mut self, dir: &Path, workload: &Workload) -> Result<()> {
        let steps = workload.timestamps(0).len();
        let before_flush = steps * TENTHS_BEFORE_FLUSH / 10;
        let matchers = parse_selector(SELECTOR).map_err(|e| Failure::Usage(e.to_string()))?;
        self.fact("data_dir", dir.display().to_string());
        self.fact("series", workload.len());
        self.fact("samples", workload.sample_count());

        let engine = Engine::open(dir)?;
        self.say(&format!(
            "A store in {}. Each batch is on disk (fsync) before it counts.\n",
            dir.display()
        ))?;
        self.ingest(&engine, workload, 0..before_flush, "1. Ingest", "ingest")?;
        self.query(&engine, workload, &matchers, before_flush, "2. Ask the memory", "query_head")?;
        self.flush(&engine)?;
        self.query(&engine, workload, &matchers, before_flush, "4. Ask Parquet the same", "query_cold")?;
        self.ingest(&engine, workload, before_flush..steps, "5. Ingest the rest", "ingest_rest")?;
        self.query(&engine, workload, &matchers, steps, "6. Ask both tiers at once", "query_both")?;
        engine.close()?;

        let engine = Engine::open(dir)?;
        self.query(&engine, workload, &matchers, steps, "7. Restart, and ask again", "query_restarted")?;
        let stats = engine.stats();
        engine.close()?;
        self.close(dir, &stats)
    }

    /// Appends scrape by scrape, as a collector does: one batch for all series at one step.
    fn ingest(
        &mut self,
        engine: &Engine,
        workload: &Workload,
        steps: std::ops::Range<usize>,
        title: &str,
        fact: &str,
    ) -> Result<()> {
        let samples = steps.len() * workload.len();
        let batches = steps.len();
        let started = Instant::now();
        for step in steps {
            let mut batch = engine.appender();
            for series in 0..workload.len() {
                batch.append(
                    workload.labels(series),
                    workload.timestamps(series)[step],
                    workload.values(series)[step],
                )?;
            }
            batch.commit()?;
        }
        let took = started.elapsed();
        let head = engine.stats().hot.head;
        self.fact(&format!("{fact}_seconds"), took.as_secs_f64());
        self.say(&format!(
            "{title}: {samples} samples of {} series in {batches} durable batches\n   {}, {:.2} M samples/s; the head holds {} samples in {}\n",
            workload.len(),
            text(took),
            samples as f64 / took.as_secs_f64() / 1e6,
            head.samples,
            human_bytes(head.bytes),
        ))
    }

    /// Asks the demo's question and compares the answer with the first `steps` samples of each series.
    fn query(
        &mut self,
        engine: &Engine,
        workload: &Workload,
        matchers: &[Matcher],
        steps: usize,
        title: &str,
        fact: &str,
    ) -> Result<()> {
        let started = Instant::now();
        let answer = engine.select(matchers, TimeRange::ALL)?.collect::<Result<Vec<_>, _>>()?;
        let took = started.elapsed();
        let expected = expected(workload, matchers, steps);
        let same = |(a, b): (&Series, &Series)| a.labels == b.labels && a.samples.bits_eq(&b.samples);
        if answer.len() != expected.len() || !answer.iter().zip(&expected).all(same) {
            return Err(Failure::Incomplete(format!(
                "{title}: the answer differs from what was ingested; please report this"
            )));
        }
        let samples: usize = answer.iter().map(|s| s.samples.len()).sum();
        self.fact(&format!("{fact}_seconds"), took.as_secs_f64());
        self.fact(&format!("{fact}_samples"), samples);
        self.say(&format!(
            "{title}: {SELECTOR}\n   {} series, {samples} samples in {}; every bit as ingested\n",
            answer.len(),
            text(took),
        ))
    }

    fn flush(&mut self, engine: &Engine) -> Result<()> {
        let started = Instant::now();
        let flushed = engine.flush()?;
        let took = started.elapsed();
        let per_sample = flushed.bytes as f64 / flushed.samples.max(1) as f64;
        self.fact("flush_seconds", took.as_secs_f64());
        self.fact("parquet_bytes", flushed.bytes);
        self.fact("parquet_bytes_per_sample", per_sample);
        self.say(&format!(
            "3. Seal the head into blocks and convert them to Parquet\n   {} samples in {}: {}, {per_sample:.2} bytes a sample (16 in memory as plain numbers)\n   {} block(s) became {} file(s); their WAL segments and blocks are gone\n",
            flushed.samples,
            text(took),
            human_bytes(flushed.bytes),
            flushed.blocks,
            flushed.files,
        ))
    }

    fn close(&mut self, dir: &Path, stats: &EngineStats) -> Result<()> {
        self.fact("head_samples", stats.hot.head.samples);
        self.fact("cold_samples", stats.cold.samples);
        self.say(&format!(
            "In the head: {} samples. In Parquet: {} samples, {}.\n",
            stats.hot.head.samples,
            stats.cold.samples,
            human_bytes(stats.cold.bytes)
        ))?;
        let dir = dir.display();
        self.say(&format!(
            "The cold files are plain Parquet. Any engine reads them:\n   duckdb -c \"SELECT job, count(*), max(timestamp) FROM '{dir}/cold/data/**/*.parquet' GROUP BY job\"\nAnd this binary reads everything:\n   tsdb query '{SELECTOR}' --data-dir {dir}\n   tsdb status --data-dir {dir}"
        ))
    }
}

/// What the store must answer: made from the generator's arrays, without the store.
fn expected(workload: &Workload, matchers: &[Matcher], steps: usize) -> Vec<Series> {
    let matches = |labels: &Labels| Matcher::all_match(matchers, labels);
    let series = |n: usize| {
        let mut samples = SampleBuffer::default();
        for (ms, value) in workload.timestamps(n).iter().zip(workload.values(n)).take(steps) {
            samples.push(*ms, SampleValue::Float(*value));
        }
        Series { labels: workload.labels(n).clone(), samples }
    };
    let mut all: Vec<_> = (0..workload.len()).filter(|n| matches(workload.labels(*n))).map(series).collect();
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all
}

fn text(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}
