//! Iterating over a chunk: group by group, with one road for whole decodes and for single samples.

use std::sync::Arc;

use super::float::FloatColumns;
use super::histogram::{HISTOGRAM_GROUP_LEN, HistogramColumns};
use super::pack::GROUP_LEN;
use super::reader::Reader;
use super::{Chunk, ChunkEncoding};
use crate::{Result, SampleBuffer, SampleValue};

/// Where decoding of a chunk stands.
#[derive(Debug)]
pub(super) struct GroupDecoder {
    /// Offset of the next group.
    at: usize,
    /// Samples decoded.
    decoded: usize,
    columns: Columns,
}

#[derive(Debug)]
enum Columns {
    Float(FloatColumns),
    Histogram(Box<HistogramColumns>),
}

impl GroupDecoder {
    pub(super) fn new(chunk: &Chunk) -> Result<Self> {
        let first_ms = chunk.time_range().start_ms;
        let mut reader = Reader::new(chunk.data(), chunk.header_len());
        let columns = match chunk.encoding() {
            ChunkEncoding::Float => Columns::Float(FloatColumns::starting_at(first_ms)),
            encoding => {
                let is_float = encoding == ChunkEncoding::FloatHistogram;
                let count = chunk.count() as usize;
                Columns::Histogram(Box::new(HistogramColumns::read(&mut reader, count, first_ms, is_float)?))
            }
        };
        Ok(Self { at: reader.at(), decoded: 0, columns })
    }

    /// Appends the next group to `samples`; false when there was none.
    pub(super) fn next_group(&mut self, chunk: &Chunk, samples: &mut SampleBuffer) -> Result<bool> {
        let left = chunk.count() as usize - self.decoded;
        let mut reader = Reader::new(chunk.data(), self.at);
        if left == 0 {
            return Ok(false);
        }
        let group_len = match self.columns {
            Columns::Float(_) => GROUP_LEN,
            Columns::Histogram(_) => HISTOGRAM_GROUP_LEN,
        };
        // The first sample is a group of its own, and the one after it that much shorter.
        let first = self.decoded == 0;
        let count = if first { 1 } else { left.min(group_len - self.decoded % group_len) };
        let last_ms = match &mut self.columns {
            Columns::Float(columns) => {
                columns.decode(&mut reader, first, count, samples)?;
                samples.timestamps_ms.last().copied()
            }
            Columns::Histogram(columns) => {
                columns.decode(&mut reader, first, count, samples)?;
                samples.histograms.last().map(|sample| sample.0)
            }
        };
        self.at = reader.at();
        self.decoded += count;
        if count == left && (last_ms != Some(chunk.time_range().end_ms) || reader.remaining() > 0) {
            return Err(reader.corrupt("the samples do not end where the header says"));
        }
        Ok(true)
    }
}

/// Iterates over a chunk's samples by time; made by [`Chunk::iter`]. Ends after the first error.
#[derive(Debug)]
pub struct ChunkIter {
    chunk: Chunk,
    groups: Option<Result<GroupDecoder>>,
    /// The samples of the group that iteration is in.
    group: SampleBuffer,
    /// The next sample of `group`.
    next: usize,
}

impl ChunkIter {
    pub(super) fn new(chunk: Chunk) -> Self {
        let groups = Some(GroupDecoder::new(&chunk));
        Self { chunk, groups, group: SampleBuffer::default(), next: 0 }
    }

    /// Moves on to the first sample at or after `timestamp_ms`; never back.
    ///
    /// Past the chunk's end nothing is decoded. An error on the way is what the iterator yields next.
    pub fn seek(&mut self, timestamp_ms: i64) {
        if timestamp_ms > self.chunk.time_range().end_ms {
            self.groups = None;
            self.next = self.group.len();
            return;
        }
        loop {
            let next = match self.chunk.encoding() {
                ChunkEncoding::Float => self.group.timestamps_ms.partition_point(|&t| t < timestamp_ms),
                _ => self.group.histograms.partition_point(|sample| sample.0 < timestamp_ms),
            };
            self.next = self.next.max(next);
            if self.next < self.group.len() || !self.load_group() {
                return;
            }
        }
    }

    /// Decodes the next group; false when there is none or it is damaged.
    fn load_group(&mut self) -> bool {
        let Some(Ok(groups)) = &mut self.groups else { return false };
        self.group.timestamps_ms.clear();
        self.group.values.clear();
        self.group.histograms.clear();
        self.next = 0;
        match groups.next_group(&self.chunk, &mut self.group) {
            Ok(true) => true,
            Ok(false) => {
                self.groups = None;
                false
            }
            Err(error) => {
                // A group that failed half-way has no samples to give.
                self.group = SampleBuffer::default();
                self.groups = Some(Err(error));
                false
            }
        }
    }
}

impl Iterator for ChunkIter {
    type Item = Result<(i64, SampleValue)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.group.len() && !self.load_group() {
            return self.groups.take().and_then(Result::err).map(Err);
        }
        let at = self.next;
        self.next += 1;
        Some(Ok(match self.chunk.encoding() {
            ChunkEncoding::Float => (self.group.timestamps_ms[at], SampleValue::Float(self.group.values[at])),
            _ => {
                let (timestamp_ms, histogram) = &self.group.histograms[at];
                (*timestamp_ms, SampleValue::Histogram(Arc::clone(histogram)))
            }
        }))
    }
}
