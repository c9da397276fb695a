//! `tsdb catalog`: the list of live Parquet files.

use std::io::{self, Write};

use serde_json::json;
use tsdb_engine::blocking;

use super::Store;
use crate::error::{Failure, Result};
use crate::output::while_shown;

/// `tsdb catalog rebuild`: made anew from the files.
pub(crate) fn rebuild(store: &Store) -> Result<()> {
    let rebuilt = while_shown("reading files", || blocking::rebuild_catalog(store.builder()))?;
    let damaged: Vec<String> = rebuilt.damaged.iter().map(ToString::to_string).collect();
    let replaced: Vec<String> = rebuilt.replaced.iter().map(ToString::to_string).collect();
    let mut out = io::stdout().lock();
    if store.json {
        let summary = json!({
            "files": rebuilt.files, "samples": rebuilt.samples, "replaced": replaced, "damaged": damaged,
        });
        writeln!(out, "{summary}")?;
    } else {
        for error in &damaged {
            writeln!(out, "not listed: {error}")?;
        }
        if !replaced.is_empty() {
            writeln!(out, "{} file(s) not listed: compaction had replaced them", replaced.len())?;
        }
        writeln!(out, "listed {} Parquet file(s) with {} samples", rebuilt.files, rebuilt.samples)?;
    }
    match damaged.len() {
        0 => Ok(()),
        count => Err(Failure::Incomplete(format!(
            "{count} damaged file(s) not listed; they are kept in {}",
            store.dir().join("cold/damaged").display()
        ))),
    }
}
