//! The decoders against another one: messages that `prost` writes and reads. Whatever bytes come, there is no panic; where both read them,
//! they read the same; and where only one does, it is ours that refuses, for a reason that is its own.

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message;
use tsdb_core::{Buckets, Histogram, STALE_NAN_BITS, Span};

use super::decode::{self, RawLabels, RawMetadata, Sink};
use super::histogram::{Decoded, HistogramSample};
use super::wire::Malformed;

/// The messages of 1.0. Of an exemplar only that it is there counts.
mod v1 {
    use super::message::{Histogram, Metadata, Sample};

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(super) metadata: Vec<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(super) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<Sample>,
        #[prost(bytes = "vec", repeated, tag = "3")]
        pub(super) exemplars: Vec<Vec<u8>>,
        #[prost(message, repeated, tag = "4")]
        pub(super) histograms: Vec<Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Label {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) value: String,
    }
}

/// The messages of 2.0.
mod v2 {
    use super::message::{Histogram, StartedSample};

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels_refs: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<StartedSample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<Histogram>,
        #[prost(bytes = "vec", repeated, tag = "4")]
        pub(super) exemplars: Vec<Vec<u8>>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help_ref: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit_ref: u32,
    }
}

/// What both have.
mod message {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct StartedSample {
        #[prost(double, tag = "1")]
        pub(super) value: f64,
        #[prost(int64, tag = "2")]
        pub(super) timestamp: i64,
        #[prost(int64, tag = "3")]
        pub(super) start_timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(string, tag = "2")]
        pub(super) metric_family_name: String,
        #[prost(string, tag = "4")]
        pub(super) help: String,
        #[prost(string, tag = "5")]
        pub(super) unit: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Histogram {
        #[prost(oneof = "Count", tags = "1, 2")]
        pub(super) count: Option<Count>,
        #[prost(double, tag = "3")]
        pub(super) sum: f64,
        #[prost(sint32, tag = "4")]
        pub(super) schema: i32,
        #[prost(double, tag = "5")]
        pub(super) zero_threshold: f64,
        #[prost(oneof = "ZeroCount", tags = "6, 7")]
        pub(super) zero_count: Option<ZeroCount>,
        #[prost(message, repeated, tag = "8")]
        pub(super) negative_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "9")]
        pub(super) negative_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "10")]
        pub(super) negative_counts: Vec<f64>,
        #[prost(message, repeated, tag = "11")]
        pub(super) positive_spans: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "12")]
        pub(super) positive_deltas: Vec<i64>,
        #[prost(double, repeated, tag = "13")]
        pub(super) positive_counts: Vec<f64>,
        #[prost(int32, tag = "14")]
        pub(super) reset_hint: i32,
        #[prost(int64, tag = "15")]
        pub(super) timestamp: i64,
        #[prost(double, repeated, tag = "16")]
        pub(super) custom_values: Vec<f64>,
        #[prost(int64, tag = "17")]
        pub(super) start_timestamp: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct BucketSpan {
        #[prost(sint32, tag = "1")]
        pub(super) offset: i32,
        #[prost(uint32, tag = "2")]
        pub(super) length: u32,
    }

    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub(super) enum Count {
        #[prost(uint64, tag = "1")]
        Int(u64),
        #[prost(double, tag = "2")]
        Float(f64),
    }

    #[derive(Clone, Copy, PartialEq, prost::Oneof)]
    pub(super) enum ZeroCount {
        #[prost(uint64, tag = "6")]
        Int(u64),
        #[prost(double, tag = "7")]
        Float(f64),
    }
}

use message::{BucketSpan, Count, ZeroCount};

/// What a body says, one line each: everything that a sink is told, bit for bit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told(Vec<String>);

impl Told {
    fn tell(&mut self, what: String) {
        self.0.push(what);
    }

    fn labels(&mut self, pairs: &[(&str, &str)]) {
        self.tell(format!("series {pairs:?}"));
    }

    fn sample(&mut self, timestamp_ms: i64, value: f64, has_start: bool) {
        self.tell(format!("sample {timestamp_ms} {:x} {has_start}", value.to_bits()));
    }

    fn histogram(&mut self, sample: Option<(i64, Histogram, bool)>) {
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        self.tell(match sample {
            None => "bad histogram".to_owned(),
            Some((timestamp_ms, histogram, has_start)) => {
                let Histogram { reset_hint, schema, zero_threshold, sum, positive_spans, negative_spans, buckets, custom_bounds } =
                    &histogram;
                let buckets = match buckets {
                    Buckets::Int { count, zero_count, positive, negative } => {
                        format!("{count} {zero_count} {positive:?} {negative:?}")
                    }
                    Buckets::Float { count, zero_count, positive, negative } => {
                        format!("float {:?} {:?} {:?}", bits(&[*count, *zero_count]), bits(positive), bits(negative))
                    }
                };
                format!(
                    "histogram {timestamp_ms} {has_start} {reset_hint:?} {schema} {:?} {positive_spans:?} {negative_spans:?} {buckets} {:?}",
                    bits(&[*zero_threshold, *sum]),
                    bits(custom_bounds)
                )
            }
        });
    }
}

