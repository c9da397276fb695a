//! Tables of lines and what they mean, and properties over generated and damaged text.

use proptest::prelude::*;
use tsdb_core::{Labels, METRIC_NAME};
use tsdb_workload::Mixed;

use super::*;

/// One sample as text: the label set, milliseconds, value.
fn read(parser: &mut Parser, line: &str, number: u64) -> Result<Option<String>, LineError> {
    let Some(sample) = parser.parse_line(line.as_bytes(), number)? else { return Ok(None) };
    let labels = parser.labels(&sample)?;
    Ok(Some(format!("{labels} {} {}", sample.timestamp_ms, sample.value)))
}

/// Parses a whole text; the samples, or the first error as `line:column: reason`.
fn parse(format: Format, text: &str) -> Result<Vec<String>, String> {
    let mut parser = Parser::new(format, None);
    let mut samples = Vec::new();
    let mut last = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        last = number;
        samples.extend(read(&mut parser, line, number).map_err(|error| error.to_string())?);
    }
    parser.finish(last).map_err(|error| error.to_string())?;
    Ok(samples)
}

fn check(format: Format, text: &str, expected: &[&str]) {
    assert_eq!(parse(format, text), Ok(expected.iter().map(|s| (*s).to_owned()).collect()), "{text}");
}

/// The error must begin with `expected`, which has the place and the start of the reason.
fn check_error(format: Format, text: &str, expected: &str) {
    let error = parse(format, text).expect_err(text);
    assert!(error.starts_with(expected), "{text:?}\n  gave {error}\n  not  {expected}");
}

