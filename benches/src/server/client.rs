//! A connection that is kept, and senders that share the bodies by lanes.

use std::thread;
use std::time::{Duration, Instant};

use super::Result;
use super::bodies::Bodies;

/// One connection to a server.
pub(super) struct Client {
    agent: ureq::Agent,
}

impl Client {
    pub(super) fn new() -> Self {
        let config = ureq::config::Config::builder().http_status_as_error(false);
        Self { agent: config.timeout_global(Some(Duration::from_secs(60))).build().into() }
    }

    /// Sends a body of remote write or read. Gives the body of the answer, which has to be a good one.
    pub(super) fn post(&self, url: &str, body: &[u8]) -> Result<Vec<u8>> {
        let request = self.agent.post(url).header("content-type", "application/x-protobuf");
        let request =
            request.header("content-encoding", "snappy").header("x-prometheus-remote-write-version", "0.1.0");
        body_of(url, request.send(body)?)
    }

    /// Asks for a page. Gives the body of the answer, which has to be a good one.
    pub(super) fn get(&self, url: &str, parameters: &[(&str, String)]) -> Result<Vec<u8>> {
        let parameters = parameters.iter().map(|(name, value)| (*name, value));
        body_of(url, self.agent.get(url).query_pairs(parameters).call()?)
    }

    /// Whether a page is there.
    pub(super) fn is_there(&self, url: &str) -> bool {
        self.agent.get(url).call().is_ok_and(|mut response| {
            let is_success = response.status().is_success();
            response.body_mut().read_to_vec().is_ok() && is_success
        })
    }
}

fn body_of(url: &str, mut response: ureq::http::Response<ureq::Body>) -> Result<Vec<u8>> {
    let status = response.status();
    let body = response.body_mut().with_config().limit(1 << 30).read_to_vec()?;
    if status.is_success() {
        Ok(body)
    } else {
        Err(format!("{url}: {status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

/// Sends all bodies, each lane by one of the senders. Gives the seconds that it took.
pub(super) fn send(bodies: &Bodies, url: &str, senders: usize) -> Result<f64> {
    let begun = Instant::now();
    thread::scope(|scope| {
        let sender = |sender: usize| {
            move || -> Result<(), String> {
                let client = Client::new();
                let mut mine = bodies.bodies.iter().filter(|body| body.lane % senders == sender);
                let sent = mine.try_for_each(|body| client.post(url, &body.bytes).map(drop));
                sent.map_err(|error| error.to_string())
            }
        };
        let threads: Vec<_> = (0..senders).map(|number| scope.spawn(sender(number))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("invariant: a sender does not panic"))
    })?;
    Ok(begun.elapsed().as_secs_f64())
}
