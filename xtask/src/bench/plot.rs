//! Bars as SVG, drawn by hand: a few lines of text each, readable on light and on dark pages.

use std::fmt::Write as _;

/// A bar: what it is, its length, and whether it is one of ours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) ours: bool,
}

/// How lengths go with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// Each mark is ten times the one before: for values that lie far apart.
    Log,
}

const WIDTH: f64 = 760.0;
const LABELS: f64 = 250.0;
const VALUES: f64 = 90.0;
const ROW: f64 = 26.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 34.0;

/// Colours of light pages, and of dark ones.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}.axis{fill:#59636e;font-size:11px}\
line{stroke:#d1d9e0}.ours{fill:#0969da}.theirs{fill:#9a6700}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.axis{fill:#9198a1}line{stroke:#3d444d}.ours{fill:#4493f8}.theirs{fill:#d29922}}";

/// A picture of the bars, one below the other.
pub(super) fn bars(title: &str, unit: &str, scale: Scale, bars: &[Bar]) -> String {
    let axis = Axis::over(bars, scale);
    let height = TOP + ROW * bars.len() as f64 + BOTTOM;
    let bottom = height - BOTTOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n<text class=\"title\" x=\"0\" y=\"18\">{}</text>\n",
        escaped(title),
        escaped(title)
    );
    // Writing to a `String` cannot fail.
    for (mark, x) in axis.marks() {
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{bottom:.1}\"/><text class=\"axis\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            TOP - 6.0,
            bottom + 14.0,
            short(mark)
        );
    }
    let _ = writeln!(
        svg,
        "<text class=\"axis\" text-anchor=\"end\" x=\"{WIDTH}\" y=\"{:.1}\">{}</text>",
        bottom + 28.0,
        escaped(unit)
    );
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let length = (axis.x(bar.value) - LABELS).max(1.0);
        let class = if bar.ours { "ours" } else { "theirs" };
        let _ = writeln!(
            svg,
            "<text text-anchor=\"end\" x=\"{:.1}\" y=\"{:.1}\">{}</text><rect class=\"{class}\" x=\"{LABELS}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"16\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LABELS - 8.0,
            y + 13.0,
            escaped(&bar.label),
            y,
            LABELS + length + 6.0,
            y + 13.0,
            short(bar.value)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

struct Axis {
    scale: Scale,
    first: f64,
    last: f64,
}

impl Axis {
    fn over(bars: &[Bar], scale: Scale) -> Self {
        let values = || bars.iter().map(|bar| bar.value).filter(|value| *value > 0.0);
        let (least, most) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::MIN_POSITIVE, f64::max));
        match scale {
            Scale::Linear => Self { scale, first: 0.0, last: most },
            // A decade below the least, so that its bar has a length.
            Scale::Log => {
                Self { scale, first: least.min(most).log10().floor() - 1.0, last: most.log10().ceil() }
            }
        }
    }

    /// Where a value lies.
    fn x(&self, value: f64) -> f64 {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
        };
        let part = (at - self.first) / (self.last - self.first);
        LABELS + part.clamp(0.0, 1.0) * (WIDTH - LABELS - VALUES)
    }

    /// Values to mark, and where.
    fn marks(&self) -> Vec<(f64, f64)> {
        let values: Vec<f64> = match self.scale {
            Scale::Linear => {
                let raw = self.last / 4.0;
                let decade = 10_f64.powf(raw.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * decade).find(|step| *step >= raw);
                let step = step.unwrap_or(raw);
                (0..=4).map(|n| f64::from(n) * step).filter(|mark| *mark <= self.last).collect()
            }
            Scale::Log => (self.first as i32..=self.last as i32).map(|power| 10_f64.powi(power)).collect(),
        };
        values.into_iter().map(|mark| (mark, self.x(mark))).collect()
    }
}

/// A number with as many digits as say something.
pub(super) fn short(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        1e9.. => format!("{:.3}G", number / 1e9),
        1e6.. => format!("{:.1}M", number / 1e6),
        1e4.. => format!("{:.1}k", number / 1e3),
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        1.0.. => format!("{number:.2}"),
        0.01.. => format!("{number:.3}"),
        _ => format!("{number:.1e}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar { label: label.to_owned(), value, ours: true }
    }

    #[test]
    fn a_bar_is_as_long_as_its_value_says() {
        let all = [bar("a", 1.0), bar("b", 2.0), bar("c", 4.0)];
        let linear = Axis::over(&all, Scale::Linear);
        let length = |axis: &Axis, value: f64| axis.x(value) - LABELS;
        assert!((length(&linear, 2.0) * 2.0 - length(&linear, 4.0)).abs() < 1e-9);
        let far = [bar("a", 0.1), bar("b", 10.0), bar("c", 1000.0)];
        let log = Axis::over(&far, Scale::Log);
        let step = length(&log, 10.0) - length(&log, 0.1);
        assert!((length(&log, 1000.0) - length(&log, 10.0) - step).abs() < 1e-9);
        assert!(length(&log, 0.1) > 0.0 && log.x(1000.0) <= WIDTH - VALUES);
    }

    #[test]
    fn text_cannot_end_the_picture() {
        let svg = bars("a < b & c", "ms", Scale::Linear, &[bar("<script>", 1.0)]);
        assert!(
            svg.contains("a &lt; b &amp; c") && svg.contains("&lt;script&gt;") && !svg.contains("<script>")
        );
        assert_eq!(svg.matches("<rect").count(), 1);
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.0004, "4.0e-4"),
            (0.25, "0.250"),
            (7.654, "7.65"),
            (151.2, "151"),
            (12_345.0, "12.3k"),
            (13.5e6, "13.5M"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
