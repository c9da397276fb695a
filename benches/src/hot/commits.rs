//! Committers at once: how many fsyncs they share, and what a seal beside them costs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tsdb_hot::{HotOptions, HotStore, SeriesRef, WalSync};
use tsdb_workload::{Mixed, SERIES_PER_TARGET};

use super::append::open;
use super::counting::Syncs;
use super::many::fill_with;
use super::{Error, Result};
use crate::report::{Figure, Options, Report, median};

/// Committers at once.
const COMMITTERS: usize = 8;
/// The bars: fsyncs for a commit, and how much slower the slowest commit of a thousand may be beside a seal.
const SYNCS_PER_COMMIT: f64 = 0.25;
const BESIDE_SEAL: f64 = 3.0;
/// What the writer beside a seal keeps between the starts of two commits, if it can.
const PACE: Duration = Duration::from_millis(1);
/// The time between the samples of a series.
const STEP_MS: i64 = 1000;

const GROUP: &str = "in process, 8 threads that commit 100 samples one time after the other, WalSync::Always, wall time, \
                     real files with the system's fsync";
const BESIDE: &str = "in process, 1 writer that commits 100 samples each millisecond, a seal of series with a unique label \
                      in another thread or none, wall time, real files with the system's fsync";

/// One scrape target that commits its 100 series again and again.
struct Committer {
    references: Vec<SeriesRef>,
    commits: i64,
}

impl Committer {
    /// Commits the first samples, by labels.
    fn begin(store: &HotStore, target: usize) -> Result<Self> {
        let target = Mixed::new((target + 1) * SERIES_PER_TARGET, 1).target(target);
        let mut batch = store.appender();
        let append = |row| batch.append_float(target.labels(row), Self::timestamp_ms(0), 0.0);
        let references = (0..target.len()).map(append).collect::<tsdb_hot::Result<_>>()?;
        batch.commit()?;
        Ok(Self { references, commits: 1 })
    }

    fn timestamp_ms(commit: i64) -> i64 {
        Mixed::default().start_ms + commit * STEP_MS
    }

    /// Commits the next samples; gives the seconds that took.
    fn commit(&mut self, store: &HotStore) -> Result<f64> {
        let started = Instant::now();
        let mut batch = store.appender();
        for (i, reference) in (0..).zip(&self.references) {
            batch.append_ref_float(
                *reference,
                Self::timestamp_ms(self.commits),
                (self.commits * i) as f64,
            )?;
        }
        batch.commit()?;
        self.commits += 1;
        Ok(started.elapsed().as_secs_f64())
    }
}

/// Measures both.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    run_group(options, report)?;
    run_beside(options, report, "always", WalSync::Always)?;
    run_beside(options, report, "interval 1 s", WalSync::Interval(Duration::from_secs(1)))
}

/// What a number of committers did.
struct Group {
    syncs_per_commit: f64,
    commits_per_s: f64,
    latencies_s: Vec<f64>,
}

fn run_group(options: &Options, report: &mut Report) -> Result<()> {
    let each = options.pick(400, 3);
    let rounds = options.rounds().min(3);
    let alone = (0..rounds).map(|_| group(1, each)).collect::<Result<Vec<_>>>()?;
    let together = (0..rounds).map(|_| group(COMMITTERS, each)).collect::<Result<Vec<_>>>()?;
    let middle = |groups: &[Group], of: fn(&Group) -> f64| median(groups.iter().map(of).collect());
    let mut add = |figure, unit, value, baseline| {
        report.add(&Figure { case: "commit/8 at once", figure, unit, value, baseline, place: GROUP })
    };
    let syncs = middle(&together, |group| group.syncs_per_commit);
    add("fsyncs", "per commit", syncs, Some(("the bar", SYNCS_PER_COMMIT)))?;
    let rate = |groups| middle(groups, |group| group.commits_per_s);
    add("throughput", "commits/s", rate(&together), Some(("1 committer", rate(&alone))))?;
    let all = |groups: Vec<Group>| Latencies::new(groups.into_iter().flat_map(|g| g.latencies_s).collect());
    let (alone, together) = (all(alone), all(together));
    for (figure, of) in [("p50", 0.5), ("p99", 0.99)] {
        add(figure, "ms", together.at(of), Some(("1 committer", alone.at(of))))?;
    }
    Ok(())
}

