//! Tables of lines, and the round trip of any series.

use std::sync::Arc;

use proptest::prelude::*;
use tsdb_core::{Buckets, Histogram, Labels, ResetHint, SampleBuffer, Series, Span};

use super::{histogram_text, parse_line, write_series};

fn written(series: &Series) -> String {
    let mut line = Vec::new();
    write_series(&mut line, series).unwrap();
    String::from_utf8(line).unwrap()
}

/// Reads `line` and writes it again.
fn check(line: &str, expected: &str) {
    let series = parse_line(line, 1).unwrap_or_else(|error| panic!("{line}\n  {error}"));
    assert_eq!(written(&series).trim_end(), expected);
}

fn check_error(line: &str, column: usize, reason: &str) {
    let error = parse_line(line, 3).expect_err(line);
    assert!(error.reason.contains(reason), "{line}\n  gave {error}\n  not  {reason}");
    assert_eq!((error.line, error.column), (3, column), "{line}\n  {error}");
}

#[test]
fn lines_are_read_and_written() {
    let line = r#"{"labels":{"__name__":"up","job":"a\"\\\n"},"samples":[[-5,"1.5"],[1700000000000,"NaN"]],"histograms":[]}"#;
    check(line, line);
    check(r#"{"labels":{}}"#, r#"{"labels":{},"samples":[],"histograms":[]}"#);
    // Any order of fields, labels and samples; the last of two samples at one time; an empty label is none.
    check(
        r#" { "samples": [[3,"3"], [1,"1"], [3,"4"], [2,"Inf"]], "labels": {"b":"1","a":"é","c":""} } "#,
        r#"{"labels":{"a":"é","b":"1"},"samples":[[1,"1"],[2,"+Inf"],[3,"4"]],"histograms":[]}"#,
    );
    let line = concat!(
        r#"{"labels":{"__name__":"h"},"samples":[[1,"NaN(0x7ff0000000000002)"]],"histograms":[[2,{"is_float":false,"#,
        r#""reset_hint":3,"schema":-4,"zero_threshold":"0.001","zero_count":9007199254740993,"count":9007199254740999,"#,
        r#""sum":"-0","positive_spans":[[-2,1],[3,1]],"negative_spans":[[0,1]],"positive_counts":[1,2],"#,
        r#""negative_counts":[3]}],[3,{"is_float":true,"reset_hint":0,"schema":-53,"zero_threshold":"0","#,
        r#""zero_count":"0","count":"2.5","sum":"1e300","positive_spans":[[0,2]],"negative_spans":[],"#,
        r#""positive_counts":["0.5","2"],"negative_counts":[],"custom_values":["0.1"]}]]}"#,
    );
    check(line, line);
    check(
        r#"{"labels":{},"histograms":[[2,{"sum":"0","count":0,"schema":3,"is_float":false}]]}"#,
        concat!(
            r#"{"labels":{},"samples":[],"histograms":[[2,{"is_float":false,"reset_hint":0,"schema":3,"#,
            r#""zero_threshold":"0","zero_count":0,"count":0,"sum":"0","positive_spans":[],"negative_spans":[],"#,
            r#""positive_counts":[],"negative_counts":[]}]]}"#,
        ),
    );
}

#[test]
fn a_histogram_alone_is_the_object_of_its_line() {
    let line = r#"{"labels":{},"histograms":[[2,{"sum":"0","count":0,"schema":3,"is_float":false}]]}"#;
    let series = parse_line(line, 1).unwrap();
    let text = histogram_text(&series.samples.histograms[0].1);
    assert!(written(&series).contains(&format!("[[2,{text}]]")), "{text}");
}

#[test]
fn errors_say_what_and_where() {
    for (line, column, reason) in [
        ("", 1, "expected a JSON object with labels"),
        ("[{},[],[]]", 1, "expected a JSON object with labels"),
        ("up 1 1", 1, "expected a JSON object with labels"),
        (r#"{"labels":{}"#, 12, "EOF while parsing"),
        (r#"{"labels":{}} x"#, 15, "trailing characters"),
        (r#"{"samples":[]}"#, 14, "missing field `labels`"),
        (r#"{"labels":{},"points":[]}"#, 21, "unknown field `points`"),
        (r#"{"labels":{"a":"1","a":"2"}}"#, 27, "the name \"a\" occurs twice"),
        (r#"{"labels":{"":"1"}}"#, 18, "a label name is empty"),
        (r#"{"labels":{"a":1}}"#, 16, "expected a string"),
        (r#"{"labels":{},"samples":[[1,1.5]]}"#, 30, "expected a value as a string, such as \"1.5\""),
        (r#"{"labels":{"é":"é"},"samples":[[1,"one"]]}"#, 39, "value \"one\" is not a number"),
        (r#"{"labels":{},"samples":[[1,"NaN(0x1)"]]}"#, 37, "has bits that are no NaN"),
        (r#"{"labels":{},"samples":[[1.5,"1"]]}"#, 28, "expected i64"),
        (r#"{"labels":{},"samples":[[1]]}"#, 27, "expected a sample: [milliseconds,\"value\"]"),
        (r#"{"labels":{},"samples":[[999999999999999,"1"]]}"#, 41, "is outside 0001-01-01"),
    ] {
        check_error(line, column, reason);
    }
    let histogram = |fields: &str| format!("{{\"labels\":{{}},\"histograms\":[[1,{{{fields}}}]]}}");
    for (fields, reason) in [
        (r#""is_float":false,"schema":0,"sum":"0""#, "missing field `count`"),
        (r#""is_float":false,"schema":0,"count":"0","sum":"0""#, "integers, not strings"),
        (r#""is_float":true,"schema":0,"count":0,"sum":"0""#, "strings, such as"),
        (r#""is_float":true,"schema":0,"count":"0","sum":"0","reset_hint":4"#, "a hint of 0 to 3"),
        (r#""is_float":false,"schema":9,"count":0,"sum":"0""#, "schema 9 is neither"),
        (r#""is_float":false,"schema":0,"count":-1,"sum":"0""#, "a count: an integer"),
        (r#""is_float":false,"schema":0,"count":0,"sum":"0","positive_spans":[[0,1]]"#, "but there are 0"),
        (r#""is_float":false,"schema":0,"count":0,"sum":"0","buckets":[]"#, "unknown field `buckets`"),
    ] {
        let error = parse_line(&histogram(fields), 1).expect_err(fields);
        assert!(error.reason.contains(reason) && error.column > 26, "{fields}\n  gave {error}");
    }
    let both = histogram(r#""is_float":false,"schema":0,"count":0,"sum":"0""#)
        .replace("}]]}", "}]],\"samples\":[[1,\"1\"]]}");
    check_error(&both, 1, "both a float and a histogram at 1");
}

/// Any float, the odd ones often.
fn floats() -> impl Strategy<Value = f64> {
    let odd = [0, 1, 1 << 63, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, tsdb_core::STALE_NAN_BITS];
    prop_oneof![
        any::<u64>(),
        prop::sample::select(odd.to_vec()),
        (-1000..1000_i64).prop_map(|n| (n as f64).to_bits())
    ]
    .prop_map(f64::from_bits)
}

/// Spans with the counts that they name.
fn sides<T: std::fmt::Debug>(counts: BoxedStrategy<T>) -> impl Strategy<Value = (Vec<Span>, Vec<T>)> {
    prop::collection::vec((0..100_i32, 0..4_u32), 0..3).prop_flat_map(move |spans| {
        let buckets: u32 = spans.iter().map(|span| span.1).sum();
        let spans: Vec<Span> = spans.into_iter().map(|(offset, length)| Span { offset, length }).collect();
        (Just(spans), prop::collection::vec(counts.clone(), buckets as usize))
    })
}

fn histograms() -> impl Strategy<Value = Arc<Histogram>> {
    // Small enough for the sum of 19 of them to fit.
    let count = || 0..u64::MAX / 32;
    let ints = (sides(count().boxed()), sides(count().boxed()), count()).prop_map(|(p, n, zero_count)| {
        let count = p.1.iter().chain(&n.1).sum::<u64>() + zero_count;
        (p.0, n.0, Buckets::Int { count, zero_count, positive: p.1, negative: n.1 })
    });
    let float = || floats().prop_map(|f| if f < 0.0 { -f } else { f }).boxed();
    let with_floats =
        (sides(float()), sides(float()), float(), float()).prop_map(|(p, n, count, zero_count)| {
            (p.0, n.0, Buckets::Float { count, zero_count, positive: p.1, negative: n.1 })
        });
    let hints = prop::sample::select(vec![
        ResetHint::Unknown,
        ResetHint::Reset,
        ResetHint::NoReset,
        ResetHint::Gauge,
    ]);
    let custom = prop::collection::btree_set(-1000..1000_i32, 0..6);
    (hints, -4..=8_i32, floats(), floats(), prop_oneof![ints, with_floats], custom).prop_map(
        |(reset_hint, schema, zero_threshold, sum, (positive_spans, negative_spans, buckets), bounds)| {
            let exponential = Histogram {
                reset_hint,
                schema,
                zero_threshold,
                sum,
                positive_spans,
                negative_spans,
                buckets,
                custom_bounds: Arc::from([]),
            };
            let custom = Histogram {
                schema: -53,
                zero_threshold: 0.0,
                positive_spans: vec![Span { offset: 0, length: bounds.len() as u32 + 1 }],
                negative_spans: Vec::new(),
                buckets: Buckets::Float {
                    count: 1.0,
                    zero_count: 0.0,
                    positive: vec![0.5; bounds.len() + 1],
                    negative: Vec::new(),
                },
                custom_bounds: bounds.iter().map(|bound| f64::from(*bound) / 8.0).collect(),
                ..exponential.clone()
            };
            Arc::new(if bounds.is_empty() { exponential } else { custom })
        },
    )
}

fn series() -> impl Strategy<Value = Series> {
    let text = || prop_oneof![any::<String>(), "[a-z]{1,4}"].prop_filter("a name", |name| !name.is_empty());
    let labels = prop::collection::btree_map(text(), text(), 0..5);
    let sample = prop_oneof![3 => floats().prop_map(Ok), 1 => histograms().prop_map(Err)];
    let samples = prop::collection::btree_map(-62_135_596_800_000_i64..=253_402_300_799_999, sample, 0..12);
    (labels, samples).prop_map(|(labels, samples)| {
        let mut buffer = SampleBuffer::default();
        for (timestamp_ms, sample) in samples {
            match sample {
                Ok(value) => {
                    buffer.timestamps_ms.push(timestamp_ms);
                    buffer.values.push(value);
                }
                Err(histogram) => buffer.histograms.push((timestamp_ms, histogram)),
            }
        }
        Series { labels: Labels::from_pairs(labels).unwrap(), samples: buffer }
    })
}

proptest! {
    #[test]
    fn any_series_comes_back_bit_for_bit(series in series()) {
        for (_, histogram) in &series.samples.histograms {
            prop_assert!(histogram.validate().is_ok(), "{:?}", histogram.validate());
        }
        let line = written(&series);
        prop_assert_eq!(line.matches('\n').count(), 1);
        let read = parse_line(&line, 1).unwrap();
        prop_assert_eq!(&read.labels, &series.labels);
        prop_assert!(read.samples.bits_eq(&series.samples), "{line}");
        // `bits_eq` of a stale histogram ignores its buckets; the text does not.
        prop_assert_eq!(written(&read), line);
    }

    #[test]
    fn damaged_lines_are_read_or_refused(series in series(), at: prop::sample::Index, text in "[\\[\\]{}\",:0-9a-zé]{0,3}", cut in 0..3_usize) {
        let mut line: Vec<char> = written(&series).chars().collect();
        let at = at.index(line.len());
        line.splice(at..(at + cut).min(line.len()), text.chars());
        let line: String = line.into_iter().collect();
        match parse_line(&line, 1) {
            Ok(read) => prop_assert!(read.samples.timestamps_ms.is_sorted_by(|a, b| a < b)),
            Err(error) => prop_assert!((1..=line.len() + 1).contains(&error.column), "{error}"),
        }
    }
}
