//! Loading what stands at a file's end: footer and page index, checked.
//!
//! One read usually gets all of it, and with it the directory of the series index. The trailer is checked before the footer is decoded, so that a length
//! that points outside the file is an error and nothing else. A file of ours must match the checksums of its
//! tail; of a foreign file there is nothing to check but that it decodes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use tsdb_schema::SchemaMapper;
use xxhash_rust::xxh3::xxh3_64;

use super::blocks::FileId;
use super::contain::contain;
use super::page_index;
use super::source::Source;
use crate::file_meta::{CREATOR, check_version, value_of};
use crate::filter_to_arrow_expression::time_range_of;
use crate::series_index::{Directory, IndexPointer, SERIES_INDEX_KEY};
use crate::tail::{MAGIC, TAIL_KEY, TRAILER_BYTES, TailChecks, footer_len};
use crate::{Error, FileLayout, FileMeta, Result};

/// Bytes read from the end of a file in the hope of getting footer, page index and the end of the series index at once.
pub const DEFAULT_TAIL_READ_BYTES: u64 = 256 * 1024;

/// What a file says about itself, decoded once and shared: schema, row groups, page index, counts.
#[derive(Clone, Debug)]
pub struct ColdFileMetadata {
    pub(super) arrow: ArrowReaderMetadata,
    mapper: SchemaMapper,
    meta: FileMeta,
    index: Option<Arc<Directory>>,
    pub(super) file_id: FileId,
}

impl ColdFileMetadata {
    /// Counts, time range and the caller's pairs.
    #[must_use]
    pub fn file_meta(&self) -> &FileMeta {
        &self.meta
    }

    /// Which column holds what.
    #[must_use]
    pub fn mapper(&self) -> &SchemaMapper {
        &self.mapper
    }

    /// The footer and page index as the `parquet` crate has them.
    #[must_use]
    pub fn parquet(&self) -> &Arc<ParquetMetaData> {
        self.arrow.metadata()
    }

    /// The directory of the file's series index; `None` for a file without one.
    #[must_use]
    pub fn series_index(&self) -> Option<&Arc<Directory>> {
        self.index.as_ref()
    }

    /// Bytes of memory that this takes, for a cache to count.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |directory| directory.memory_bytes());
        self.parquet().memory_size() + index + size_of::<Self>()
    }
}

/// Footer and page index of any Parquet file, whatever its columns are.
pub(super) struct Footer {
    pub(super) arrow: ArrowReaderMetadata,
    /// What a file of ours has beside Parquet's own; `None` for a foreign file.
    own: Option<Own>,
    len: u64,
}

/// The end of a file of ours.
struct Own {
    /// The place of the series index, and its directory; `None` for a file without one.
    index: Option<(IndexPointer, Arc<Directory>)>,
    tail: Tail,
}

/// Reads, checks and decodes the end of the file, which has `len` bytes; `with_index`, the series index's directory too.
pub(super) async fn load(source: &Source, len: u64, with_index: bool) -> Result<Footer> {
    let mut tail = Tail::load(source, len).await?;
    let footer = tail.footer(source.path())?;
    let metadata = contain(source.path(), || {
        ParquetMetaDataReader::decode_metadata(&footer).map_err(|e| Error::damaged(source.path(), e))
    })?;
    check_offsets(source.path(), &metadata, tail.footer_at)?;

    let is_own = metadata.file_metadata().created_by().is_some_and(|creator| creator.starts_with(CREATOR));
    let (metadata, own) = if is_own {
        let (metadata, index) = own_tail(source, len, metadata, &footer, &mut tail, with_index).await?;
        (metadata, Some(Own { index, tail }))
    } else {
        (page_index::read(source, len, metadata, &tail).await?, None)
    };
    let metadata = Arc::new(metadata);
    let arrow = contain(source.path(), || arrow_metadata(source.path(), &metadata))?;
    Ok(Footer { arrow, own, len })
}

/// The last bytes of a file.
pub(super) struct Tail {
    bytes: Bytes,
    /// Where `bytes` begins in the file.
    at: u64,
    /// Where the footer begins in the file.
    footer_at: u64,
}

