//! Remote write: what it costs the server, and how long it needs to be ready again.

use super::Result;
use super::bodies::Bodies;
use super::client::send;
use super::programs::Program;
use crate::report::{Figure, Options, Report, median};

const PLACE: &str = "a process of its own, over loopback, bodies of up to 2,000 samples made beforehand, an fsync before each answer \
                     (tsdb; Prometheus and VictoriaMetrics do not), real files";

/// A case, with the most that our server may need.
struct Case {
    name: &'static str,
    senders: usize,
    rounds: usize,
    cpu_s_per_million_bar: Option<f64>,
    peak_mib_bar: Option<f64>,
}

/// What one server needed.
#[derive(Clone, Copy)]
struct Cost {
    cpu_s_per_million: f64,
    samples_per_s: f64,
    peak_mib: f64,
    ready_s: f64,
}

/// Sends both workloads to every server.
pub(super) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let c10k = Bodies::mixed(options.pick(10_000, 1000), options.pick(240, 3));
    describe("c10k", &c10k);
    let rounds = options.pick(3, 1);
    let case = |senders, cpu, peak| Case {
        name: "c10k",
        senders,
        rounds,
        cpu_s_per_million_bar: cpu,
        peak_mib_bar: peak,
    };
    measure(&case(1, None, None), &c10k, options, report)?;
    measure(&case(4, Some(0.55), Some(120.0)), &c10k, options, report)?;
    drop(c10k);
    let many = Bodies::high_cardinality(options.pick(1_000_000, 2000));
    describe("hc", &many);
    let (cpu_s_per_million_bar, peak_mib_bar) = (Some(1.5), Some(550.0));
    let case = Case { name: "hc", senders: 4, rounds: 1, cpu_s_per_million_bar, peak_mib_bar };
    measure(&case, &many, options, report)
}

fn describe(name: &str, bodies: &Bodies) {
    let (samples, bytes) = (bodies.samples(), bodies.bytes());
    let each = bytes as f64 / samples as f64;
    println!(
        "{name}: {samples} samples in {} bodies, {each:.1} bytes a sample on the wire",
        bodies.bodies.len()
    );
}

fn measure(case: &Case, bodies: &Bodies, options: &Options, report: &mut Report) -> Result<()> {
    let (ours, peers) = (Program::tsdb()?, Program::peers(options));
    let mut our_costs = Vec::new();
    let mut peer_costs = vec![Vec::new(); peers.len()];
    // Every round has all of them, so that they share the machine's moods.
    for _ in 0..case.rounds {
        our_costs.push(ingest(&ours, bodies, case.senders)?);
        for (peer, costs) in peers.iter().zip(&mut peer_costs) {
            match ingest(peer, bodies, case.senders) {
                Ok(cost) => costs.push(cost),
                Err(error) => eprintln!("bench server: {} failed and is left out: {error}", peer.name()),
            }
        }
    }
    type Number = fn(&Cost) -> f64;
    let figures: [(&str, &str, Number, Option<f64>); 4] = [
        ("server CPU", "cpu-s/M", |cost| cost.cpu_s_per_million, case.cpu_s_per_million_bar),
        ("throughput", "samples/s", |cost| cost.samples_per_s, None),
        ("memory, peak", "MiB", |cost| cost.peak_mib, case.peak_mib_bar),
        ("restart to ready", "s", |cost| cost.ready_s, None),
    ];
    let name = format!("{}, {} senders", case.name, case.senders);
    for (figure, unit, number, bar) in figures {
        let of = |costs: &[Cost]| median(costs.iter().map(number).collect());
        let measured = peers.iter().zip(&peer_costs).filter(|(_, costs)| !costs.is_empty());
        let baselines = measured.map(|(peer, costs)| (peer.name(), of(costs)));
        let mut baselines: Vec<_> =
            bar.map(|bar| ("the bar", bar)).into_iter().chain(baselines).map(Some).collect();
        if baselines.is_empty() {
            baselines.push(None);
        }
        for baseline in baselines {
            report.add(&Figure {
                case: &name,
                figure,
                unit,
                value: of(&our_costs),
                baseline,
                place: PLACE,
            })?;
        }
    }
    Ok(())
}

/// Sends all bodies to a new server, stops it, and starts it again.
fn ingest(program: &Program, bodies: &Bodies, senders: usize) -> Result<Cost> {
    let dir = tempfile::tempdir()?;
    let server = program.start(dir.path())?;
    let before = server.cpu_s()?;
    let seconds = send(bodies, &server.write_url(), senders)?;
    let cpu_s = server.cpu_s()? - before;
    let peak = server.resident()?.peak;
    server.stop()?;
    let again = program.start(dir.path())?;
    let ready_s = again.ready_s;
    again.stop()?;
    let samples = bodies.samples() as f64;
    Ok(Cost {
        cpu_s_per_million: cpu_s / samples * 1e6,
        samples_per_s: samples / seconds,
        peak_mib: peak as f64 / f64::from(1 << 20),
        ready_s,
    })
}
