//! The bytes of a segment: header, records, and what a record's payload holds. `docs/format/wal.md` is its prose.
//!
//! ```text
//! segment := header record*
//! header  := magic[8] version:u32 flags:u32 generation:u64 number:u32
//!            previous_number:u32 previous_generation:u64 previous_bytes:u64 crc:u32        52 bytes
//! record  := length:u32 type:u8 crc:u32 payload[length]                                    9 bytes and the payload
//! ```
//!
//! All numbers are little-endian, all checksums CRC32C. A record's checksum covers length, type and payload; the header's
//! covers what is before it. The high bit of a type marks the last record of a group, and a group counts as a whole or not
//! at all. This module decodes slices; it opens nothing and decides nothing about damage.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tsdb_core::{
    Chunk, ChunkBuilder, ChunkEncoding, Labels, Matcher, SampleValue, TimeRange, parse_selector,
    write_selector,
};

use super::varint::{PayloadReader, broken, put_varint, put_zigzag};
use crate::batch::Batch;
use crate::{Error, Result};

/// First bytes of a segment.
pub(crate) const MAGIC: [u8; 8] = *b"TSDBWAL\n";
/// The format version that is written.
const CURRENT_VERSION: u32 = 1;
/// The oldest version that is read.
const OLDEST_READABLE_VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(crate) const HEADER_BYTES: usize = 52;
/// Bytes of a record before its payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 9;
/// The longest payload of a record, in bytes.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 64 << 20;
/// A record's payload that has grown past this is closed and the next record begun.
const PAYLOAD_BYTES_TARGET: usize = 1 << 20;

/// Header flag: series numbers of earlier segments mean nothing in this one and the next ones.
const FLAG_FRESH_NUMBERS: u32 = 1;
/// Header flag: the segment follows another one, which the header names.
const FLAG_HAS_PREVIOUS: u32 = 2;
/// Type flag: the record is the last of its group.
const LAST_OF_GROUP: u8 = 0x80;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum RecordType {
    /// Series numbers with their label sets.
    Series = 1,
    /// Float samples.
    Floats = 2,
    /// Histogram samples.
    Histograms = 3,
    /// How many bytes of this segment were durable when the record was written.
    Synced = 4,
    /// A time range and a selector: the samples so far that are deleted.
    Delete = 5,
    /// What a repair gave up.
    Void = 6,
}

/// Which segment a file is: sorted as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId {
    pub(crate) generation: u64,
    pub(crate) number: u32,
}

impl SegmentId {
    /// The name of its file in the log's directory.
    pub(crate) fn file_name(self) -> String {
        format!("{}.wal", self.stem())
    }

    /// The name that the first segment of a generation gets when all of the generation is in blocks.
    pub(crate) fn sealed_name(self) -> String {
        format!("{}.sealed", self.stem())
    }

    fn stem(self) -> String {
        format!("{:020}-{:010}", self.generation, self.number)
    }

    /// The segment of a file name, and whether the name says that its generation is sealed.
    pub(crate) fn parse(name: &str) -> Option<(Self, bool)> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (generation, number) = stem.split_once('-')?;
        let id = Self { generation: generation.parse().ok()?, number: number.parse().ok()? };
        match extension {
            "wal" if id.file_name() == name => Some((id, false)),
            "sealed" if id.sealed_name() == name => Some((id, true)),
            _ => None,
        }
    }
}

