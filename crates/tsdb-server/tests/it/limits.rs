//! What a client cannot do to the server: take its memory, its connections, or its time; and what of its data is safe.

use std::io::Write;
use std::time::Duration;

use tsdb_core::{Labels, SampleBuffer, SampleValue, Series, TimeRange};
use tsdb_server::ServerOptions;
use tsdb_testkit::remote_write::{snappy, write_request_v1};

use crate::http::{Told, ask, begin, head, metric, told, try_ask};
use crate::support::Serving;

const PATH: &str = "/api/v1/write";

/// A body with this many samples of one series.
fn body(name: &str, samples: i64) -> Vec<u8> {
    let mut buffer = SampleBuffer::default();
    (0..samples).for_each(|i| buffer.push(1_767_225_600_000 + i, SampleValue::Float(i as f64)));
    let labels = Labels::from_pairs([("__name__", name)]).unwrap();
    snappy(&write_request_v1(&[Series { labels, samples: buffer }], &[], false))
}

fn write(serving: &Serving, body: &[u8]) -> Told {
    ask(serving.address(), "POST", PATH, &[], body)
}

fn stored(serving: &Serving) -> u64 {
    serving.engine.stats().samples()
}

/// Waits until the server holds no bytes of bodies any more. (Fails by the runner's limit on time.)
fn wait_until_nothing_is_held(serving: &Serving) {
    while metric(serving.address(), "tsdb_http_body_bytes") > 0.0 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn bodies_that_are_too_long_are_refused_before_they_come() {
    let mut options = ServerOptions::default();
    options.write_bytes_max = 1000;
    options.write_samples_max = 50;
    let serving = Serving::start(options);
    // Only the head is sent: the answer does not wait for the body.
    let announced = begin(serving.address(), head("POST", PATH, &[], 1001).as_bytes());
    assert_eq!(told(announced).status, 413);
    // A length that is not announced is counted.
    let chunked = "POST /api/v1/write HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = begin(serving.address(), chunked.as_bytes());
    stream.write_all(format!("800\r\n{}\r\n", "x".repeat(0x800)).as_bytes()).unwrap();
    assert_eq!(told(stream).status, 413);
    let refused = write(&serving, &body("many", 51));
    assert_eq!(
        (refused.status, refused.body.contains("more than 50 samples")),
        (413, true),
        "{}",
        refused.body
    );
    assert_eq!(write(&serving, &body("some", 50)).status, 204);
    assert_eq!(stored(&serving), 50);
    wait_until_nothing_is_held(&serving);
}

#[test]
fn a_bomb_is_refused_before_it_takes_memory() {
    let mut options = ServerOptions::default();
    options.decompressed_bytes_max = 1 << 20;
    let serving = Serving::start(options);
    // Snappy's length, then nothing: 4 GiB less one, and just within the limit.
    for (bytes, status, reason) in [
        (&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0][..], 413, "4294967295 bytes decompressed"),
        (&[0x80, 0x80, 0x40, 0, 0], 400, "cannot hold"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 400, "no snappy block"),
    ] {
        let told = write(&serving, bytes);
        assert_eq!((told.status, told.body.contains(reason)), (status, true), "{bytes:?}: {}", told.body);
    }
    let bomb = snappy(&vec![0; (1 << 20) + 1]);
    assert!(bomb.len() < 60_000);
    assert_eq!(write(&serving, &bomb).status, 413);
    assert_eq!(write(&serving, &body("after", 1)).status, 204);
}

#[test]
fn bodies_share_one_budget_and_are_told_to_come_again() {
    let mut options = ServerOptions::default();
    options.in_flight_bytes_max = 100_000;
    options.retry_after = Duration::from_millis(2500);
    let serving = Serving::start(options);
    let mut slow = begin(serving.address(), head("POST", PATH, &[], 99_000).as_bytes());
    slow.write_all(&vec![0; 98_000]).unwrap();
    while metric(serving.address(), "tsdb_http_body_bytes") < 98_000.0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    // Its sender repeats it by itself.
    let refused = write(&serving, &body("later", 300));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("3")), "{}", refused.body);
    drop(slow);
    wait_until_nothing_is_held(&serving);
    assert_eq!(write(&serving, &body("later", 300)).status, 204);
    assert_eq!(stored(&serving), 300);
}

