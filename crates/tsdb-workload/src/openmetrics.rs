//! A mixed workload as OpenMetrics text.
//!
//! OpenMetrics wants the samples of a metric family together, in one place in the file, and within a histogram
//! all buckets of one point in time together. So the writer goes family by family and generates only that
//! family's rows of each target: memory stays one target's.

use std::io::{self, Write};

use tsdb_core::{Labels, METRIC_NAME};

use crate::template::{self, NODE, POD, Row};
use crate::{Kind, Mixed};

impl Mixed {
    /// Writes the workload as OpenMetrics text with timestamps, ended by `# EOF`.
    ///
    /// Families come one after the other, counters as `counter`, buckets as `histogram` (without `_sum` and
    /// `_count`), the rest as `gauge`. Buffer `out` if writes to it are costly: lines are written one by one.
    ///
    /// # Errors
    /// Those of `out`.
    ///
    /// ```
    /// let mut text = Vec::new();
    /// tsdb_workload::Mixed::new(1, 2).write_openmetrics(&mut text)?;
    /// let text = String::from_utf8(text).expect("text is UTF-8");
    /// assert!(text.starts_with("# TYPE node_network_receive_bytes counter\nnode_network_receive_bytes_total{"));
    /// assert!(text.ends_with("# EOF\n"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_openmetrics(&self, out: &mut impl Write) -> io::Result<()> {
        for rows in [&*NODE, &*POD] {
            let mut written: Vec<&str> = Vec::new();
            for family in rows {
                if !written.contains(&family.name.as_str()) {
                    written.push(&family.name);
                    self.write_family(out, rows, &family.name)?;
                }
            }
        }
        out.write_all(b"# EOF\n")
    }

    /// Writes the family of the rows named `name` of every target that `rows` describe.
    fn write_family(&self, out: &mut impl Write, rows: &'static [Row], name: &str) -> io::Result<()> {
        let mut begun = false;
        for target in 0..self.target_count() {
            if !std::ptr::eq(template::rows_of(target), rows) {
                continue;
            }
            let of_family: Vec<(usize, String)> = self
                .labels_of(target)
                .take(self.rows_of(target))
                .enumerate()
                .filter(|(_, labels)| labels.metric_name() == Some(name))
                .map(|(row, labels)| (row, series_text(&labels)))
                .collect();
            let Some((first, _)) = of_family.first() else { continue };
            if !begun {
                write_type(out, name, Kind::of_row(*first))?;
                begun = true;
            }
            self.write_samples(out, target, &of_family)?;
        }
        Ok(())
    }

    fn write_samples(&self, out: &mut impl Write, target: usize, rows: &[(usize, String)]) -> io::Result<()> {
        let timestamps = self.timestamps_of(target);
        let mut values = vec![0.0; rows.len() * self.samples];
        if rows.iter().all(|(row, _)| Kind::of_row(*row) == Kind::Bucket) {
            self.fill_buckets(target, &mut values);
            for (scrape, &timestamp_ms) in timestamps.iter().enumerate() {
                for (bucket, (_, series)) in rows.iter().enumerate() {
                    write_sample(out, series, values[bucket * self.samples + scrape], timestamp_ms)?;
                }
            }
            return Ok(());
        }
        for ((row, series), values) in rows.iter().zip(values.chunks_exact_mut(self.samples.max(1))) {
            self.fill_row(target, *row, values);
            for (&value, &timestamp_ms) in values.iter().zip(&timestamps) {
                write_sample(out, series, value, timestamp_ms)?;
            }
        }
        Ok(())
    }
}

/// Writes the `# TYPE` line of the family that series named `name` belong to.
fn write_type(out: &mut impl Write, name: &str, kind: Kind) -> io::Result<()> {
    let (suffix, family_type) = match kind {
        Kind::CounterInteger | Kind::CounterCentisecond => ("_total", "counter"),
        Kind::Bucket => ("_bucket", "histogram"),
        _ => ("", "gauge"),
    };
    writeln!(out, "# TYPE {} {family_type}", name.strip_suffix(suffix).unwrap_or(name))
}

fn write_sample(out: &mut impl Write, series: &str, value: f64, timestamp_ms: i64) -> io::Result<()> {
    let (sign, magnitude) = (if timestamp_ms < 0 { "-" } else { "" }, timestamp_ms.unsigned_abs());
    writeln!(out, "{series} {value} {sign}{}.{:03}", magnitude / 1000, magnitude % 1000)
}

/// `name{a="b",c="d"}`.
fn series_text(labels: &Labels) -> String {
    let mut text = labels.metric_name().unwrap_or_default().to_owned();
    for (i, (name, value)) in labels.iter().filter(|(name, _)| *name != METRIC_NAME).enumerate() {
        text.push(if i == 0 { '{' } else { ',' });
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' | '"' => text.extend(['\\', c]),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}
