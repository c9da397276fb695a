//! `tsdb query`: the samples of the series that a selector matches, from all tiers, or from
//! Parquet files that belong to no store.

use std::io::{self, BufWriter, Write};

use tsdb_core::{SampleBuffer, Series};

use super::{Store, matchers, range};
use crate::args::{QueryArgs, QueryFormat};
use crate::error::{Failure, Result};
use crate::jsonl;
use crate::output::{csv, table};
use crate::parquet_files::ParquetFiles;

pub(crate) fn run(store: &Store, args: &QueryArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let format = if store.json { QueryFormat::Jsonl } else { args.format };

    if !args.files.is_empty() {
        let files = ParquetFiles::new()?;
        return print(files.select(&args.files, &matchers, range)?, format);
    }
    store.read(|engine| {
        let mut series = engine.select(&matchers, range)?;
        // With the first one all files are open: afterwards none can be missed.
        let first = series.next().transpose()?;
        print(first.map(Ok).into_iter().chain(series), format)
    })
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
