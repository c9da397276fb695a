//! Prometheus' text format, as far as counters and gauges need it.

use std::fmt::{Display, Write};

/// Metrics as text.
#[derive(Debug, Default)]
pub(super) struct MetricsText {
    text: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Its name ends in `_total`.
    Counter,
    Gauge,
}

impl MetricsText {
    /// A metric with its samples: labels, which are pairs of a name and a value, and a number.
    pub(super) fn metric<'a, V: Display>(
        &mut self,
        name: &str,
        kind: Kind,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, V)>,
    ) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        for (labels, value) in samples {
            let labels: Vec<_> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            match labels.as_slice() {
                [] => self.line(format_args!("{name} {value}")),
                labels => self.line(format_args!("{name}{{{}}} {value}", labels.join(","))),
            }
        }
    }

    /// A metric without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help, [(Vec::new(), value)]);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = writeln!(self.text, "{line}");
        debug_assert!(written.is_ok(), "a string refused a write");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_with_and_without_labels() {
        let mut text = MetricsText::default();
        text.single("a_bytes", Kind::Gauge, "Bytes.", 7);
        text.metric("b_total", Kind::Counter, "All.", [(vec![("x", "1"), ("y", "a\"\\\nb")], 0.5)]);
        text.metric::<u64>("c_total", Kind::Counter, "None yet.", []);
        let expected = "# HELP a_bytes Bytes.\n# TYPE a_bytes gauge\na_bytes 7\n# HELP b_total All.\n# TYPE b_total counter\nb_total{x=\"1\",y=\"a\\\"\\\\\\nb\"} 0.5\n# HELP c_total None yet.\n# TYPE c_total counter\n";
        assert_eq!(text.finish(), expected);
    }
}
