//! Timing and reporting: medians of CPU time, a table for people and one JSON object a line for programs.
//!
//! CPU time, not wall time, so that what else the machine does disturbs less: of the measuring thread, or of the
//! whole process where the measured work has threads of its own or runs in the kernel. A case that waits for a disk
//! or for other threads brings its own clock.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cpu_time::{ProcessTime, ThreadTime};
use serde_json::json;

/// What the command line asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Append one JSON object a line here.
    pub json: Option<PathBuf>,
    /// Run everything once on little data.
    pub smoke: bool,
    /// Programs to compare with, by name.
    pub peers: BTreeMap<String, PathBuf>,
}

impl Options {
    /// Reads the arguments of a benchmark program: `[--json FILE] [--smoke] [--peer NAME=PROGRAM]...`.
    ///
    /// # Errors
    /// An argument that is none of these.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--smoke" => options.smoke = true,
                "--json" => options.json = Some(args.next().ok_or("--json needs a file")?.into()),
                "--peer" => {
                    let peer = args.next().unwrap_or_default();
                    let (name, program) = peer.split_once('=').ok_or("--peer needs NAME=PROGRAM")?;
                    options.peers.insert(name.to_owned(), program.into());
                }
                _ => {
                    let usage = "[--json FILE] [--smoke] [--peer NAME=PROGRAM]...";
                    return Err(format!("unknown argument {arg}; usage: {usage}"));
                }
            }
        }
        Ok(options)
    }

    /// The program to compare with under this name. A benchmark goes without those that it is not given, and
    /// overlooks those that it has no use for.
    #[must_use]
    pub fn peer(&self, name: &str) -> Option<&Path> {
        self.peers.get(name).map(PathBuf::as_path)
    }

    /// `full`, or `smoke` in a smoke run.
    #[must_use]
    pub fn pick<T>(&self, full: T, smoke: T) -> T {
        if self.smoke { smoke } else { full }
    }

    /// How often a case is measured: an odd number, so that there is a median.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.pick(9, 1)
    }
}

/// One measured number.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// What was measured, `chunk/float/append`.
    pub case: &'a str,
    /// Which of its numbers this is, `throughput`.
    pub figure: &'a str,
    /// Its unit, `samples/s`.
    pub unit: &'a str,
    /// The number.
    pub value: f64,
    /// What it is compared with, and that number, in the same unit.
    pub baseline: Option<(&'a str, f64)>,
    /// Process boundary, cache state and threads.
    pub place: &'a str,
}

/// Collects a program's figures.
#[derive(Debug)]
pub struct Report {
    bench: &'static str,
    json: Option<File>,
}

impl Report {
    /// A report of the program `bench`; its JSON lines are appended to `json`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn new(bench: &'static str, json: Option<&Path>) -> io::Result<Self> {
        let json = json.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        println!("{:<44} {:>12} {:<12} {:>9}  compared with", "case and figure", "value", "unit", "ratio");
        Ok(Self { bench, json })
    }

    /// Prints a figure and appends it to the JSON file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, figure: &Figure<'_>) -> io::Result<()> {
        let Figure { case, figure, unit, value, baseline, place } = *figure;
        let ratio = baseline.map(|(_, number)| value / number);
        let name = format!("{case} {figure}");
        let compared =
            baseline.map_or_else(String::new, |(with, number)| format!("{with}: {}", short(number)));
        let shown = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        println!("{name:<44} {:>12} {unit:<12} {shown:>9}  {compared}", short(value));
        if let Some(file) = &mut self.json {
            let (compared_with, number) = baseline.unzip();
            let line = json!({
                "bench": self.bench, "case": case, "figure": figure, "unit": unit, "value": value,
                "baseline": number, "baseline_name": compared_with, "ratio": ratio, "where": place,
            });
            writeln!(file, "{line}")?;
        }
        Ok(())
    }
}

/// A number with as many digits as say something.
fn short(number: f64) -> String {
    match number.abs() {
        1e9.. => format!("{:.2}G", number / 1e9),
        1e6.. => format!("{:.1}M", number / 1e6),
        1e4.. => format!("{:.1}k", number / 1e3),
        100.0.. => format!("{number:.0}"),
        1.0.. => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

/// CPU seconds that `work` takes.
pub fn cpu_seconds(work: impl FnOnce()) -> f64 {
    let started = ThreadTime::now();
    work();
    started.elapsed().as_secs_f64()
}

/// CPU seconds of all threads of this process, in the kernel too, while `work` runs; and what it returns.
pub fn process_cpu_seconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let started = ProcessTime::now();
    let done = work();
    (started.elapsed().as_secs_f64(), done)
}

/// The median CPU seconds of each work. Every round runs all of them, so that they share the machine's moods.
pub fn median_cpu_seconds<const N: usize>(rounds: usize, mut works: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds.max(1) {
        for (work, times) in works.iter_mut().zip(&mut times) {
            times.push(cpu_seconds(&mut *work));
        }
    }
    times.map(median)
}

/// The number in the middle.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_refused() {
        let parse = |args: &[&str]| Options::from_args(args.iter().map(ToString::to_string));
        let options = parse(&["--smoke", "--json", "f"]).unwrap();
        assert!(options.smoke && options.json == Some("f".into()) && options.rounds() == 1);
        assert_eq!(parse(&["--peer", "a=b/c"]).unwrap().peer("a"), Some(Path::new("b/c")));
        for wrong in ["--json", "--fast", "--peer"] {
            assert!(parse(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![2.0]), 2.0);
    }

    #[test]
    fn json_lines_carry_the_ratio() {
        let path = std::env::temp_dir().join(format!("tsdb-bench-report-{}.jsonl", std::process::id()));
        let mut report = Report::new("test", Some(&path)).unwrap();
        let figure = Figure {
            case: "a",
            figure: "size",
            unit: "B",
            value: 3.0,
            baseline: Some(("b", 2.0)),
            place: "here",
        };
        report.add(&figure).unwrap();
        report.add(&Figure { baseline: None, ..figure }).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines[0]["ratio"].as_f64(), lines[0]["where"].as_str()), (Some(1.5), Some("here")));
        assert!(lines[1]["ratio"].is_null() && lines[1]["baseline"].is_null());
    }
}