impl Sink for Told {
    type Stop = Malformed;

    fn series(&mut self, labels: RawLabels<'_>) -> Result<(), Malformed> {
        let mut pairs = Vec::new();
        match labels.each_pair(|name, value| pairs.push((name, value)))? {
            Ok(()) => self.labels(&pairs),
            Err(_) => self.tell("bad series".to_owned()),
        }
        Ok(())
    }

    fn float(&mut self, timestamp_ms: i64, value: f64, has_start: bool) -> Result<(), Malformed> {
        self.sample(timestamp_ms, value, has_start);
        Ok(())
    }

    fn histogram(&mut self, sample: Decoded) -> Result<(), Malformed> {
        self.histogram(sample.ok().map(|HistogramSample { timestamp_ms, histogram, has_start }| {
            (timestamp_ms, Arc::unwrap_or_clone(histogram), has_start)
        }));
        Ok(())
    }

    fn exemplar(&mut self) {
        self.tell("exemplar".to_owned());
    }

    fn metadata(&mut self, RawMetadata { metric, kind, help, unit, .. }: RawMetadata<'_>) {
        self.tell(format!("metadata {metric:?} {kind} {help:?} {unit:?}"));
    }
}

/// Lines of one series come in the order of the message's fields, which a writer other than `prost` may choose: sorted, they are
/// the same.
fn sorted(told: Told) -> Vec<String> {
    let mut lines = told.0;
    lines.sort_unstable();
    lines
}

fn ours(
    decode: impl Fn(&[u8], &mut Told) -> Result<(), Malformed>,
    body: &[u8],
) -> Result<Vec<String>, Malformed> {
    let mut told = Told::default();
    decode(body, &mut told).map(|()| sorted(told))
}

fn theirs_v1(body: &[u8]) -> Option<Vec<String>> {
    let mut told = Told::default();
    let request = v1::WriteRequest::decode(body).ok()?;
    for series in request.timeseries {
        let pairs: Vec<_> =
            series.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
        told.labels(&pairs);
        series.samples.iter().for_each(|sample| told.sample(sample.timestamp, sample.value, false));
        series.exemplars.iter().for_each(|_| told.exemplar());
        series.histograms.iter().for_each(|histogram| told.histogram(plain(histogram)));
    }
    for about in request.metadata {
        let (metric, help, unit) = (&*about.metric_family_name, &*about.help, &*about.unit);
        told.metadata(RawMetadata { metric, is_of_series: false, kind: about.kind as u32, help, unit });
    }
    Some(sorted(told))
}

fn theirs_v2(body: &[u8]) -> Option<Vec<String>> {
    let mut told = Told::default();
    let request = v2::Request::decode(body).ok()?;
    let symbol = |number: u32| request.symbols.get(number as usize).map(String::as_str);
    for series in &request.timeseries {
        let pairs = series.labels_refs.chunks(2).map(|pair| Some((symbol(pair[0])?, symbol(*pair.get(1)?)?)));
        match pairs.collect::<Option<Vec<_>>>() {
            Some(pairs) => told.labels(&pairs),
            None => told.tell("bad series".to_owned()),
        }
        series.samples.iter().for_each(|s| told.sample(s.timestamp, s.value, s.start_timestamp != 0));
        series.exemplars.iter().for_each(|_| told.exemplar());
        series.histograms.iter().for_each(|histogram| told.histogram(plain(histogram)));
        let name = series.labels_refs.chunks_exact(2).find(|pair| symbol(pair[0]) == Some("__name__"));
        if let (Some(about), Some(name)) = (&series.metadata, name)
            && *about != v2::Metadata::default()
        {
            let text = |number| symbol(number).unwrap_or_default();
            let (metric, help, unit) = (text(name[1]), text(about.help_ref), text(about.unit_ref));
            told.metadata(RawMetadata { metric, is_of_series: true, kind: about.kind as u32, help, unit });
        }
    }
    Some(sorted(told))
}

