//! `tsdb inspect FILE`: what is in a Parquet file, without reading its rows.

use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};
use tsdb_core::TimeRange;
use tsdb_parquet_io::arrow::datatypes::Field;
use tsdb_parquet_io::tsdb_schema::ColumnRole;
use tsdb_parquet_io::{ColumnLayout, FileLayout, FileMeta, IndexLayout, Inspection, Origin, RowGroupLayout};

use super::Store;
use crate::args::InspectArgs;
use crate::error::Result;
use crate::output::human_bytes;
use crate::parquet_files::ParquetFiles;
use tsdb_text::time;

/// Characters of a column's type that fit a line; JSON has all of them.
const TYPE_CHARS: usize = 48;

pub(crate) fn run(store: &Store, args: &InspectArgs) -> Result<()> {
    let found = ParquetFiles::new()?.inspect(&args.file)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if store.json {
        writeln!(out, "{}", as_json(&found))?;
    } else {
        writeln!(out, "file          {}, {}", args.file.display(), human_bytes(found.layout.bytes))?;
        print(&mut out, &found)?;
    }
    Ok(out.flush()?)
}

/// What the column is taken for.
fn role(field: &Field) -> &'static str {
    match ColumnRole::of(field) {
        Ok(ColumnRole::Timestamp) => "timestamp",
        Ok(ColumnRole::Value) => "value",
        Ok(ColumnRole::Histogram) => "histogram",
        Ok(ColumnRole::Label(_)) => "label",
        Ok(ColumnRole::LabelMap) => "label map",
        Ok(_) => "ignored",
        Err(_) => "wrong type",
    }
}

/// The label that the column holds, if it holds one.
fn label(field: &Field) -> Option<String> {
    match ColumnRole::of(field) {
        Ok(ColumnRole::Label(label)) => Some(label),
        _ => None,
    }
}

/// File bytes for each row; `None` without rows.
fn bytes_per_row(layout: &FileLayout, bytes: u64) -> Option<f64> {
    (layout.rows > 0).then(|| bytes as f64 / layout.rows as f64)
}

fn as_json(found: &Inspection) -> Value {
    let layout = &found.layout;
    let meta = found.samples.as_ref().ok();
    let time = |pick: fn(TimeRange) -> i64| meta.and_then(known_range).map(pick);
    let fields = layout.schema.fields().iter().map(|field| {
        json!({
            "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable(),
            "role": role(field), "label": label(field),
        })
    });
    let row_groups = layout.row_groups.iter().map(|group| {
        json!({
            "rows": group.rows, "bytes": group.compressed_bytes, "sorted_by": group.sorted_by,
            "columns": columns_json(&group.columns, group.rows),
        })
    });
    let pairs: serde_json::Map<String, Value> =
        layout.key_values.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    json!({
        "bytes": layout.bytes,
        "created_by": layout.created_by,
        "origin": meta.map(|meta| if meta.origin == Origin::Tsdb { "tsdb" } else { "foreign" }),
        "no_samples_because": found.samples.as_ref().err().map(ToString::to_string),
        "rows": layout.rows,
        "series": meta.and_then(known_series),
        "min_time": time(|range| range.start_ms),
        "max_time": time(|range| range.end_ms),
        "bytes_per_sample": bytes_per_row(layout, layout.bytes),
        "schema": fields.collect::<Vec<_>>(),
        "columns": columns_json(&layout.columns(), layout.rows),
        "row_groups": row_groups.collect::<Vec<_>>(),
        "series_index": layout.series_index.as_ref().map(index_json),
        "metadata": pairs,
    })
}

fn columns_json(columns: &[ColumnLayout], rows: u64) -> Vec<Value> {
    let one = |column: &ColumnLayout| {
        json!({
            "column": column.path, "encodings": column.encodings, "compressions": column.compressions,
            "values": column.values, "nulls": column.nulls, "pages": column.pages,
            "bytes": column.compressed_bytes, "uncompressed_bytes": column.uncompressed_bytes,
            "bytes_per_sample": (rows > 0).then(|| column.compressed_bytes as f64 / rows as f64),
            "bloom_filter": column.has_bloom_filter,
        })
    };
    columns.iter().map(one).collect()
}

fn index_json(index: &IndexLayout) -> Value {
    let blocks = |(count, bytes): (usize, u64)| json!({ "blocks": count, "bytes": bytes });
    let labels = index.labels.iter();
    json!({
        "offset": index.offset, "bytes": index.bytes, "series": index.series,
        "bytes_per_series": (index.series > 0).then(|| index.bytes as f64 / f64::from(index.series)),
        "directory_bytes": index.directory_bytes,
        "value_blocks": blocks(index.value_blocks),
        "label_bloom": blocks(index.label_bloom),
        "series_blocks": blocks(index.series_blocks),
        "page_tables": blocks(index.page_tables),
        "labels": labels
            .map(|label| json!({ "name": label.name, "values": label.values, "series": label.series }))
            .collect::<Vec<_>>(),
    })
}

/// The file's series, if it says how many.
fn known_series(meta: &FileMeta) -> Option<u64> {
    (meta.origin == Origin::Tsdb).then_some(meta.series)
}

