//! The series index of the file that is being written: the series at hand, the pages of each row group, and in the
//! end the region.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;

use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation as ParquetPage;
use tsdb_core::{Labels, Series, TimeRange};
use xxhash_rust::xxh3::xxh3_64;

use crate::series_index::{
    ColumnPages, DEFAULT_INDEX_MEMORY_BYTES, DataPage, MemorySpill, PageLocation, RowGroupPages, SeriesEntry,
    SeriesIndexBuilder, Spill, WrittenIndex,
};
use crate::{ParquetConfig, Result};

/// Gathers what the index says while rows are written.
#[derive(Debug)]
pub(super) struct IndexWriter {
    builder: SeriesIndexBuilder,
    /// The last series: the next batch may go on with it.
    open: Option<OpenSeries>,
    row_groups: Vec<RowGroupPages>,
}

#[derive(Debug)]
struct OpenSeries {
    labels: Labels,
    rows: u64,
    time_range: TimeRange,
    has_floats: bool,
    has_histograms: bool,
}

impl IndexWriter {
    pub(super) fn new(config: &ParquetConfig) -> Self {
        let spill = FileSpill::new(config.spill_dir.clone());
        let builder = SeriesIndexBuilder::with_spill(DEFAULT_INDEX_MEMORY_BYTES, Box::new(spill));
        Self { builder, open: None, row_groups: Vec::new() }
    }

    /// Counts the rows of `series`, which is the last one or comes after it.
    pub(super) fn push(&mut self, series: &Series) -> Result<()> {
        let samples = &series.samples;
        let (floats, histograms) = (samples.timestamps_ms.len(), samples.histograms.len());
        if floats + histograms == 0 {
            return Ok(());
        }
        if self.open.as_ref().is_none_or(|open| open.labels != series.labels) {
            self.end_series()?;
        }
        let open = self.open.get_or_insert_with(|| OpenSeries {
            labels: series.labels.clone(),
            rows: 0,
            time_range: TimeRange::EMPTY,
            has_floats: false,
            has_histograms: false,
        });
        open.rows += (floats + histograms) as u64;
        open.time_range = open.time_range.hull(samples.time_range());
        open.has_floats |= floats > 0;
        open.has_histograms |= histograms > 0;
        Ok(())
    }

    fn end_series(&mut self) -> Result<()> {
        if let Some(OpenSeries { labels, rows, time_range, has_floats, has_histograms }) = self.open.take() {
            let entry = SeriesEntry { labels: &labels, rows, time_range, has_floats, has_histograms };
            self.builder.push(&entry)?;
        }
        Ok(())
    }

    /// Notes the pages of a row group that was `written`: of each leaf column the lengths and first rows of its data
    /// `pages`.
    /// `held` are bytes of the file from `held_at` on, the row group's among them.
    pub(super) fn row_group(
        &mut self,
        written: &RowGroupMetaData,
        pages: &[Vec<ParquetPage>],
        held_at: u64,
        held: &[u8],
    ) {
        let columns = written.columns().iter().zip(pages);
        let columns = columns.map(|(chunk, pages)| column_pages(chunk, pages, held_at, held)).collect();
        self.row_groups.push(RowGroupPages { rows: written.num_rows().cast_unsigned(), columns });
    }

    /// Writes the region, which begins at byte `offset` of the file.
    pub(super) fn finish(mut self, offset: u64, out: &mut impl Write) -> Result<WrittenIndex> {
        self.end_series()?;
        Ok(self.builder.finish(offset, &self.row_groups, out)?)
    }

    /// Bytes of memory held.
    pub(super) fn memory_bytes(&self) -> usize {
        let columns = self.row_groups.iter().flat_map(|group| &group.columns);
        let pages: usize = columns.map(|column| column.data.capacity()).sum();
        self.builder.memory_bytes() + pages * size_of::<DataPage>()
    }
}

/// Where a chunk's pages lie in the file, with their checksums: the dictionary, if there is one, then the data pages, with
/// nothing in between.
fn column_pages(
    chunk: &ColumnChunkMetaData,
    pages: &[ParquetPage],
    held_at: u64,
    held: &[u8],
) -> ColumnPages {
    let located = |offset: u64, length: u64| {
        let at = (offset - held_at) as usize;
        let hash = xxh3_64(&held[at..at + length as usize]);
        PageLocation { offset, length: length as u32, hash }
    };
    let mut offset = chunk.data_page_offset().cast_unsigned();
    let dictionary_at = chunk.dictionary_page_offset().map(i64::cast_unsigned);
    let dictionary = dictionary_at.map(|at| located(at, offset - at));
    let data = pages.iter().map(|page| {
        let location = located(offset, u64::from(page.compressed_page_size.cast_unsigned()));
        offset = location.range().end;
        DataPage { location, first_row: page.first_row_index.cast_unsigned() }
    });
    ColumnPages { data: data.collect(), dictionary }
}

