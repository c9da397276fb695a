//! The table that everything is measured on, and the work that is measured.

use std::hint::black_box;
use std::io;
use std::path::Path as FsPath;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tsdb_cold::VfsStore;
use tsdb_core::{Matcher, SampleBuffer, Series, TimeRange};
use tsdb_parquet_io::futures::TryStreamExt;
use tsdb_parquet_io::object_store::path::Path;
use tsdb_parquet_io::{ColdStorageWriter, ParquetConfig, ParquetReader, ParquetWriter, ReadRequest};
use tsdb_schema::{LabelLayout, SampleBatch};
use tsdb_vfs::RealFs;
use tsdb_workload::Mixed;

/// Rows of the batches that the writer gets, as conversion hands them over.
const BATCH_ROWS: usize = 64 * 1024;

/// A workload in row order, in batches.
pub struct Table {
    batches: Vec<SampleBatch>,
    label_names: Vec<String>,
    rows: usize,
    one: Vec<Matcher>,
}

impl Table {
    /// The mixed workload of `series` series of `samples` samples each.
    ///
    /// # Panics
    /// Never: there is always a last batch.
    #[must_use]
    pub fn generate(series: usize, samples: usize) -> Self {
        let workload = Mixed::new(series, samples).generate();
        let mut order: Vec<usize> = (0..workload.len()).collect();
        order.sort_by(|&a, &b| workload.labels(a).cmp(workload.labels(b)));
        let mut batches = vec![SampleBatch::default()];
        let mut label_names = Vec::new();
        for &i in &order {
            let samples = SampleBuffer {
                timestamps_ms: workload.timestamps(i).to_vec(),
                values: workload.values(i).to_vec(),
                ..SampleBuffer::default()
            };
            label_names.extend(workload.labels(i).iter().map(|(name, _)| name.to_owned()));
            if batches.last().is_some_and(|batch| batch.rows() >= BATCH_ROWS) {
                batches.push(SampleBatch::default());
            }
            let batch = batches.last_mut().expect("invariant: there is a batch from the start");
            batch.series.push(Series { labels: workload.labels(i).clone(), samples });
        }
        label_names.sort();
        label_names.dedup();
        let middle = workload.labels(order[order.len() / 2]);
        let one = middle.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        Self { batches, label_names, rows: workload.sample_count(), one }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Matchers that one series passes, from the middle of the table.
    #[must_use]
    pub fn one_series(&self) -> &[Matcher] {
        &self.one
    }

    /// The settings under which a store writes such a table: the names are known, all labels have columns.
    #[must_use]
    pub fn config(&self, label_layout: LabelLayout) -> ParquetConfig {
        let promoted_labels =
            if label_layout == LabelLayout::Map { Vec::new() } else { self.label_names.clone() };
        ParquetConfig {
            label_layout,
            promoted_labels,
            label_names: Some(self.label_names.clone()),
            with_histograms: false,
            ..ParquetConfig::default()
        }
    }

    /// Writes the table with `config`.
    ///
    /// # Panics
    /// When the writer refuses the table.
    #[must_use]
    pub fn write(&self, config: &ParquetConfig) -> Vec<u8> {
        let mut writer = ParquetWriter::new(Vec::new(), config.clone()).expect("invariant: sound settings");
        for batch in &self.batches {
            writer.write_batch(batch).expect("invariant: rows in order");
        }
        writer.finish().expect("invariant: memory takes a file").1
    }
}

/// A file on disk, opened as the cold tier opens its own.
pub struct OpenFile {
    runtime: Runtime,
    reader: ParquetReader,
}

impl OpenFile {
    /// Opens the file `name` in `dir`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(dir: &FsPath, name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let store = Arc::new(VfsStore::new(Arc::new(RealFs), dir));
        let reader = runtime.block_on(ParquetReader::open(store, Path::from(name), None));
        Ok(Self { runtime, reader: reader.map_err(io::Error::other)? })
    }

    /// Reads all timestamps and values as Arrow arrays. Returns the number of rows.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn read_samples(&self) -> usize {
        let columns = Some(vec!["timestamp".to_owned(), "value".to_owned()]);
        self.read(ReadRequest { columns, ..ReadRequest::default() })
    }

    /// Reads all columns as Arrow arrays. Returns the number of rows.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn read_all(&self) -> usize {
        self.read(ReadRequest::default())
    }

    fn read(&self, request: ReadRequest) -> usize {
        let batches = self
            .reader
            .read_batch(request)
            .try_fold(0, async |rows, batch| Ok(rows + black_box(batch).num_rows()));
        self.runtime.block_on(batches).expect("invariant: our own file")
    }

    /// Reads the series that pass `matchers`. Returns the number of samples.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn select(&self, matchers: &[Matcher]) -> usize {
        let series = self.reader.select(matchers.into(), TimeRange::ALL);
        let samples =
            series.try_fold(0, async |samples, series| Ok(samples + black_box(series).samples.len()));
        self.runtime.block_on(samples).expect("invariant: our own file")
    }
}
