//! `tsdb query`: the samples of the series that a selector matches, from all tiers.

use std::io::{self, BufWriter, Write};

use tsdb_core::SampleBuffer;

use super::{Store, matchers, range};
use crate::args::{QueryArgs, QueryFormat};
use crate::error::Result;
use crate::jsonl;
use crate::output::{csv, table};

pub(crate) fn run(store: &Store, args: &QueryArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let format = if store.json { QueryFormat::Jsonl } else { args.format };

    let engine = store.open(false)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if format == QueryFormat::Csv {
        csv::write_header(&mut out)?;
    }
    let (mut series_count, mut sample_count) = (0_u64, 0_u64);
    for series in engine.select(&matchers, range)? {
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
