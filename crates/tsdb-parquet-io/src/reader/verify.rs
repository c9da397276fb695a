//! A check of a whole file: every page, every block of the series index, and that index and rows say the same.

use std::ops::Range;

use futures::TryStreamExt;
use tsdb_core::TimeRange;

use super::ParquetReader;
use crate::file_meta::value_of;
use crate::series_index::{Block, Directory, IndexPointer, REGION_HEAD, RowGroupPages, SERIES_INDEX_KEY};
use crate::tail::MAGIC;
use crate::{Error, Origin, RebuiltIndex, Result};

/// Problems of one kind after which no more are listed.
const PROBLEMS_MAX: usize = 100;

/// What a check of a whole file has found.
#[derive(Debug, Default)]
pub struct Verification {
    /// Series that were read.
    pub series: u64,
    /// Samples that were read.
    pub samples: u64,
    /// Pages whose checksums were compared; 0 for a file without a series index.
    pub pages: u64,
    /// Blocks of the series index that were compared with the rest of the file.
    pub index_blocks: u64,
    /// Damage of the rows.
    pub damaged: Vec<Error>,
    /// Damage of the series index alone: the rows can still be read by their label columns.
    pub damaged_index: Vec<Error>,
}

impl Verification {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.damaged_index.is_empty()
    }
}

impl ParquetReader {
    /// Reads all of the file, decodes every row, and compares the series index with one that is built from the rows.
    /// What is damaged is listed; memory is that of [`ParquetReader::rebuild_series_index`].
    ///
    /// # Errors
    /// [`Error::Store`] when the file cannot be read.
    pub async fn verify(&self) -> Result<Verification> {
        let mut found = Verification::default();
        if self.file_meta().origin == Origin::Foreign {
            let mut all = self.select([].into(), TimeRange::ALL);
            let read = async {
                while let Some(series) = all.try_next().await? {
                    found.series += 1;
                    found.samples += series.samples.len() as u64;
                }
                Ok(())
            };
            let read = read.await;
            return list(read, &mut found.damaged).map(|_| found);
        }

        let pointer = value_of(self.metadata.parquet().file_metadata(), SERIES_INDEX_KEY);
        let region = pointer.and_then(|value| self.index_region(value));
        let region_offset = region.as_ref().map_or(0, |region| region.start);
        if self.source.range(0..MAGIC.len() as u64).await? != MAGIC.as_slice() {
            found.damaged.push(Error::damaged(self.source.path(), "it does not begin with PAR1"));
        }
        if let Some(Range { start, .. }) = region {
            let head = self.source.range(start..start + REGION_HEAD.len() as u64).await?;
            if head != REGION_HEAD.as_slice() {
                let detail =
                    format!("its series index at byte {start} begins with other bytes than it should");
                found.damaged_index.push(Error::damaged(self.source.path(), detail));
            }
        } else if let Some(value) = pointer {
            // With its index the file could not even be opened.
            let detail = format!("the metadata key {SERIES_INDEX_KEY} is {value:?}");
            found.damaged_index.push(Error::damaged(self.source.path(), detail));
        }
        let pages = list(self.all_pages().await, &mut found.damaged)?.unwrap_or_default();
        self.verify_pages(&pages, &mut found).await?;
        if !found.damaged.is_empty() {
            // What damaged pages decode to says nothing about the index.
            return self.verify_index(None, &mut found).await.map(|()| found);
        }
        let rebuilt = list(self.rebuild_with(region_offset, &pages).await, &mut found.damaged)?;
        if let Some(RebuiltIndex { series, samples, .. }) = &rebuilt {
            (found.series, found.samples) = (*series, *samples);
            let meta = self.file_meta();
            if (*series, *samples) != (meta.series, meta.rows) {
                let (says, rows) = (meta.series, meta.rows);
                let detail =
                    format!("{series} series of {samples} samples, {says} of {rows} by its metadata");
                found.damaged.push(Error::damaged(self.source.path(), detail));
            }
        }
        self.verify_index(rebuilt.as_ref(), &mut found).await?;
        Ok(found)
    }

    /// The bytes of the series index by its pointer's text, if there can be one.
    fn index_region(&self, pointer: &str) -> Option<Range<u64>> {
        let region = IndexPointer::parse(pointer)?.region().ok()?;
        let is_in_file = region.end <= self.file_meta().bytes;
        (is_in_file && region.end - region.start >= REGION_HEAD.len() as u64).then_some(region)
    }