#[test]
fn what_never_fits_into_the_budget_is_not_told_to_come_again() {
    let mut options = ServerOptions::default();
    options.in_flight_bytes_max = 20_000;
    let serving = Serving::start(options);
    // As it comes, decompressed, and as samples: a quarter of the budget, of 24 bytes each.
    let zeros = |bytes: usize| snappy(&vec![0; bytes]);
    for body in [vec![0; 20_001], zeros(19_900), body("many", 250)] {
        let refused = write(&serving, &body);
        assert_eq!(refused.status, 413, "{}", refused.body);
    }
    assert_eq!(write(&serving, &body("some", 200)).status, 204);
    wait_until_nothing_is_held(&serving);
}

#[test]
fn a_thousand_slow_clients_hold_what_they_have_sent() {
    const SENT: usize = 100;
    let clients = 1000_u64.min(open_files_max() / 4);
    let serving = Serving::start(ServerOptions::default());
    let part = |length| {
        let mut part = head("POST", PATH, &[], length).into_bytes();
        part.extend([0; SENT]);
        part
    };
    // Each announces as much as it may.
    let part = part(ServerOptions::WRITE_BYTES_MAX);
    let waiting: Vec<_> = (0..clients).map(|_| begin(serving.address(), &part)).collect();
    while metric(serving.address(), "tsdb_http_requests_in_flight") < clients as f64 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(write(&serving, &body("meanwhile", 10)).status, 204);
    let held = metric(serving.address(), "tsdb_http_body_bytes");
    assert!(held <= (clients * SENT as u64) as f64, "{clients} clients hold {held} bytes");
    drop(waiting);
    wait_until_nothing_is_held(&serving);
    assert_eq!(stored(&serving), 10);
}

/// How many files this process may have open.
fn open_files_max() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)).and_then(|max| max.parse().ok()).unwrap_or(256)
}

#[test]
fn a_request_that_breaks_off_stores_nothing() {
    let serving = Serving::start(ServerOptions::default());
    let body = body("half", 100);
    let mut stream = begin(serving.address(), head("POST", PATH, &[], body.len()).as_bytes());
    stream.write_all(&body[..body.len() / 2]).unwrap();
    drop(stream);
    wait_until_nothing_is_held(&serving);
    assert_eq!(stored(&serving), 0);
    assert_eq!(write(&serving, &body).status, 204);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let mut options = ServerOptions::default();
    options.body_time_max = Duration::from_millis(50);
    let serving = Serving::start(options);
    let refused = told(begin(serving.address(), head("POST", PATH, &[], 10).as_bytes()));
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let mut options = ServerOptions::default();
    options.head_time_max = Duration::from_millis(50);
    let serving = Serving::start(options);
    let mut rest = Vec::new();
    let mut stream = begin(serving.address(), b"POST /api/v1/wr");
    // It ends: with an answer or without.
    let _ended = std::io::Read::read_to_end(&mut stream, &mut rest);
    assert_eq!(write(&serving, &body("after", 1)).status, 204);
}

#[test]
fn one_connection_too_many_is_turned_away() {
    let mut options = ServerOptions::default();
    options.connections_max = 1;
    let serving = Serving::start(options);
    let first = begin(serving.address(), b"POST /api/v1/write HTTP/1.1\r\n");
    let second = told(begin(serving.address(), b""));
    assert_eq!((second.status, second.header("retry-after")), (503, Some("5")));
    drop(first);
    // Its end is seen a moment later.
    while try_ask(serving.address(), "GET", "/-/ready").is_none_or(|answer| answer.status != 200) {}
    let counted = || try_ask(serving.address(), "GET", "/metrics").filter(|answer| answer.status == 200);
    let text = std::iter::repeat_with(counted).flatten().next().unwrap().body;
    let line = text.lines().find_map(|line| line.strip_prefix("tsdb_http_connections_turned_away_total "));
    assert!(line.unwrap().parse::<f64>().unwrap() >= 1.0);
}

#[test]
fn what_is_under_way_when_the_server_stops_is_acknowledged_and_there() {
    let mut serving = Serving::start(ServerOptions::default());
    let body = body("last", 100);
    let (first, rest) = body.split_at(body.len() / 2);
    let mut stream = begin(serving.address(), head("POST", PATH, &[], body.len()).as_bytes());
    stream.write_all(first).unwrap();
    while metric(serving.address(), "tsdb_http_body_bytes") < first.len() as f64 {
        std::thread::sleep(Duration::from_millis(5));
    }
    serving.stop();
    stream.write_all(rest).unwrap();
    assert_eq!(told(stream).status, 204);
    let (engine, _dir) = serving.reopen();
    let series = engine.select(&[], TimeRange::ALL).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(series.iter().map(|series| series.samples.len()).sum::<usize>(), 100);
}
