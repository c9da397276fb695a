//! Where runs go when the series outgrow the memory that they may take, and streams of records over it.

use std::fmt::Debug;
use std::io;
use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::super::bytes::{Cursor, put_varint};
use super::super::frame::Compressor;
use super::super::{BlockId, BlockKind, BlockRef, IndexResult};

/// Raw bytes of a chunk: what a stream that is read holds in memory.
const CHUNK_BYTES: usize = 64 << 10;

/// A place for bytes while an index is built, a temporary file as a rule. The bytes are compressed already.
pub trait Spill: Debug + Send {
    /// Adds bytes and tells where they lie.
    ///
    /// # Errors
    /// When they could not be kept.
    fn append(&mut self, bytes: &[u8]) -> io::Result<Range<u64>>;

    /// Appends to `into` the bytes of a range that [`Spill::append`] has returned.
    ///
    /// # Errors
    /// When they could not be read.
    fn read(&mut self, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()>;

    /// Bytes that are kept in memory.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// The spill that keeps its bytes in memory.
#[derive(Debug, Default)]
pub struct MemorySpill {
    bytes: Vec<u8>,
}

impl MemorySpill {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Spill for MemorySpill {
    fn append(&mut self, bytes: &[u8]) -> io::Result<Range<u64>> {
        let start = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        Ok(start..self.bytes.len() as u64)
    }

    fn read(&mut self, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::UnexpectedEof);
        into.extend_from_slice(self.bytes.get(range.start as usize..range.end as usize).ok_or_else(missing)?);
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// A spill with the compressor of what goes there.
#[derive(Debug)]
pub(super) struct Spilling {
    pub(super) spill: Box<dyn Spill>,
    compressor: Compressor,
}

impl Spilling {
    pub(super) fn new(spill: Box<dyn Spill>) -> Self {
        Self { spill, compressor: Compressor::for_spill() }
    }

    /// Keeps bytes as they are.
    pub(super) fn keep(&mut self, stored: &[u8], raw_len: usize) -> IndexResult<BlockRef> {
        Ok(BlockRef {
            id: BlockId(0),
            kind: BlockKind::Spill,
            offset: self.spill.append(stored)?.start,
            stored_len: stored.len() as u32,
            raw_len: raw_len as u32,
            hash: xxh3_64(stored),
        })
    }

    fn keep_compressed(&mut self, raw: &[u8]) -> IndexResult<BlockRef> {
        let stored = self.compressor.compress(raw, &[])?;
        let offset = self.spill.append(stored)?.start;
        let (stored_len, hash) = (stored.len() as u32, xxh3_64(stored));
        let (id, kind, raw_len) = (BlockId(0), BlockKind::Spill, raw.len() as u32);
        Ok(BlockRef { id, kind, offset, stored_len, raw_len, hash })
    }

    /// The bytes that were kept.
    pub(super) fn read(&mut self, kept: &BlockRef) -> IndexResult<Vec<u8>> {
        let mut stored = Vec::with_capacity(kept.stored_len as usize);
        self.spill.read(kept.range(), &mut stored)?;
        Ok(stored)
    }
}

/// Writes a sequence of records in chunks; no record lies in two of them.
#[derive(Debug, Default)]
pub(super) struct StreamWriter {
    /// The records of the chunk that is being filled. A record is ended by [`StreamWriter::end_record`].
    pub(super) raw: Vec<u8>,
    chunks: Vec<BlockRef>,
}

impl StreamWriter {
    pub(super) fn end_record(&mut self, spill: &mut Spilling) -> IndexResult<()> {
        if self.raw.len() >= CHUNK_BYTES {
            self.chunks.push(spill.keep_compressed(&self.raw)?);
            self.raw.clear();
        }
        Ok(())
    }

    /// Writes a number as a record.
    pub(super) fn number(&mut self, number: u32, spill: &mut Spilling) -> IndexResult<()> {
        put_varint(&mut self.raw, u64::from(number));
        self.end_record(spill)
    }

    pub(super) fn finish(mut self, spill: &mut Spilling) -> IndexResult<StreamReader> {
        if !self.raw.is_empty() {
            self.chunks.push(spill.keep_compressed(&self.raw)?);
        }
        Ok(StreamReader { chunks: self.chunks.into_iter(), raw: Vec::new(), at: 0 })
    }
}

/// Reads the records back, one chunk at a time.
#[derive(Debug, Default)]
pub(super) struct StreamReader {
    chunks: std::vec::IntoIter<BlockRef>,
    raw: Vec<u8>,
    at: usize,
}

impl StreamReader {
    /// The raw bytes of the next chunk: whole records.
    pub(super) fn next_chunk(&mut self, spill: &mut Spilling) -> IndexResult<Option<Vec<u8>>> {
        let Some(chunk) = self.chunks.next() else { return Ok(None) };
        let stored = spill.read(&chunk)?;
        chunk.open(&stored).map(Some)
    }

    /// Reads a number that is a record.
    pub(super) fn number(&mut self, spill: &mut Spilling) -> IndexResult<u32> {
        self.record(spill, |cursor| {
            let number = cursor.varint_u32()?;
            Ok(number)
        })
    }

    /// Reads a record.
    pub(super) fn record<T>(
        &mut self,
        spill: &mut Spilling,
        read: impl FnOnce(&mut Cursor<'_>) -> IndexResult<T>,
    ) -> IndexResult<T> {
        if self.at == self.raw.len() {
            self.raw = self.next_chunk(spill)?.unwrap_or_default();
            self.at = 0;
        }
        let mut cursor = Cursor::new(super::SPILL, &self.raw[self.at..]);
        let record = read(&mut cursor)?;
        self.at += cursor.position();
        Ok(record)
    }
}