/// Where a segment ended: what the next one says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEnd {
    pub(crate) id: SegmentId,
    pub(crate) bytes: u64,
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: SegmentId,
    pub(crate) fresh_numbers: bool,
    pub(crate) previous: Option<SegmentEnd>,
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut flags = if self.fresh_numbers { FLAG_FRESH_NUMBERS } else { 0 };
        if self.previous.is_some() {
            flags |= FLAG_HAS_PREVIOUS;
        }
        let none = SegmentEnd { id: SegmentId { generation: 0, number: 0 }, bytes: 0 };
        let previous = self.previous.unwrap_or(none);
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&CURRENT_VERSION.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&self.id.generation.to_le_bytes());
        out.extend_from_slice(&self.id.number.to_le_bytes());
        out.extend_from_slice(&previous.id.number.to_le_bytes());
        out.extend_from_slice(&previous.id.generation.to_le_bytes());
        out.extend_from_slice(&previous.bytes.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(out.len(), HEADER_BYTES);
        out
    }

    /// Reads the header of a segment. The error says what is wrong and at which byte.
    pub(crate) fn decode(segment: &[u8]) -> Result<Self, HeaderFault> {
        let header = segment.get(..HEADER_BYTES).ok_or(HeaderFault::Damaged("the header is not complete"))?;
        if header[..8] != MAGIC {
            return Err(HeaderFault::Damaged("it does not begin as a segment of the log"));
        }
        let u32_at =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("invariant: four bytes"));
        let u64_at =
            |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("invariant: eight bytes"));
        if crc32c::crc32c(&header[..HEADER_BYTES - 4]) != u32_at(HEADER_BYTES - 4) {
            return Err(HeaderFault::Damaged("the checksum of the header is wrong"));
        }
        let found = u32_at(8);
        if !(OLDEST_READABLE_VERSION..=CURRENT_VERSION).contains(&found) {
            return Err(HeaderFault::Version(found));
        }
        let flags = u32_at(12);
        if flags & !(FLAG_FRESH_NUMBERS | FLAG_HAS_PREVIOUS) != 0 {
            return Err(HeaderFault::Damaged("the header has flags that this version does not know"));
        }
        let previous =
            SegmentEnd { id: SegmentId { generation: u64_at(32), number: u32_at(28) }, bytes: u64_at(40) };
        Ok(Self {
            id: SegmentId { generation: u64_at(16), number: u32_at(24) },
            fresh_numbers: flags & FLAG_FRESH_NUMBERS != 0,
            previous: (flags & FLAG_HAS_PREVIOUS != 0).then_some(previous),
        })
    }
}

/// Why a header could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Damaged(&'static str),
    Version(u32),
}

impl HeaderFault {
    /// The error of the segment at `path` where the version is at fault; else what is damaged.
    pub(crate) fn unsupported(self, path: PathBuf) -> Result<&'static str, Error> {
        match self {
            Self::Damaged(detail) => Ok(detail),
            Self::Version(found) => {
                let (oldest, newest) = (OLDEST_READABLE_VERSION, CURRENT_VERSION);
                Err(Error::UnsupportedVersion { path, what: "log segment", found, oldest, newest })
            }
        }
    }
}

/// Writes the records of one group.
#[derive(Debug, Default)]
pub(crate) struct GroupWriter {
    out: Vec<u8>,
    open: Option<OpenRecord>,
}

/// The record that is being written.
#[derive(Clone, Copy, Debug)]
struct OpenRecord {
    start: usize,
    kind: RecordType,
    /// Series number and timestamp of the sample before, from which the next one's difference is written.
    before: (u32, i64),
}

impl GroupWriter {
    /// The group's bytes. `last` marks its end; without it more records of the group follow.
    pub(crate) fn finish(mut self, last: bool) -> Vec<u8> {
        self.close(last);
        self.out
    }

    /// A series and its canonical labels, to be followed by its samples.
    pub(crate) fn series(&mut self, number: u32, labels: &[u8]) -> Result<()> {
        self.record(RecordType::Series);
        put_varint(&mut self.out, u64::from(number));
        put_varint(&mut self.out, labels.len() as u64);
        self.out.extend_from_slice(labels);
        self.check_length()
    }

    /// The samples of a batch, in its order.
    pub(crate) fn samples(&mut self, batch: &Batch) -> Result<()> {
        for sample in batch.samples() {
            let value = batch.value(sample);
            let (number, timestamp_ms) = (sample.series.0, sample.timestamp_ms);
            let before = match value {
                SampleValue::Float(_) => &mut self.record(RecordType::Floats).before,
                SampleValue::Histogram(_) => &mut self.record(RecordType::Histograms).before,
            };
            let (number_before, timestamp_before) = std::mem::replace(before, (number, timestamp_ms));
            put_zigzag(&mut self.out, i64::from(number) - i64::from(number_before));
            put_zigzag(&mut self.out, timestamp_ms.wrapping_sub(timestamp_before));
            match value {
                SampleValue::Float(value) => self.out.extend_from_slice(&value.to_bits().to_le_bytes()),
                SampleValue::Histogram(_) => {
                    put_histogram(&mut self.out, timestamp_ms, &value);
                    self.check_length()?;
                }
            }
        }
        Ok(())
    }

    /// A delete of what the generation has at this place of the log.
    pub(crate) fn delete(&mut self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        self.record(RecordType::Delete);
        put_zigzag(&mut self.out, range.start_ms);
        put_zigzag(&mut self.out, range.end_ms);
        self.out.extend_from_slice(write_selector(matchers).as_bytes());
        self.check_length()
    }

