//! Reading an hour over HTTP: ours lies in Parquet only, that of the peers where they have it. Remote read of one series is
//! compared with Prometheus, which has it, too; selectors with all (`queries`).

use std::time::Instant;

use tsdb_core::{Labels, Matcher, TimeRange};
use tsdb_testkit::remote_read::{
    SAMPLES, STREAMED_XOR_CHUNKS, join_frames, read_frames, read_request, read_samples,
};

use super::Result;
use super::bodies::Bodies;
use super::client::{Client, send};
use super::programs::{Program, Running};
use super::queries;
use crate::report::{Figure, Options, Report};

/// The most milliseconds that half of the reads may take.
const BAR_MS: f64 = 0.4;
const PLACE: &str = "over one loopback connection that is kept, from request to the last byte, 100 series in turn, wall time; tsdb \
                     from Parquet alone, after each was read once; Prometheus from its head";

/// Makes servers with an hour of samples, and reads from them.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let (series, scrapes) = (options.pick(10_000, 1000), options.pick(240, 3));
    let bodies = Bodies::mixed(series, scrapes);
    let (ours, dir) = (Program::tsdb()?, tempfile::tempdir()?);
    let server = ours.start(dir.path())?;
    send(&bodies, &server.write_url(), 4)?;
    server.stop()?;
    ours.flush(dir.path())?;
    let server = ours.start(dir.path())?;
    let (mut peers, mut dirs) = (Vec::new(), Vec::new());
    for peer in Program::peers(options) {
        let dir = tempfile::tempdir()?;
        let started = peer.start(dir.path()).and_then(|running| {
            send(&bodies, &running.write_url(), 4)?;
            running.settle()?;
            Ok(running)
        });
        match started {
            Ok(running) => peers.push((peer.name(), running)),
            Err(error) => eprintln!("reads: {} is left out: {error}", peer.name()),
        }
        dirs.push(dir);
    }
    remote_read(options, report, &server, &peers, &bodies, scrapes)?;
    queries::run(options, report, &server, &peers, &bodies.some, series)
}

/// Reads one series, by both response types.
fn remote_read(
    options: &Options,
    report: &mut Report,
    server: &Running,
    peers: &[(&str, Running)],
    bodies: &Bodies,
    scrapes: usize,
) -> Result<()> {
    let rounds = options.pick(20, 1);
    let peer = peers.iter().find(|(_, peer)| peer.reads_remotely());
    for (kind, accepted) in [("samples", SAMPLES), ("streamed chunks", STREAMED_XOR_CHUNKS)] {
        let own = latencies_ms(server, &bodies.some, scrapes, accepted, rounds)?;
        let peer = match peer {
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
