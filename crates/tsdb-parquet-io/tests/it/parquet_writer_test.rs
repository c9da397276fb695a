//! The roadmap's `ParquetWriterTest`: what stands in a file, and which rows a writer refuses.

use tsdb_core::{Labels, SampleBuffer, Series, TimeRange};
use tsdb_parquet_io::{
    ColdStorageWriter, Compression, Error, Origin, ParquetConfig, ParquetWriter, ValueEncoding,
};
use tsdb_schema::{LabelLayout, SampleBatch};

use crate::common::{metric, open, series, write};

fn promoted(labels: &[&str]) -> ParquetConfig {
    let promoted_labels = labels.iter().map(ToString::to_string).collect();
    ParquetConfig { promoted_labels, with_histograms: false, ..ParquetConfig::default() }
}

#[test]
fn test_magic_bytes() {
    let (meta, file) = write(ParquetConfig::default(), &metric("up", 2, 10)).unwrap();
    assert_eq!(&file[..4], b"PAR1");
    assert_eq!(&file[file.len() - 4..], b"PAR1");
    assert_eq!(meta.bytes, file.len() as u64);
}

#[tokio::test]
async fn test_footer() {
    let config = ParquetConfig {
        key_values: vec![("tsdb.level".into(), "3".into()), ("note".into(), "größer".into())],
        ..promoted(&["__name__", "job"])
    };
    let (meta, file) = write(config, &metric("up", 3, 10)).unwrap();
    assert_eq!((meta.rows, meta.series, meta.time_range), (30, 3, TimeRange::new(0, 9 * 15_000)));
    let reader = open(file).await.unwrap();
    assert_eq!(reader.file_meta(), &meta);
    assert_eq!(meta.origin, Origin::Tsdb);
    assert_eq!(meta.key_values[1].1, "größer");
    let layout = reader.layout();
    assert!(layout.created_by.starts_with("tsdb-parquet-io version "), "{}", layout.created_by);
    assert_eq!(layout.row_groups[0].rows, 30);
}

#[tokio::test]
async fn row_groups_and_pages_have_at_most_the_rows_of_the_settings() {
    let config = ParquetConfig {
        row_group_rows: 1000,
        page_rows: 100,
        timestamp_page_rows: 250,
        ..promoted(&["__name__"])
    };
    let (_, file) = write(config, &metric("up", 7, 500)).unwrap();
    let layout = open(file).await.unwrap().layout();
    let rows: Vec<u64> = layout.row_groups.iter().map(|g| g.rows).collect();
    assert_eq!(rows, [1000, 1000, 1000, 500]);
    for group in &layout.row_groups {
        let pages = |path: &str| group.columns.iter().find(|c| c.path == path).unwrap().pages.unwrap() as u64;
        assert_eq!((pages("value"), pages("timestamp")), (group.rows / 100, group.rows / 250));
        // The map's pages are cut by the encoder, at least as small.
        assert!(pages("labels.key_value.key") >= group.rows / 100);
    }
}

#[tokio::test]
async fn encodings_are_those_of_the_settings() {
    for (value_encoding, expected) in [
        (ValueEncoding::Dictionary, "RLE_DICTIONARY"),
        (ValueEncoding::Plain, "PLAIN"),
        (ValueEncoding::ByteStreamSplit, "BYTE_STREAM_SPLIT"),
    ] {
        let (_, file) =
            write(ParquetConfig { value_encoding, ..promoted(&["job"]) }, &metric("up", 2, 100)).unwrap();
        let layout = open(file).await.unwrap().layout();
        let encodings = |path: &str| {
            let found = layout.row_groups[0].columns.iter().find(|c| c.path == path);
            found.unwrap_or_else(|| panic!("no column {path}")).encodings.clone()
        };
        assert!(encodings("value").contains(&expected.to_owned()), "{:?}", encodings("value"));
        assert!(encodings("timestamp").contains(&"DELTA_BINARY_PACKED".to_owned()));
        assert!(encodings("job").contains(&"RLE_DICTIONARY".to_owned()));
        assert!(encodings("labels.key_value.key").contains(&"RLE_DICTIONARY".to_owned()));
    }
}

