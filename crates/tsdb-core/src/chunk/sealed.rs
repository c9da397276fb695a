//! The sealed chunk: its header, and decoding as a whole.

use bytes::Bytes;

use super::iter::GroupDecoder;
use super::reader::{Reader, put_ivarint};
use super::{ChunkEncoding, ChunkIter};
use crate::cursor::put_varint;
use crate::{Error, Result, SampleBuffer, TimeRange};

/// The most samples that a chunk may say it has. Bounds the memory of a decoder.
const MAX_READABLE_SAMPLES: u64 = 4096;

/// A sealed or copied chunk. Encoding, count and time bounds are known without decoding. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Chunk {
    data: Bytes,
    time_range: TimeRange,
    count: u32,
    encoding: ChunkEncoding,
}

/// What a header says, and where it ends.
pub(super) struct Header {
    pub(super) count: u32,
    pub(super) time_range: TimeRange,
    pub(super) len: usize,
}

impl Header {
    /// Appends the header of a chunk of `count` samples.
    pub(super) fn put(count: u32, time_range: TimeRange, out: &mut Vec<u8>) {
        put_varint(out, u64::from(count));
        put_ivarint(out, time_range.start_ms);
        put_varint(out, time_range.end_ms.wrapping_sub(time_range.start_ms).cast_unsigned());
    }

    fn read(data: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(data, 0);
        let count = reader.uvarint()?;
        if !(1..=MAX_READABLE_SAMPLES).contains(&count) {
            return Err(reader.corrupt(format!("{count} samples is not 1 to {MAX_READABLE_SAMPLES}")));
        }
        let start_ms = reader.ivarint()?;
        let span = reader.uvarint()?;
        let end_ms = start_ms.wrapping_add(span.cast_signed());
        // The subtraction is exact as unsigned, so a span that overflows comes back as less than it was.
        if end_ms < start_ms || span < count - 1 || (count == 1 && span > 0) {
            return Err(reader.corrupt(format!("{count} samples cannot span {span} ms from {start_ms}")));
        }
        Ok(Self { count: count as u32, time_range: TimeRange::new(start_ms, end_ms), len: reader.at() })
    }
}

impl Chunk {
    /// How the samples are encoded.
    #[must_use]
    pub fn encoding(&self) -> ChunkEncoding {
        self.encoding
    }

    /// Number of samples, at least 1.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// From the first to the last timestamp.
    #[must_use]
    pub fn time_range(&self) -> TimeRange {
        self.time_range
    }

    /// The bytes to store, header and payload: [`Chunk::from_data`] takes them back, with the encoding.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Opens stored bytes. Reads the header only; the payload is checked as it is decoded.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the header is damaged.
    pub fn from_data(encoding: ChunkEncoding, data: Bytes) -> Result<Self> {
        let Header { count, time_range, .. } = Header::read(&data)?;
        Ok(Self { data, time_range, count, encoding })
    }

    /// A chunk of bytes that were just written.
    pub(super) fn written(encoding: ChunkEncoding, count: u32, time_range: TimeRange, data: Vec<u8>) -> Self {
        // A boxed slice, so that no spare capacity stays for the chunk's life.
        Self { data: Bytes::from(data.into_boxed_slice()), time_range, count, encoding }
    }

    pub(super) fn header_len(&self) -> usize {
        Header::read(&self.data).map_or(0, |header| header.len)
    }

    /// Appends all samples to `samples`, which must end before the chunk starts.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are damaged; [`Error::InvalidInput`] when `samples` reaches into the
    /// chunk's time. `samples` is then as it was.
    pub fn decode_into(&self, samples: &mut SampleBuffer) -> Result<()> {
        if !samples.is_empty() && samples.time_range().end_ms >= self.time_range.start_ms {
            return Err(Error::InvalidInput(format!(
                "a chunk from {} ms cannot follow samples until {} ms",
                self.time_range.start_ms,
                samples.time_range().end_ms
            )));
        }
        let (floats, histograms) = (samples.timestamps_ms.len(), samples.histograms.len());
        let decoded = self.decode_groups(samples);
        if decoded.is_err() {
            samples.timestamps_ms.truncate(floats);
            samples.values.truncate(floats);
            samples.histograms.truncate(histograms);
        }
        decoded
    }

    fn decode_groups(&self, samples: &mut SampleBuffer) -> Result<()> {
        let count = self.count as usize;
        match self.encoding {
            ChunkEncoding::Float => {
                samples.timestamps_ms.reserve(count);
                samples.values.reserve(count);
            }
            ChunkEncoding::IntHistogram | ChunkEncoding::FloatHistogram => samples.histograms.reserve(count),
        }
        let mut groups = GroupDecoder::new(self)?;
        while groups.next_group(self, samples)? {}
        Ok(())
    }

    /// The samples by time.
    #[must_use]
    pub fn iter(&self) -> ChunkIter {
        ChunkIter::new(self.clone())
    }
}

impl IntoIterator for &Chunk {
    type Item = <ChunkIter as Iterator>::Item;
    type IntoIter = ChunkIter;

    fn into_iter(self) -> ChunkIter {
        self.iter()
    }
}