impl Tail {
    async fn load(source: &Source, len: u64) -> Result<Self> {
        let not_parquet =
            |detail: &str| Error::NotParquet { path: source.path().to_owned(), detail: detail.into() };
        let trailer = TRAILER_BYTES as u64;
        if len < trailer + MAGIC.len() as u64 {
            return Err(not_parquet(&format!("it has {len} bytes")));
        }
        let at = len.saturating_sub(DEFAULT_TAIL_READ_BYTES);
        let bytes = source.range(at..len).await?;
        let footer_len = footer_len(&bytes[bytes.len() - TRAILER_BYTES..])
            .ok_or_else(|| not_parquet("it does not end with PAR1; it may be cut off"))?
            as u64;
        let footer_at = (len - trailer).checked_sub(footer_len).filter(|at| *at >= MAGIC.len() as u64);
        let footer_at = footer_at.ok_or_else(|| {
            Error::damaged(source.path(), format!("its footer of {footer_len} bytes is longer than the file"))
        })?;
        if footer_at >= at {
            return Ok(Self { bytes, at, footer_at });
        }
        let bytes = source.range(footer_at..len).await?;
        Ok(Self { bytes, at: footer_at, footer_at })
    }

    /// Reads what is missing from `from` on.
    async fn reach(&mut self, source: &Source, from: u64) -> Result<()> {
        if from < self.at {
            let before = source.range(from..self.at).await?;
            self.bytes = Bytes::from([before, self.bytes.clone()].concat());
            self.at = from;
        }
        Ok(())
    }

    /// The footer's Thrift bytes.
    fn footer(&self, path: &str) -> Result<Bytes> {
        let start = usize::try_from(self.footer_at - self.at).map_err(|e| Error::damaged(path, e))?;
        Ok(self.bytes.slice(start..self.bytes.len() - TRAILER_BYTES))
    }

    /// The bytes of `range`, from the tail if it has them.
    pub(super) async fn read(&self, source: &Source, range: &Range<u64>) -> Result<Bytes> {
        match self.get(range) {
            Some(bytes) => Ok(bytes),
            None => source.range(range.clone()).await,
        }
    }

    /// The bytes of `range`, when they are in memory.
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.at)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.at)?).ok()?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(start..end))
    }
}

/// Refuses a footer that points outside the file's data: later code may then add and subtract offsets freely.
fn check_offsets(path: &str, metadata: &ParquetMetaData, footer_at: u64) -> Result<()> {
    let inside = |start: i64, length: i64| {
        let (start, length) = (u64::try_from(start).ok()?, u64::try_from(length).ok()?);
        start.checked_add(length).filter(|end| *end <= footer_at)
    };
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        rows = rows.saturating_add(group.num_rows());
        for column in group.columns() {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            let index = (column.column_index_offset(), column.column_index_length());
            let offsets = (column.offset_index_offset(), column.offset_index_length());
            let bloom = (column.bloom_filter_offset(), column.bloom_filter_length());
            let named = [index, offsets, bloom]
                .into_iter()
                .filter_map(|(at, len)| Some((at?, i64::from(len.unwrap_or(0)))));
            for (at, length) in named.chain([(start, column.compressed_size())]) {
                if inside(at, length).is_none() {
                    return Err(Error::damaged(
                        path,
                        format!("its footer names {length} bytes at {at}, outside its data"),
                    ));
                }
            }
        }
        if group.num_rows() < 0 {
            return Err(Error::damaged(path, "a row group has a negative number of rows"));
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        let total = metadata.file_metadata().num_rows();
        return Err(Error::damaged(
            path,
            format!("its row groups hold {rows} rows, its footer says {total}"),
        ));
    }
    Ok(())
}

/// Checks the checksums of a file of ours. Adds the page index to `metadata`, and finds the series index.
async fn own_tail(
    source: &Source,
    len: u64,
    metadata: ParquetMetaData,
    footer: &[u8],
    tail: &mut Tail,
    with_index: bool,
) -> Result<(ParquetMetaData, Option<(IndexPointer, Arc<Directory>)>)> {
    let path = source.path();
    let value = value_of(metadata.file_metadata(), TAIL_KEY)
        .ok_or_else(|| Error::damaged(path, format!("the metadata key {TAIL_KEY} is missing")))?;
    let checks = TailChecks::parse(value)
        .filter(|checks| checks.matches_footer(footer, value) && checks.tail_offset <= tail.footer_at)
        .ok_or_else(|| Error::damaged(path, "its footer does not match its checksum"))?;
    check_version(path, metadata.file_metadata())?;
    let pointer = if with_index { index_pointer(path, &metadata, checks.tail_offset)? } else { None };
    let directory_at = pointer.as_ref().map(|(_, directory)| directory.start);
    tail.reach(source, directory_at.unwrap_or(checks.tail_offset)).await?;

    let index = match pointer {
        None => None,
        Some((pointer, directory)) => {
            let stored = tail.read(source, &directory).await?;
            let directory = Directory::decode(&stored, &pointer).map_err(Error::index(path))?;
            check_directory(path, &metadata, &directory)?;
            Some((pointer, Arc::new(directory)))
        }
    };
    let range = checks.tail_offset..tail.footer_at;
    if range.is_empty() {
        return Ok((metadata, index));
    }
    let bytes = tail.read(source, &range).await?;
    if checks.index_hash != xxh3_64(&bytes) {
        return Err(Error::damaged(path, "its page index does not match its checksum"));
    }
    Ok((page_index::decode(path, len, metadata, range, bytes)?, index))
}

