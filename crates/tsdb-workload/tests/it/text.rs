//! The OpenMetrics text holds every sample once, family by family.

use std::collections::{BTreeMap, HashSet};

use tsdb_workload::Mixed;

fn text_of(settings: Mixed) -> String {
    let mut text = Vec::new();
    settings.write_openmetrics(&mut text).expect("a vector takes every write");
    String::from_utf8(text).expect("the text is UTF-8")
}

#[test]
fn every_sample_is_there_once() {
    let settings = Mixed::new(650, 7);
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in text_of(settings).lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.rsplitn(3, ' ');
        let (timestamp, value) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        found.entry(words.next().unwrap().to_owned()).or_default().push((timestamp, value));
    }
    assert_eq!(found.len(), 650);
    let workload = settings.generate();
    for series in 0..workload.len() {
        let labels = workload.labels(series);
        let pairs: Vec<String> =
            labels.iter().filter(|(n, _)| *n != "__name__").map(|(n, v)| format!("{n}=\"{v}\"")).collect();
        let key = format!("{}{{{}}}", labels.metric_name().unwrap(), pairs.join(","));
        let expected: Vec<(String, String)> = workload
            .timestamps(series)
            .iter()
            .zip(workload.values(series))
            .map(|(t, v)| (format!("{}.{:03}", t / 1000, t % 1000), format!("{v}")))
            .collect();
        assert_eq!(found.get(&key), Some(&expected), "{key}");
    }
}

#[test]
fn families_are_not_interleaved_and_buckets_of_a_point_stand_together() {
    let text = text_of(Mixed::new(1000, 3));
    let mut families = HashSet::new();
    let mut current = "";
    let mut bucket_run = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            current = rest.split(' ').next().unwrap();
            assert!(families.insert(current), "{current} comes twice");
        } else if line != "# EOF" {
            assert!(line.starts_with(current), "{line} under {current}");
            if line.contains("_bucket{") {
                bucket_run.push(line.rsplit(' ').next().unwrap());
            }
        }
    }
    assert_eq!(families.len(), 16 + 7);
    assert_eq!(text.lines().last(), Some("# EOF"));
    assert!(
        !bucket_run.is_empty() && bucket_run.chunks(15).all(|point| point.iter().all(|t| *t == point[0]))
    );
}

#[test]
fn times_before_1970_have_one_sign() {
    let text = text_of(Mixed::new(1, 2).with_start_ms(-20_000));
    assert!(text.lines().filter(|line| !line.starts_with('#')).any(|line| {
        let timestamp = line.rsplit(' ').next().unwrap();
        timestamp.starts_with('-') && !timestamp.contains(".-")
    }));
}