#[test]
fn series_as_written() {
    for (line, expected) in [
        ("up 1 1.5", "up 1500 1"),
        ("  up\t1   1.5  ", "up 1500 1"),
        ("up 1 1.5\r\n", "up 1500 1"),
        ("up{} 1 1.5", "up 1500 1"),
        ("up {a=\"b\"} 1 1.5", r#"up{a="b"} 1500 1"#),
        ("up{b=\"2\",a=\"1\"} 1 1.5", r#"up{a="1", b="2"} 1500 1"#),
        ("up{ a = \"1\" , b=\"2\" , } 1 1.5", r#"up{a="1", b="2"} 1500 1"#),
        ("up{a=\"\"} 1 1.5", "up 1500 1"),
        ("a:b_total{le=\"+Inf\"} 1 1.5", r#"a:b_total{le="+Inf"} 1500 1"#),
        (r#"up{a="} 1 1.5",b="{"} 1 1.5"#, r#"up{a="} 1 1.5", b="{"} 1500 1"#),
        (r#"up{a="\\ \" x"} 1 1.5"#, r#"up{a="\\ \" x"} 1500 1"#),
        (r#"up{a="C:\dir\\"} 1 1.5"#, r#"up{a="C:\\dir\\"} 1500 1"#),
        (r#"{"my.metric"} 1 1.5"#, r#"{"my.metric"} 1500 1"#),
        (r#"{"my.metric","my.label"="é",a="b"} 1 1.5"#, r#"{"my.metric", a="b", "my.label"="é"} 1500 1"#),
        (r#"{a="b","up"} 1 1.5"#, r#"up{a="b"} 1500 1"#),
        (r#"{"a\"b"} 1 1.5"#, r#"{"a\"b"} 1500 1"#),
        (r#"{__name__="up",a="b"} 1 1.5"#, r#"up{a="b"} 1500 1"#),
    ] {
        check(Format::Auto, line, &[expected]);
    }
    let mut parser = Parser::new(Format::Auto, None);
    let line = b" up{a=\"x\\ny\"}  1 1.5";
    let sample = parser.parse_line(line, 1).unwrap().unwrap();
    assert_eq!(sample.series, "up{a=\"x\\ny\"}");
    assert_eq!(parser.labels(&sample).unwrap().get("a"), Some("x\ny"));
}

#[test]
fn values_as_written() {
    for (text, bits) in [
        ("1", 1f64.to_bits()),
        ("+1.50", 1.5f64.to_bits()),
        (".5", 0.5f64.to_bits()),
        ("5.", 5f64.to_bits()),
        ("-0", (-0.0f64).to_bits()),
        ("1e3", 1000f64.to_bits()),
        ("1E-3", 0.001f64.to_bits()),
        ("17976931348623157e292", f64::MAX.to_bits()),
        ("5e-324", 1),
        ("NaN", 0x7ff8_0000_0000_0000),
        ("nan", 0x7ff8_0000_0000_0000),
        ("Inf", f64::INFINITY.to_bits()),
        ("+inf", f64::INFINITY.to_bits()),
        ("-INFINITY", f64::NEG_INFINITY.to_bits()),
    ] {
        assert_eq!(parse_float(text).map(f64::to_bits), Ok(bits), "{text}");
    }
    for text in [
        "", ".", "e", "1e", "0x10", "0x1p4", "1_000", "1,5", "-nan", "+NaN", "1e400", "-1e309", "infinit",
        "١",
    ] {
        assert!(parse_float(text).is_err(), "{text}");
    }
}

#[test]
fn seconds_are_exact() {
    for (text, milliseconds) in [
        ("0", 0),
        ("-0", 0),
        ("1767225600.001", 1_767_225_600_001),
        ("1767225600.0014", 1_767_225_600_001),
        ("1767225600.0015", 1_767_225_600_002),
        ("1767225600.00149999999999999999999999", 1_767_225_600_001),
        ("-1.0005", -1001),
        ("-1.0004", -1000),
        ("+1", 1000),
        (".5", 500),
        ("5.", 5000),
        ("0.0004", 0),
        ("0.0005", 1),
        ("0.00005", 0),
        ("1.7e9", 1_700_000_000_000),
        ("1.7672256000015E9", 1_767_225_600_002),
        ("17e+8", 1_700_000_000_000),
        ("1767225600001e-3", 1_767_225_600_001),
        ("5e-4", 1),
        ("5e-5", 0),
        ("1e-99999999999999999999", 0),
        ("0e99999999999999999999", 0),
        ("000000000000000000000000000001.5", 1500),
        ("9223372036854775.807", i64::MAX),
    ] {
        assert_eq!(seconds_to_milliseconds(text), Ok(milliseconds), "{text}");
    }
    for text in [
        "",
        ".",
        "-",
        "+-1",
        "1.2.3",
        "1e",
        "e5",
        "1e1.5",
        "NaN",
        "Inf",
        "1_0",
        "0x1",
        "1e16",
        "1e99999999999999999999",
        "9223372036854775.8075",
    ] {
        assert!(seconds_to_milliseconds(text).is_err(), "{text}");
    }
}

#[test]
fn the_first_timestamp_decides_the_format() {
    check(
        Format::Auto,
        "up 1 1767225600\nup 2 1767225601.5\n",
        &["up 1767225600000 1", "up 1767225601500 2"],
    );
    check(Format::Auto, "up 1 1767225600000\nup 2 1000\n", &["up 1767225600000 1", "up 1000 2"]);
    check(Format::Auto, "up 1 -5\n", &["up -5000 1"]);
    check(Format::Auto, "up 1 17672256e2\n", &["up 1767225600000 1"]);
    check(
        Format::Auto,
        "up 1 99999999999\nup 1 100000000000\n",
        &["up 99999999999000 1", "up 100000000000000 1"],
    );
    check(Format::Auto, "up 1 100000000000\n", &["up 100000000000 1"]);
    check(Format::Prometheus, "up 1 5\n", &["up 5 1"]);
    check(Format::OpenMetrics, "up 1 1767225600\n# EOF\n", &["up 1767225600000 1"]);
    check_error(
        Format::Auto,
        "up 1 1767225600000\nup 2 1.5\n",
        "2:6: timestamp \"1.5\" is not a whole number of mill",
    );
    check_error(
        Format::Auto,
        "up 1 1\nup 1 1767225600000\n",
        "2:6: timestamp 1767225600000000 ms is outside",
    );
    check_error(
        Format::Prometheus,
        "up 1 99999999999999999999\n",
        "1:6: timestamp \"99999999999999999999\" is out of",
    );
    check_error(Format::Auto, "up 1 noon\n", "1:6: timestamp \"noon\" is not a number of seconds");
}

#[test]
fn timestamps_may_be_given_by_the_caller() {
    let mut parser = Parser::new(Format::Auto, Some(42));
    assert_eq!(read(&mut parser, "up 1", 1).unwrap().as_deref(), Some("up 42 1"));
    assert_eq!(parser.format, Format::Auto);
    assert_eq!(read(&mut parser, "up 1 # {a=\"b\"} 1", 2).unwrap().as_deref(), Some("up 42 1"));
    assert_eq!(read(&mut parser, "up 1 7", 3).unwrap().as_deref(), Some("up 7000 1"));
    assert_eq!(parser.format, Format::OpenMetrics);
    check_error(Format::Auto, "up 1\n", "1:5: the sample has no timestamp; pass --timestamp now");
}

#[test]
fn comments_blank_lines_and_the_end() {
    let text = "# a comment\n#\n#nothing\n\n# HELP up Whether it is up.\n# TYPE up gauge\nup 1 1767225600000\n# EOF\nup 2 3\n";
    check(Format::Prometheus, text, &["up 1767225600000 1", "up 3 2"]);
    check(Format::Auto, text, &["up 1767225600000 1", "up 3 2"]);
    check_error(Format::OpenMetrics, text, "1:1: OpenMetrics has no comments");
    check_error(Format::OpenMetrics, "\n", "1:1: OpenMetrics has no blank lines");
    check_error(Format::OpenMetrics, "up 1 1\n", "1:1: the file ends without # EOF");
    check(Format::Auto, "up 1 1.0\n# EOF\n\n", &["up 1000 1"]);
    check(Format::Auto, "up 1 1.0\n# EOF", &["up 1000 1"]);
    check_error(Format::Auto, "up 1 1.0\n# EOF\nup 1 2.0\n", "3:1: text after # EOF");
    check_error(Format::Auto, "# EOF\n# more\n", "2:1: text after # EOF");
    check(
        Format::OpenMetrics,
        "# TYPE a counter\n# UNIT a\n# HELP \"b c\" \n# TYPE \"b c\" info\n# EOF\n",
        &[],
    );
    check(Format::Auto, "\u{feff}up 1 1\n", &["up 1000 1"]);
    for (line, expected) in [
        ("# TYPE", "1:7: expected a space and a metric name, found the end of the line"),
        ("# TYPE up", "1:10: expected a space and the metric's type"),
        ("# TYPE up meter", "1:11: unknown metric type \"meter\""),
        ("# TYPE é gauge", "1:8: expected a metric name"),
        ("# HELP 1a x", "1:8: a metric name cannot begin with a digit"),
        ("# UNIT \"a", "1:8: this quote is not closed"),
    ] {
        check_error(Format::Auto, line, expected);
    }
}

#[test]
fn exemplars_are_counted_and_dropped() {
    let mut parser = Parser::new(Format::Auto, None);
    for line in [
        "a_bucket{le=\"1\"} 5 1.5 # {trace_id=\"x # y\"} 0.5",
        "a_bucket{le=\"1\"} 5 1.5 # {} 0.5 1.25",
        "a_bucket{le=\"1\"} 5 1.5 #{trace_id=\"\\\"\"} NaN  1e9 ",
    ] {
        assert_eq!(
            read(&mut parser, line, 1).unwrap().as_deref(),
            Some("a_bucket{le=\"1\"} 1500 5"),
            "{line}"
        );
    }
    assert_eq!(parser.exemplars(), 3);
    for (line, expected) in [
        ("a 5 1.5 # trace", "1:11: expected { and the exemplar's labels"),
        ("a 5 1.5 # {a=b} 1", "1:14: expected a label value in double quotes"),
        ("a 5 1.5 # {\"a\"} 1", "1:12: expected '=' after the label name"),
        ("a 5 1.5 # {a=\"b\"}", "1:18: expected a space and the exemplar's value"),
        ("a 5 1.5 # {a=\"b\"} x", "1:19: value \"x\" is not a number"),
        ("a 5 1.5 # {a=\"b\"} 1 y", "1:21: the exemplar's timestamp \"y\""),
        ("a 5 1.5 # {a=\"b\"} 1 2 3", "1:23: expected the end of the line"),
    ] {
        check_error(Format::Auto, line, expected);
    }
}

#[test]
fn errors_point_at_the_place() {
    for (line, expected) in [
        ("{} 1 1", "1:1: the series has no metric name"),
        ("{a=\"b\"} 1 1", "1:1: the series has no metric name"),
        ("{__name__=\"\"} 1 1", "1:1: the series has no metric name"),
        ("1up 1 1", "1:1: a metric name cannot begin with a digit"),
        ("1up{} 1 1", "1:1: a metric name cannot begin with a digit"),
        ("my.metric 1 1", "1:3: '.' cannot stand in a metric name; write the name in quotes"),
        ("é 1 1", "1:1: expected a metric name"),
        ("up", "1:3: expected a space and the sample's value, found the end of the line"),
        ("up ", "1:3: expected a space and the sample's value, found the end of the line"),
        ("up{a=\"b\"}1 1", "1:10: expected a space and the sample's value, found other text"),
        ("up one 1", "1:4: value \"one\" is not a number"),
        ("up 0x10 1", "1:4: value \"0x10\" is not a number"),
        ("up 1e999 1", "1:4: value \"1e999\" is beyond the range"),
        ("up 1 1 1", "1:8: expected the end of the line"),
        ("up{a=\"b\" 1 1", "1:3: this { is not closed"),
        ("up{a=\"b} 1 1", "1:6: this quote is not closed"),
        ("up{a=\"é\",b=\"x} 1 1", "1:12: this quote is not closed"),
        ("up{a=b} 1 1", "1:6: expected a label value in double quotes"),
        ("up{a} 1 1", "1:5: expected '=' after the label name"),
        ("up{\"a\"} 1 1", "1:4: expected '=' after the label name (the metric has a name already)"),
        ("up{a=\"b\"c=\"d\"} 1 1", "1:9: expected ',' or '}' after the label"),
        ("up{,} 1 1", "1:4: expected a label name"),
        ("up{1a=\"b\"} 1 1", "1:4: a label name cannot begin with a digit"),
        ("up{a.b=\"c\"} 1 1", "1:5: expected '=' after the label name"),
        ("up{\"\"=\"c\"} 1 1", "1:4: the name in quotes is empty"),
        ("up{a=\"1\",a=\"2\"} 1 1", "1:1: invalid label set: the name \"a\" occurs twice"),
        ("up{__name__=\"down\"} 1 1", "1:1: invalid label set: the name"),
        ("up{a=\"\\", "1:6: this quote is not closed"),
        ("up{a=\"\\é", "1:6: this quote is not closed"),
    ] {
        check_error(Format::Auto, line, expected);
    }
}

#[test]
fn text_that_is_not_utf8_is_an_error_with_its_place() {
    let mut parser = Parser::new(Format::Auto, None);
    let error = parser.parse_line(b"up{a=\"\xc3\xa9\xff\"} 1 1", 7).unwrap_err();
    assert_eq!((error.line, error.column), (7, 8));
    assert!(error.reason.contains("not UTF-8"));
}

#[test]
fn excerpts_are_short_and_safe_to_print() {
    let line = format!("up{{a=\"{}\"b\u{1b}[31m{}}} 1 1", "x".repeat(100), "y".repeat(100));
    let mut parser = Parser::new(Format::Auto, None);
    let sample = parser.parse_line(line.as_bytes(), 1);
    let error =
        sample.and_then(|sample| parser.labels(&sample.unwrap()).map(|_| ())).unwrap_err().to_string();
    assert!(error.len() < 200 && error.contains("...xxx") && error.contains("yyy..."), "{error}");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn a_generated_workload_is_read_back_whole() {
    let settings = Mixed { series: 300, samples: 20, seed: 5, ..Mixed::default() };
    let mut text = Vec::new();
    settings.write_openmetrics(&mut text).unwrap();
    let mut parser = Parser::new(Format::OpenMetrics, None);
    let mut found = std::collections::HashMap::<Labels, Vec<(i64, f64)>>::new();
    for (line, number) in text.split_inclusive(|byte| *byte == b'\n').zip(1..) {
        if let Some(sample) = parser.parse_line(line, number).unwrap() {
            found
                .entry(parser.labels(&sample).unwrap())
                .or_default()
                .push((sample.timestamp_ms, sample.value));
        }
    }
    parser.finish(0).unwrap();
    let workload = settings.generate();
    assert_eq!(found.len(), workload.len());
    for i in 0..workload.len() {
        let expected: Vec<_> =
            workload.timestamps(i).iter().copied().zip(workload.values(i).iter().copied()).collect();
        assert_eq!(found.get(workload.labels(i)), Some(&expected), "{}", workload.labels(i));
    }
}

/// A series as text with every name in quotes and everything escaped that must be.
fn quoted_series(labels: &Labels) -> String {
    let quote =
        |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let mut parts = vec![quote(labels.metric_name().unwrap_or_default())];
    parts.extend(
        labels.iter().filter(|(n, _)| *n != METRIC_NAME).map(|(n, v)| format!("{}={}", quote(n), quote(v))),
    );
    format!("{{{}}}", parts.join(","))
}

fn label_sets() -> impl Strategy<Value = Labels> {
    let name = prop_oneof![3 => "[a-z_]{1,6}", 1 => "\\PC{1,6}", 1 => Just("a\nb\\".to_owned())];
    let value = prop_oneof![3 => "[ -~]{1,8}", 1 => any::<String>()];
    (name.clone(), prop::collection::btree_map(name, value, 0..5)).prop_map(|(metric, mut pairs)| {
        pairs.insert(METRIC_NAME.to_owned(), metric);
        Labels::from_pairs(pairs).unwrap()
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(labels in label_sets(), value: f64, ms in -62_135_596_800_000_i64..=253_402_300_799_999) {
        let series = quoted_series(&labels);
        // A line's end inside a value is escaped; a carriage return is not an end.
        let sign = if ms < 0 { "-" } else { "" };
        let seconds = format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
        for (format, timestamp) in [(Format::OpenMetrics, seconds), (Format::Prometheus, ms.to_string())] {
            let line = format!("{series} {value:?} {timestamp}\n");
            let mut parser = Parser::new(format, None);
            let sample = parser.parse_line(line.as_bytes(), 2).unwrap().unwrap();
            prop_assert_eq!(sample.series, &series);
            prop_assert_eq!((sample.timestamp_ms, sample.value.to_bits()), (ms, if value.is_nan() { f64::NAN } else { value }.to_bits()));
            prop_assert_eq!(parser.labels(&sample).unwrap(), labels.clone());
        }
    }

    #[test]
    fn any_bytes_give_a_sample_or_an_error(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
        parse_bytes(&lines);
    }

    #[test]
    fn damaged_lines_give_a_sample_or_an_error(
        at in any::<prop::sample::Index>(), bytes in prop::collection::vec(prop_oneof![
            any::<u8>(), prop::sample::select(b"{}\"\\,=# \t\n.e+-0NaN\xc3\xa9".to_vec()),
        ], 0..3), cut in 0..3_usize, line in prop::sample::select(vec![
            r#"up{a="b\\",c="d\n"} 1.5 1767225600.5 # {trace_id="x"} 0.5 1.25"#,
            r#"{"my.metric","é"="b\"",a="c"} -Inf 1767225600000"#,
            "# TYPE http_requests counter", "# HELP \"my.metric\" text", "# EOF",
        ])
    ) {
        let mut line = line.as_bytes().to_vec();
        let at = at.index(line.len());
        line.splice(at..(at + cut).min(line.len()), bytes);
        parse_bytes(&[line]);
    }
}

/// Parses whatever it is given, with every format; errors must point into their line.
fn parse_bytes(lines: &[Vec<u8>]) {
    for format in [Format::Auto, Format::OpenMetrics, Format::Prometheus] {
        let mut parser = Parser::new(format, Some(0));
        for (line, number) in lines.iter().zip(1..) {
            let labels = match parser.parse_line(line, number) {
                Ok(Some(sample)) => {
                    parser.labels(&sample).map(|labels| assert!(labels.metric_name().is_some()))
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = labels {
                assert!(error.line == number && (1..=line.len() + 1).contains(&error.column), "{error}");
            }
        }
    }
}