/// The histogram of a message, counts absolute; `None` where there is none.
fn plain(message: &message::Histogram) -> Option<(i64, Histogram, bool)> {
    let (timestamp_ms, has_start) = (message.timestamp, message.start_timestamp != 0);
    let is_float = matches!(message.count, Some(Count::Float(_)));
    if message.sum.to_bits() == STALE_NAN_BITS {
        return Some((timestamp_ms, Histogram::stale(is_float), has_start));
    }
    let absolute = |deltas: &[i64]| {
        let sums = deltas.iter().scan(0_i128, |sum, delta| {
            *sum += i128::from(*delta);
            Some(*sum)
        });
        sums.map(|sum| i64::try_from(sum).ok().and_then(|sum| u64::try_from(sum).ok()))
            .collect::<Option<Vec<_>>>()
    };
    let buckets = match (message.count.unwrap_or(Count::Int(0)), message.zero_count) {
        (Count::Int(count), zero_count) => Buckets::Int {
            count,
            zero_count: match zero_count {
                None => 0,
                Some(ZeroCount::Int(zero_count)) => zero_count,
                Some(ZeroCount::Float(_)) => return None,
            },
            positive: absolute(&message.positive_deltas)?,
            negative: absolute(&message.negative_deltas)?,
        },
        (Count::Float(count), zero_count) => Buckets::Float {
            count,
            zero_count: match zero_count {
                None | Some(ZeroCount::Int(0)) => 0.0,
                Some(ZeroCount::Float(zero_count)) => zero_count,
                Some(ZeroCount::Int(_)) => return None,
            },
            positive: message.positive_counts.clone(),
            negative: message.negative_counts.clone(),
        },
    };
    let spans = |spans: &[BucketSpan]| {
        spans.iter().map(|span| Span { offset: span.offset, length: span.length }).collect::<Vec<_>>()
    };
    let histogram = Histogram {
        reset_hint: u8::try_from(message.reset_hint).ok()?.try_into().ok()?,
        schema: message.schema,
        zero_threshold: message.zero_threshold,
        sum: message.sum,
        positive_spans: spans(&message.positive_spans),
        negative_spans: spans(&message.negative_spans),
        buckets,
        custom_bounds: message.custom_values.clone().into(),
    };
    Some((timestamp_ms, histogram, has_start))
}

/// Reasons for which we refuse what `prost` reads.
const OUR_REASONS: [&str; 3] = [
    "a series has more labels than any may have",
    "a field has a type that Protocol Buffers do not use any more",
    "a histogram has more buckets than any may have",
];

/// Compares what both make of a body.
fn compare(ours: Result<Vec<String>, Malformed>, theirs: Option<Vec<String>>) -> Result<(), TestCaseError> {
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => prop_assert_eq!(ours, theirs),
        (Ok(ours), None) => prop_assert!(false, "only we read it: {:?}", ours),
        (Err(error), Some(_)) => prop_assert!(OUR_REASONS.contains(&error.reason()), "{}", error.reason()),
        (Err(_), None) => {}
    }
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just("__name__".to_owned()), Just("up".to_owned()), "[a-zé]{0,6}"]
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), Just(f64::from_bits(STALE_NAN_BITS)), Just(0.0), Just(-0.0), -9.0..9.0_f64]
}

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -3..9_i64, Just(1_767_225_600_000)]
}

fn sample() -> impl Strategy<Value = message::Sample> {
    (float(), number()).prop_map(|(value, timestamp)| message::Sample { value, timestamp })
}

fn histogram() -> impl Strategy<Value = message::Histogram> {
    let span = (any::<i32>(), 0..9_u32).prop_map(|(offset, length)| BucketSpan { offset, length });
    let spans = prop::collection::vec(span, 0..3);
    let count = prop_oneof![
        Just(None),
        any::<u64>().prop_map(|count| Some(Count::Int(count))),
        float().prop_map(|count| Some(Count::Float(count))),
    ];
    let zero_count = prop_oneof![
        Just(None),
        (0..3_u64).prop_map(|count| Some(ZeroCount::Int(count))),
        float().prop_map(|count| Some(ZeroCount::Float(count))),
    ];
    let deltas = || prop::collection::vec(number(), 0..4);
    let floats = || prop::collection::vec(float(), 0..4);
    let scalars = (count, float(), -60..12_i32, float(), zero_count, -1..5_i32, number(), number());
    let lists = (spans.clone(), deltas(), floats(), spans, deltas(), floats(), floats());
    (scalars, lists).prop_map(|(scalars, lists)| {
        let (count, sum, schema, zero_threshold, zero_count, reset_hint, timestamp, start_timestamp) =
            scalars;
        let (
            positive_spans,
            positive_deltas,
            positive_counts,
            negative_spans,
            negative_deltas,
            negative_counts,
            custom_values,
        ) = lists;
        message::Histogram {
            count,
            sum,
            schema,
            zero_threshold,
            zero_count,
            negative_spans,
            negative_deltas,
            negative_counts,
            positive_spans,
            positive_deltas,
            positive_counts,
            reset_hint,
            timestamp,
            custom_values,
            start_timestamp,
        }
    })
}

