//! `tsdb serve` as a process: what it acknowledged before a `kill -9` under load is there, it stops when it is told to, and what
//! it refuses at its start.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tsdb_core::{Labels, SampleBuffer, SampleValue, Series, TimeRange, parse_selector};
use tsdb_engine::blocking::Engine;
use tsdb_testkit::remote_write::{snappy, write_request_v1};

use crate::tsdb::Tsdb;

const SENDERS: usize = 3;
const ROUNDS: u64 = 8;
const SERIES: u64 = 20;
const START_MS: i64 = 1_767_225_600_000;

/// A server, and where it listens.
struct Serving {
    process: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Serving {
    fn start(tsdb: &Tsdb, args: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tsdb"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args)
            .current_dir(tsdb.home())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect("the address").to_owned();
        Self { process, address, _stdout: stdout }
    }

    /// Sends a signal by the process' number, and waits until it has ended. Gives its exit code and what it logged.
    fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let kill = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(kill.success());
        let status = self.process.wait().unwrap();
        let mut log = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status.code(), log)
    }
}

/// A process that a failed test leaves behind ends with it.
impl Drop for Serving {
    fn drop(&mut self) {
        let _has_ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// Sends a body and gives the status; `None` if the server went away.
fn post(address: &str, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// One sample of each series of a sender.
fn body(sender: usize, batch: u64) -> Vec<u8> {
    let series = (0..SERIES).map(|number| {
        let labels =
            [("__name__", "killed"), ("sender", &sender.to_string()), ("number", &number.to_string())];
        let mut samples = SampleBuffer::default();
        samples.push(START_MS + batch as i64 * 1000, SampleValue::Float(batch as f64));
        Series { labels: Labels::from_pairs(labels).unwrap(), samples }
    });
    snappy(&write_request_v1(&series.collect::<Vec<_>>(), &[], false))
}

#[test]
fn what_a_killed_server_acknowledged_is_there() {
    let tsdb = Tsdb::new();
    let mut first = [0; SENDERS];
    for round in 0..ROUNDS {
        let serving = Serving::start(&tsdb, &[]);
        let (address, stop) = (serving.address.clone(), AtomicBool::new(false));
        let acknowledged: Vec<u64> = thread::scope(|scope| {
            let senders = first.iter().enumerate().map(|(sender, &first)| {
                let (address, stop) = (&address, &stop);
                scope.spawn(move || {
                    let mut next = first;
                    while !stop.load(Ordering::Relaxed) {
                        match post(address, &body(sender, next)) {
                            Some(204) => next += 1,
                            None => break,
                            Some(other) => panic!("status {other}"),
                        }
                    }
                    next
                })
            });
            let senders: Vec<_> = senders.collect();
            thread::sleep(Duration::from_millis(100 + round * 53 % 211));
            assert_eq!(serving.stop("-KILL").0, None);
            stop.store(true, Ordering::Relaxed);
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        let engine = Engine::open(tsdb.home().join("tsdb-data")).unwrap();
        for (sender, acknowledged) in acknowledged.into_iter().enumerate() {
            let selector = parse_selector(&format!("killed{{sender=\"{sender}\"}}")).unwrap();
            let found: Vec<_> =
                engine.select(&selector, TimeRange::ALL).unwrap().map(Result::unwrap).collect();
            let batches = found.first().map_or(0, |series| series.samples.len() as u64);
            // A sender waits for each answer, so at most one body was under way.
            assert!(
                (acknowledged..=acknowledged + 1).contains(&batches),
                "round {round}, sender {sender}: {acknowledged} acknowledged, {batches} found"
            );
            let whole: Vec<f64> = (0..batches).map(|batch| batch as f64).collect();
            let is_whole = |series: &Series| series.samples.values == whole;
            assert!(found.iter().all(is_whole), "round {round}, sender {sender}: a body is there in part");
            assert!(batches == 0 || found.len() as u64 == SERIES);
            first[sender] = batches;
        }
    }
    assert!(first.iter().sum::<u64>() > ROUNDS, "{first:?}");
}

#[test]
fn it_stops_when_it_is_told_to_and_logs_as_it_is_told() {
    let tsdb = Tsdb::new();
    for (signal, format) in [("-TERM", "text"), ("-INT", "json")] {
        let serving = Serving::start(&tsdb, &["--log-format", format]);
        assert_eq!(post(&serving.address, &body(0, 1)), Some(204));
        let (code, log) = serving.stop(signal);
        assert_eq!(code, Some(0), "{log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains("everything that was acknowledged is on disk"), "{log}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(last).is_ok(), format == "json", "{log}");
    }
    let status = tsdb.json(&["status", "--json"]);
    assert_eq!(status["samples"], SERIES);
}

#[test]
fn what_it_refuses_at_its_start() {
    let tsdb = Tsdb::new();
    tsdb.file("empty", "\n");
    tsdb.file("password", "ann");
    for (args, code, reason) in [
        (&["--listen", "0.0.0.0:0"][..], 1, "--allow-unauthenticated"),
        (&["--token-file", "empty"], 2, "the token is empty"),
        (&["--token-file", "missing"], 1, "cannot read missing"),
        (&["--password-file", "password"], 2, "USER:PASSWORD"),
        (&["--listen", "nowhere"], 2, "--listen"),
    ] {
        let run = tsdb.run(&[&["serve"], args].concat());
        assert_eq!((run.code, run.stderr.contains(reason)), (code, true), "{args:?}: {}", run.stderr);
    }
    for secret in ["", " "] {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_tsdb"));
        let output =
            serve.args(["serve", "--listen", "127.0.0.1:0"]).env("TSDB_TOKEN", secret).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
    }
    let serving = Serving::start(&tsdb, &[]);
    let run = tsdb.run(&["serve", "--listen", &serving.address, "--data-dir", "other"]);
    assert_eq!((run.code, run.stderr.contains("cannot listen on")), (1, true), "{}", run.stderr);
    let run = tsdb.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!((run.code, run.stderr.contains("in use by another process")), (1, true), "{}", run.stderr);
}
