//! The series index once more, from the rest of the file: series from the label columns, pages from the page index and
//! their bytes. It is byte for byte what the writer of this version embeds.

use futures::TryStreamExt;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::offset_index::PageLocation as ParquetPage;
use xxhash_rust::xxh3::xxh3_64;

use super::{ParquetReader, series};
use crate::series_index::{
    ColumnPages, DataPage, IndexPointer, PageLocation, RowGroupPages, SeriesEntry, SeriesIndexBuilder,
};
use crate::{Error, ReadRequest, Result};

/// A series index that was built from the rest of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltIndex {
    /// What the file's metadata would say of it.
    pub pointer: IndexPointer,
    /// Its bytes.
    pub region: Vec<u8>,
    /// Series that were found.
    pub series: u64,
    /// Samples that were found.
    pub samples: u64,
}

impl ParquetReader {
    /// Builds the series index anew, without a look at the one that the file may have, as it would lie at byte
    /// `region_offset`. Reads the whole file; the region is kept in memory, some 30 bytes a series.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the rows cannot be decoded or are not sorted, [`Error::NotSamples`] for a foreign file,
    /// whose rows come in any order.
    pub async fn rebuild_series_index(&self, region_offset: u64) -> Result<RebuiltIndex> {
        let row_groups = self.all_pages().await?;
        self.rebuild_with(region_offset, &row_groups).await
    }

    /// The same with known pages.
    pub(super) async fn rebuild_with(
        &self,
        region_offset: u64,
        row_groups: &[RowGroupPages],
    ) -> Result<RebuiltIndex> {
        let mut builder = SeriesIndexBuilder::new();
        let (mut count, mut samples) = (0, 0);
        let request = ReadRequest::default();
        let batches = self.clone().without_index().read(request, self.roots(|_| true));
        let mut all =
            series::series(self.source.path().to_owned(), std::sync::Arc::clone(&self.metadata), batches);
        while let Some(series) = all.try_next().await? {
            let rows = series.samples.len() as u64;
            let entry = SeriesEntry {
                labels: &series.labels,
                rows,
                time_range: series.samples.time_range(),
                has_floats: !series.samples.timestamps_ms.is_empty(),
                has_histograms: !series.samples.histograms.is_empty(),
            };
            builder.push(&entry).map_err(Error::index(self.source.path()))?;
            count += 1;
            samples += rows;
        }
        let mut region = Vec::new();
        let pointer = builder.finish(region_offset, row_groups, &mut region);
        let pointer = pointer.map_err(Error::index(self.source.path()))?.pointer;
        Ok(RebuiltIndex { pointer, region, series: count, samples })
    }

    /// Where the pages of all row groups lie, with checksums of the bytes that are there now.
    pub(super) async fn all_pages(&self) -> Result<Vec<RowGroupPages>> {
        let metadata = self.metadata.parquet();
        let missing = || Error::damaged(self.source.path(), "it has no page index");
        let mut groups = Vec::with_capacity(metadata.num_row_groups());
        for (number, group) in metadata.row_groups().iter().enumerate() {
            // The footer's check has refused negative counts.
            let rows = u64::try_from(group.num_rows()).unwrap_or_default();
            let mut columns = Vec::with_capacity(group.num_columns());
            for (leaf, chunk) in group.columns().iter().enumerate() {
                let index = metadata.offset_index().and_then(|all| all.get(number)?.get(leaf));
                let pages = index.ok_or_else(missing)?.page_locations();
                columns.push(self.pages_of(chunk, pages, rows).await?);
            }
            groups.push(RowGroupPages { rows, columns });
        }
        Ok(groups)
    }

    async fn pages_of(
        &self,
        chunk: &ColumnChunkMetaData,
        pages: &[ParquetPage],
        rows: u64,
    ) -> Result<ColumnPages> {
        let outside = || {
            let detail =
                format!("its page index names pages outside the column {}", chunk.column_path().string());
            Error::damaged(self.source.path(), detail)
        };
        let (start, length) = chunk.byte_range();
        let bytes = self.source.range(start..start.saturating_add(length)).await?;
        let located = |offset: i64, length: i64| {
            let (offset, length) = (u64::try_from(offset).ok()?, u32::try_from(length).ok()?);
            let at = usize::try_from(offset.checked_sub(start)?).ok()?;
            let hash = xxh3_64(bytes.get(at..at.checked_add(length as usize)?)?);
            Some(PageLocation { offset, length, hash })
        };
        let data = pages.iter().map(|page| {
            let location = located(page.offset, i64::from(page.compressed_page_size)).ok_or_else(outside)?;
            Ok(DataPage { location, first_row: u64::try_from(page.first_row_index).map_err(|_| outside())? })
        });
        let data = data.collect::<Result<Vec<_>>>()?;
        let dictionary = chunk.dictionary_page_offset().map(|at| {
            let length = chunk.data_page_offset().saturating_sub(at);
            located(at, length).ok_or_else(outside)
        });
        let pages = ColumnPages { dictionary: dictionary.transpose()?, data };
        if !pages.is_sound(rows) {
            let column = chunk.column_path().string();
            let detail =
                format!("its page index names pages of the column {column} that do not follow each other");
            return Err(Error::damaged(self.source.path(), detail));
        }
        let covered = pages.dictionary.iter().chain(pages.data.iter().map(|page| &page.location));
        if covered.map(|page| u64::from(page.length)).sum::<u64>() != length {
            return Err(outside());
        }
        Ok(pages)
    }
}
