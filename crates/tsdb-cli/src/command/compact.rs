//! `tsdb compact`: one Parquet file a day, without what was replaced or deleted.

use std::io::{self, Write};

use serde_json::json;

use super::Store;
use crate::error::Result;
use crate::output::{human_bytes, while_shown};

pub(crate) fn run(store: &Store) -> Result<()> {
    let engine = store.open(false)?;
    let done = while_shown("compacting", || engine.compact())?;
    engine.close()?;
    let mut out = io::stdout().lock();
    if store.json {
        let summary = json!({
            "files_in": done.files_in, "files_out": done.files_out,
            "samples_in": done.samples_in, "samples_out": done.samples_out,
            "bytes_in": done.bytes_in, "bytes_out": done.bytes_out,
        });
        writeln!(out, "{summary}")?;
    } else if done.files_in == 0 {
        writeln!(out, "nothing to compact")?;
    } else {
        writeln!(
            out,
            "merged {} Parquet file(s), {}, into {}, {}; {} sample(s) that were replaced or deleted are gone",
            done.files_in,
            human_bytes(done.bytes_in),
            done.files_out,
            human_bytes(done.bytes_out),
            done.samples_in - done.samples_out
        )?;
    }
    Ok(())
}
