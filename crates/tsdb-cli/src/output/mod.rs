//! How answers are printed.

pub(crate) mod csv;
pub(crate) mod table;
mod waiting;

pub(crate) use waiting::while_shown;

use tsdb_core::{Buckets, Histogram};

use tsdb_text::jsonl::ValueText;

/// `error`, in red where the stream shows colours.
pub(crate) fn error_prefix() -> impl std::fmt::Display {
    const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
    format!("{RED}error{RED:#}")
}

/// Bytes with a binary unit, three digits: `1.25 MiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A float as people and other tools write it: the shortest text that reads back as the same number. All NaNs
/// are `NaN`; only JSON lines keep their bits.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { ValueText(value).to_string() }
}

/// A histogram in one line, for people.
fn histogram_summary(histogram: &Histogram) -> String {
    let count = match &histogram.buckets {
        Buckets::Int { count, .. } => count.to_string(),
        Buckets::Float { count, .. } => float(*count),
    };
    format!("histogram count={count} sum={} schema={}", float(histogram.sum), histogram.schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let cases =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (10_240, "10.0 KiB"), (1_023_000, "999 KiB")];
        for (bytes, text) in cases {
            assert_eq!(human_bytes(bytes), text);
        }
        assert_eq!(human_bytes(1 << 30), "1.00 GiB");
    }

    #[test]
    fn floats_read_back() {
        for value in [0.0, -0.0, 0.1, 1e300, 5e-324, 1.0 / 3.0, 1e17, 123_456_789.25, f64::MAX, f64::INFINITY]
        {
            assert_eq!(float(value).parse::<f64>().unwrap().to_bits(), value.to_bits(), "{value}");
        }
        assert_eq!(float(f64::NAN), "NaN");
    }
}
