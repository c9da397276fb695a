//! Samples by selector over HTTP, as JSON: of one series, and of some hundred that a pattern matches. Ours lie in Parquet only;
//! the peers hold them as they do after an hour of writes, most of it in memory.

use std::time::Instant;

use tsdb_core::{Labels, Matcher, write_selector};

use super::Result;
use super::client::Client;
use super::programs::Running;
use crate::cold_file::regex_of_targets;
use crate::parquet::exactly;
use crate::report::{Figure, Options, Report, median};

const PLACE: &str = "over one loopback connection that is kept, from request to the last byte of JSON, all samples of an hour, median \
                     wall time; tsdb from Parquet alone; each was asked once before";

/// Asks our server and every peer the same.
pub(super) fn run(
    options: &Options,
    report: &mut Report,
    ours: &Running,
    peers: &[(&str, Running)],
    some: &[Labels],
    series: usize,
) -> Result<()> {
    let one: Vec<String> = some.iter().map(|labels| write_selector(&exactly(labels))).collect();
    let pattern: Vec<Matcher> = regex_of_targets(series);
    let pattern = vec![write_selector(&pattern)];
    for (case, selectors, rounds) in [
        ("samples of one series", one, options.pick(10, 1)),
        ("samples by a pattern", pattern, options.pick(51, 1)),
    ] {
        let (own_ms, found) = ask(ours, &selectors, rounds)?;
        let mut add = |figure: &str, unit, value, baseline| {
            report.add(&Figure { case, figure, unit, value, baseline, place: PLACE })
        };
        add("series", "series", found as f64, None)?;
        if peers.is_empty() {
            add("p50", "ms", own_ms, None)?;
        }
        for (name, peer) in peers {
            match ask(peer, &selectors, rounds) {
                Ok((ms, same)) if same == found => add("p50", "ms", own_ms, Some((name, ms)))?,
                Ok((_, other)) => {
                    return Err(format!("{case}: {name} finds {other} series, not {found}").into());
                }
                Err(error) => eprintln!("{case}: {name} is left out: {error}"),
            }
        }
    }
    Ok(())
}

/// The median milliseconds of `rounds` requests for each selector, and how many series they find in all.
fn ask(server: &Running, selectors: &[String], rounds: usize) -> Result<(f64, usize)> {
    let client = Client::new();
    let (mut took_ms, mut found) = (Vec::new(), 0);
    for round in 0..=rounds {
        for selector in selectors {
            let (url, parameters) = server.samples_query(selector);
            let begun = Instant::now();
            let body = client.get(&url, &parameters)?;
            if round > 0 {
                took_ms.push(begun.elapsed().as_secs_f64() * 1e3);
            } else {
                // Every series is named once, whatever the JSON around it.
                found += String::from_utf8_lossy(&body).matches("\"__name__\"").count();
            }
        }
    }
    Ok((median(took_ms), found))
}
