//! DuckDB and Polars beside us, on the files of the store.

use std::path::Path;

use super::Result;
use crate::child::Numbers;
use crate::look_ups::{PEERS, Question};
use crate::report::{Figure, Options, Report};

const PLACE: &str = "in process of the peer, wall time, as many threads as it likes, page cache warm";
const FIRST: &str =
    "the peer's first query of one series in its process, its start and import not counted, page cache warm";

/// Has the peers answer from the cold files of the store in `dir`. `ours` are pairs: the name of a peer's number without its
/// unit, and that of ours for the same.
pub(super) fn run(
    options: &Options,
    report: &mut Report,
    case: &str,
    dir: &Path,
    question: &Question<'_>,
    (ours, numbers): (&[(&str, &str)], &Numbers),
) -> Result<()> {
    if options.smoke {
        return Ok(());
    }
    let answers = question.ask(&dir.join("cold/data/**/*.parquet"));
    for (peer, key) in PEERS {
        for (name, our_name) in ours {
            let theirs = answers[key][format!("{name}_ms")].as_f64();
            if let (Some(theirs), Some(&ours)) = (theirs, numbers.get(*our_name)) {
                let figure = &format!("{name} by {peer}");
                let place = if *name == "first" { FIRST } else { PLACE };
                let baseline = Some(("ours", ours));
                report.add(&Figure { case, figure, unit: "ms", value: theirs, baseline, place })?;
            }
        }
    }
    Ok(())
}
