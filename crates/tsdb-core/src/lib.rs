#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod block;
mod chunk;
mod cursor;
mod error;
mod histogram;
mod label;
mod matcher;
mod postings;
mod sample;
mod selector;
mod time;
mod tombstone;

pub use block::{Block, BlockId, BlockMeta, BlockWriter, ChunkMeta, LabelsReader};
pub use chunk::{Append, Chunk, ChunkBuilder, ChunkEncoding, ChunkIter, MAX_CHUNK_SAMPLES};
pub use error::{Error, Result};
pub use histogram::{
    Buckets, CUSTOM_BUCKETS_SCHEMA, CustomBounds, Histogram, MAX_EXPONENTIAL_SCHEMA, MAX_HISTOGRAM_BUCKETS,
    MIN_EXPONENTIAL_SCHEMA, ResetHint, Span,
};
pub use label::{Labels, LabelsBuilder, LabelsIter, METRIC_NAME};
pub use matcher::{Candidates, MatchOp, Matcher};
pub use postings::{LabelIndex, Postings, PostingsIter, select};
pub use sample::{STALE_NAN_BITS, SampleBuffer, SampleValue, Series, is_stale_nan, stale_nan};
pub use selector::{SelectorError, parse_selector, write_selector};
pub use time::{MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS, TimeRange, check_timestamp};
pub use tombstone::{Deletes, Tombstone, Tombstones};
