//! `kill -9` of a real process on real files, again and again in one data directory: what it said was stored is there, whole,
//! and nothing that it did not try.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tsdb_core::{Labels, TimeRange, parse_selector};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineOptions, HotOptions};

const WRITERS: usize = 3;
const ROUNDS: u64 = 12;
const SAMPLES_PER_BATCH: i64 = 5;
/// Tells the writing process where its data directory is.
const DIR: &str = "TSDB_TEST_KILL_DIR";
/// The first batch of each of its writers.
const FIRST: &str = "TSDB_TEST_KILL_FIRST";

fn open(dir: &Path) -> Engine {
    // Small enough that segments, seals and conversions all happen while it runs.
    let hot = HotOptions { wal_segment_bytes: 20_000, head_bytes_max: 200_000, ..HotOptions::default() };
    let mut options = EngineOptions::default();
    options.hot = hot;
    Engine::open_with(tsdb_engine::Engine::builder(dir).options(options)).unwrap()
}

fn series(writer: usize) -> Labels {
    Labels::from_pairs([("__name__", "killed"), ("writer", &writer.to_string())]).unwrap()
}

fn timestamp_ms(batch: u64, sample: i64) -> i64 {
    1_700_000_000_000 + (batch as i64 * SAMPLES_PER_BATCH + sample) * 1_000
}

/// The process that is killed. Each writer says `writer batch` on standard output when the batch is committed.
#[test]
#[ignore = "the other test of this module runs it as a process of its own"]
fn write_until_killed() {
    let (Some(dir), Ok(first)) = (std::env::var_os(DIR), std::env::var(FIRST)) else {
        panic!("{DIR} and {FIRST} are not set: this is no test by itself");
    };
    // Should it ever stand still, the test fails and does not wait for ever.
    thread::spawn(|| {
        thread::sleep(Duration::from_secs(60));
        std::process::exit(3);
    });
    let engine = open(Path::new(&dir));
    let committed = AtomicU64::new(0);
    thread::scope(|scope| {
        for (writer, first) in first.split(',').enumerate() {
            let (engine, committed) = (&engine, &committed);
            scope.spawn(move || {
                for batch in first.parse::<u64>().unwrap().. {
                    let mut appender = engine.appender();
                    for sample in 0..SAMPLES_PER_BATCH {
                        appender.append(&series(writer), timestamp_ms(batch, sample), batch as f64).unwrap();
                    }
                    appender.commit().unwrap();
                    // One write, so that a line is there as a whole or not.
                    std::io::stdout().write_all(format!("{writer} {batch}\n").as_bytes()).unwrap();
                    committed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            loop {
                engine.seal().unwrap();
                if committed.load(Ordering::Relaxed).is_multiple_of(2) {
                    engine.flush().unwrap();
                }
            }
        });
    });
}

fn start(dir: &Path, first: &[u64]) -> Child {
    let first: Vec<String> = first.iter().map(u64::to_string).collect();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::write_until_killed", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.join(","))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the process acknowledged until it was killed, after so many lines: the last batch of each writer.
fn run_and_kill(mut child: Child, lines: u64) -> Vec<Option<u64>> {
    let mut acknowledged = vec![None; WRITERS];
    let mut seen = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The harness prints lines of its own.
        let line = line.unwrap();
        let numbers =
            line.split_once(' ').and_then(|(w, b)| Some((w.parse::<usize>().ok()?, b.parse().ok()?)));
        if let Some((writer, batch)) = numbers {
            acknowledged[writer] = Some(batch);
            seen += 1;
            if seen == lines {
                // What is in the pipe by then was acknowledged, too: the loop goes on to its end.
                thread::sleep(Duration::from_millis(lines % 7));
                child.kill().unwrap();
            }
        }
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(seen >= lines, "the process ended by itself: {stderr}");
    acknowledged
}

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = vec![0; WRITERS];
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(start(dir.path(), &first), 3 + round * 37 % 101);
        let engine = open(dir.path());
        for writer in 0..WRITERS {
            let selector = parse_selector(&format!(r#"killed{{writer="{writer}"}}"#)).unwrap();
            let found: Vec<_> =
                engine.select(&selector, TimeRange::ALL).unwrap().map(Result::unwrap).collect();
            let samples = found.first().map(|series| series.samples.clone()).unwrap_or_default();
            let batches = samples.len() as u64 / SAMPLES_PER_BATCH as u64;
            let want: Vec<(i64, f64)> = (0..batches)
                .flat_map(|batch| (0..SAMPLES_PER_BATCH).map(move |i| (timestamp_ms(batch, i), batch as f64)))
                .collect();
            let got: Vec<(i64, f64)> =
                samples.timestamps_ms.iter().copied().zip(samples.values.iter().copied()).collect();
            assert_eq!(got, want, "round {round}, writer {writer}: whole batches without a gap");
            // A writer waits for each batch: at most one was under way.
            let acknowledged = acknowledged[writer].map_or(first[writer], |last| last + 1);
            assert!(
                (acknowledged..=acknowledged + 1).contains(&batches),
                "round {round}, writer {writer}: {acknowledged} acknowledged, {batches} found"
            );
            first[writer] = batches;
        }
    }
    assert!(first.iter().sum::<u64>() > ROUNDS * 3);
}
