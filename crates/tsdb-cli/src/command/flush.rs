//! `tsdb flush`: everything to Parquet, now.

use std::io::{self, Write};

use serde_json::json;

use super::Store;
use crate::error::Result;
use crate::output::{human_bytes, while_shown};

pub(crate) fn run(store: &Store) -> Result<()> {
    let engine = store.open(false)?;
    let flushed = while_shown("flushing", || engine.flush())?;
    engine.close()?;
    let mut out = io::stdout().lock();
    if store.json {
        let summary = json!({
            "blocks": flushed.blocks, "files": flushed.files, "samples": flushed.samples, "bytes": flushed.bytes,
        });
        writeln!(out, "{summary}")?;
    } else if flushed.blocks == 0 {
        writeln!(out, "nothing to flush: all data is in Parquet already")?;
    } else {
        writeln!(
            out,
            "flushed {} samples to {} Parquet file(s), {}, under {}",
            flushed.samples,
            flushed.files,
            human_bytes(flushed.bytes),
            store.dir().join("cold/data").display()
        )?;
    }
    Ok(())
}
