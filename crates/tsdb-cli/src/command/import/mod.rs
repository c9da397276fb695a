//! `tsdb import`: samples from files into the store.
//!
//! Every line that is good is stored, in durable batches; every line that is not is named, with file, line,
//! column and reason, and the command then ends with exit code 1. [`lines`] reads files, this module stores.

mod input;
mod lines;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tsdb_core::{Labels, SampleValue};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{Appender, SeriesRef};

use self::lines::{Lines, Samples};
use super::Store;
use crate::args::ImportArgs;
use crate::error::{Failure, Result};
use tsdb_text::exposition::LineError;
use tsdb_text::time;

use crate::clock;

/// Samples of one durable batch.
const BATCH_SAMPLES: u64 = 20_000;
/// Bad lines that are printed one by one; the rest is counted.
const ERRORS_PRINTED: u64 = 10;
/// Series texts that are remembered, so that a repeated one is not parsed again. Then it starts anew.
const SERIES_REMEMBERED: usize = 1 << 20;

pub(crate) fn run(store: &Store, args: &ImportArgs) -> Result<()> {
    let default_timestamp_ms = match &args.timestamp {
        Some(text) => Some(time::parse(text, clock::now_ms()).map_err(Failure::Usage)?),
        None => None,
    };
    // A name that is wrong should say so before half of the others is stored.
    for path in args.files.iter().filter(|path| !is_stdin(path)) {
        input::check(path).map_err(|source| Failure::Input { path: path.clone(), source })?;
    }
    let engine = store.open(true)?;
    let started = Instant::now();
    let mut importer = Importer::new(&engine, progress_bar(&args.files));
    let mut imported = Ok(());
    for path in &args.files {
        imported = importer.file(path, Lines::new(args.format, default_timestamp_ms));
        if imported.is_err() {
            break;
        }
    }
    let committed = importer.commit();
    importer.progress.finish_and_clear();
    let totals = importer.totals;
    engine.close()?;
    imported.and(committed).map_err(|failure| totals.what_became_of_the_rest(failure))?;
    totals.report(store.json, args.files.len(), started.elapsed())
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What has been done so far.
#[derive(Default)]
struct Totals {
    lines: u64,
    bytes: u64,
    samples: u64,
    duplicates: u64,
    exemplars: u64,
    rejected_lines: u64,
}

impl Totals {
    fn report(&self, as_json: bool, files: usize, took: Duration) -> Result<()> {
        let mut out = io::stdout().lock();
        if as_json {
            let summary = json!({
                "files": files, "lines": self.lines, "bytes": self.bytes, "samples": self.samples,
                "duplicates": self.duplicates, "exemplars_dropped": self.exemplars,
                "rejected_lines": self.rejected_lines, "seconds": took.as_secs_f64(),
            });
            writeln!(out, "{summary}")?;
        } else {
            writeln!(
                out,
                "imported {} samples from {} lines in {:.2} s",
                self.samples,
                self.lines,
                took.as_secs_f64()
            )?;
            if self.duplicates > 0 {
                writeln!(out, "{} samples were there already", self.duplicates)?;
            }
            if self.exemplars > 0 {
                writeln!(out, "{} exemplars were dropped: they are not stored", self.exemplars)?;
            }
        }
        match self.rejected_lines {
            0 => Ok(()),
            n => Err(Failure::Incomplete(format!(
                "{n} of {} lines were skipped; the {} samples of the good lines are stored",
                self.lines,
                self.samples + self.duplicates
            ))),
        }
    }

    /// An import that ended early says what is in the store.
    fn what_became_of_the_rest(&self, failure: Failure) -> Failure {
        let stored = self.samples + self.duplicates;
        Failure::Incomplete(format!(
            "{failure}\n{stored} samples are stored; the rest is not. Importing the same files again is safe: samples that are there already are kept once"
        ))
    }
}

/// The way into the store: the open batch, and the series that were seen.
struct Importer<'a> {
    engine: &'a Engine,
    batch: Option<Appender<'a>>,
    in_batch: u64,
    series: HashMap<Box<str>, SeriesRef>,
    totals: Totals,
    progress: ProgressBar,
}

impl<'a> Importer<'a> {
    fn new(engine: &'a Engine, progress: ProgressBar) -> Self {
        Self { engine, batch: None, in_batch: 0, series: HashMap::new(), totals: Totals::default(), progress }
    }