    /// Compares the pages that are there with the page tables.
    async fn verify_pages(&self, pages: &[RowGroupPages], found: &mut Verification) -> Result<()> {
        let Some(index) = self.index() else { return Ok(()) };
        for (group, there) in (0_u32..).zip(pages) {
            match index.page_tables(&[group]).await {
                Ok(table) if found.damaged.len() < PROBLEMS_MAX => {
                    self.compare_pages(group as usize, table[0].pages(), there, found);
                }
                // Without the table nothing is known of the pages.
                Err(error @ Error::Store { .. }) => return Err(error),
                // A damaged page table is found once more among the blocks.
                _ => {}
            }
        }
        Ok(())
    }

    /// Decodes each block of the index and compares it with the rebuilt one.
    async fn verify_index(&self, rebuilt: Option<&RebuiltIndex>, found: &mut Verification) -> Result<()> {
        let (Some(index), path) = (self.index(), self.source.path()) else { return Ok(()) };
        let directory = index.directory();
        let mut expected = rebuilt.and_then(|rebuilt| {
            let length = rebuilt.pointer.directory_length as usize;
            let stored = &rebuilt.region[rebuilt.region.len().checked_sub(length)?..];
            Some((rebuilt, Directory::decode(stored, &rebuilt.pointer).ok()?))
        });
        let wrong = |detail: String| {
            Error::damaged(path, format!("its series index does not say what its rows say: {detail}"))
        };
        if expected.as_ref().is_some_and(|(_, expected)| !directory.says_the_same_as(expected)) {
            found.damaged_index.push(wrong("the directory differs".to_owned()));
            expected = None;
        }
        for block in directory.blocks() {
            if found.damaged_index.len() + found.damaged.len() >= PROBLEMS_MAX {
                return Ok(());
            }
            let stored = self.source.range(block.range()).await?;
            let decoded = Block::decode(&stored, block.id, directory).map_err(Error::index(path));
            let Some(decoded) = list(decoded, &mut found.damaged_index)? else { continue };
            found.index_blocks += 1;
            // Page tables were compared before.
            if matches!(decoded, Block::Pages(_)) {
                continue;
            }
            if let Some((rebuilt, expected)) = &expected {
                let same = expected.block(block.id).is_some_and(|other| {
                    let at = (other.offset - rebuilt.pointer.offset) as usize;
                    let bytes = &rebuilt.region[at..at + other.stored_len as usize];
                    block.has_same_content(&stored, other, bytes)
                });
                if !same {
                    let (kind, at) = (block.kind, block.offset);
                    found.damaged_index.push(wrong(format!("the {kind} at byte {at} differs")));
                }
            }
        }
        Ok(())
    }

    /// Compares the pages of a row group with what its page table says of them.
    fn compare_pages(
        &self,
        group: usize,
        table: &RowGroupPages,
        there: &RowGroupPages,
        found: &mut Verification,
    ) {
        let path = self.source.path();
        let shape = |pages: &RowGroupPages| {
            let columns = pages.columns.iter();
            columns
                .map(|c| {
                    let data = c.data.iter().map(|page| (page.first_row, page.location.range()));
                    (c.dictionary.map(|page| page.range()), data.collect::<Vec<_>>())
                })
                .collect::<Vec<_>>()
        };
        if table.rows != there.rows || shape(table) != shape(there) {
            let detail = format!("the page table of row group {group} names other pages than the page index");
            found.damaged_index.push(Error::damaged(path, detail));
            return;
        }
        let metadata = self.metadata.parquet().row_group(group);
        for (number, (table, there)) in table.columns.iter().zip(&there.columns).enumerate() {
            let pages = |pages: &crate::ColumnPages| {
                let data = pages.data.iter().map(|page| page.location);
                pages.dictionary.into_iter().chain(data).collect::<Vec<_>>()
            };
            for (expected, page) in pages(table).into_iter().zip(pages(there)) {
                found.pages += 1;
                if expected.hash != page.hash && found.damaged.len() < PROBLEMS_MAX {
                    let column = metadata.column(number).column_path().string();
                    let (length, offset) = (page.length, page.offset);
                    let detail = format!(
                        "row group {group}, column {column}: the page of {length} bytes at byte {offset} does not \
                         match its checksum"
                    );
                    found.damaged.push(Error::damaged(path, detail));
                }
            }
        }
    }
}

/// Lists a problem with the file; passes one with the store on.
fn list<T>(result: Result<T>, problems: &mut Vec<Error>) -> Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error @ Error::Store { .. }) => Err(error),
        Err(error) => {
            problems.push(error);
            Ok(None)
        }
    }
}
