//! Remote read of one series: of an hour that lies in Parquet only, and of the head of Prometheus.

use std::time::Instant;

use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_testkit::remote_read::{
    SAMPLES, STREAMED_XOR_CHUNKS, join_frames, read_frames, read_request, read_samples,
};

use super::Result;
use super::bodies::Bodies;
use super::client::{Client, send};
use super::programs::{Program, Running};
use crate::report::{Figure, Options, Report};

/// The most milliseconds that half of the reads may take.
const BAR_MS: f64 = 0.4;
const PLACE: &str = "over one loopback connection that is kept, from request to the last byte, 100 series in turn, wall time; tsdb \
                     from Parquet alone, after each was read once; Prometheus from its head";

/// Reads from both servers, by both response types.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let scrapes = options.pick(240, 3);
    let bodies = Bodies::mixed(options.pick(10_000, 1000), scrapes);
    let rounds = options.pick(20, 1);
    let (ours, dir) = (Program::tsdb()?, tempfile::tempdir()?);
    let server = ours.start(dir.path())?;
    send(&bodies, &server.write_url(), 4)?;
    server.stop()?;
    ours.flush(dir.path())?;
    let server = ours.start(dir.path())?;
    let peers = Program::peers(options);
    let peer_dir = tempfile::tempdir()?;
    let peer = match peers.iter().find(|peer| peer.reads_remotely()) {
        Some(peer) => {
            let running = peer.start(peer_dir.path())?;
            send(&bodies, &running.write_url(), 4)?;
            Some((peer.name(), running))
        }
        None => None,
    };
    for (kind, accepted) in [("samples", SAMPLES), ("streamed chunks", STREAMED_XOR_CHUNKS)] {
        let own = latencies_ms(&server, &bodies.some, scrapes, accepted, rounds)?;
        let peer = match &peer {
            Some((name, running)) => {
                Some((*name, latencies_ms(running, &bodies.some, scrapes, accepted, rounds)?))
            }
            None => None,
        };
        for (figure, part, bar) in [("p50", 0.5, Some(BAR_MS)), ("p99", 0.99, None)] {
            let baselines = [
                bar.map(|bar| ("the bar", bar)),
                peer.as_ref().map(|(name, ms)| (*name, percentile(ms, part))),
            ];
            let mut baselines: Vec<_> = baselines.into_iter().flatten().map(Some).collect();
            if baselines.is_empty() {
                baselines.push(None);
            }
            for baseline in baselines {
                let case = format!("remote read, one series, {kind}");
                let value = percentile(&own, part);
                report.add(&Figure { case: &case, figure, unit: "ms", value, baseline, place: PLACE })?;
            }
        }
    }
    Ok(())
}

/// The latencies of `rounds` reads of each series, sorted.
fn latencies_ms(
    server: &Running,
    series: &[Labels],
    samples: usize,
    accepted: u64,
    rounds: usize,
) -> Result<Vec<f64>> {
    let (client, url) = (Client::new(), server.read_url());
    let requests: Vec<Vec<u8>> = series.iter().map(|labels| request(labels, accepted)).collect();
    let mut latencies = Vec::new();
    for round in 0..=rounds {
        for (labels, request) in series.iter().zip(&requests) {
            let begun = Instant::now();
            let body = client.post(&url, request)?;
            let took_ms = begun.elapsed().as_secs_f64() * 1e3;
            if round > 0 {
                latencies.push(took_ms);
                continue;
            }
            // The first time everything is checked, and what is cached comes to be.
            let read = match accepted {
                SAMPLES => read_samples(&body)?,
                _ => join_frames(read_frames(&body)?, 1)?,
            };
            let found: Vec<_> = read[0].iter().map(|series| (&series.labels, series.samples.len())).collect();
            if found != [(labels, samples)] {
                return Err(format!("{url}: not {samples} samples of {labels}, but {found:?}").into());
            }
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

fn request(labels: &Labels, accepted: u64) -> Vec<u8> {
    let matchers: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    read_request(&[(&matchers, TimeRange::ALL)], &[accepted])
}

/// The latency that all but this part of the sorted ones do not exceed.
fn percentile(latencies_ms: &[f64], part: f64) -> f64 {
    let place = (latencies_ms.len() as f64 * part) as usize;
    latencies_ms.get(place).copied().unwrap_or(f64::NAN)
}
