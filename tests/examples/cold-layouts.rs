//! For the interop suite: writes the samples of a store as Parquet files in every layout, codec and encoding.
//!
//! Without arguments it does so with a small store of its own. `cold-layouts DATA_DIR OUT_DIR` makes `OUT_DIR/NAME.parquet` for each of [`shapes`], all with the same rows, and
//! `OUT_DIR/evolving/`: the same rows over three files of different columns, as a store has them whose series gained
//! labels and whose promoted list grew.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use tsdb_core::{Series, TimeRange};
use tsdb_engine::blocking::Engine;
use tsdb_parquet_io::{ColdStorageWriter, Compression, ParquetConfig, ParquetWriter, ValueEncoding};
use tsdb_schema::{LabelLayout, SampleBatch};
use tsdb_workload::Mixed;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match args.as_slice() {
        [] => write_own(),
        [data, out] => write_all(data, out),
        _ => Err("usage: cold-layouts [DATA_DIR OUT_DIR]".into()),
    }
}

/// Without arguments: files of a small store of its own, which are then removed.
fn write_own() -> Result<()> {
    let (data, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let engine = Engine::open(data.path())?;
    let workload = Mixed::new(100, 10).generate();
    let mut batch = engine.appender();
    for series in 0..workload.len() {
        for (&timestamp_ms, &value) in workload.timestamps(series).iter().zip(workload.values(series)) {
            batch.append(workload.labels(series), timestamp_ms, value)?;
        }
    }
    batch.commit()?;
    engine.close()?;
    write_all(data.path(), out.path())?;
    let files = std::fs::read_dir(out.path())?.count();
    assert!(files > 2, "{files} files and folders");
    println!("wrote {files} files and folders of {} series", workload.len());
    Ok(())
}

fn write_all(data: &Path, out: &Path) -> Result<()> {
    let engine = Engine::open(data)?;
    let all = engine.select(&[], TimeRange::ALL)?.collect::<tsdb_engine::Result<Vec<Series>>>()?;
    for (name, config) in shapes(&all) {
        write(&out.join(format!("{name}.parquet")), config, &all)?;
    }
    evolving(&out.join("evolving"), &all)
}

fn shapes(all: &[Series]) -> Vec<(&'static str, ParquetConfig)> {
    let names = label_names(all);
    // Small pages and row groups, so that there are many of both.
    let with = |label_layout, compression, promoted: &[String]| ParquetConfig {
        label_layout,
        compression,
        promoted_labels: promoted.to_vec(),
        label_names: Some(names.clone()),
        row_group_rows: 1000,
        page_rows: 100,
        ..ParquetConfig::default()
    };
    let some = &names[..names.len() / 2];
    vec![
        ("columns-zstd", with(LabelLayout::Columns, Compression::Zstd(3), &[])),
        ("map-snappy", with(LabelLayout::Map, Compression::Snappy, &[])),
        ("hybrid-lz4", with(LabelLayout::Hybrid, Compression::Lz4, some)),
        ("hybrid-none", with(LabelLayout::Hybrid, Compression::None, &names)),
        (
            "byte-stream-split",
            ParquetConfig {
                value_encoding: ValueEncoding::ByteStreamSplit,
                bloom_columns: names.clone(),
                ..with(LabelLayout::Columns, Compression::Zstd(19), &[])
            },
        ),
        ("compat", ParquetConfig { compat: true, ..with(LabelLayout::Hybrid, Compression::Snappy, some) }),
    ]
}

/// Every third series in one file: without promoted labels, with some, with all and so without a map.
fn evolving(dir: &Path, all: &[Series]) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let names = label_names(all);
    for (file, promoted) in [&[][..], &names[..names.len() / 2], &names].into_iter().enumerate() {
        let series: Vec<Series> = all.iter().skip(file).step_by(3).cloned().collect();
        let config = ParquetConfig {
            promoted_labels: promoted.to_vec(),
            label_names: Some(label_names(&series)),
            with_histograms: series.iter().any(|s| !s.samples.histograms.is_empty()),
            ..ParquetConfig::default()
        };
        write(&dir.join(format!("{file}.parquet")), config, &series)?;
    }
    Ok(())
}

fn label_names(all: &[Series]) -> Vec<String> {
    let names: BTreeSet<&str> = all.iter().flat_map(|s| s.labels.iter().map(|(name, _)| name)).collect();
    names.into_iter().map(ToOwned::to_owned).collect()
}

fn write(file: &Path, config: ParquetConfig, series: &[Series]) -> Result<()> {
    let mut writer = ParquetWriter::new(File::create(file)?, config)?;
    writer.write_batch(&SampleBatch::new(series.to_vec()))?;
    writer.close()?;
    Ok(())
}
