//! `tsdb query`: the samples of the series that a selector matches, or what they come to, from all tiers, or from
//! Parquet files that belong to no store.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use serde_json::json;
use tsdb_core::{SampleBuffer, Series};
use tsdb_engine::{
    AggregateCounts, AggregateFunction, Aggregation, QueryOptions, QueryStages, QueryStatistics,
};

use super::limits::{naming_flags, query_limits};
use super::{Store, matchers, range};
use crate::args::{AggFunction, AggregateArgs, QueryArgs, QueryFormat};
use crate::error::{Failure, Result};
use crate::output::{csv, human_bytes, table};
use crate::parquet_files::ParquetFiles;
use tsdb_text::jsonl;

pub(crate) fn run(store: &Store, args: &QueryArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let format = if store.json { QueryFormat::Jsonl } else { args.format };

    let mut options = QueryOptions::default();
    options.limits = query_limits(Some(&args.answer), &args.cost);
    options.limits.windows_max = Some(args.aggregate.max_windows);
    let aggregation = aggregation(&args.aggregate);
    let answer = Answer { format, is_aggregated: aggregation.is_some() };
    let explained = |statistics: QueryStatistics| match args.cost.explain {
        true => explain(&statistics, store.json),
        false => Ok(()),
    };
    let answered = if args.files.is_empty() {
        store.read(|engine| {
            let mut series = match &aggregation {
                None => engine.query(&matchers, range, &options)?,
                Some(aggregation) => engine.aggregate(&matchers, range, aggregation, &options)?,
            };
            // With the first one all files are open: afterwards none can be missed.
            let first = series.next().transpose()?;
            let printed = answer.print(first.map(Ok).into_iter().chain(series.by_ref()));
            explained(series.statistics())?;
            printed
        })
    } else {
        let mut series = ParquetFiles::new()?.query(&args.files, &matchers, range, &options)?;
        if let Some(aggregation) = &aggregation {
            series = series.aggregated(aggregation, range);
        }
        let printed = answer.print(series.by_ref());
        explained(series.statistics())?;
        printed
    };
    answered.map_err(naming_flags)
}

/// What was asked for in place of samples.
fn aggregation(args: &AggregateArgs) -> Option<Aggregation> {
    let mut aggregation = Aggregation::new(match args.agg? {
        AggFunction::Count => AggregateFunction::Count,
        AggFunction::Sum => AggregateFunction::Sum,
        AggFunction::Min => AggregateFunction::Min,
        AggFunction::Max => AggregateFunction::Max,
        AggFunction::Avg => AggregateFunction::Avg,
        AggFunction::First => AggregateFunction::First,
        AggFunction::Last => AggregateFunction::Last,
    });
    aggregation.step_ms = args.step;
    Some(match args.without.is_empty() {
        true => aggregation.by(&args.by),
        false => aggregation.without(&args.without),
    })
}

/// Prints what a query has cost on standard error.
pub(super) fn explain(statistics: &QueryStatistics, json: bool) -> io::Result<()> {
    let QueryStatistics { series, samples, aggregated, heads, blocks, cold, stages, .. } = *statistics;
    let mut out = io::stderr().lock();
    if json {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let explained = json!({
            "series": series,
            "samples": samples,
            "groups": aggregated.groups,
            "windows": aggregated.windows,
            "histograms_left_out": aggregated.histograms_left_out,
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
                "aggregate": micros(stages.aggregate),
                "total": micros(stages.total),
            },
        });
        return writeln!(out, "{explained}");
    }
    writeln!(out, "answer      {series} series, {samples} samples")?;
    if aggregated != AggregateCounts::default() {
        let AggregateCounts { groups, windows, histograms_left_out, .. } = aggregated;
        writeln!(
            out,
            "aggregated  {groups} groups, {windows} windows, {histograms_left_out} histograms left out"
        )?;
    }
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
    let QueryStages { plan, hot, open, cold, merge, aggregate, total, .. } = stages;
    writeln!(
        out,
        "time        {total:.1?}: plan {plan:.1?}, hot {hot:.1?}, open {open:.1?}, cold {cold:.1?}, merge {merge:.1?}, \
         aggregate {aggregate:.1?}"
    )
}

/// How an answer is printed.
#[derive(Clone, Copy)]
struct Answer {
    format: QueryFormat,
    /// Whether it is of groups and windows, not of series and samples.
    is_aggregated: bool,
}

impl Answer {
    fn print<E>(self, all: impl Iterator<Item = Result<Series, E>>) -> Result<()>
    where
        Failure: From<E>,
    {
        let mut out = BufWriter::new(io::stdout().lock());
        if self.format == QueryFormat::Csv {
            csv::write_header(&mut out)?;
        }
        let (mut series_count, mut sample_count) = (0_u64, 0_u64);
        for series in all {
            let series = series?;
            series_count += 1;
            sample_count += SampleBuffer::len(&series.samples) as u64;
            match self.format {
                QueryFormat::Table => table::write_series(&mut out, &series)?,
                QueryFormat::Csv => csv::write_series(&mut out, &series)?,
                QueryFormat::Jsonl => jsonl::write_series(&mut out, &series)?,
            }
        }
        out.flush()?;
        if self.format == QueryFormat::Table {
            let (series, samples) =
                if self.is_aggregated { ("groups", "windows") } else { ("series", "samples") };
            writeln!(out, "{series_count} {series}, {sample_count} {samples}")?;
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
}
