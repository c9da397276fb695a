//! `tsdb export`: the samples of the series that a selector matches as a table that other tools read.
//!
//! A Parquet file is plain: without the series index that the store's own files have, for it is meant for others. (`tsdb rewrite`
//! gives it one.) Arrow is written as a stream, not in the random-access form of it, for that cannot hold dictionaries that
//! change from batch to batch.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use tsdb_engine::arrow::array::RecordBatch;
use tsdb_engine::arrow::datatypes::Schema;
use tsdb_engine::arrow::error::ArrowError;
use tsdb_engine::arrow::ipc::writer::StreamWriter;
use tsdb_engine::blocking::{BatchIter, Engine};
use tsdb_engine::{LabelProjection, QueryStatistics, ScanOptions};
use tsdb_parquet_io::parquet::arrow::ArrowWriter;
use tsdb_parquet_io::parquet::basic::{Compression, ZstdLevel};
use tsdb_parquet_io::parquet::errors::ParquetError;
use tsdb_parquet_io::parquet::file::properties::WriterProperties;

use super::limits::{naming_flags, query_limits};
use super::query::explain;
use super::{Store, matchers, range};
use crate::args::{ExportArgs, ExportFormat};
use crate::error::{Failure, Result};
use crate::new_file::NewFile;

pub(crate) fn run(store: &Store, args: &ExportArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let (format, options) = (format(args)?, scan_options(args));
    let written = store
        .read(|engine: &Engine| {
            let mut batches = engine.scan(&matchers, range, &options)?;
            // With the first one all files are open: afterwards none can be missed.
            let first = batches.next().transpose()?;
            if args.output == Path::new("-") {
                write(io::stdout(), format, first, &mut batches)?;
            } else {
                let file = NewFile::beside(&args.output)?;
                write(file.file(), format, first, &mut batches)?;
                file.publish()?;
            }
            Ok(batches.statistics())
        })
        .map_err(naming_flags)?;
    if args.output != Path::new("-") {
        summarize(store, &args.output, &written)?;
    }
    if args.cost.explain {
        explain(&written, store.json)?;
    }
    Ok(())
}

/// The format that was asked for, or that the file's name tells.
fn format(args: &ExportArgs) -> Result<ExportFormat> {
    if args.format != ExportFormat::Auto {
        return Ok(args.format);
    }
    if args.output == Path::new("-") {
        return Ok(ExportFormat::Arrow);
    }
    match args.output.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => Ok(ExportFormat::Parquet),
        Some("arrow" | "arrows") => Ok(ExportFormat::Arrow),
        _ => Err(Failure::Usage(format!(
            "the name {} does not tell a format: say --format parquet or --format arrow",
            args.output.display()
        ))),
    }
}

fn scan_options(args: &ExportArgs) -> ScanOptions {
    let mut options = ScanOptions::default();
    options.limits = query_limits(Some(&args.answer), &args.cost);
    options.histograms = !args.no_histograms;
    options.labels = match &args.columns {
        None => LabelProjection::All,
        Some(labels) if args.no_other_labels => LabelProjection::Columns(labels.clone()),
        Some(labels) => LabelProjection::ColumnsAndMap(labels.clone()),
    };
    options
}

/// Writes all batches to `out`.
fn write(
    out: impl Write + Send,
    format: ExportFormat,
    first: Option<RecordBatch>,
    batches: &mut BatchIter<'_>,
) -> Result<()> {
    let schema = batches.schema();
    let mut table = Table::begin(out, format, &schema)?;
    for batch in first.map(Ok).into_iter().chain(batches) {
        table.write(&batch?)?;
    }
    table.finish()
}

/// A table under way.
enum Table<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    Arrow(Box<StreamWriter<W>>),
}

impl<W: Write + Send> Table<W> {
    fn begin(out: W, format: ExportFormat, schema: &Schema) -> Result<Self> {
        if format == ExportFormat::Parquet {
            let properties =
                WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
            let writer = ArrowWriter::try_new(out, schema.clone().into(), Some(properties.build()));
            return Ok(Self::Parquet(Box::new(writer.map_err(of_parquet)?)));
        }
        Ok(Self::Arrow(Box::new(StreamWriter::try_new(out, schema).map_err(of_arrow)?)))
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.write(batch).map_err(of_parquet),
            Self::Arrow(writer) => writer.write(batch).map_err(of_arrow),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Parquet(writer) => writer.close().map(drop).map_err(of_parquet),
            Self::Arrow(mut writer) => writer.finish().map_err(of_arrow),
        }
    }
}

/// What a writer reports is, as a rule, what its file does.
fn of_parquet(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => Failure::Output(*source),
            Err(source) => Failure::Output(io::Error::other(source)),
        },
        error => Failure::Output(io::Error::other(error)),
    }
}

fn of_arrow(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, source) => Failure::Output(source),
        error => Failure::Output(io::Error::other(error)),
    }
}

fn summarize(store: &Store, output: &Path, statistics: &QueryStatistics) -> Result<()> {
    let QueryStatistics { series, samples, .. } = statistics;
    let mut out = io::stdout().lock();
    if store.json {
        let summary = json!({ "file": output, "series": series, "samples": samples });
        writeln!(out, "{summary}")?;
    } else {
        writeln!(out, "wrote {}: {series} series, {samples} samples", output.display())?;
    }
    Ok(())
}