    /// Stores one file, or standard input.
    fn file(&mut self, path: &PathBuf, lines: Lines) -> Result<()> {
        let failed = |source| Failure::Input { path: path.clone(), source };
        if is_stdin(path) {
            if io::stdin().is_terminal() {
                self.progress.suspend(|| eprintln!("reading from the terminal; Ctrl-D ends it"));
            }
            self.lines("<stdin>", &mut io::stdin().lock(), lines).map_err(failed)?
        } else {
            let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed)?);
            self.lines(&path.display().to_string(), &mut file, lines).map_err(failed)?
        }
    }

    /// The outer error is one of reading, the inner one of storing.
    fn lines(&mut self, name: &str, input: &mut dyn BufRead, mut lines: Lines) -> io::Result<Result<()>> {
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let length = input.read_until(b'\n', &mut line)?;
            if length == 0 {
                break;
            }
            number += 1;
            self.totals.lines += 1;
            self.totals.bytes += length as u64;
            match lines.read(&line, number) {
                Ok(samples) => {
                    if let Err(failure) = self.store(samples, &mut lines, name) {
                        return Ok(Err(failure));
                    }
                }
                Err(error) => self.reject(name, &error),
            }
            self.progress.set_position(self.totals.bytes);
        }
        if let Err(error) = lines.finish(number) {
            self.reject(name, &error);
        }
        self.totals.exemplars += lines.exemplars();
        Ok(Ok(()))
    }

    fn store(&mut self, samples: Samples<'_>, lines: &mut Lines, name: &str) -> Result<()> {
        match samples {
            Samples::None => {}
            Samples::One(sample) => {
                let value = SampleValue::Float(sample.value);
                let remembered = self.series.get(sample.series).copied();
                if let Some(series) = remembered.filter(|&series| self.batch().knows(series)) {
                    self.batch().append_ref(series, sample.timestamp_ms, value)?;
                } else {
                    let labels = match lines.labels(&sample) {
                        Ok(labels) => labels,
                        Err(error) => {
                            self.reject(name, &error);
                            return Ok(());
                        }
                    };
                    let series = self.batch().append_value(&labels, sample.timestamp_ms, value)?;
                    self.remember(sample.series, series);
                }
                self.count_sample()?;
            }
            Samples::Series(series) => self.append_series(&series.labels, series.samples.iter())?,
        }
        Ok(())
    }

    fn append_series(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = (i64, SampleValue)>,
    ) -> Result<()> {
        for (timestamp_ms, value) in samples {
            self.batch().append_value(labels, timestamp_ms, value)?;
            self.count_sample()?;
        }
        Ok(())
    }

    fn remember(&mut self, text: &str, series: SeriesRef) {
        if self.series.len() >= SERIES_REMEMBERED {
            self.series.clear();
        }
        self.series.insert(text.into(), series);
    }

    fn batch(&mut self) -> &mut Appender<'a> {
        self.batch.get_or_insert_with(|| self.engine.appender())
    }

    fn count_sample(&mut self) -> Result<()> {
        self.in_batch += 1;
        if self.in_batch >= BATCH_SAMPLES { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<()> {
        self.in_batch = 0;
        if let Some(batch) = self.batch.take() {
            let committed = batch.commit()?;
            self.totals.samples += committed.samples;
            self.totals.duplicates += committed.duplicates;
        }
        Ok(())
    }

    fn reject(&mut self, name: &str, error: &LineError) {
        self.totals.rejected_lines += 1;
        if self.totals.rejected_lines <= ERRORS_PRINTED {
            self.progress.suspend(|| eprintln!("{name}:{error}"));
        } else if self.totals.rejected_lines == ERRORS_PRINTED + 1 {
            self.progress.suspend(|| eprintln!("more lines like these are only counted"));
        }
    }
}

/// A bar over all bytes; over standard input, whose length nobody knows, a counter. Drawn on a terminal only.
fn progress_bar(files: &[PathBuf]) -> ProgressBar {
    let len = |path: &PathBuf| if is_stdin(path) { None } else { path.metadata().ok().map(|m| m.len()) };
    let total: Option<u64> = files.iter().map(len).sum();
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::no_length(), "{spinner} {bytes} {bytes_per_sec}"),
    };
    // The templates are constants; a bar without a style is no reason to fail an import.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
