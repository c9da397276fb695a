//! The cases of `cargo xtask bench parquet`: writing, reading and sizes of cold files, beside pyarrow and DuckDB
//! on the same rows in the same run.

mod peers;
mod table;

use std::hint::black_box;
use std::io;

use tsdb_parquet_io::{Compression, ParquetConfig};
use tsdb_schema::LabelLayout;

use crate::report::{Figure, Options, Report, median_cpu_seconds};
use peers::Peers;
pub use table::{OpenFile, Table, exactly};

const MEMORY: &str = "in process, 1 thread, CPU time, samples in memory to bytes in memory";
const FILE: &str = "in process, 1 thread, CPU time, page cache warm, footer cached";
const FILE_NAME: &str = "table.parquet";
/// Rows a CPU second that pyarrow writes of such a table, for runs without Python.
const PYARROW_ROWS_PER_S: f64 = 3.2e6;

/// Measures every case.
///
/// # Errors
/// The report or the file cannot be written.
///
/// # Panics
/// A case that does not work.
pub fn run(options: &Options, report: &mut Report) -> io::Result<()> {
    let table = Table::generate(options.pick(10_000, 100), options.pick(240, 40));
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join(FILE_NAME), table.write(&table.config(LabelLayout::Hybrid)))?;
    let peers =
        if options.smoke { Peers::default() } else { Peers::measure(&dir.path().join(FILE_NAME), &table) };

    write(options, report, &table, &peers)?;
    let file = OpenFile::open(dir.path(), FILE_NAME)?;
    read(options, report, &table, &file, &peers)?;
    sizes(report, &table, &peers)
}

fn write(options: &Options, report: &mut Report, table: &Table, peers: &Peers) -> io::Result<()> {
    let small_pages = table.config(LabelLayout::Hybrid);
    // As pyarrow cuts pages by itself: by their bytes only.
    let large_pages = ParquetConfig { page_rows: small_pages.row_group_rows, ..small_pages.clone() };
    let map = table.config(LabelLayout::Map);
    let [small, large, map] = median_cpu_seconds(
        options.rounds(),
        [
            &mut || _ = black_box(table.write(&small_pages)),
            &mut || _ = black_box(table.write(&large_pages)),
            &mut || _ = black_box(table.write(&map)),
        ],
    );
    let rows_per_s = |seconds: f64| table.rows() as f64 / seconds;
    let pyarrow = |seconds: Option<f64>| seconds.map(|s| ("pyarrow", rows_per_s(s)));
    let cases = [
        ("write/columns", small, pyarrow(peers.pyarrow_write_s).or(Some(("the bar", PYARROW_ROWS_PER_S)))),
        ("write/columns, large pages", large, pyarrow(peers.pyarrow_own_pages_write_s)),
        ("write/map", map, None),
    ];
    for (case, seconds, baseline) in cases {
        report.add(&Figure {
            case,
            figure: "throughput",
            unit: "rows/s",
            value: rows_per_s(seconds),
            baseline,
            place: MEMORY,
        })?;
    }
    Ok(())
}

fn read(
    options: &Options,
    report: &mut Report,
    table: &Table,
    file: &OpenFile,
    peers: &Peers,
) -> io::Result<()> {
    let mut samples = || assert_eq!(file.read_samples(), table.rows());
    let mut all = || assert_eq!(file.read_all(), table.rows());
    let mut series = || assert_eq!(file.select(&[]), table.rows());
    let one_series = exactly(table.one_series());
    let mut one = || assert!(file.select(&one_series) > 0);
    let [samples, all, series, one] =
        median_cpu_seconds(options.rounds(), [&mut samples, &mut all, &mut series, &mut one]);
    let duckdb = |seconds: Option<f64>, what: &'static str| seconds.map(|seconds| (what, seconds * 1e3));
    for (case, seconds, baseline) in [
        ("read/timestamps and values", samples, duckdb(peers.duckdb_sum_s, "DuckDB sum(value)")),
        ("read/all columns", all, duckdb(peers.pyarrow_read_s, "pyarrow read_table")),
        ("read/all series", series, None),
        ("read/one series", one, duckdb(peers.duckdb_one_s, "DuckDB")),
    ] {
        report.add(&Figure {
            case,
            figure: "time",
            unit: "ms",
            value: seconds * 1e3,
            baseline,
            place: FILE,
        })?;
    }
    Ok(())
}

fn sizes(report: &mut Report, table: &Table, peers: &Peers) -> io::Result<()> {
    let bytes_per_row = |bytes: f64| bytes / table.rows() as f64;
    for (case, compression, is_default) in [
        ("size/none", Compression::None, false),
        ("size/snappy", Compression::Snappy, false),
        ("size/lz4", Compression::Lz4, false),
        ("size/zstd 1", Compression::Zstd(1), false),
        ("size/zstd 3", Compression::Zstd(3), true),
        ("size/zstd 9", Compression::Zstd(9), false),
    ] {
        let config = ParquetConfig { compression, ..table.config(LabelLayout::Hybrid) };
        let pyarrow =
            peers.pyarrow_bytes.filter(|_| is_default).map(|bytes| ("pyarrow", bytes_per_row(bytes)));
        report.add(&Figure {
            case,
            figure: "file",
            unit: "B/sample",
            value: bytes_per_row(table.write(&config).len() as f64),
            baseline: pyarrow,
            place: "whole file, labels and footer included",
        })?;
    }
    Ok(())
}
