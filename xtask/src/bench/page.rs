//! The generated part of docs/benchmarks.md: a table for each program, and the plots. What is written by hand around it
//! stays.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::figures::{Figure, Figures};
use super::plot::{self, Bar, Scale, short};
use crate::run::{Failure, Result};

use Shows::{Baseline, Ours, Theirs};

const BEGIN: &str = "<!-- The part from here is written by `cargo xtask bench`. -->";
const END: &str = "<!-- The part until here is written by `cargo xtask bench`. -->";

/// A plot: some figures beside each other.
struct Plot {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    scale: Scale,
    bars: &'static [Drawn],
}

/// Label, program, case and figure of a bar, and what of the figure it shows.
type Drawn = (&'static str, &'static str, &'static str, &'static str, Shows);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    /// Its value, measured of ours.
    Ours,
    /// Its value, measured of another.
    Theirs,
    /// What it is compared with.
    Baseline,
}

const PLOTS: &[Plot] = &[
    Plot {
        file: "one-of-a-million.svg",
        title: "One series of a million, by its id (Parquet, wall time)",
        unit: "ms, each mark ten times the one before",
        scale: Scale::Log,
        bars: &[
            ("tsdb, next ids", "query", "1M request ids", "next ids, p50", Ours),
            ("tsdb, first in a process", "query", "1M request ids", "first id", Ours),
            ("tsdb query, whole process", "query", "1M request ids", "tsdb query, wall p50", Ours),
            ("DuckDB, same files", "query", "1M request ids", "one by DuckDB", Theirs),
            ("Polars, same files", "query", "1M request ids", "one by Polars", Theirs),
        ],
    },
    Plot {
        file: "some-of-ten-thousand.svg",
        title: "One and 300 series of ten thousand (Parquet, wall time)",
        unit: "ms, each mark ten times the one before",
        scale: Scale::Log,
        bars: &[
            ("one: tsdb", "query", "c10k", "one series", Ours),
            ("one: DuckDB", "query", "c10k", "one by DuckDB", Theirs),
            ("one: Polars", "query", "c10k", "one by Polars", Theirs),
            ("300: tsdb", "query", "c10k", "pattern, 300 series", Ours),
            ("300: DuckDB", "query", "c10k", "pattern by DuckDB", Theirs),
            ("300: Polars", "query", "c10k", "pattern by Polars", Theirs),
        ],
    },
    Plot {
        file: "sizes.svg",
        title: "Bytes for a sample: cold files, and the blocks that they are made from",
        unit: "bytes a sample, index and footer included",
        scale: Scale::Linear,
        bars: &[
            ("10,000 series, 2 h: .parquet", "lifecycle", "convert/c10k, 2 h", ".parquet", Ours),
            ("10,000 series, 2 h: .block", "lifecycle", "convert/c10k, 2 h", ".parquet", Baseline),
            ("1,000 series, 2 h: .parquet", "lifecycle", "convert/c1k, 2 h", ".parquet", Ours),
            ("1,000 series, 2 h: .block", "lifecycle", "convert/c1k, 2 h", ".parquet", Baseline),
            ("a unique id each: .parquet", "lifecycle", "convert/hc", ".parquet", Ours),
            ("a unique id each: .block", "lifecycle", "convert/hc", ".parquet", Baseline),
        ],
    },
];

/// The pictures of what there are figures for: file name and content.
pub(super) fn plots(figures: &Figures) -> Vec<(&'static str, String)> {
    let drawn = PLOTS.iter().filter_map(|plot| {
        let bars = plot.bars.iter().filter_map(|(label, bench, case, figure, shows)| {
            let figure = figures.find(bench, case, figure)?;
            let value = if *shows == Baseline { figure.baseline? } else { figure.value };
            Some(Bar { label: (*label).to_owned(), value, ours: *shows == Ours })
        });
        let bars: Vec<Bar> = bars.collect();
        // Less than two is no comparison.
        (bars.len() > 1).then(|| (plot.file, plot::bars(plot.title, plot.unit, plot.scale, &bars)))
    });
    drawn.collect()
}

/// The page with its generated part made anew. `dir` is where the plots are, relative to the page.
pub(super) fn update(page: &str, figures: &Figures, dir: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return Err(Failure::new(format!(
            "the page has no place for the figures: a line `{BEGIN}` and a line `{END}`"
        )));
    };
    let mut text = String::new();
    for (file, _) in plots(figures) {
        let title = PLOTS.iter().find(|plot| plot.file == file).map_or("", |plot| plot.title);
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "![{title}]({dir}/{file})\n");
    }
    for (run, figures) in &figures.0 {
        let _ = writeln!(
            text,
            "### Figures of {bench}\n\n`cargo xtask bench {bench}`, sources {}, on {}.\n\n{}",
            run.sources,
            run.machine,
            table(figures),
            bench = run.bench,
        );
    }
    Ok(format!("{before}{BEGIN}\n\n{text}{END}{after}"))
}

fn table(figures: &[Figure]) -> String {
    let places: BTreeSet<&str> = figures.iter().map(|figure| figure.place.as_str()).collect();
    let places = Vec::from_iter(places);
    let note = |place: &str| places.iter().position(|known| *known == place).map_or(0, |at| at + 1);
    let mut text = String::from(
        "| case | figure | | unit | beside | ratio | where |\n|---|---|---:|---|---:|---:|---:|\n",
    );
    for Figure { case, figure, unit, value, baseline, baseline_name, ratio, place, .. } in figures {
        let beside = match (baseline_name, baseline) {
            (Some(name), Some(number)) => format!("{name}: {}", short(*number)),
            _ => String::new(),
        };
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        // A bar in a name would end the cell.
        let cells = [case, figure, &short(*value), unit, &beside, &ratio, &note(place).to_string()];
        let cells = cells.map(|cell| cell.replace('|', "\\|")).join(" | ");
        let _ = writeln!(text, "| {cells} |");
    }
    text.push('\n');
    for (index, place) in places.iter().enumerate() {
        let _ = writeln!(text, "{}. {place}", index + 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::figures::Run;
    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures::default();
        let run = Run { bench: "query".into(), machine: "a machine".into(), sources: "abc".into() };
        let line = |figure: &str, value: f64| {
            format!(
                r#"{{"bench":"query","case":"c10k","figure":"{figure}","unit":"ms","value":{value},"baseline":0.3,"baseline_name":"the bar","ratio":2.0,"where":"here"}}"#
            )
        };
        let lines = format!("{}\n{}\n", line("one series", 0.6), line("one by DuckDB", 7.0));
        figures.replace(run, &lines).unwrap();
        figures
    }

    #[test]
    fn only_the_part_between_the_marks_is_written() {
        let page = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nFindings.\n");
        let updated = update(&page, &figures(), "plots").unwrap();
        assert!(
            updated.starts_with("# Title\n")
                && updated.ends_with("\n\nFindings.\n")
                && !updated.contains("old")
        );
        assert!(
            updated.contains("| c10k | one series | 0.600 | ms | the bar: 0.300 | 2.00 | 1 |\n"),
            "{updated}"
        );
        assert!(
            updated.contains("\n1. here\n") && updated.contains("](plots/some-of-ten-thousand.svg)"),
            "{updated}"
        );
        assert_eq!(update(&updated, &figures(), "plots").unwrap(), updated, "twice is as once");
        assert!(update("# Title\n", &figures(), "plots").is_err());
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let drawn: Vec<_> = plots(&figures()).into_iter().map(|(file, _)| file).collect();
        assert_eq!(drawn, ["some-of-ten-thousand.svg"]);
    }
}
