//! `tsdb query`: the samples of the series that a selector matches, from all tiers, or from
//! Parquet files that belong to no store.

use std::io::{self, BufWriter, Write};

use tsdb_core::{SampleBuffer, Series, TimeRange, parse_selector};

use super::Store;
use crate::args::{QueryArgs, QueryFormat};
use crate::error::{Failure, Result};
use crate::output::{csv, table};
use crate::parquet_files::ParquetFiles;
use crate::{clock, jsonl, time};

pub(crate) fn run(store: &Store, args: &QueryArgs) -> Result<()> {
    let matchers = parse_selector(&args.selector).map_err(|e| Failure::Usage(e.to_string()))?;
    let range = range(args.start.as_deref(), args.end.as_deref())?;
    let format = if store.json { QueryFormat::Jsonl } else { args.format };

    if !args.files.is_empty() {
        let files = ParquetFiles::new()?;
        return print(files.select(&args.files, &matchers, range)?, format);
    }
    let engine = store.open(false)?;
    print(engine.select(&matchers, range)?, format)
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
        out.flush()?;
    }
    Ok(())
}

fn range(start: Option<&str>, end: Option<&str>) -> Result<TimeRange> {
    let now_ms = clock::now_ms();
    let bound = |text: Option<&str>, open: i64| match text {
        Some(text) => time::parse(text, now_ms).map_err(Failure::Usage),
        None => Ok(open),
    };
    let range = TimeRange::new(bound(start, i64::MIN)?, bound(end, i64::MAX)?);
    if range.is_empty() {
        let (start, end) = (time::format(range.start_ms), time::format(range.end_ms));
        return Err(Failure::Usage(format!("--start ({start}) lies after --end ({end})")));
    }
    Ok(range)
}