/// Bytes that are kept in memory before a file is made for more. Every index puts a few blocks aside; most get by without
/// a file.
const SPILL_MEMORY_BYTES: usize = 1 << 20;

/// A little memory, then a temporary file, made when it is needed. It has no name and is gone with the process.
#[derive(Debug)]
struct FileSpill {
    dir: Option<PathBuf>,
    memory: MemorySpill,
    /// The file, and how long it is.
    file: Option<(File, u64)>,
}

impl FileSpill {
    fn new(dir: Option<PathBuf>) -> Self {
        Self { dir, memory: MemorySpill::default(), file: None }
    }

    fn append_to_file(&mut self, bytes: &[u8]) -> io::Result<Range<u64>> {
        let (file, len) = match &mut self.file {
            Some(file) => file,
            none => {
                let file = match &self.dir {
                    Some(dir) => tempfile::tempfile_in(dir)?,
                    None => tempfile::tempfile()?,
                };
                none.insert((file, 0))
            }
        };
        file.seek(SeekFrom::Start(*len))?;
        file.write_all(bytes)?;
        let start = *len;
        *len += bytes.len() as u64;
        Ok(start..*len)
    }

    fn read_from_file(&mut self, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (file, _) = self.file.as_mut().ok_or_else(missing)?;
        file.seek(SeekFrom::Start(range.start))?;
        let read = file.take(range.end - range.start).read_to_end(into)?;
        if read as u64 == range.end - range.start { Ok(()) } else { Err(missing()) }
    }

    /// Names the directory, which is mostly what is wrong: full, read-only, not there.
    fn named(&self, error: &io::Error) -> io::Error {
        let dir = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        io::Error::new(error.kind(), format!("the temporary file in {}: {error}", dir.display()))
    }
}

impl Spill for FileSpill {
    fn append(&mut self, bytes: &[u8]) -> io::Result<Range<u64>> {
        let in_memory = self.memory.len();
        if self.file.is_none() && in_memory + bytes.len() <= SPILL_MEMORY_BYTES {
            return self.memory.append(bytes);
        }
        let Range { start, end } = self.append_to_file(bytes).map_err(|error| self.named(&error))?;
        Ok(start + in_memory as u64..end + in_memory as u64)
    }

    fn read(&mut self, range: Range<u64>, into: &mut Vec<u8>) -> io::Result<()> {
        let in_memory = self.memory.len() as u64;
        match range.start.checked_sub(in_memory) {
            Some(start) => {
                self.read_from_file(start..range.end - in_memory, into).map_err(|error| self.named(&error))
            }
            None => self.memory.read(range, into),
        }
    }

    fn memory_bytes(&self) -> usize {
        self.memory.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spilled_is_given_back() {
        let mut spill = FileSpill::new(None);
        assert!(spill.read(0..1, &mut Vec::new()).is_err());
        let large = vec![7; SPILL_MEMORY_BYTES];
        let parts = [&b"one"[..], b"", b"three", &large, b"four", b""];
        let ranges = parts.map(|bytes| spill.append(bytes).unwrap());
        assert!(ranges.is_sorted_by(|a, b| a.end == b.start));
        assert!(spill.memory_bytes() < 100, "what comes after goes to the file");
        for (range, bytes) in ranges.iter().zip(parts).rev() {
            let mut read = b"+".to_vec();
            spill.read(range.clone(), &mut read).unwrap();
            assert_eq!(&read[1..], bytes);
        }
        let end = ranges[5].end;
        assert!(spill.read(end - 1..end + 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn a_spill_without_a_place_names_it() {
        let gone = tempfile::tempdir().unwrap().path().join("gone");
        let mut spill = FileSpill::new(Some(gone.clone()));
        assert_eq!(spill.append(b"small").unwrap(), 0..5);
        let error = spill.append(&vec![0; SPILL_MEMORY_BYTES]).unwrap_err();
        assert!(error.to_string().contains(&*gone.to_string_lossy()), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