/// The file's time range, if it says one and has rows.
fn known_range(meta: &FileMeta) -> Option<TimeRange> {
    Some(meta.time_range).filter(|range| !range.is_empty() && *range != TimeRange::ALL)
}

fn print(out: &mut impl Write, found: &Inspection) -> io::Result<()> {
    let layout = &found.layout;
    writeln!(out, "written by    {}", layout.created_by)?;
    match &found.samples {
        Ok(meta) => print_samples(out, meta)?,
        Err(reason) => writeln!(out, "samples       none that can be queried: {reason}")?,
    }
    write!(out, "rows          {} in {} row group(s)", layout.rows, layout.row_groups.len())?;
    if let Some(bytes) = bytes_per_row(layout, layout.bytes) {
        write!(out, ", {bytes:.2} bytes a row")?;
    }
    writeln!(out, "\n\nschema")?;
    for field in layout.schema.fields() {
        let null = if field.is_nullable() { "" } else { ", never null" };
        let data_type = short(&field.data_type().to_string());
        let label = label(field).filter(|label| label != field.name());
        let label = label.map_or_else(String::new, |label| format!(" {label:?}"));
        writeln!(out, "  {:<24} {:<12} {data_type}{null}", field.name(), format!("{}{label}", role(field)))?;
    }
    print_columns(out, layout)?;
    print_row_groups(out, &layout.row_groups)?;
    match &layout.series_index {
        Some(index) => print_index(out, index)?,
        None => writeln!(out, "\nseries index  none: series are found by the label columns")?,
    }
    writeln!(out, "\nmetadata")?;
    for (key, value) in &layout.key_values {
        writeln!(out, "  {key:<24} {value}")?;
    }
    Ok(())
}

fn print_samples(out: &mut impl Write, meta: &FileMeta) -> io::Result<()> {
    match known_series(meta) {
        Some(series) => writeln!(out, "series        {series}, sorted; the footer's checksum is right")?,
        None => writeln!(out, "series        not counted: another tool wrote the file, in any order")?,
    }
    if let Some(range) = known_range(meta) {
        writeln!(out, "from          {}", time::format(range.start_ms))?;
        writeln!(out, "to            {}", time::format(range.end_ms))?;
    }
    Ok(())
}

fn print_columns(out: &mut impl Write, layout: &FileLayout) -> io::Result<()> {
    let columns = layout.columns();
    let width = columns.iter().map(|c| c.path.chars().count()).max().unwrap_or(0).max("column".len());
    writeln!(
        out,
        "\n{:<width$}  {:>10} {:>8} {:>7}  {:<13} encodings",
        "column", "bytes", "a row", "pages", "compression"
    )?;
    for column in &columns {
        let a_row = bytes_per_row(layout, column.compressed_bytes).unwrap_or_default();
        let pages = column.pages.map_or_else(|| "?".to_owned(), |pages| pages.to_string());
        let bloom = if column.has_bloom_filter { " + bloom filter" } else { "" };
        writeln!(
            out,
            "{:<width$}  {:>10} {a_row:>8.4} {pages:>7}  {:<13} {}{bloom}",
            column.path,
            human_bytes(column.compressed_bytes),
            column.compressions.join(" "),
            column.encodings.join(" "),
        )?;
    }
    Ok(())
}

fn print_row_groups(out: &mut impl Write, row_groups: &[RowGroupLayout]) -> io::Result<()> {
    writeln!(out, "\nrow group        rows       bytes  sorted by")?;
    for (number, group) in row_groups.iter().enumerate() {
        let sorted_by =
            if group.sorted_by.is_empty() { "not declared".into() } else { group.sorted_by.join(", ") };
        writeln!(
            out,
            "{number:>9} {:>11} {:>11}  {sorted_by}",
            group.rows,
            human_bytes(group.compressed_bytes)
        )?;
    }
    Ok(())
}

fn print_index(out: &mut impl Write, index: &IndexLayout) -> io::Result<()> {
    let a_series = index.bytes as f64 / f64::from(index.series.max(1));
    writeln!(out, "\nseries index  {}, {a_series:.1} bytes a series", human_bytes(index.bytes))?;
    writeln!(out, "  at byte {}; directory {}", index.offset, human_bytes(index.directory_bytes))?;
    for (what, (count, bytes)) in [
        ("blocks of label values", index.value_blocks),
        ("bloom of label values", index.label_bloom),
        ("blocks of series", index.series_blocks),
        ("page tables", index.page_tables),
    ] {
        writeln!(out, "  {count:>6} {what:<24} {:>10}", human_bytes(bytes))?;
    }
    let width = index.labels.iter().map(|l| l.name.chars().count()).max().unwrap_or(0).max("label".len());
    writeln!(out, "  {:<width$} {:>10} {:>10}", "label", "values", "series")?;
    for label in &index.labels {
        writeln!(out, "  {:<width$} {:>10} {:>10}", label.name, label.values, label.series)?;
    }
    Ok(())
}

/// A type in a few words.
fn short(text: &str) -> String {
    match text.char_indices().nth(TYPE_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
