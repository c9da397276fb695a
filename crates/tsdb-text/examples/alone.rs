//! Text formats alone: exposition text in, JSON lines out, and back.

use std::error::Error;

use tsdb_text::exposition::{Format, Parser};
use tsdb_text::tsdb_core::{SampleBuffer, SampleValue, Series};
use tsdb_text::{jsonl, time};

const TEXT: &str = "\
# TYPE temperature_celsius gauge
temperature_celsius{room=\"kitchen\"} 20.5 1767225600
temperature_celsius{room=\"hall\"} -0 1767225600.25
# EOF
";

fn main() -> Result<(), Box<dyn Error>> {
    let mut parser = Parser::new(Format::OpenMetrics, None);
    let mut lines = Vec::new();
    let mut count = 0;
    for line in TEXT.lines() {
        count += 1;
        let Some(sample) = parser.parse_line(line.as_bytes(), count)? else { continue };
        let mut samples = SampleBuffer::default();
        samples.push(sample.timestamp_ms, SampleValue::Float(sample.value));
        let series = Series { labels: parser.labels(&sample)?, samples };
        println!("{} at {}", series.labels, time::format(sample.timestamp_ms));
        jsonl::write_series(&mut lines, &series)?;
    }
    parser.finish(count)?;

    let lines = String::from_utf8(lines)?;
    let read = lines.lines().map(|line| jsonl::parse_line(line, 1)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(read.len(), 2);
    assert_eq!(read[1].samples.timestamps_ms, [1_767_225_600_250]);
    assert_eq!(read[1].samples.values[0].to_bits(), (-0.0_f64).to_bits());
    Ok(())
}