fn group(committers: usize, each: usize) -> Result<Group> {
    let dir = tempfile::tempdir()?;
    let syncs = Syncs::default();
    let (store, _) = HotStore::open(syncs.counted_fs(), dir.path(), HotOptions::default(), &|_| false, 0)?;
    let mut all =
        (0..committers).map(|target| Committer::begin(&store, target)).collect::<Result<Vec<_>>>()?;
    let (before, started) = (syncs.count(), Instant::now());
    let latencies = thread::scope(|scope| {
        let threads: Vec<_> = all
            .iter_mut()
            .map(|committer| {
                let store = &store;
                scope.spawn(move || {
                    let latencies = (0..each).map(|_| committer.commit(store));
                    latencies.collect::<Result<Vec<_>>>().map_err(|error| error.to_string())
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("invariant: no thread panics"));
        joined.collect::<std::result::Result<Vec<_>, String>>()
    })?;
    let commits = (committers * each) as f64;
    let commits_per_s = commits / started.elapsed().as_secs_f64();
    let syncs_per_commit = (syncs.count() - before) as f64 / commits;
    store.close()?;
    Ok(Group { syncs_per_commit, commits_per_s, latencies_s: latencies.concat() })
}

fn run_beside(options: &Options, report: &mut Report, name: &str, sync: WalSync) -> Result<()> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds().min(3) {
        let dir = tempfile::tempdir()?;
        beside(dir.path(), sync, options, &mut without, &mut with)?;
    }
    let (without, with) = (Latencies::new(without), Latencies::new(with));
    let case = format!("commit beside a seal/{name}");
    let mut add = |figure: &str, value, baseline| {
        report.add(&Figure { case: &case, figure, unit: "ms", value, baseline, place: BESIDE })
    };
    for (figure, of) in [("p50", 0.5), ("p99", 0.99)] {
        add(figure, with.at(of), Some(("without", without.at(of))))?;
    }
    add("p99.9", with.at(0.999), Some(("the bar, 3 x without", BESIDE_SEAL * without.at(0.999))))?;
    Ok(add("slowest", with.at(1.0), Some(("without", without.at(1.0))))?)
}

/// Adds the latencies of commits without and with a seal beside them.
fn beside(
    dir: &Path,
    sync: WalSync,
    options: &Options,
    without: &mut Vec<f64>,
    with: &mut Vec<f64>,
) -> Result<()> {
    let store = open(dir, sync)?;
    fill_with(&store, options.pick(300_000, 500), |_| {})?;
    // What filling left for the disk to do is no part of either.
    store.sync()?;
    let mut committer = Committer::begin(&store, 0)?;
    let started = Instant::now();
    let length = options.pick(Duration::from_secs(3), Duration::from_millis(20));
    commit_while(|| started.elapsed() < length, &mut committer, &store, without)?;
    let sealing = AtomicBool::new(true);
    thread::scope(|scope| {
        let seal = scope.spawn(|| {
            let sealed = store.seal();
            sealing.store(false, Ordering::Release);
            sealed
        });
        commit_while(|| sealing.load(Ordering::Acquire), &mut committer, &store, with)?;
        seal.join().expect("invariant: a seal does not panic")?;
        Ok::<(), Error>(())
    })?;
    Ok(store.close()?)
}

fn commit_while(
    goes_on: impl Fn() -> bool,
    committer: &mut Committer,
    store: &HotStore,
    latencies_s: &mut Vec<f64>,
) -> Result<()> {
    // At least once, so that there is something to tell of.
    loop {
        let started = Instant::now();
        latencies_s.push(committer.commit(store)?);
        if !goes_on() {
            return Ok(());
        }
        thread::sleep(PACE.saturating_sub(started.elapsed()));
    }
}

/// Latencies, sorted.
struct Latencies(Vec<f64>);

impl Latencies {
    fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self(seconds)
    }

    /// Milliseconds that this part of all did not exceed.
    fn at(&self, part: f64) -> f64 {
        let place = (self.0.len() as f64 * part).ceil() as usize;
        1e3 * self.0[place.saturating_sub(1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_was() {
        let latencies = Latencies::new((1..=1000).rev().map(|i| f64::from(i) / 1e3).collect());
        for (part, want) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            assert_eq!(latencies.at(part).round(), want);
        }
        assert_eq!(Latencies::new(vec![2.0]).at(0.999), 2000.0);
    }
}
