//! The cases of `cargo xtask bench core`: chunks, matchers and blocks, all in one process and one thread.

pub mod block;
pub mod chunks;
pub mod matchers;

use std::io;

use crate::report::{Figure, Options, Report, median_cpu_seconds};

/// Measures every case.
///
/// # Errors
/// The report cannot be written.
///
/// # Panics
/// A case that does not work.
pub fn run(options: &Options, report: &mut Report) -> io::Result<()> {
    chunks::run(options, report)?;
    block::run(options, report)?;
    run_matchers(options, report)
}

fn run_matchers(options: &Options, report: &mut Report) -> io::Result<()> {
    let count = options.pick(matchers::VALUES, 1000);
    for shape in [matchers::Shape::Uuid, matchers::Shape::Host] {
        let values = matchers::Values::generate(shape, count);
        for case in matchers::CASES.iter().filter(|case| case.shape == shape) {
            let matcher = case.matcher();
            let mut work = || _ = std::hint::black_box(values.count(&matcher));
            let [seconds] = median_cpu_seconds(options.rounds(), [&mut work]);
            report.add(&Figure {
                case: &format!("matcher/{shape:?}/{}", case.name),
                figure: "latency",
                unit: "ms",
                value: seconds * 1e3,
                baseline: Some(("the bar", case.bar_ms)),
                place: "in process, 1 thread, values in memory",
            })?;
        }
    }
    Ok(())
}