    /// How many bytes of the segment are durable.
    pub(crate) fn synced(&mut self, bytes: u64) {
        self.record(RecordType::Synced);
        self.out.extend_from_slice(&bytes.to_le_bytes());
    }

    /// The open record of this type, begun if there is none or it has become long.
    fn record(&mut self, kind: RecordType) -> &mut OpenRecord {
        let end = self.out.len();
        let fits = |open: &OpenRecord| open.kind == kind && end - open.start <= PAYLOAD_BYTES_TARGET;
        if !self.open.as_ref().is_some_and(fits) {
            self.close(false);
            self.open = Some(OpenRecord { start: end, kind, before: (0, 0) });
            self.out.extend_from_slice(&[0; RECORD_HEADER_BYTES]);
        }
        self.open.as_mut().expect("invariant: a record was just begun")
    }

    fn check_length(&self) -> Result<()> {
        let bytes = self.open.map_or(0, |open| self.out.len() - open.start - RECORD_HEADER_BYTES);
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(Error::RecordTooLarge { bytes, max: PAYLOAD_BYTES_MAX });
        }
        Ok(())
    }

    fn close(&mut self, last: bool) {
        let Some(OpenRecord { start, kind, .. }) = self.open.take() else { return };
        let payload = start + RECORD_HEADER_BYTES;
        let length = u32::try_from(self.out.len() - payload).expect("invariant: no payload over the limit");
        let kind = if last { kind as u8 | LAST_OF_GROUP } else { kind as u8 };
        let crc = checksum(length, kind, &self.out[payload..]);
        self.out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.out[start + 4] = kind;
        self.out[start + 5..payload].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A histogram as a chunk of one sample: the codec that is tested for every bit of it already.
fn put_histogram(out: &mut Vec<u8>, timestamp_ms: i64, value: &SampleValue) {
    let mut chunk = ChunkBuilder::new(ChunkEncoding::of(value));
    let appended = chunk.append(timestamp_ms, value);
    debug_assert_eq!(
        appended,
        tsdb_core::Append::Appended,
        "invariant: an empty chunk of its encoding takes any value"
    );
    let chunk = chunk.finish();
    out.push(chunk.encoding() as u8);
    put_varint(out, chunk.data().len() as u64);
    out.extend_from_slice(chunk.data());
}

/// Makes a record of `bytes`, at least its header and at most the longest, that readers skip: the payload stays.
pub(crate) fn void_record(bytes: &mut [u8]) {
    let (head, payload) = bytes.split_at_mut(RECORD_HEADER_BYTES);
    let (length, kind) = (payload.len() as u32, RecordType::Void as u8 | LAST_OF_GROUP);
    head[..4].copy_from_slice(&length.to_le_bytes());
    head[4] = kind;
    head[5..].copy_from_slice(&checksum(length, kind, payload).to_le_bytes());
}

fn checksum(length: u32, kind: u8, payload: &[u8]) -> u32 {
    let head = crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), &[kind]);
    crc32c::crc32c_append(head, payload)
}

