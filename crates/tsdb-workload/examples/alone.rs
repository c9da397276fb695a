//! Generates an hour of a small cluster's metrics, tells its kinds apart and prints a few lines of OpenMetrics.
//! Uses this crate and the standard library only.

use std::collections::BTreeMap;
use std::error::Error;

use tsdb_workload::tsdb_core::Labels;
use tsdb_workload::{Mixed, high_cardinality, wide_labels};

fn main() -> Result<(), Box<dyn Error>> {
    let settings = Mixed { series: 1000, samples: 240, seed: 1, ..Mixed::default() };
    let mut series_of_kind = BTreeMap::new();
    let mut samples = 0;
    for target in settings.targets() {
        for row in 0..target.len() {
            *series_of_kind.entry(target.kind(row).name()).or_insert(0) += 1;
            samples += target.values(row).len();
            assert!(target.timestamps(row).is_sorted_by(|a, b| a < b));
        }
    }
    println!("{samples} samples, series of each kind: {series_of_kind:?}");
    assert_eq!(samples, 240_000);
    assert_eq!(series_of_kind["counter_int"], 300);

    let mut text = Vec::new();
    Mixed::new(100, 2).write_openmetrics(&mut text)?;
    let text = String::from_utf8(text)?;
    for line in text.lines().take(5) {
        println!("{line}");
    }
    assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 200);

    let request = high_cardinality(1_000_000, 1).last().ok_or("a million series were asked for")?;
    println!("{}: {:?}", request.labels, request.samples.values);
    assert_eq!(request.labels.get("request_id").map(str::len), Some(32));

    let widest = wide_labels(1000, 1).into_iter().max_by_key(Labels::len).ok_or("no label sets")?;
    println!("the widest of 1000 label sets has {} labels", widest.len());
    assert!((9..=14).contains(&widest.len()));
    Ok(())
}
