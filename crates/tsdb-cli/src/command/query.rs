//! `tsdb query`: the samples of the series that a selector matches, from all tiers, or from
//! Parquet files that belong to no store.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use serde_json::json;
use tsdb_core::{SampleBuffer, Series};
use tsdb_engine::{QueryOptions, QueryStages, QueryStatistics};

use super::limits::{naming_flags, query_limits};
use super::{Store, matchers, range};
use crate::args::{QueryArgs, QueryFormat};
use crate::error::{Failure, Result};
use crate::output::{csv, human_bytes, table};
use crate::parquet_files::ParquetFiles;
use tsdb_text::jsonl;

pub(crate) fn run(store: &Store, args: &QueryArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let format = if store.json { QueryFormat::Jsonl } else { args.format };

    let mut options = QueryOptions::default();
    options.limits = query_limits(Some(&args.answer), &args.cost);
    let explained = |statistics: QueryStatistics| match args.cost.explain {
        true => explain(&statistics, store.json),
        false => Ok(()),
    };
    let answered = if args.files.is_empty() {
        store.read(|engine| {
            let mut series = engine.query(&matchers, range, &options)?;
            // With the first one all files are open: afterwards none can be missed.
            let first = series.next().transpose()?;
            let printed = print(first.map(Ok).into_iter().chain(series.by_ref()), format);
            explained(series.statistics())?;
            printed
        })
    } else {
        let mut series = ParquetFiles::new()?.query(&args.files, &matchers, range, &options)?;
        let printed = print(series.by_ref(), format);
        explained(series.statistics())?;
        printed
    };
    answered.map_err(naming_flags)
}

/// Prints what a query has cost on standard error.
pub(super) fn explain(statistics: &QueryStatistics, json: bool) -> io::Result<()> {
    let QueryStatistics { series, samples, heads, blocks, cold, stages, .. } = *statistics;
    let mut out = io::stderr().lock();
    if json {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let explained = json!({
            "series": series,
            "samples": samples,
            "heads": heads,
            "blocks": blocks,
            "cold_files": { "considered": cold.files_considered, "pruned": cold.files_pruned, "pruned_by_labels": cold.files_pruned_by_labels, "opened": cold.files_opened },
            "range_reads": cold.range_reads,
            "bytes_read": cold.bytes_read,
            "pages_decoded": cold.pages_decoded,
            "cache": {
                "file_hits": cold.metadata_hits,
                "file_misses": cold.metadata_misses,
                "block_hits": cold.index_block_hits,
                "block_misses": cold.index_block_misses,
            },
            "micros": {
                "plan": micros(stages.plan),
                "hot": micros(stages.hot),
                "open": micros(stages.open),
                "cold": micros(stages.cold),
                "merge": micros(stages.merge),
                "total": micros(stages.total),
            },
        });
        return writeln!(out, "{explained}");
    }
    writeln!(out, "answer      {series} series, {samples} samples")?;
    writeln!(out, "hot tier    {heads} heads, {blocks} blocks")?;
    writeln!(
        out,
        "cold files  {} considered, {} pruned by time, {} by labels, {} opened",
        cold.files_considered, cold.files_pruned, cold.files_pruned_by_labels, cold.files_opened
    )?;
    writeln!(
        out,
        "read        {} ranges, {}, {} pages decoded",
        cold.range_reads,
        human_bytes(cold.bytes_read),
        cold.pages_decoded
    )?;
    writeln!(
        out,
        "cache       files {} hits, {} misses; index blocks {} hits, {} misses",
        cold.metadata_hits, cold.metadata_misses, cold.index_block_hits, cold.index_block_misses
    )?;
    let QueryStages { plan, hot, open, cold, merge, total, .. } = stages;
    writeln!(
        out,
        "time        {total:.1?}: plan {plan:.1?}, hot {hot:.1?}, open {open:.1?}, cold {cold:.1?}, merge {merge:.1?}"
    )
}

fn print<E>(all: impl Iterator<Item = Result<Series, E>>, format: QueryFormat) -> Result<()>
where
    Failure: From<E>,
{
    let mut out = BufWriter::new(io::stdout().lock());
    if format == QueryFormat::Csv {
        csv::write_header(&mut out)?;
    }
    let (mut series_count, mut sample_count) = (0_u64, 0_u64);
    for series in all {
        let series = series?;
        series_count += 1;
        sample_count += SampleBuffer::len(&series.samples) as u64;
        match format {
            QueryFormat::Table => table::write_series(&mut out, &series)?,
            QueryFormat::Csv => csv::write_series(&mut out, &series)?,
            QueryFormat::Jsonl => jsonl::write_series(&mut out, &series)?,
        }
    }
    out.flush()?;
    if format == QueryFormat::Table {
        writeln!(out, "{series_count} series, {sample_count} samples")?;
        if series_count == 0 {
            writeln!(
                out,
                "`tsdb label-values __name__` lists the metrics, `tsdb status` the first and the last time"
            )?;
        }
        out.flush()?;
    }
    Ok(())
}
