//! The float chunk: groups of a timestamp column and a value column.

use super::Append;
use super::floats::FloatColumn;
use super::ints::IntColumn;
use super::pack::GROUP_LEN;
use super::reader::Reader;
use super::sealed::{Chunk, Header};
use super::{ChunkEncoding, MAX_CHUNK_SAMPLES};
use crate::{Result, SampleBuffer, TimeRange};

/// The two columns' state between groups: the encoder's and the decoder's alike.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FloatColumns {
    timestamps: IntColumn,
    values: FloatColumn,
}

impl FloatColumns {
    /// The columns of a chunk whose first timestamp, kept in the header, is `first_ms`.
    pub(super) fn starting_at(first_ms: i64) -> Self {
        Self { timestamps: IntColumn { last: first_ms, step: 0 }, values: FloatColumn::default() }
    }

    /// Appends a group. The first group of a chunk has its first value alone, then the others.
    fn encode(&mut self, mut samples: &[(i64, f64)], is_first: bool, out: &mut Vec<u8>) {
        if is_first {
            let Some((&(_, value), others)) = samples.split_first() else { return };
            self.values.encode(&[value], out);
            samples = others;
        }
        if samples.is_empty() {
            return;
        }
        let (mut timestamps, mut values) = ([0; GROUP_LEN], [0.0; GROUP_LEN]);
        for (i, &(timestamp_ms, value)) in samples.iter().enumerate() {
            timestamps[i] = timestamp_ms;
            values[i] = value;
        }
        self.timestamps.encode(&timestamps[..samples.len()], true, out);
        self.values.encode(&values[..samples.len()], out);
    }

    /// Appends the next `count` samples to `samples`: 1 for the first of a chunk.
    pub(super) fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        first: bool,
        count: usize,
        samples: &mut SampleBuffer,
    ) -> Result<()> {
        let start = samples.timestamps_ms.len();
        samples.timestamps_ms.resize(start + count, self.timestamps.last);
        samples.values.resize(start + count, 0.0);
        if !first {
            let before = self.timestamps.last;
            let timestamps = &mut samples.timestamps_ms[start..];
            self.timestamps.decode(reader, timestamps)?;
            check_ascending(before, timestamps, reader)?;
        }
        self.values.decode(reader, &mut samples.values[start..])
    }
}

/// Refuses timestamps that do not ascend strictly from `before`.
pub(super) fn check_ascending(before: i64, timestamps: &[i64], reader: &Reader<'_>) -> Result<()> {
    let mut ascends = before < timestamps[0];
    for pair in timestamps.windows(2) {
        ascends &= pair[0] < pair[1];
    }
    if ascends { Ok(()) } else { Err(reader.corrupt("timestamps do not ascend")) }
}

/// The active float chunk: the newest samples raw, the others compressed.
#[derive(Clone, Debug, Default)]
pub(super) struct FloatBuilder {
    /// 1 to [`GROUP_LEN`] samples, unless the chunk is empty: so the last sample is at hand.
    recent: Vec<(i64, f64)>,
    packed: Option<Box<Packed>>,
}

/// The compressed groups of an active chunk.
#[derive(Clone, Debug)]
struct Packed {
    first_ms: i64,
    count: u32,
    columns: FloatColumns,
    bytes: Vec<u8>,
}

impl FloatBuilder {
    #[inline]
    pub(super) fn append(&mut self, timestamp_ms: i64, value: f64) -> Append {
        debug_assert!(self.last().is_none_or(|(last, _)| last < timestamp_ms), "timestamps must ascend");
        if self.recent.len() == GROUP_LEN {
            if self.count() >= MAX_CHUNK_SAMPLES {
                return Append::CutFirst;
            }
            self.pack_recent();
        }
        self.recent.push((timestamp_ms, value));
        Append::Appended
    }

    #[inline(never)]
    fn pack_recent(&mut self) {
        let is_first = self.packed.is_none();
        let first_ms = self.recent[0].0;
        let packed = self.packed.get_or_insert_with(|| {
            Box::new(Packed {
                first_ms,
                count: 0,
                columns: FloatColumns::starting_at(first_ms),
                bytes: Vec::new(),
            })
        });
        make_room(&mut packed.bytes);
        packed.columns.encode(&self.recent, is_first, &mut packed.bytes);
        packed.count += self.recent.len() as u32;
        self.recent.clear();
    }

    pub(super) fn count(&self) -> u32 {
        self.packed.as_ref().map_or(0, |packed| packed.count) + self.recent.len() as u32
    }

    pub(super) fn first_ms(&self) -> Option<i64> {
        self.packed
            .as_ref()
            .map(|packed| packed.first_ms)
            .or_else(|| self.recent.first().map(|sample| sample.0))
    }

    #[inline]
    pub(super) fn last(&self) -> Option<(i64, f64)> {
        self.recent.last().copied()
    }

    pub(super) fn snapshot(&self) -> Option<Chunk> {
        let time_range = TimeRange::new(self.first_ms()?, self.last()?.0);
        let packed = self.packed.as_deref();
        let mut out =
            Vec::with_capacity(64 + packed.map_or(0, |packed| packed.bytes.len()) + 8 * self.recent.len());
        Header::put(self.count(), time_range, &mut out);
        let mut columns = FloatColumns::starting_at(time_range.start_ms);
        if let Some(packed) = packed {
            out.extend_from_slice(&packed.bytes);
            columns = packed.columns;
        }
        columns.encode(&self.recent, packed.is_none(), &mut out);
        Some(Chunk::written(ChunkEncoding::Float, self.count(), time_range, out))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let packed = self.packed.as_ref().map_or(0, |packed| size_of::<Packed>() + packed.bytes.capacity());
        self.recent.capacity() * size_of::<(i64, f64)>() + packed
    }
}

/// Makes room for the next group, with little to spare: a head has a million of these buffers.
pub(super) fn make_room(bytes: &mut Vec<u8>) {
    /// A group of narrow numbers.
    const SMALL_GROUP: usize = 48;
    if bytes.capacity() - bytes.len() < SMALL_GROUP + bytes.len() / 8 {
        bytes.reserve_exact(SMALL_GROUP + bytes.len() / 2);
    }
}
