//! `tsdb delete`: samples that shall not be there any more.

use std::io::{self, Write};

use serde_json::json;

use super::{Store, matchers, range};
use crate::args::DeleteArgs;
use crate::error::{Failure, Result};
use tsdb_text::time;

pub(crate) fn run(store: &Store, args: &DeleteArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let all_time = args.times.start.is_none() && args.times.end.is_none();
    if matchers.is_empty() && all_time && !args.everything {
        let hint = "this deletes all there is: narrow it by a selector or by times, or add --everything";
        return Err(Failure::Usage(hint.to_owned()));
    }
    let engine = store.open(false)?;
    engine.delete(&matchers, range)?;
    let waiting = engine.stats().cold.tombstones;
    engine.close()?;
    let mut out = io::stdout().lock();
    if store.json {
        let summary = json!({ "selector": args.selector, "start": range.start_ms, "end": range.end_ms, "tombstones": waiting });
        writeln!(out, "{summary}")?;
        return Ok(());
    }
    let when = if all_time {
        String::new()
    } else {
        format!(" from {} to {}", time::format(range.start_ms), time::format(range.end_ms))
    };
    writeln!(out, "deleted {}{when}", args.selector)?;
    if waiting > 0 {
        writeln!(out, "other tools that read the Parquet files see the samples until `tsdb compact`")?;
    }
    Ok(())
}
