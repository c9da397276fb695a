//! Uses `tsdb-parquet-io` alone: writes a file, asks what is in it, queries it, and meets a damaged copy.
//! Needs `tokio` for a runtime.

use std::error::Error;
use std::sync::Arc;

use tsdb_parquet_io::futures::TryStreamExt;
use tsdb_parquet_io::object_store::memory::InMemory;
use tsdb_parquet_io::object_store::path::Path;
use tsdb_parquet_io::object_store::{ObjectStore, ObjectStoreExt};
use tsdb_parquet_io::tsdb_core::{Labels, MatchOp, Matcher, SampleBuffer, Series, TimeRange};
use tsdb_parquet_io::tsdb_schema::SampleBatch;
use tsdb_parquet_io::{ColdStorageWriter, Compression, ParquetConfig, ParquetReader, ParquetWriter};

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let file = write_file()?;
    println!("100 series of 240 samples: {} bytes, {:.2} a sample", file.len(), file.len() as f64 / 24_000.0);

    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("load.parquet");
    store.put(&path, file.clone().into()).await?;
    let reader = ParquetReader::open(Arc::clone(&store), path.clone(), None).await?;
    assert_eq!((reader.file_meta().rows, reader.file_meta().series), (24_000, 100));
    for column in &reader.layout().row_groups[0].columns {
        println!("{:<20} {:>6} bytes  {}", column.path, column.compressed_bytes, column.encodings.join(" "));
    }

    // Ten hosts, one minute.
    let matchers = Arc::from([Matcher::new(MatchOp::Regex, "host", "host-00.")?]);
    let mut series = reader.select(matchers, TimeRange::new(0, 59_999));
    let mut found = 0;
    while let Some(series) = series.try_next().await? {
        assert_eq!(series.samples.timestamps_ms, [0, 15_000, 30_000, 45_000]);
        found += 1;
    }
    assert_eq!(found, 10);

    // A flipped bit in the footer is found before a single row is read.
    let mut damaged = file;
    let at = damaged.len() - 100;
    damaged[at] ^= 1;
    store.put(&path, damaged.into()).await?;
    let error = ParquetReader::open(store, path, None).await.err().ok_or("the damage was not found")?;
    println!("{error}");
    Ok(())
}

fn write_file() -> Result<Vec<u8>, Box<dyn Error>> {
    let config = ParquetConfig {
        compression: Compression::Zstd(3),
        promoted_labels: vec!["__name__".into(), "host".into()],
        label_names: Some(vec!["__name__".into(), "host".into()]),
        with_histograms: false,
        ..ParquetConfig::default()
    };
    let mut writer = ParquetWriter::new(Vec::new(), config)?;
    for host in 0..100 {
        let labels = Labels::from_pairs([("__name__", "load"), ("host", &format!("host-{host:03}"))])?;
        let timestamps_ms: Vec<i64> = (0..240).map(|i| i * 15_000).collect();
        let values = (0..240).map(|i| f64::from(i % 13) / 4.0).collect();
        let samples = SampleBuffer { timestamps_ms, values, ..SampleBuffer::default() };
        writer.write_batch(&SampleBatch::new(vec![Series { labels, samples }]))?;
    }
    Ok(writer.finish()?.1)
}
