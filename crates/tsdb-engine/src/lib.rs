#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod aggregate;
mod appender;
mod auto_seal;
mod background;
mod builder;
mod clock;
mod due;
mod engine;
mod error;
mod lookup;
mod metadata;
mod metered;
mod options;
mod pace;
mod query;
mod read_ahead;
mod read_only;
mod scan;
mod select;
mod stats;
mod store;
mod verify;

pub mod blocking;

pub use aggregate::{AggregateCounts, AggregateFunction, Aggregation, Grouping};
pub use appender::Appender;
pub use background::BackgroundStats;
pub use builder::EngineBuilder;
pub use clock::{Clock, SystemClock};
pub use engine::Engine;
pub use error::{Error, Result};
pub use lookup::{Found, LookupOptions};
pub use metadata::{METADATA_BYTES_MAX, MetadataSnapshot, MetadataStored, MetricKind, MetricMetadata};
pub use options::{BackgroundOptions, EngineOptions, LifecycleOptions};
pub use query::{Query, QueryLimit, QueryLimits, QueryOptions, QueryStages, QueryStatistics};
pub use scan::{LabelProjection, Scan, ScanOptions};
pub use select::SeriesStream;
pub use stats::EngineStats;
pub use store::{Flushed, Maintained};
pub use verify::Verified;

pub use tsdb_cold::{
    CacheStats, ColdOptions, ColdReadStats, ColdReads, ColdStats, Compacted, CompactionOptions, Expired,
    Rebuilt, SeriesSource,
};
pub use tsdb_hot::{Committed, HotOptions, RepairedSegment, SeriesRef, WalSync};

// The crates whose types this one's signatures show, so that a consumer gets them in the right versions.
pub use tsdb_schema::arrow;
pub use {object_store, tsdb_core, tsdb_vfs};
