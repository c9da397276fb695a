//! tsink as a peer of `bench hot`: the same data by label sets, in a process of its own, which prints its numbers as one
//! JSON object.
//!
//! `append SERIES SCRAPES BATCH` appends to known series of the mixed workload, `many COUNT BATCH` makes series with a
//! unique label. Rows are made before the clock runs. Its log is fsynced each second, as ours is in these cases; all
//! other settings are its defaults, except that timestamps are milliseconds.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tsdb_benches::process::resident;
use tsdb_benches::report::process_cpu_seconds;
use tsdb_benches::requests;
use tsdb_benches::scrapes::Scrapes;
use tsdb_core::{Labels, METRIC_NAME};
use tsink::{DataPoint, Label, Row, Storage, StorageBuilder, TimestampPrecision, TsinkError, WalSyncMode};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(numbers) => {
            println!("{numbers}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("peer-tsink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Value> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["append", series, scrapes, batch] => append(series.parse()?, scrapes.parse()?, batch.parse()?),
        ["many", count, batch] => many(count.parse()?, batch.parse()?),
        _ => Err("usage: append SERIES SCRAPES BATCH | many COUNT BATCH".into()),
    }
}

fn append(series: usize, scrapes: usize, batch: usize) -> Result<Value> {
    let data = Scrapes::mixed(series, scrapes);
    let dir = tempfile::tempdir()?;
    let storage = open(dir.path())?;
    let mut seconds = 0.0;
    for (scrape, values) in data.values().enumerate() {
        for (place, values) in values.chunks(batch).enumerate() {
            let rows: Vec<Row> = (place * batch..)
                .zip(values)
                .map(|(i, value)| row(&data.labels()[i], data.timestamp_ms(scrape, i), *value))
                .collect();
            let (took, inserted) = process_cpu_seconds(|| storage.insert_rows(&rows));
            inserted.map_err(|error| explained(&*storage, &error))?;
            // The first scrape makes the series known.
            seconds += if scrape == 0 { 0.0 } else { took };
        }
    }
    storage.close()?;
    Ok(json!({ "samples_per_cpu_s": (data.samples() - series) as f64 / seconds }))
}

fn many(count: u64, batch: usize) -> Result<Value> {
    let mut rows = requests::arrivals(count).map(|(series, sample)| {
        let (timestamp_ms, value) = requests::samples(series, count)[sample];
        row(&requests::labels(series), timestamp_ms, value)
    });
    let empty = resident();
    let dir = tempfile::tempdir()?;
    let storage = open(dir.path())?;
    let mut seconds = 0.0;
    loop {
        let batch: Vec<Row> = rows.by_ref().take(batch).collect();
        if batch.is_empty() {
            break;
        }
        let (took, inserted) = process_cpu_seconds(|| storage.insert_rows(&batch));
        inserted.map_err(|error| explained(&*storage, &error))?;
        seconds += took;
    }
    let mut numbers = json!({ "ingest_cpu_s_per_m": seconds / (count * requests::SAMPLES) as f64 * 1e6 });
    if let (Some(empty), Some(full)) = (empty, resident()) {
        numbers["resident_per_series"] = json!((full.now - empty.now) as f64 / count as f64);
    }
    storage.close()?;
    Ok(numbers)
}

fn open(dir: &Path) -> Result<Arc<dyn Storage>> {
    let storage = StorageBuilder::new()
        .with_data_path(dir)
        .with_timestamp_precision(TimestampPrecision::Milliseconds)
        .with_wal_sync_mode(WalSyncMode::Periodic(Duration::from_secs(1)))
        .build()?;
    Ok(storage)
}

/// The storage closes itself when a thread of its own fails; only its health tells why.
fn explained(storage: &dyn Storage, error: &TsinkError) -> String {
    let health = storage.observability_snapshot().health;
    let cause = health.last_background_error.or(health.last_maintenance_error);
    format!("{error}: {}", cause.unwrap_or_else(|| "no cause is told".to_owned()))
}

fn row(labels: &Labels, timestamp_ms: i64, value: f64) -> Row {
    let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let others = others.map(|(name, value)| Label::new(name, value)).collect();
    Row::with_labels(labels.get(METRIC_NAME).unwrap_or_default(), others, DataPoint::new(timestamp_ms, value))
}