/// The pointer to the series index, which ends before `end`, with the bytes of its directory; `None` without an index.
fn index_pointer(
    path: &str,
    metadata: &ParquetMetaData,
    end: u64,
) -> Result<Option<(IndexPointer, Range<u64>)>> {
    let Some(value) = value_of(metadata.file_metadata(), SERIES_INDEX_KEY) else { return Ok(None) };
    let wrong = || Error::damaged(path, format!("the metadata key {SERIES_INDEX_KEY} is {value:?}"));
    IndexPointer::check_version(value).map_err(Error::index(path))?;
    let pointer = IndexPointer::parse(value).ok_or_else(wrong)?;
    let directory = pointer.directory().map_err(Error::index(path))?;
    if directory.end > end { Err(wrong()) } else { Ok(Some((pointer, directory))) }
}

/// Refuses an index of other rows than the footer's.
fn check_directory(path: &str, metadata: &ParquetMetaData, directory: &Directory) -> Result<()> {
    let rows = |group: &RowGroupMetaData| u64::try_from(group.num_rows()).ok();
    let groups = metadata.row_groups();
    let same = groups.len() == directory.row_groups() as usize
        && groups.iter().zip(0..).all(|(group, number)| {
            rows(group) == directory.row_group_range(number).map(|range| range.end - range.start)
        });
    if same {
        Ok(())
    } else {
        Err(Error::damaged(path, "its series index has other row groups than its footer"))
    }
}

impl Footer {
    /// Finds out which column holds what and what the file says of itself.
    pub(super) fn interpret(self, path: &str) -> Result<ColdFileMetadata> {
        let schema = self.arrow.schema();
        let mapper = SchemaMapper::from_schema(schema).map_err(Error::not_samples(path))?;
        let file = self.arrow.metadata().file_metadata();
        let mut meta = if self.own.is_some() {
            FileMeta::from_own(path, file, self.len)?
        } else {
            FileMeta::from_foreign(file, time_range_of(self.arrow.metadata(), schema), self.len)
        };
        let index = self.own.and_then(|own| own.index).map(|(_, directory)| directory);
        if index.as_ref().is_some_and(|index| u64::from(index.series()) != meta.series) {
            return Err(Error::damaged(path, "its series index has other series than its metadata"));
        }
        meta.label_bloom = index.as_ref().and_then(|index| index.label_bloom());
        Ok(ColdFileMetadata { arrow: self.arrow, mapper, meta, index, file_id: FileId::next() })
    }

    /// The last bytes of the series index, as far as they were read, and where they begin in the file.
    pub(super) fn end_of_index(&self) -> Option<(u64, Bytes)> {
        let Own { index: Some((pointer, _)), tail } = self.own.as_ref()? else { return None };
        let region = pointer.region().ok()?;
        let at = region.start.max(tail.at);
        Some((at, tail.get(&(at..region.end))?))
    }

    /// Row groups, columns, encodings and sizes.
    pub(super) fn layout(&self) -> FileLayout {
        let index = self.own.as_ref().and_then(|own| own.index.as_ref());
        let directory = index.map(|(_, directory)| &**directory);
        FileLayout::new(self.arrow.metadata(), self.arrow.schema(), self.len, directory)
    }
}

/// The Arrow schema, from the one embedded in the file or, where that does not fit, from Parquet's own types.
fn arrow_metadata(path: &str, metadata: &Arc<ParquetMetaData>) -> Result<ArrowReaderMetadata> {
    let embedded = ArrowReaderMetadata::try_new(Arc::clone(metadata), ArrowReaderOptions::new());
    embedded
        .or_else(|_| {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            ArrowReaderMetadata::try_new(Arc::clone(metadata), options)
        })
        .map_err(|e| Error::damaged(path, e))
}