/// A record whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: RecordType,
    pub(crate) last_of_group: bool,
    pub(crate) payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at an offset of a segment, and where the next one begins. The error says what is wrong.
    pub(crate) fn decode(segment: &'a [u8], offset: usize) -> Result<(Self, usize), &'static str> {
        let head =
            segment.get(offset..offset + RECORD_HEADER_BYTES).ok_or("the record's header is not complete")?;
        let length = u32::from_le_bytes(head[..4].try_into().expect("invariant: four bytes"));
        let crc = u32::from_le_bytes(head[5..].try_into().expect("invariant: four bytes"));
        if length as usize > PAYLOAD_BYTES_MAX {
            return Err("the record's length is above the limit");
        }
        let start = offset + RECORD_HEADER_BYTES;
        let payload = segment.get(start..start + length as usize).ok_or("the record is not complete")?;
        let kind = match head[4] & !LAST_OF_GROUP {
            1 => RecordType::Series,
            2 => RecordType::Floats,
            3 => RecordType::Histograms,
            4 => RecordType::Synced,
            5 => RecordType::Delete,
            6 => RecordType::Void,
            _ => return Err("the record's type is not known"),
        };
        if checksum(length, head[4], payload) != crc {
            return Err("the record's checksum is wrong");
        }
        let record = Self { kind, last_of_group: head[4] & LAST_OF_GROUP != 0, payload };
        Ok((record, start + payload.len()))
    }

    /// The series of a [`RecordType::Series`] record.
    pub(crate) fn series(&self) -> impl Iterator<Item = Result<(u32, Labels), tsdb_core::Error>> + use<'a> {
        let mut payload = PayloadReader::new(self.payload);
        std::iter::from_fn(move || {
            (!payload.is_at_end()).then(|| {
                let number = payload.varint()?;
                let number = u32::try_from(number).map_err(|_| broken("has a series number over 32 bits"))?;
                let length = payload.varint()?;
                Ok((number, Labels::from_bytes(payload.bytes(length)?)?))
            })
        })
    }

    /// The samples of a [`RecordType::Floats`] or [`RecordType::Histograms`] record: series number, timestamp, value.
    pub(crate) fn samples(
        &self,
    ) -> impl Iterator<Item = Result<(u32, i64, SampleValue), tsdb_core::Error>> + use<'a> {
        let mut payload = PayloadReader::new(self.payload);
        let (kind, mut number, mut timestamp_ms) = (self.kind, 0i64, 0i64);
        std::iter::from_fn(move || {
            (!payload.is_at_end()).then(|| {
                number = number.wrapping_add(payload.zigzag()?);
                timestamp_ms = timestamp_ms.wrapping_add(payload.zigzag()?);
                let series = u32::try_from(number).map_err(|_| broken("has a series number over 32 bits"))?;
                let value = match kind {
                    RecordType::Floats => {
                        SampleValue::Float(f64::from_bits(u64::from_le_bytes(payload.array()?)))
                    }
                    _ => SampleValue::Histogram(read_histogram(&mut payload, timestamp_ms)?),
                };
                Ok((series, timestamp_ms, value))
            })
        })
    }

    /// The selector and the range of a [`RecordType::Delete`] record.
    pub(crate) fn delete(&self) -> Result<(Vec<Matcher>, TimeRange), tsdb_core::Error> {
        let mut payload = PayloadReader::new(self.payload);
        let range = TimeRange::new(payload.zigzag()?, payload.zigzag()?);
        let selector =
            std::str::from_utf8(payload.rest()).map_err(|_| broken("has a selector that is not UTF-8"))?;
        Ok((parse_selector(selector)?, range))
    }

    /// The durable bytes of a [`RecordType::Synced`] record.
    pub(crate) fn synced(&self) -> Option<u64> {
        (self.kind == RecordType::Synced).then_some(())?;
        Some(u64::from_le_bytes(self.payload.try_into().ok()?))
    }
}

fn read_histogram(
    payload: &mut PayloadReader<'_>,
    timestamp_ms: i64,
) -> Result<Arc<tsdb_core::Histogram>, tsdb_core::Error> {
    let [encoding] = payload.array()?;
    let length = payload.varint()?;
    let data = Bytes::copy_from_slice(payload.bytes(length)?);
    let chunk = Chunk::from_data(ChunkEncoding::try_from(encoding)?, data)?;
    let mut samples = chunk.iter();
    match (samples.next().transpose()?, samples.next()) {
        (Some((t, SampleValue::Histogram(histogram))), None) if t == timestamp_ms => Ok(histogram),
        _ => Err(broken("has a histogram that is not one sample at its timestamp")),
    }
}

/// The most bytes that any intact [`RecordType::Synced`] record at or after `offset` says were durable. Looks at every
/// byte, because after damage nobody knows where records begin.
pub(crate) fn synced_after(segment: &[u8], offset: usize) -> Option<u64> {
    let mut head = 8u32.to_le_bytes().to_vec();
    head.push(RecordType::Synced as u8 | LAST_OF_GROUP);
    let places = without_zeros(segment)
        .get(offset..)?
        .windows(head.len())
        .enumerate()
        .filter(|(_, window)| *window == head.as_slice());
    places.filter_map(|(place, _)| Record::decode(segment, offset + place).ok()?.0.synced()).max()
}

/// A segment without the zeros at its end: those of its last record, and those that were there before it was written.
pub(crate) fn without_zeros(segment: &[u8]) -> &[u8] {
    // In pieces, because most of a segment can be zeros.
    let zeros = segment.rchunks(4096).take_while(|piece| piece.iter().all(|byte| *byte == 0));
    let rest = &segment[..segment.len() - zeros.map(<[u8]>::len).sum::<usize>()];
    &rest[..rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}