#[tokio::test]
async fn sorting_is_declared_only_where_it_holds() {
    let names = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
    let sorted_by = async |config, series: &[Series]| {
        open(write(config, series).unwrap().1).await.unwrap().layout().row_groups[0].sorted_by.clone()
    };
    let usual = promoted(&["__name__", "instance", "job"]);
    let all = names(&["__name__", "instance", "job"]);
    let known = ParquetConfig { label_names: all.clone(), ..usual.clone() };
    assert_eq!(sorted_by(known.clone(), &metric("up", 2, 3)).await, ["__name__"]);
    // Behind the histogram's leaf columns, the leaf's number is another.
    let with_histograms = ParquetConfig { with_histograms: true, ..known.clone() };
    assert_eq!(sorted_by(with_histograms, &metric("up", 2, 3)).await, ["__name__"]);
    // Not known which labels will come; a capital label sorts before the metric name; a row without labels.
    assert!(sorted_by(usual.clone(), &metric("up", 2, 3)).await.is_empty());
    let capital =
        ParquetConfig { label_names: names(&["Zone", "__name__", "instance", "job"]), ..usual.clone() };
    assert!(sorted_by(capital, &metric("up", 2, 3)).await.is_empty());
    let unlabelled = [vec![series(&[], [(1, 1.0)])], metric("up", 1, 1)].concat();
    assert!(sorted_by(known, &unlabelled).await.is_empty());

    // A label that was not announced breaks the promise: refused, not written.
    let lied = ParquetConfig { label_names: all, promoted_labels: vec!["__name__".into()], ..usual };
    let rows =
        [series(&[("Zone", "a"), ("__name__", "z")], [(1, 1.0)]), series(&[("__name__", "a")], [(1, 1.0)])];
    assert!(matches!(write(lied, &rows), Err(Error::OutOfOrder(_))));
}

#[tokio::test]
async fn the_map_is_left_out_where_every_label_has_a_column() {
    let columns = async |config| {
        let reader = open(write(config, &metric("up", 1, 1)).unwrap().1).await.unwrap();
        let schema = reader.metadata().mapper().time_series_to_arrow_schema();
        schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>()
    };
    let label_names = Some(vec!["__name__".to_owned(), "instance".into(), "job".into()]);
    let hybrid =
        ParquetConfig { label_names: label_names.clone(), ..promoted(&["__name__", "instance", "job"]) };
    assert_eq!(columns(hybrid.clone()).await, ["timestamp", "value", "__name__", "instance", "job"]);
    let some = ParquetConfig { promoted_labels: vec!["job".into()], ..hybrid.clone() };
    assert_eq!(columns(some).await, ["timestamp", "value", "job", "labels"]);
    let sparse = ParquetConfig { label_layout: LabelLayout::Columns, promoted_labels: Vec::new(), ..hybrid };
    assert_eq!(columns(sparse).await, ["timestamp", "value", "__name__", "instance", "job"]);
}

#[test]
fn rows_out_of_order_are_refused() {
    let a = series(&[("__name__", "a")], [(1, 1.0), (2, 2.0)]);
    let b = series(&[("__name__", "b")], [(1, 1.0)]);
    let ab = series(&[("__name__", "a"), ("b", "1")], [(1, 1.0)]);
    let refused = |batches: &[&[&Series]]| {
        let mut writer = ParquetWriter::new(Vec::new(), ParquetConfig::default()).unwrap();
        let results = batches
            .iter()
            .map(|batch| writer.write_batch(&SampleBatch::new(batch.iter().map(|s| (*s).clone()).collect())));
        let results: Vec<_> = results.collect();
        assert!(results[..results.len() - 1].iter().all(Result::is_ok));
        matches!(results.last(), Some(Err(Error::OutOfOrder(_))))
    };
    assert!(!refused(&[&[&a, &ab, &b]]));
    assert!(refused(&[&[&b, &a]]));
    assert!(refused(&[&[&b], &[&a]]), "over batches");
    assert!(refused(&[&[&a], &[&a]]), "the same samples again");
    let later = series(&[("__name__", "a")], [(3, 3.0)]);
    assert!(!refused(&[&[&a], &[&later], &[&ab]]), "a series goes on in the next batch");
    let same_time =
        SampleBuffer { timestamps_ms: vec![1, 1], values: vec![1.0, 2.0], histograms: Vec::new() };
    assert!(refused(&[&[&Series { labels: Labels::empty(), samples: same_time }]]));
}

