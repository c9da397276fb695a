//! Settings of the server: plain data. Each bounds what one client, or all of them together, can make the server hold or do.

use std::time::Duration;

use tsdb_engine::QueryLimits;

/// Settings of a [`Server`](crate::Server), each with its documented default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Connections at a time. One more is told to come again later, and closed.
    pub connections_max: usize,
    /// Longest body of a write or an import as it comes over the wire, in bytes.
    pub write_bytes_max: usize,
    /// Longest body of a write after decompression, in bytes. It is known, and refused, before it is decompressed.
    pub decompressed_bytes_max: usize,
    /// Samples in the body of a write or an import at most, a histogram counting as ten.
    pub write_samples_max: usize,
    /// Longest body of any other request, in bytes, as it comes and after decompression.
    pub request_bytes_max: usize,
    /// Bytes of bodies, as they came, decompressed and as samples in memory, of all requests together. Counted as they come: a client that sends
    /// slowly holds no more than it has sent.
    pub in_flight_bytes_max: usize,
    /// Writes that are decoded and committed at a time. More wait.
    pub writes_max: usize,
    /// Queries at a time, look-ups and exports included. More wait.
    pub queries_max: usize,
    /// Longest time that a write or a query waits for its turn; then the client is told to come again later.
    pub queue_time_max: Duration,
    /// Longest time for the head of a request to come, an idle connection's time before it included.
    pub head_time_max: Duration,
    /// Longest time for the body of a request to come.
    pub body_time_max: Duration,
    /// Longest time in which a client takes nothing of its answer.
    pub stall_time_max: Duration,
    /// Longest time for requests to end when the server stops. Those that have not are cut off.
    pub shutdown_time_max: Duration,
    /// What a client is told in `Retry-After`.
    pub retry_after: Duration,
    /// Samples further ahead of the clock than this are refused. `None` takes them.
    pub future_max: Option<Duration>,
    /// Longest response of a remote read of the type SAMPLES, in bytes before compression. It has to be made as a whole;
    /// STREAMED_XOR_CHUNKS has no such limit.
    pub samples_response_bytes_max: u64,
    /// Size at which a frame of STREAMED_XOR_CHUNKS is full, in bytes; each holds one series. Prometheus takes a series that goes on
    /// in the next frame for another one of the same labels, and refuses frames over 50 MB: as much of a long series as
    /// can be should be in one. A stream has up to three of them in memory.
    pub frame_bytes: usize,
    /// What one query may cost.
    pub query_limits: QueryLimits,
    /// Most series in the answer to a look-up of series, unless [`query_limits`](Self::query_limits) has less: they are in
    /// memory together.
    pub lookup_series_max: u64,
    /// Whether series can be deleted over HTTP.
    pub admin: bool,
}

impl ServerOptions {
    /// Default of [`ServerOptions::connections_max`].
    pub const CONNECTIONS_MAX: usize = 4096;
    /// Default of [`ServerOptions::write_bytes_max`]: 16 MiB.
    pub const WRITE_BYTES_MAX: usize = 16 << 20;
    /// Default of [`ServerOptions::decompressed_bytes_max`]: 64 MiB.
    pub const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;
    /// Default of [`ServerOptions::write_samples_max`].
    pub const WRITE_SAMPLES_MAX: usize = 1_000_000;
    /// Default of [`ServerOptions::request_bytes_max`]: 1 MiB.
    pub const REQUEST_BYTES_MAX: usize = 1 << 20;
    /// Default of [`ServerOptions::in_flight_bytes_max`]: 128 MiB.
    pub const IN_FLIGHT_BYTES_MAX: usize = 128 << 20;
    /// Default of [`ServerOptions::writes_max`].
    pub const WRITES_MAX: usize = 16;
    /// Default of [`ServerOptions::queries_max`].
    pub const QUERIES_MAX: usize = 16;
    /// Default of [`ServerOptions::queue_time_max`].
    pub const QUEUE_TIME_MAX: Duration = Duration::from_secs(10);
    /// Default of [`ServerOptions::head_time_max`].
    pub const HEAD_TIME_MAX: Duration = Duration::from_secs(60);
    /// Default of [`ServerOptions::body_time_max`].
    pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);
    /// Default of [`ServerOptions::stall_time_max`].
    pub const STALL_TIME_MAX: Duration = Duration::from_secs(60);
    /// Default of [`ServerOptions::shutdown_time_max`].
    pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(30);
    /// Default of [`ServerOptions::retry_after`].
    pub const RETRY_AFTER: Duration = Duration::from_secs(5);
    /// Default of [`ServerOptions::future_max`]: a day.
    pub const FUTURE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
    /// Default of [`ServerOptions::samples_response_bytes_max`]: 256 MiB.
    pub const SAMPLES_RESPONSE_BYTES_MAX: u64 = 256 << 20;
    /// Default of [`ServerOptions::frame_bytes`]: 32 MiB, some years of a series at 15 s.
    pub const FRAME_BYTES: usize = 32 << 20;
    /// Default of [`ServerOptions::lookup_series_max`].
    pub const LOOKUP_SERIES_MAX: u64 = 200_000;
    /// Default of [`QueryLimits::time_max`] in [`ServerOptions::query_limits`]: two minutes, as in Prometheus.
    pub const QUERY_TIME_MAX: Duration = Duration::from_secs(120);
}

impl Default for ServerOptions {
    fn default() -> Self {
        let mut query_limits = QueryLimits::default();
        query_limits.time_max = Some(Self::QUERY_TIME_MAX);
        Self {
            connections_max: Self::CONNECTIONS_MAX,
            write_bytes_max: Self::WRITE_BYTES_MAX,
            decompressed_bytes_max: Self::DECOMPRESSED_BYTES_MAX,
            write_samples_max: Self::WRITE_SAMPLES_MAX,
            request_bytes_max: Self::REQUEST_BYTES_MAX,
            in_flight_bytes_max: Self::IN_FLIGHT_BYTES_MAX,
            writes_max: Self::WRITES_MAX,
            queries_max: Self::QUERIES_MAX,
            queue_time_max: Self::QUEUE_TIME_MAX,
            head_time_max: Self::HEAD_TIME_MAX,
            body_time_max: Self::BODY_TIME_MAX,
            stall_time_max: Self::STALL_TIME_MAX,
            shutdown_time_max: Self::SHUTDOWN_TIME_MAX,
            retry_after: Self::RETRY_AFTER,
            future_max: Some(Self::FUTURE_MAX),
            samples_response_bytes_max: Self::SAMPLES_RESPONSE_BYTES_MAX,
            frame_bytes: Self::FRAME_BYTES,
            query_limits,
            lookup_series_max: Self::LOOKUP_SERIES_MAX,
            admin: false,
        }
    }
}
