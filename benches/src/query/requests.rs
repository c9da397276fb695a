//! A million series, each with a `request_id` of its own, all in Parquet: the roadmap's first scenario.

use std::path::Path;

use tsdb_core::{Matcher, TimeRange};

use super::store::{self, ask, regex};
use super::{Line, MIB, Result, add, peers, repeat, wall_ms, whole_process};
use crate::child::{Numbers, call, medians};
use crate::look_ups::Question;
use crate::process::resident;
use crate::report::{Options, Report};
use crate::requests::{SAMPLES, labels};

/// The role of the child.
pub(super) const ROLE: &str = "requests";
const CASE: &str = "1M request ids";
/// Different ids that are asked for before memory is looked at.
const RANDOM: usize = 1000;
/// Ids by their first digits: some 250 of a million.
const PREFIX: &str = "abc.*";

const FIRST: &str = "fresh child process, 1 thread, wall time, page cache warm, nothing else cached; Engine::open came before";
const OPEN: &str = "fresh child process, 1 thread, wall time of Engine::open, page cache warm";
const NEXT: &str = "the same process, 1 thread, wall time, each id for the first time, index blocks of the ids before cached";
const AGAIN: &str = "the same process, 1 thread, wall time, all blocks of the index that are needed cached";
const MEMORY: &str = "all that the kernel counts as resident of the child process, its program included";

const LINES: &[Line] = &[
    ("open", "ms", "open_ms", None, OPEN),
    ("first id", "ms", "first_ms", Some(10.0), FIRST),
    ("next ids, p50", "ms", "next_ms", Some(0.5), NEXT),
    ("one id again", "ms", "again_ms", Some(0.3), AGAIN),
    ("prefix, first time", "ms", "prefix_first_ms", None, NEXT),
    ("prefix again", "ms", "prefix_ms", Some(5.0), AGAIN),
    ("prefix, series", "", "prefix_series", None, AGAIN),
    ("values of a label with 300", "ms", "values_ms", Some(0.1), AGAIN),
    ("resident after 100 ids", "MiB", "resident_100", None, MEMORY),
    ("resident after 1000 ids", "MiB", "resident_1000", Some(120.0), MEMORY),
];

pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let count = options.pick(1_000_000, 2_000);
    let dir = tempfile::tempdir()?;
    store::requests(dir.path(), count)?;
    let rounds = (0..options.rounds()).map(|_| call(ROLE, dir.path(), count)).collect::<Result<Vec<_>>>()?;
    let numbers = medians(&rounds);
    add(report, CASE, LINES, &numbers)?;
    whole_process::run(options, report, CASE, dir.path(), &|n| id(n, count))?;
    let one: Vec<_> = (0..21).map(|n| vec![Matcher::equal("request_id", &id(n, count))]).collect();
    let pattern = [regex("request_id", PREFIX)];
    let question =
        Question { one: one.iter().map(Vec::as_slice).collect(), pattern: &pattern, values: Some("pod") };
    let ours = [("first", "first_ms"), ("one", "next_ms"), ("pattern", "prefix_ms"), ("values", "values_ms")];
    peers::run(options, report, CASE, dir.path(), &question, (&ours, &numbers))
}

/// The `n`-th of the ids that are asked for, all over the series.
fn id(n: usize, count: u64) -> String {
    let labels = labels((n as u64 + 1) * 611_953 % count);
    labels.get("request_id").expect("invariant: every series has one").to_owned()
}

/// The child: opens the store and asks.
pub(super) fn child(dir: &Path, count: u64) -> Result<Numbers> {
    let mut numbers = Numbers::new();
    let (open_ms, engine) = wall_ms(|| store::open(dir))?;
    numbers.insert("open_ms".into(), open_ms);
    let one = |n: usize| -> Result<()> {
        let found = ask(&engine, &[Matcher::equal("request_id", &id(n, count))])?;
        assert_eq!(found, (1, SAMPLES as usize), "invariant: every id is that of one series");
        Ok(())
    };
    let memory = |numbers: &mut Numbers, name: &str| {
        if let Some(resident) = resident() {
            numbers.insert(name.to_owned(), resident.now as f64 / MIB);
        }
    };
    numbers.insert("first_ms".into(), wall_ms(|| one(0))?.0);
    (1..100).try_for_each(one)?;
    memory(&mut numbers, "resident_100");
    repeat(&mut numbers, "next", RANDOM - 100, |n| one(n + 100))?;
    memory(&mut numbers, "resident_1000");
    repeat(&mut numbers, "again", 101, |_| one(0))?;

    let prefix = [regex("request_id", PREFIX)];
    let (first_ms, (series, _)) = wall_ms(|| ask(&engine, &prefix))?;
    numbers.insert("prefix_first_ms".into(), first_ms);
    numbers.insert("prefix_series".into(), series as f64);
    repeat(&mut numbers, "prefix", 21, |_| ask(&engine, &prefix).map(drop))?;
    let values = || -> Result<usize> { Ok(engine.label_values("pod", &[], TimeRange::ALL)?.len()) };
    assert_eq!(values()? as u64, count.min(300), "invariant: there are 300 pods");
    repeat(&mut numbers, "values", 101, |_| values().map(drop))?;
    Ok(numbers)
}