#[test]
fn memory_is_bounded_by_the_row_group() {
    let config = ParquetConfig { row_group_rows: 20_000, ..promoted(&["__name__", "instance", "job"]) };
    let mut writer = ParquetWriter::new(std::io::sink(), config).unwrap();
    let mut peak = 0;
    let mut after_one_group = 0;
    for (i, one) in metric("up", 200, 1000).into_iter().enumerate() {
        writer.write_batch(&SampleBatch::new(vec![one])).unwrap();
        peak = peak.max(writer.memory_bytes());
        if i == 19 {
            after_one_group = peak;
        }
    }
    assert!(after_one_group > 0);
    assert!(peak < 2 * after_one_group, "{peak} bytes after ten row groups, {after_one_group} after one");
    let meta = writer.close().unwrap();
    assert_eq!((meta.rows, meta.series), (200_000, 200));
}

#[test]
fn settings_that_no_file_can_have_are_refused() {
    let refused = |config: ParquetConfig| match ParquetWriter::new(Vec::new(), config) {
        Ok(mut writer) => writer.write_batch(&SampleBatch::new(metric("up", 1, 1))).is_err(),
        Err(error) => matches!(error, Error::InvalidConfig(_)),
    };
    let usual = ParquetConfig::default;
    assert!(!refused(usual()));
    assert!(refused(ParquetConfig { row_group_rows: 0, ..usual() }));
    assert!(refused(ParquetConfig { page_rows: 0, ..usual() }));
    assert!(refused(ParquetConfig { compression: Compression::Zstd(99), ..usual() }));
    assert!(refused(ParquetConfig {
        compat: true,
        value_encoding: ValueEncoding::ByteStreamSplit,
        ..usual()
    }));
    assert!(refused(ParquetConfig { bloom_false_positives: 1.0, ..usual() }));
    assert!(refused(ParquetConfig { key_values: vec![("tsdb.samples".into(), "7".into())], ..usual() }));
}

#[test]
fn row_groups_may_be_bounded_by_their_bytes_alone() {
    // So many columns that the footer soon makes row groups larger.
    let labels: Vec<String> = (0..200).map(|i| format!("l{i}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    for row_group_rows in [usize::MAX, 1 << 62] {
        let config = ParquetConfig { row_group_rows, row_group_bytes: 1, ..promoted(&labels) };
        let (meta, _) = write(config, &metric("up", 50, 1)).unwrap();
        assert_eq!(meta.rows, 50);
    }
}

#[test]
fn a_writer_that_has_failed_makes_no_file() {
    let config = || ParquetConfig { label_layout: LabelLayout::Columns, ..promoted(&["__name__"]) };
    let config = || ParquetConfig { label_names: Some(vec!["__name__".into()]), ..config() };
    let sound = series(&[("__name__", "a")], [(1, 1.0)]);
    let without_column = series(&[("__name__", "b"), ("job", "x")], [(1, 1.0)]);
    let later = series(&[("__name__", "c")], [(1, 1.0)]);
    let mut writer = ParquetWriter::new(Vec::new(), config()).unwrap();
    assert!(writer.write_batch(&SampleBatch::new(vec![sound, without_column])).is_err());
    assert!(writer.write_batch(&SampleBatch::new(vec![later])).is_err());
    assert!(writer.close().is_err());
}

#[test]
fn a_failing_sink_is_an_error_not_a_file() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (meta, _) = write(ParquetConfig::default(), &metric("up", 20, 100)).unwrap();
    let total = usize::try_from(meta.bytes).unwrap();
    for room in [0, 3, 100, total / 2, total - 1] {
        let written = ParquetWriter::new(Full(room), ParquetConfig::default()).and_then(|mut writer| {
            writer.write_batch(&SampleBatch::new(metric("up", 20, 100)))?;
            writer.close()
        });
        assert!(
            matches!(written, Err(Error::Write(_) | Error::Io(_))),
            "{room} of {total} bytes: {written:?}"
        );
    }
}