fn exemplars() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..2)
}

fn request_v1() -> impl Strategy<Value = v1::WriteRequest> {
    let label = (text(), text()).prop_map(|(name, value)| v1::Label { name, value });
    let series = (
        prop::collection::vec(label, 0..4),
        prop::collection::vec(sample(), 0..3),
        exemplars(),
        prop::collection::vec(histogram(), 0..2),
    );
    let series = series.prop_map(|(labels, samples, exemplars, histograms)| v1::TimeSeries {
        labels,
        samples,
        exemplars,
        histograms,
    });
    let about = (-1..9_i32, text(), text(), text());
    let about = about.prop_map(|(kind, metric_family_name, help, unit)| message::Metadata {
        kind,
        metric_family_name,
        help,
        unit,
    });
    (prop::collection::vec(series, 0..4), prop::collection::vec(about, 0..2))
        .prop_map(|(timeseries, metadata)| v1::WriteRequest { timeseries, metadata })
}

fn request_v2() -> impl Strategy<Value = v2::Request> {
    let sample = (sample(), prop_oneof![Just(0), number()]).prop_map(|(sample, start_timestamp)| {
        message::StartedSample { value: sample.value, timestamp: sample.timestamp, start_timestamp }
    });
    let about = (-1..9_i32, 0..9_u32, 0..9_u32);
    let about = about.prop_map(|(kind, help_ref, unit_ref)| v2::Metadata { kind, help_ref, unit_ref });
    let series = (
        prop::collection::vec(0..9_u32, 0..7),
        prop::collection::vec(sample, 0..3),
        prop::collection::vec(histogram(), 0..2),
        exemplars(),
        prop::option::of(about),
    );
    let series = series.prop_map(|(labels_refs, samples, histograms, exemplars, metadata)| v2::TimeSeries {
        labels_refs,
        samples,
        histograms,
        exemplars,
        metadata,
    });
    (prop::collection::vec(text(), 0..8), prop::collection::vec(series, 0..4))
        .prop_map(|(symbols, timeseries)| v2::Request { symbols, timeseries })
}

/// What happens to a body on its way: bytes that change, vanish, or come twice.
fn mutated(mut body: Vec<u8>, mutations: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    for (at, what, byte) in mutations {
        if body.is_empty() {
            break;
        }
        let at = at.index(body.len());
        match what % 5 {
            0 => body[at] = *byte,
            1 => body[at] ^= 1 << (byte % 8),
            2 => body.truncate(at),
            3 => drop(body.remove(at)),
            _ => body
                .splice(at..at, body[at..(at + usize::from(*byte)).min(body.len())].to_vec())
                .for_each(drop),
        }
    }
    body
}

fn mutations() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_prost_writes_is_read_as_it_was(first in request_v1(), second in request_v2()) {
        let (first, second) = (first.encode_to_vec(), second.encode_to_vec());
        prop_assert_eq!(ours(decode::v1, &first).ok(), theirs_v1(&first));
        prop_assert_eq!(ours(decode::v2, &second).ok(), theirs_v2(&second));
    }

    #[test]
    fn mutated_bodies_are_read_alike_or_not_at_all(
        first in request_v1(),
        second in request_v2(),
        mutations in mutations(),
    ) {
        let first = mutated(first.encode_to_vec(), &mutations);
        compare(ours(decode::v1, &first), theirs_v1(&first))?;
        let second = mutated(second.encode_to_vec(), &mutations);
        compare(ours(decode::v2, &second), theirs_v2(&second))?;
    }

    #[test]
    fn arbitrary_bytes_are_no_reason_to_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
        compare(ours(decode::v1, &body), theirs_v1(&body))?;
        compare(ours(decode::v2, &body), theirs_v2(&body))?;
    }
}

#[test]
fn labels_that_are_scattered_over_the_message_are_found() {
    let label = |name: &str, value: &str| v1::Label { name: name.into(), value: value.into() };
    let part = |labels: Vec<v1::Label>, samples: Vec<message::Sample>| {
        v1::TimeSeries { labels, samples, exemplars: Vec::new(), histograms: Vec::new() }.encode_to_vec()
    };
    let sample = |timestamp| message::Sample { value: 1.0, timestamp };
    let mut series = part(vec![], vec![sample(1)]);
    series.extend(part(vec![label("__name__", "up"), label("a", "1")], vec![sample(2)]));
    series.extend(part(vec![label("b", "2")], vec![]));
    let mut body = vec![0x0a, series.len() as u8];
    body.extend(&series);
    let expected = theirs_v1(&body).unwrap();
    assert!(expected.contains(&r#"series [("__name__", "up"), ("a", "1"), ("b", "2")]"#.to_owned()));
    assert_eq!(ours(decode::v1, &body), Ok(expected));
}
