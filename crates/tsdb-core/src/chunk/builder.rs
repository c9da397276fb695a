//! The active chunk of one series in the head.
//!
//! It starts tiny and grows with its samples: three floats take 64 bytes of heap, a full chunk the
//! compressed bytes and one raw group. Appending is a push, and one compression for each full group.

use super::float::FloatBuilder;
use super::histogram::HistogramBuilder;
use super::{Chunk, ChunkEncoding};
use crate::SampleValue;

/// What became of an appended sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Append {
    /// The sample is in the chunk.
    Appended,
    /// The chunk is full or cannot take this value. The sample was not taken: finish the chunk, start another.
    CutFirst,
}

/// Builds one chunk from samples in ascending order.
///
/// ```
/// use tsdb_core::{Append, ChunkBuilder, ChunkEncoding, SampleBuffer};
///
/// let mut builder = ChunkBuilder::new(ChunkEncoding::Float);
/// for i in 0..10 {
///     assert_eq!(builder.append_float(1_700_000_000_000 + i * 15_000, 20.5), Append::Appended);
/// }
/// let chunk = builder.finish();
/// let mut samples = SampleBuffer::default();
/// chunk.decode_into(&mut samples)?;
/// assert_eq!((chunk.count(), samples.values[9]), (10, 20.5));
/// # Ok::<(), tsdb_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChunkBuilder {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Float(FloatBuilder),
    Histogram(Box<HistogramBuilder>),
}

impl ChunkBuilder {
    /// An empty chunk of the encoding.
    #[must_use]
    pub fn new(encoding: ChunkEncoding) -> Self {
        let kind = match encoding {
            ChunkEncoding::Float => Kind::Float(FloatBuilder::default()),
            ChunkEncoding::IntHistogram => Kind::Histogram(Box::new(HistogramBuilder::new(false))),
            ChunkEncoding::FloatHistogram => Kind::Histogram(Box::new(HistogramBuilder::new(true))),
        };
        Self { kind }
    }

    /// How the samples are encoded.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        match &self.kind {
            Kind::Float(_) => ChunkEncoding::Float,
            Kind::Histogram(builder) => builder.encoding(),
        }
    }

    /// Appends a sample that is later than all before it.
    ///
    /// A histogram must be valid ([`crate::Histogram::validate`]): the chunk relies on it.
    #[inline]
    pub fn append(&mut self, timestamp_ms: i64, value: &SampleValue) -> Append {
        match (&mut self.kind, value) {
            (Kind::Float(builder), SampleValue::Float(value)) => builder.append(timestamp_ms, *value),
            (Kind::Histogram(builder), SampleValue::Histogram(histogram)) => {
                builder.append(timestamp_ms, histogram)
            }
            _ => Append::CutFirst,
        }
    }

    /// Appends a float sample that is later than all before it.
    #[inline]
    pub fn append_float(&mut self, timestamp_ms: i64, value: f64) -> Append {
        match &mut self.kind {
            Kind::Float(builder) => builder.append(timestamp_ms, value),
            Kind::Histogram(_) => Append::CutFirst,
        }
    }

    /// Samples so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        match &self.kind {
            Kind::Float(builder) => builder.count(),
            Kind::Histogram(builder) => builder.count(),
        }
    }

    /// Timestamp of the first sample, if there is one.
    #[must_use]
    pub fn first_timestamp_ms(&self) -> Option<i64> {
        match &self.kind {
            Kind::Float(builder) => builder.first_ms(),
            Kind::Histogram(builder) => builder.first_ms(),
        }
    }

    /// Timestamp of the last sample, if there is one.
    #[must_use]
    pub fn last_timestamp_ms(&self) -> Option<i64> {
        match &self.kind {
            Kind::Float(builder) => builder.last().map(|sample| sample.0),
            Kind::Histogram(builder) => builder.last().map(|sample| sample.0),
        }
    }

    /// The last sample, if there is one. Needs no decoding.
    #[must_use]
    pub fn last(&self) -> Option<(i64, SampleValue)> {
        match &self.kind {
            Kind::Float(builder) => builder.last().map(|(t, value)| (t, SampleValue::Float(value))),
            Kind::Histogram(builder) => builder.last().map(|(t, h)| (*t, SampleValue::Histogram(h.clone()))),
        }
    }

    /// A copy of the samples so far, as a chunk.
    ///
    /// # Panics
    /// When the builder is empty: a chunk has a sample.
    #[must_use]
    pub fn snapshot(&self) -> Chunk {
        let chunk = match &self.kind {
            Kind::Float(builder) => builder.snapshot(),
            Kind::Histogram(builder) => builder.snapshot(),
        };
        chunk.expect("invariant: only a builder with samples is asked for its chunk")
    }

    /// Seals the chunk.
    ///
    /// # Panics
    /// When the builder is empty: a chunk has a sample.
    #[must_use]
    pub fn finish(self) -> Chunk {
        self.snapshot()
    }

    /// Heap bytes held, the allocator's own not counted.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.kind {
            Kind::Float(builder) => builder.heap_bytes(),
            Kind::Histogram(builder) => size_of::<HistogramBuilder>() + builder.heap_bytes(),
        }
    }
}
