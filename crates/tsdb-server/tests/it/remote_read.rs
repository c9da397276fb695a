//! Remote read: both response types against what was written, limits, clients that go away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use futures::TryStreamExt;
use proptest::prelude::*;
use tsdb_core::{
    Buckets, Histogram, Labels, Matcher, ResetHint, SampleBuffer, SampleValue, Series, TimeRange,
    parse_selector,
};
use tsdb_engine::QueryLimits;
use tsdb_server::ServerOptions;
use tsdb_testkit::remote_read::{
    SAMPLES, STREAMED_XOR_CHUNKS, join_frames, read_frames, read_request, read_samples,
};
use tsdb_testkit::{assert_series_eq, strategies};

use crate::support::{Answer, Serving};

const PATH: &str = "/api/v1/read";

fn labels(name: &str, number: usize) -> Labels {
    Labels::from_pairs([("__name__", name), ("Zone", "z"), ("number", &format!("{number:04}"))]).unwrap()
}

fn select(serving: &Serving, matchers: &[Matcher], range: TimeRange) -> Vec<Series> {
    serving.runtime.block_on(serving.engine.select(matchers, range).try_collect()).unwrap()
}

/// Reads by one response type; the type of the content has to be the one that belongs to it.
fn read(serving: &Serving, queries: &[(&[Matcher], TimeRange)], accepted: u64) -> Vec<Vec<Series>> {
    let Answer { status, content_type, body } = serving.post(PATH, &read_request(queries, &[accepted]));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    if accepted == SAMPLES {
        assert_eq!(content_type, "application/x-protobuf");
        return read_samples(&body).unwrap();
    }
    assert_eq!(content_type, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    join_frames(read_frames(&body).unwrap(), queries.len()).unwrap()
}

/// What a reader of chunks makes of histograms: one that has nothing smaller than the one before it had no reset, and is told so,
/// unless it is the first of its chunk. Takes that hint over from `read` where it is true.
fn with_hints(expected: Vec<Series>, read: &[Series]) -> Vec<Series> {
    let hinted = |(series, read): (Series, &Series)| {
        let mut samples = series.samples.clone();
        for i in 1..samples.histograms.len().min(read.samples.histograms.len()) {
            let (last, now) = (&series.samples.histograms[i - 1].1, &series.samples.histograms[i].1);
            let is_told = read.samples.histograms[i].1.reset_hint == ResetHint::NoReset;
            if is_told && now.reset_hint == ResetHint::Unknown && has_no_reset(last, now) {
                let hinted = Histogram { reset_hint: ResetHint::NoReset, ..Histogram::clone(now) };
                samples.histograms[i].1 = Arc::new(hinted);
            }
        }
        Series { samples, ..series }
    };
    expected.into_iter().zip(read).map(hinted).collect()
}

fn has_no_reset(last: &Histogram, now: &Histogram) -> bool {
    let numbers = |buckets: &Buckets| -> Vec<f64> {
        match buckets {
            Buckets::Int { count, zero_count, positive, negative } => {
                [&[*count, *zero_count][..], positive, negative].concat().iter().map(|&n| n as f64).collect()
            }
            Buckets::Float { count, zero_count, positive, negative } => {
                [&[*count, *zero_count][..], positive, negative].concat()
            }
        }
    };
    let (last, now) = (numbers(&last.buckets), numbers(&now.buckets));
    last.len() == now.len() && last.iter().zip(&now).all(|(last, now)| last <= now)
}

fn floats(count: usize) -> impl Iterator<Item = (i64, SampleValue)> {
    (0..count).map(|i| (i as i64 * 1000, SampleValue::Float((i as f64).sin())))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_types_give_what_a_select_gives(
        script in strategies::script(1..6, 0..200),
        runs in proptest::collection::vec(strategies::histogram_run(150), 0..3),
        flush_at in 0..200_usize,
        range in strategies::time_range(),
    ) {
        let serving = Serving::start(ServerOptions::default());
        let samples: Vec<_> = script.iter().collect();
        let (first, second) = samples.split_at(flush_at.min(samples.len()));
        serving.append(first.iter().copied());
        for (i, run) in runs.iter().enumerate() {
            let labels = labels("run", i);
            let values: Vec<_> = run.iter().map(|h| SampleValue::Histogram(Arc::new(h.clone()))).collect();
            serving.append(values.iter().zip(0..).map(|(value, i)| (&labels, i * 15_000, value)));
        }
        serving.flush();
        serving.append(second.iter().copied());
        let runs = parse_selector(r#"{number=~"0.*"}"#).unwrap();
        let others = parse_selector(r#"{number!~"0.+",number!="x"}"#).unwrap();
        let none = [Matcher::equal("no", "such")];
        let queries: [(&[Matcher], TimeRange); 4] =
            [(&runs, TimeRange::ALL), (&none, TimeRange::ALL), (&others, range), (&[], TimeRange::ALL)];
        let want: Vec<Vec<Series>> =
            queries.iter().map(|(matchers, range)| select(&serving, matchers, *range)).collect();
        for (read, want) in read(&serving, &queries, SAMPLES).iter().zip(&want) {
            assert_series_eq(read, want);
        }
        for (read, want) in read(&serving, &queries, STREAMED_XOR_CHUNKS).iter().zip(want) {
            assert_eq!(read.len(), want.len());
            let want = with_hints(want, read);
            assert_series_eq(read, &want);
        }
    }
}

#[test]
fn a_long_series_is_split_into_frames_of_the_size_that_is_set() {
    let mut options = ServerOptions::default();
    options.frame_bytes = 1 << 20;
    let serving = Serving::start(options);
    let samples: Vec<_> = floats(200_000).collect();
    let labels = labels("long", 1);
    serving.append(samples.iter().map(|(timestamp_ms, value)| (&labels, *timestamp_ms, value)));
    serving.flush();
    let body = serving.post(PATH, &read_request(&[(&[], TimeRange::ALL)], &[STREAMED_XOR_CHUNKS])).body;
    let frames = read_frames(&body).unwrap();
    assert!(frames.len() >= 2, "{} frames", frames.len());
    let (last, full) = frames.split_last().unwrap();
    for frame in full {
        // The last chunk may go beyond: 120 samples of at most 18 bytes.
        assert!((1 << 20..(1 << 20) + 4096).contains(&frame.message_bytes), "{}", frame.message_bytes);
    }
    assert!(last.message_bytes < 1 << 20);
    let mut want = SampleBuffer::default();
    samples.into_iter().for_each(|(timestamp_ms, value)| want.push(timestamp_ms, value));
    assert_series_eq(&join_frames(frames, 1).unwrap()[0], &[Series { labels, samples: want }]);
}

#[test]
fn what_is_too_much_is_refused_with_a_way_out() {
    let mut options = ServerOptions::default();
    options.samples_response_bytes_max = 50_000;
    let mut limits = QueryLimits::default();
    limits.series_max = Some(5);
    options.query_limits = limits;
    let serving = Serving::start(options);
    let samples: Vec<_> = floats(10_000).collect();
    let (long, many) = (labels("long", 0), (0..10).map(|i| labels("many", i)).collect::<Vec<_>>());
    serving.append(samples.iter().map(|(timestamp_ms, value)| (&long, *timestamp_ms, value)));
    serving.append(many.iter().map(|labels| (labels, 0, &SampleValue::Float(1.0))));
    let ask = |selector: &str, accepted: u64| {
        let matchers = parse_selector(selector).unwrap();
        let answer = serving.post(PATH, &read_request(&[(&matchers, TimeRange::ALL)], &[accepted]));
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    };
    let (status, reason) = ask("long", SAMPLES);
    assert_eq!(status, 400);
    assert!(reason.contains("STREAMED_XOR_CHUNKS") && reason.contains("50000"), "{reason}");
    assert_eq!(ask("long", STREAMED_XOR_CHUNKS).0, 200);
    let (status, reason) = ask("many", SAMPLES);
    assert_eq!(status, 422);
    assert!(reason.contains("more than 5 series"), "{reason}");
    // Of a stream the first series are under way when there is one too many: it does not come to its end.
    let body = read_request(&[(&parse_selector("many").unwrap(), TimeRange::ALL)], &[STREAMED_XOR_CHUNKS]);
    let answer = raw_answer(&serving, &body);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(!answer.ends_with(b"\r\n0\r\n\r\n"), "a body that was cut off looks whole");
}

fn send(serving: &Serving, body: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(serving.address()).unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    stream
}

/// All bytes of an answer, as they come.
fn raw_answer(serving: &Serving, body: &[u8]) -> Vec<u8> {
    let (mut stream, mut answer) = (send(serving, body), Vec::new());
    stream.read_to_end(&mut answer).unwrap();
    answer
}

#[test]
fn a_client_that_goes_away_gives_its_turn_back() {
    let mut options = ServerOptions::default();
    options.queries_max = 1;
    let serving = Serving::start(options);
    let samples: Vec<_> = floats(150_000).collect();
    for i in 0..4 {
        let labels = labels("long", i);
        serving.append(samples.iter().map(|(timestamp_ms, value)| (&labels, *timestamp_ms, value)));
    }
    let everything = read_request(&[(&[], TimeRange::ALL)], &[STREAMED_XOR_CHUNKS]);
    for _ in 0..3 {
        let mut stream = send(&serving, &everything);
        let mut begin = [0; 1000];
        stream.read_exact(&mut begin).unwrap();
        assert!(begin.starts_with(b"HTTP/1.1 200"));
        drop(stream);
        // Its turn has to be free again for this one.
        let one = [Matcher::equal("number", "0003")];
        let first = TimeRange::new(0, 5000);
        assert_eq!(read(&serving, &[(&one, first)], SAMPLES)[0][0].samples.len(), 6);
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let serving = Serving::start(ServerOptions::default());
    let good = read_request(&[(&[Matcher::equal("a", "b")], TimeRange::ALL)], &[]);
    assert_eq!(serving.post(PATH, &good).status, 200);
    let not_a_request = snap::raw::Encoder::new().compress_vec(b"hello").unwrap();
    // The last one claims to be three gigabytes.
    let cases = [
        (&b""[..], 400),
        (b"\xff\xff\xff\xff\xff\xff", 400),
        (b"hello", 400),
        (&good[..good.len() - 1], 400),
        (&not_a_request, 400),
        (b"\x80\x80\x80\x80\x0c\0", 413),
    ];
    for (body, status) in cases {
        let answer = serving.post(PATH, body);
        assert_eq!(answer.status, status, "{body:?}");
        assert!(answer.content_type.starts_with("text/plain"), "{}", answer.content_type);
    }
}
