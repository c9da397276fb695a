//! `tsdb rewrite FILE OUTPUT`: the samples of a Parquet file in a new one of ours, with a series index.

use std::io::{self, Write};

use serde_json::json;

use super::Store;
use crate::args::RewriteArgs;
use crate::error::Result;
use crate::output::{human_bytes, while_shown};
use crate::parquet_files::ParquetFiles;

pub(crate) fn run(store: &Store, args: &RewriteArgs) -> Result<()> {
    let written = while_shown("rewriting", || ParquetFiles::new()?.rewrite(&args.file, &args.output))?;
    let (meta, before) = (written.meta, written.bytes_before);
    let mut out = io::stdout().lock();
    if store.json {
        let summary = json!({
            "file": args.output, "series": meta.series, "samples": meta.rows, "bytes": meta.bytes,
            "bytes_before": before,
        });
        return Ok(writeln!(out, "{summary}")?);
    }
    writeln!(
        out,
        "wrote {}: {} series, {} samples, {} (before: {})",
        args.output.display(),
        meta.series,
        meta.rows,
        human_bytes(meta.bytes),
        human_bytes(before),
    )?;
    Ok(())
}
