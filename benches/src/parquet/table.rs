//! The table that everything is measured on, and the work that is measured.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path as FsPath;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tsdb_cold::VfsStore;
use tsdb_core::{Labels, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_parquet_io::futures::TryStreamExt;
use tsdb_parquet_io::object_store::path::Path;
use tsdb_parquet_io::{ColdStorageWriter, ParquetConfig, ParquetReader, ParquetWriter, ReadRequest};
use tsdb_schema::{LabelLayout, SampleBatch};
use tsdb_vfs::RealFs;
use tsdb_workload::Mixed;

use crate::requests;

/// Rows of the batches that the writer gets, as conversion hands them over.
const BATCH_ROWS: usize = 64 * 1024;

/// Matchers that only the series with `labels` passes.
#[must_use]
pub fn exactly(labels: &Labels) -> Vec<Matcher> {
    labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect()
}

/// A workload in row order, in batches.
pub struct Table {
    batches: Vec<SampleBatch>,
    label_names: Vec<String>,
    rows: usize,
}

impl Table {
    /// The mixed workload of `series` series of `samples` samples each.
    ///
    /// # Panics
    /// Never: there is always a last batch.
    #[must_use]
    pub fn generate(series: usize, samples: usize) -> Self {
        let workload = Mixed::new(series, samples).generate();
        let series = (0..workload.len()).map(|i| {
            let (timestamps_ms, values) = (workload.timestamps(i).to_vec(), workload.values(i).to_vec());
            let samples = SampleBuffer { timestamps_ms, values, ..SampleBuffer::default() };
            Series { labels: workload.labels(i).clone(), samples }
        });
        Self::of(series.collect())
    }

    /// The workload of a series for each of `count` requests.
    ///
    /// # Panics
    /// Never: there is always a last batch.
    #[must_use]
    pub fn requests(count: u64) -> Self {
        let series = (0..count).map(|i| {
            let (timestamps_ms, values) = requests::samples(i, count).into_iter().unzip();
            let samples = SampleBuffer { timestamps_ms, values, ..SampleBuffer::default() };
            Series { labels: requests::labels(i), samples }
        });
        Self::of(series.collect())
    }

    fn of(mut all: Vec<Series>) -> Self {
        all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        let names = all.iter().flat_map(|series| series.labels.iter().map(|(name, _)| name));
        let label_names: BTreeSet<&str> = names.collect();
        let label_names = label_names.into_iter().map(str::to_owned).collect();
        let (mut batches, mut rows) = (vec![SampleBatch::default()], 0);
        let mut rows_of_batch = 0;
        for series in all {
            if rows_of_batch >= BATCH_ROWS {
                batches.push(SampleBatch::default());
                rows_of_batch = 0;
            }
            rows += series.samples.len();
            rows_of_batch += series.samples.len();
            batches.last_mut().expect("invariant: there is a batch from the start").series.push(series);
        }
        Self { batches, label_names, rows }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.batches.iter().map(|batch| batch.series.len()).sum()
    }

    /// The labels of a series in the middle of the table.
    ///
    /// # Panics
    /// When the table is empty.
    #[must_use]
    pub fn one_series(&self) -> &Labels {
        self.series_at(self.series() / 2)
    }

    /// The labels of the series in this place.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn series_at(&self, place: usize) -> &Labels {
        let mut series = self.batches.iter().flat_map(|batch| &batch.series);
        &series.nth(place).expect("invariant: the place is in the table").labels
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
        self.write_to(Vec::new(), config).0
    }

    /// Writes the table with `config` to `sink`. Returns it, and the most memory that the writer has held.
    ///
    /// # Panics
    /// When the writer refuses the table, or the sink its bytes.
    #[must_use]
    pub fn write_to<W: Write + Send>(&self, sink: W, config: &ParquetConfig) -> (W, usize) {
        let mut writer = ParquetWriter::new(sink, config.clone()).expect("invariant: sound settings");
        let mut peak = 0;
        for batch in &self.batches {
            writer.write_batch(batch).expect("invariant: rows in order");
            peak = peak.max(writer.memory_bytes());
        }
        (writer.finish().expect("invariant: the sink takes a file").1, peak)
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

    /// The reader.
    #[must_use]
    pub fn reader(&self) -> &ParquetReader {
        &self.reader
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
        self.select_shared(matchers.into())
    }

    /// The same with matchers that are shared.
    ///
    /// # Panics
    /// When the file cannot be read.
    #[must_use]
    pub fn select_shared(&self, matchers: Arc<[Matcher]>) -> usize {
        let series = self.reader.select(matchers, TimeRange::ALL);
        let samples =
            series.try_fold(0, async |samples, series| Ok(samples + black_box(series).samples.len()));
        self.runtime.block_on(samples).expect("invariant: our own file")
    }
}
