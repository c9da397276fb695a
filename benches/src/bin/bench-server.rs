//! `cargo xtask bench server`: the server's ingest, restart and remote read over loopback, beside Prometheus and VictoriaMetrics.

use tsdb_benches::report::{Options, Report};
use tsdb_benches::server;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let mut report = Report::new("server", options.json.as_deref())?;
    server::run(&options, &mut report)
}
