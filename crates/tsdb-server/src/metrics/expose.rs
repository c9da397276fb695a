//! `/metrics`: what this process counts, in Prometheus' text format, for a Prometheus to scrape.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::IntoResponse;
use tsdb_engine::EngineStats;

use super::text::{Kind, MetricsText};
use super::{Metrics, Written};
use crate::ServerState;

const TEXT_FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Answers a scrape, from what is in memory.
pub(crate) async fn expose(State(state): State<Arc<ServerState>>) -> impl IntoResponse {
    let mut text = MetricsText::default();
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    text.metric("tsdb_build_info", Kind::Gauge, "The version of this program.", [(version, 1)]);
    requests(&mut text, state.metrics());
    written(&mut text, &state.metrics().written);
    limits(&mut text, &state);
    let stats = state.engine().stats();
    hot(&mut text, &stats);
    cold(&mut text, &stats);
    background(&mut text, &stats);
    ([(CONTENT_TYPE, TEXT_FORMAT)], text.finish())
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn requests(text: &mut MetricsText, metrics: &Metrics) {
    let requests = metrics.requests.lock().clone();
    let codes: Vec<_> = requests.keys().map(|(_, code)| code.to_string()).collect();
    let labels = || {
        let with_codes = requests.keys().zip(&codes);
        with_codes.map(|((handler, _), code)| vec![("handler", handler.as_str()), ("code", code.as_str())])
    };
    let counts = labels().zip(requests.values().map(|requests| requests.count));
    text.metric("tsdb_http_requests_total", Kind::Counter, "Requests that had their answer.", counts);
    let seconds = labels().zip(requests.values().map(|requests| requests.time.as_secs_f64()));
    text.metric(
        "tsdb_http_request_seconds_total",
        Kind::Counter,
        "Time from the head of a request to the head of its answer, added up.",
        seconds,
    );
    let in_flight = get(&metrics.in_flight);
    text.single(
        "tsdb_http_requests_in_flight",
        Kind::Gauge,
        "Requests that wait for their answer.",
        in_flight,
    );
    let turned_away = get(&metrics.turned_away);
    text.single(
        "tsdb_http_connections_turned_away_total",
        Kind::Counter,
        "Connections that were one too many.",
        turned_away,
    );
}

fn written(text: &mut MetricsText, written: &Written) {
    let Written { floats, histograms, refused, exemplars, starts, metadata_left_out } = written;
    let stored = [("float", floats), ("histogram", histograms)];
    text.metric(
        "tsdb_written_samples_total",
        Kind::Counter,
        "Samples that came over HTTP and were stored.",
        stored.map(|(kind, counter)| (vec![("type", kind)], get(counter))),
    );
    for (name, help, counter) in [
        ("tsdb_refused_samples_total", "Samples that came over HTTP and were refused.", refused),
        ("tsdb_left_out_exemplars_total", "Exemplars that came with samples and were not stored.", exemplars),
        (
            "tsdb_left_out_start_timestamps_total",
            "Start timestamps that came with samples and were not stored.",
            starts,
        ),
        (
            "tsdb_left_out_metadata_total",
            "Metadata of metrics that was not stored, for it is too much.",
            metadata_left_out,
        ),
    ] {
        text.single(name, Kind::Counter, help, get(counter));
    }
}

fn limits(text: &mut MetricsText, state: &ServerState) {
    let held = state.options().in_flight_bytes_max.saturating_sub(state.bodies().free_bytes());
    text.single("tsdb_http_body_bytes", Kind::Gauge, "Bytes of bodies in memory.", held);
    let max = state.options().in_flight_bytes_max;
    text.single("tsdb_http_body_limit_bytes", Kind::Gauge, "Bytes of bodies that may be in memory.", max);
    let cache = state.series_cache();
    text.single(
        "tsdb_series_cache_entries",
        Kind::Gauge,
        "Series that are found by their labels as sent.",
        cache.len(),
    );
    text.single("tsdb_series_cache_bytes", Kind::Gauge, "Bytes that these take.", cache.bytes());
    let metrics = state.engine().metadata().len();
    text.single(
        "tsdb_metadata_entries",
        Kind::Gauge,
        "Metrics of which type, help or unit are known.",
        metrics,
    );
}

fn hot(text: &mut MetricsText, stats: &EngineStats) {
    let (head, blocks, wal) = (&stats.hot.head, &stats.hot.blocks, &stats.hot.wal);
    for (name, help, value) in [
        ("tsdb_head_series", "Series in the head.", head.series),
        ("tsdb_head_samples", "Samples in the head.", head.samples),
        ("tsdb_head_bytes", "Bytes of the head.", head.bytes),
        ("tsdb_blocks", "Sealed blocks.", blocks.count),
        ("tsdb_block_samples", "Samples in blocks.", blocks.samples),
        ("tsdb_block_bytes", "Bytes of blocks.", blocks.bytes),
        ("tsdb_wal_segments", "Segments of the write-ahead log.", wal.segments),
        ("tsdb_wal_bytes", "Bytes of the write-ahead log.", wal.bytes),
    ] {
        text.single(name, Kind::Gauge, help, value);
    }
}

fn cold(text: &mut MetricsText, stats: &EngineStats) {
    let (cold, cache) = (&stats.cold, &stats.cache);
    for (name, help, value) in [
        ("tsdb_cold_files", "Parquet files.", cold.files),
        ("tsdb_cold_samples", "Samples in Parquet files.", cold.samples),
        ("tsdb_cold_bytes", "Bytes of Parquet files.", cold.bytes),
        ("tsdb_tombstones", "Deletes that Parquet files do not reflect yet.", cold.tombstones),
        ("tsdb_cold_cache_bytes", "Bytes of the cache of footers and index blocks.", cache.bytes),
        ("tsdb_cold_cache_limit_bytes", "Bytes that this cache may have.", cache.bytes_max),
    ] {
        text.single(name, Kind::Gauge, help, value);
    }
    for (name, help, footers, blocks) in [
        (
            "tsdb_cold_cache_hits_total",
            "Look-ups in the cache that found something.",
            cache.file_hits,
            cache.block_hits,
        ),
        (
            "tsdb_cold_cache_misses_total",
            "Look-ups in the cache that did not.",
            cache.file_misses,
            cache.block_misses,
        ),
    ] {
        let kinds = [("footer", footers), ("index_block", blocks)];
        text.metric(name, Kind::Counter, help, kinds.map(|(kind, count)| (vec![("type", kind)], count)));
    }
}

fn background(text: &mut MetricsText, stats: &EngineStats) {
    let background = &stats.background;
    let (rounds, failures) = (background.rounds, background.failures);
    text.single("tsdb_background_rounds_total", Kind::Counter, "Rounds of the background worker.", rounds);
    text.single("tsdb_background_failures_total", Kind::Counter, "Rounds of it that failed.", failures);
    let seconds = background.time.as_secs_f64();
    text.single(
        "tsdb_background_seconds_total",
        Kind::Counter,
        "Time that its rounds took, added up.",
        seconds,
    );
    let in_a_row = background.failures_in_a_row;
    text.single(
        "tsdb_background_failures_in_a_row",
        Kind::Gauge,
        "Rounds of it that failed since the last one that did not.",
        in_a_row,
    );
}
