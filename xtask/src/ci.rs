//! The order of the steps, and the summary at the end.
//!
//! Cheap checks come first, so that a slip shows within seconds. After them the order shares builds: clippy and
//! rustdoc use the same checked dependencies; the debug tests, doctests and consumers the same debug builds; the
//! demo, the Python tests, the documentation's commands and the benchmarks the same release builds.

use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::run::{Failure, Result};
use crate::workspace::Workspace;
use crate::{bench, consumer, demo, docs, layers, licences, lint, package, prometheus, python, test, tidy};

/// One part of the pipeline. The variants are declared in the order in which `ci` runs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Step {
    Fmt,
    Tidy,
    Layers,
    Licences,
    Clippy,
    Doc,
    Test,
    Doctest,
    Consumer,
    Package,
    Demo,
    Interop,
    Prometheus,
    E2e,
    Docs,
    BenchSmoke,
}

impl Step {
    /// Runs this step alone.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        match self {
            Self::Fmt => lint::format(workspace),
            Self::Tidy => tidy::run(workspace),
            Self::Layers => layers::run(workspace),
            Self::Licences => licences::run(workspace, false),
            Self::Clippy => lint::clippy(workspace),
            Self::Doc => lint::rustdoc(workspace),
            Self::Test => test::alone_and_together(workspace),
            Self::Doctest => test::doctests(workspace),
            Self::Consumer => consumer::run(workspace, &[]),
            Self::Package => package::run(workspace),
            Self::Demo => demo::run(workspace),
            Self::Interop => python::interop(workspace, &[]),
            Self::Prometheus => prometheus::run(workspace),
            Self::E2e => python::e2e(workspace, false, &[]),
            Self::Docs => docs::run(workspace, &[]),
            Self::BenchSmoke => bench::smoke(workspace),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Runs every step from `from` on and stops at the first that fails.
pub(crate) fn run(workspace: &Workspace, from: Option<Step>) -> Result<()> {
    let steps = Step::value_variants().iter().copied().filter(|step| from.is_none_or(|first| *step >= first));
    let started = Instant::now();
    let mut timings = Vec::new();
    for step in steps {
        eprintln!("\n===== {} =====", step.name());
        let begun = Instant::now();
        let outcome = step.run(workspace);
        timings.push((step, begun.elapsed()));
        if let Err(failure) = outcome {
            print_summary(&timings, started.elapsed());
            return Err(Failure::new(format!("step `{}`: {failure}", step.name())));
        }
    }
    print_summary(&timings, started.elapsed());
    eprintln!("xtask: all {} steps passed", timings.len());
    Ok(())
}

fn print_summary(timings: &[(Step, Duration)], total: Duration) {
    eprintln!("\n===== timings =====");
    for (step, took) in timings {
        eprintln!("{:>12}  {}", step.name(), in_minutes(*took));
    }
    eprintln!("{:>12}  {}", "total", in_minutes(total));
}

fn in_minutes(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let minutes = (seconds / 60.0).floor();
    format!("{minutes:>3.0} min {:>4.1} s", seconds - minutes * 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_minutes_and_seconds() {
        assert_eq!(in_minutes(Duration::from_millis(61_500)), "  1 min  1.5 s");
        assert_eq!(in_minutes(Duration::from_millis(400)), "  0 min  0.4 s");
    }

    #[test]
    fn step_names_are_those_of_the_subcommands() {
        assert_eq!(Step::BenchSmoke.name(), "bench-smoke");
    }
}
