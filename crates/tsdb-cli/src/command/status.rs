//! `tsdb status`: what is stored, tier by tier.

use std::io::{self, Write};

use serde_json::{Value, json};
use tsdb_core::TimeRange;
use tsdb_engine::EngineStats;

use super::Store;
use crate::error::Result;
use crate::output::human_bytes;
use tsdb_text::time;

pub(crate) fn run(store: &Store) -> Result<()> {
    let (stats, series) = store.read(|engine| Ok((engine.stats(), engine.count_series()?)))?;
    let mut out = io::stdout().lock();
    if store.json {
        writeln!(out, "{}", as_json(&stats, series))?;
    } else {
        print(&mut out, &stats, series)?;
    }
    Ok(())
}

fn as_json(stats: &EngineStats, series: u64) -> Value {
    let (head, blocks, wal, cold) = (&stats.hot.head, &stats.hot.blocks, &stats.hot.wal, &stats.cold);
    let cache = &stats.cache;
    let TimeRange { start_ms, end_ms } = stats.time_range;
    let time = |ms: i64| if stats.time_range.is_empty() { Value::Null } else { json!(ms) };
    json!({
        "series": series,
        "samples": stats.samples(),
        "min_time": time(start_ms),
        "max_time": time(end_ms),
        "head": { "series": head.series, "samples": head.samples, "bytes": head.bytes },
        "blocks": { "count": blocks.count, "samples": blocks.samples, "bytes": blocks.bytes },
        "cold": { "files": cold.files, "samples": cold.samples, "bytes": cold.bytes, "tombstones": cold.tombstones },
        "cache": {
            "bytes": cache.bytes,
            "bytes_max": cache.bytes_max,
            "files": cache.files,
            "blooms": cache.blooms,
            "bloom_hits": cache.bloom_hits,
            "bloom_misses": cache.bloom_misses,
            "file_hits": cache.file_hits,
            "file_misses": cache.file_misses,
            "block_hits": cache.block_hits,
            "block_misses": cache.block_misses,
        },
        "wal": { "segments": wal.segments, "bytes": wal.bytes },
    })
}

fn print(out: &mut impl Write, stats: &EngineStats, series: u64) -> io::Result<()> {
    let (head, blocks, wal, cold) = (&stats.hot.head, &stats.hot.blocks, &stats.hot.wal, &stats.cold);
    let (samples, range) = (stats.samples(), stats.time_range);
    writeln!(out, "series   {series}\nsamples  {samples}")?;
    if !range.is_empty() {
        writeln!(out, "from     {}\nto       {}", time::format(range.start_ms), time::format(range.end_ms))?;
    }
    writeln!(out)?;
    writeln!(out, "tier     what                 samples          size")?;
    let mut row = |tier, what: String, samples: u64, bytes| {
        writeln!(out, "{tier:<8} {what:<14} {samples:>13}  {:>12}", human_bytes(bytes))
    };
    row("head", format!("{} series", head.series), head.samples, head.bytes)?;
    row("blocks", format!("{} files", blocks.count), blocks.samples, blocks.bytes)?;
    row("cold", format!("{} files", cold.files), cold.samples, cold.bytes)?;
    writeln!(
        out,
        "{:<8} {:<14} {:>13}  {:>12}",
        "wal",
        format!("{} segments", wal.segments),
        "",
        human_bytes(wal.bytes)
    )
}
