//! A real process under everything at once: ingest, queries of every kind, maintenance, deletes, retention, with a cache
//! smaller than the data; its memory is measured from outside, and at the end every acknowledged sample is compared with
//! what was sent.
//!
//! The process is this program again, running [`live`]. Days go by fast in it, so that data moves through all tiers and
//! expires. It says on standard output what is committed, this side keeps the books ([`books`]).
//!
//! As a test it runs for some seconds. `TSDB_SOAK_SECONDS` makes it longer, and then memory has to be flat:
//! `cargo xtask soak`.

mod books;
mod live;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use books::Books;

/// Tells the process where its data directory is.
const DIR: &str = "TSDB_TEST_SOAK_DIR";
/// Tells how long to run.
const SECONDS: &str = "TSDB_SOAK_SECONDS";
const SECONDS_OF_TEST: u64 = 10;
/// From here on memory must be flat: shorter runs say nothing about it.
const SECONDS_OF_JUDGEMENT: u64 = 120;
/// The most that the last third of a run may take beyond the middle one, per cent and in bytes.
const GROWTH_PERCENT: u64 = 10;
const GROWTH_BYTES: u64 = 8 << 20;
/// What ends a test that would hang.
const PATIENCE: Duration = Duration::from_secs(240);

fn seconds() -> u64 {
    std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS_OF_TEST)
}

/// What the process tells about its work so far; each figure only grows but for the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    queries: u64,
    scans: u64,
    look_ups: u64,
    dropped: u64,
    limited: u64,
    blocks_sealed: u64,
    files_converted: u64,
    files_compacted: u64,
    files_expired: u64,
    deletes: u64,
    cold_files: u64,
    cold_samples: u64,
}

impl Work {
    fn to_line(self) -> String {
        let figures = self.figures().map(|(_, figure)| figure.to_string());
        format!("W {}", figures.join(" "))
    }

    fn of_line(figures: &[u64]) -> Self {
        let mut figures = figures.iter().copied();
        let mut next = || figures.next().unwrap();
        Self {
            queries: next(),
            scans: next(),
            look_ups: next(),
            dropped: next(),
            limited: next(),
            blocks_sealed: next(),
            files_converted: next(),
            files_compacted: next(),
            files_expired: next(),
            deletes: next(),
            cold_files: next(),
            cold_samples: next(),
        }
    }

    fn figures(self) -> [(&'static str, u64); 12] {
        [
            ("queries", self.queries),
            ("scans", self.scans),
            ("look-ups", self.look_ups),
            ("queries dropped half-way", self.dropped),
            ("queries stopped by a limit", self.limited),
            ("blocks sealed", self.blocks_sealed),
            ("files converted", self.files_converted),
            ("files compacted", self.files_compacted),
            ("files expired", self.files_expired),
            ("deletes", self.deletes),
            ("cold files now", self.cold_files),
            ("cold samples now", self.cold_samples),
        ]
    }

    /// Whether everything that a soak is for has happened.
    fn is_of_every_kind(self) -> bool {
        self.figures().iter().all(|(_, figure)| *figure > 0)
    }
}

/// What came from the process.
#[derive(Debug, Default)]
struct Told {
    books: Books,
    work: Work,
}

fn start(dir: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "soak::live::live_until_told_to_stop", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .env(SECONDS, seconds().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Enters every line of the process.
fn listen(stdout: ChildStdout, told: &Mutex<Told>) {
    for line in BufReader::new(stdout).lines() {
        let line = line.unwrap();
        // The harness prints lines of its own.
        let Some((kind, figures)) = line.split_once(' ') else { continue };
        let Ok(figures) = figures.split(' ').map(str::parse).collect::<Result<Vec<i64>, _>>() else {
            continue;
        };
        let mut told = told.lock().unwrap();
        match kind {
            "W" => told.work = Work::of_line(&figures.iter().map(|f| f.cast_unsigned()).collect::<Vec<_>>()),
            kind => told.books.enter(kind, &figures),
        }
    }
}

/// Resident memory of a process, where the system tells.
fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Measures until the time is over and everything has happened.
fn watch(child: &Child, told: &Mutex<Told>) -> Vec<(Duration, u64)> {
    let (started, length) = (Instant::now(), Duration::from_secs(seconds()));
    let mut measured = Vec::new();
    loop {
        let passed = started.elapsed();
        measured.extend(resident_bytes(child.id()).map(|bytes| (passed, bytes)));
        let work = told.lock().unwrap().work;
        if passed >= length && work.is_of_every_kind() {
            return measured;
        }
        if passed >= length + PATIENCE {
            return measured;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn everything_at_once_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start(dir.path());
    let told = Mutex::new(Told::default());
    let stdout = child.stdout.take().unwrap();
    let mut measured = Vec::new();
    thread::scope(|scope| {
        let listening = scope.spawn(|| listen(stdout, &told));
        measured = watch(&child, &told);
        // The end of its input tells it to stop.
        drop(child.stdin.take());
        listening.join().unwrap();
    });
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the process failed: {stderr}");
    let Told { books, work } = told.into_inner().unwrap();
    let checked = books.check(dir.path());

    let peaks = thirds(&measured);
    println!("{:<28}{}", "seconds", seconds());
    println!("{:<28}{}", "samples acknowledged", books.samples());
    println!("{:<28}{checked}", "samples compared at the end");
    for (what, figure) in work.figures() {
        println!("{what:<28}{figure}");
    }
    for (third, peak) in ["first", "middle", "last"].iter().zip(peaks) {
        println!("{:<28}{:.1} MiB", format!("memory, {third} third"), peak as f64 / f64::from(1 << 20));
    }
    assert!(work.is_of_every_kind(), "something has not happened: {work:?}");
    assert!(checked > 0);
    let [_, middle, last] = peaks;
    let allowed = middle + middle / 100 * GROWTH_PERCENT + GROWTH_BYTES;
    assert!(seconds() < SECONDS_OF_JUDGEMENT || last <= allowed, "memory grows: {peaks:?}");
}

/// The highest measurement of each third of the time.
fn thirds(measured: &[(Duration, u64)]) -> [u64; 3] {
    let mut peaks = [0; 3];
    let end = measured.last().map_or(Duration::ZERO, |(at, _)| *at);
    for (at, bytes) in measured {
        let third = (0..2).find(|third| *at * 3 < end * (third + 1)).unwrap_or(2);
        peaks[third as usize] = peaks[third as usize].max(*bytes);
    }
    peaks
}
