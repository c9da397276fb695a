//! `tsdb verify`: is everything that is stored still what was written?

use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::json;
use tsdb_engine::{RepairedSegment, blocking};
use tsdb_parquet_io::Verification;

use super::Store;
use crate::args::VerifyArgs;
use crate::error::{Failure, Result};
use crate::output::while_shown;
use crate::parquet_files::ParquetFiles;

pub(crate) fn run(store: &Store, args: &VerifyArgs) -> Result<()> {
    if !args.files.is_empty() {
        return verify_files(store, &args.files);
    }
    let repaired = if args.repair { store.builder().repair_wal()? } else { Vec::new() };
    let mut out = io::stdout().lock();
    if !store.json {
        for segment in &repaired {
            writeln!(out, "{}", describe(segment))?;
        }
        if args.repair && repaired.is_empty() {
            writeln!(out, "the write-ahead log is whole: nothing to repair")?;
        }
    }
    let verified = while_shown("verifying", || blocking::verify(store.builder()))?;
    let damaged: Vec<String> = verified.damaged.iter().map(ToString::to_string).collect();
    let torn = verified.torn_bytes;
    let (wal, blocks, files) = (verified.segments, verified.blocks, verified.files);
    if store.json {
        let repaired: Vec<_> = repaired.iter().map(as_json).collect();
        let summary = json!({
            "wal_segments": wal, "torn_bytes": torn, "blocks": blocks, "files": files, "damaged": damaged, "repaired": repaired,
        });
        writeln!(out, "{summary}")?;
    } else {
        if torn > 0 {
            writeln!(
                out,
                "{torn} bytes at the end of the log are no whole batch, as a crash leaves it: they are cut off when the \
                 store is next opened for writing"
            )?;
        }
        for error in &damaged {
            writeln!(out, "{error}")?;
        }
        writeln!(
            out,
            "read {wal} WAL segment(s), {blocks} block(s), {files} cold file(s): {} damaged",
            damaged.len()
        )?;
    }
    match damaged.len() {
        0 => Ok(()),
        count => Err(Failure::Incomplete(format!("{count} damaged file(s)"))),
    }
}

/// Checks files that are in no store of ours, and goes on after a damaged one.
fn verify_files(store: &Store, files: &[PathBuf]) -> Result<()> {
    let reader = ParquetFiles::new()?;
    let mut out = io::stdout().lock();
    let mut unsound = 0;
    for file in files {
        let (found, damaged) = match while_shown("verifying", || reader.verify(file)) {
            Ok(found) => {
                let problems = found.damaged.iter().chain(&found.damaged_index);
                let problems = problems.map(ToString::to_string).collect::<Vec<_>>();
                (found, problems)
            }
            Err(error @ Failure::Parquet { .. }) => (Verification::default(), vec![error.to_string()]),
            Err(error) => return Err(error),
        };
        unsound += usize::from(!damaged.is_empty());
        let Verification { series, samples, pages, index_blocks, .. } = found;
        if store.json {
            let summary = json!({
                "file": file, "series": series, "samples": samples, "pages": pages,
                "index_blocks": index_blocks, "damaged": damaged,
            });
            writeln!(out, "{summary}")?;
            continue;
        }
        for problem in &damaged {
            writeln!(out, "{problem}")?;
        }
        if damaged.is_empty() {
            write!(out, "{}: sound, {series} series, {samples} samples; ", file.display())?;
            match index_blocks {
                0 => writeln!(out, "without a series index, so its pages have no checksums")?,
                _ => writeln!(out, "{pages} pages and {index_blocks} index blocks match their checksums")?,
            }
        }
    }
    match unsound {
        0 => Ok(()),
        count => Err(Failure::Incomplete(format!("{count} damaged file(s)"))),
    }
}

fn unreadable_bytes(segment: &RepairedSegment) -> u64 {
    segment.unreadable.iter().map(|range| range.end - range.start).sum()
}

fn describe(segment: &RepairedSegment) -> String {
    let mut changes = Vec::new();
    if segment.new_header {
        changes.push("wrote a new header".to_owned());
    }
    if !segment.unreadable.is_empty() {
        let places: Vec<String> =
            segment.unreadable.iter().map(|range| format!("{} to {}", range.start, range.end)).collect();
        changes.push(format!(
            "gave up {} unreadable bytes (bytes {})",
            unreadable_bytes(segment),
            places.join(", ")
        ));
    }
    if segment.batches_without_labels > 0 {
        changes.push(format!("gave up {} batches whose labels are lost", segment.batches_without_labels));
    }
    let (path, kept) = (segment.path.display(), segment.kept.display());
    format!("repaired {path}: {}; the damaged file is {kept}", changes.join(", "))
}

fn as_json(segment: &RepairedSegment) -> serde_json::Value {
    json!({
        "path": segment.path,
        "kept": segment.kept,
        "new_header": segment.new_header,
        "unreadable_bytes": unreadable_bytes(segment),
        "batches_without_labels": segment.batches_without_labels,
    })
}
