//! The engine alone: write, restart, flush, and the same answer each time. Needs `tempfile`.

use std::error::Error;

use tsdb_engine::blocking::Engine;
use tsdb_engine::tsdb_core::{Labels, TimeRange, parse_selector};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let labels = Labels::from_pairs([("__name__", "temperature_celsius"), ("room", "kitchen")])?;
    let written = [(1_767_225_600_000, 20.5), (1_767_225_660_000, 20.75), (1_767_225_720_000, -0.0)];

    let engine = Engine::open(dir.path())?;
    let mut batch = engine.appender();
    for (timestamp_ms, celsius) in written {
        batch.append(&labels, timestamp_ms, celsius)?;
    }
    batch.commit()?;
    assert_eq!(read(&engine)?, written);
    engine.close()?;

    let engine = Engine::open(dir.path())?;
    assert_eq!(read(&engine)?, written, "after a restart");

    let flushed = engine.flush()?;
    assert_eq!(flushed.samples, 3);
    assert_eq!(read(&engine)?, written, "from Parquet");
    println!("{} samples in {} bytes of Parquet", flushed.samples, flushed.bytes);
    Ok(())
}

fn read(engine: &Engine) -> Result<Vec<(i64, f64)>, Box<dyn Error>> {
    let matchers = parse_selector(r#"temperature_celsius{room="kitchen"}"#)?;
    let mut samples = Vec::new();
    for series in engine.select(&matchers, TimeRange::ALL)? {
        let series = series?.samples;
        samples.extend(series.timestamps_ms.into_iter().zip(series.values));
    }
    Ok(samples)
}
