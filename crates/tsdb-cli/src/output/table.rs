//! For people: a series, then its samples, one a line.

use std::io::{self, Write};

use tsdb_core::{SampleValue, Series};

use super::{float, histogram_summary};
use tsdb_text::time;

pub(crate) fn write_series(out: &mut impl Write, series: &Series) -> io::Result<()> {
    writeln!(out, "{}", series.labels)?;
    for (timestamp_ms, value) in series.samples.iter() {
        let value = match value {
            SampleValue::Float(value) => float(value),
            SampleValue::Histogram(histogram) => histogram_summary(&histogram),
        };
        writeln!(out, "  {}  {value}", time::format(timestamp_ms))?;
    }
    writeln!(out)
}
