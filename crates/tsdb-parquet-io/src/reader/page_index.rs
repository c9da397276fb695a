//! Reading the page index: for each column of each row group where its pages lie and what their bounds are.
//!
//! In our files it is one stretch before the footer. Other writers may put the parts anywhere, such as behind each row
//! group: then only the parts are read, neighbours in one piece. The decoder takes no pieces but wants all from the first
//! part to the last, so it gets them laid side by side, with a footer that says so.

use std::ops::Range;

use bytes::Bytes;
use parquet::DecodeResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, RowGroupMetaData,
};

use super::contain::contain;
use super::footer::Tail;
use super::source::Source;
use crate::{Error, Result};

/// Bytes between two parts up to which both are read in one piece: to read them costs less than another request.
const MAX_GAP_BYTES: u64 = 64 * 1024;

/// Reads and decodes the page index of a foreign file, if it has one, and adds it to `metadata`.
pub(super) async fn read(
    source: &Source,
    len: u64,
    metadata: ParquetMetaData,
    tail: &Tail,
) -> Result<ParquetMetaData> {
    let pieces = Pieces::of(&metadata);
    let bytes = match pieces.0.as_slice() {
        [] => return Ok(metadata),
        [all] => return decode(source.path(), len, metadata, all.clone(), tail.read(source, all).await?),
        pieces => Bytes::from(source.ranges(pieces).await?.concat()),
    };
    let joined_len = bytes.len() as u64;
    let moved = pieces.moved(&metadata).map_err(|e| Error::damaged(source.path(), e))?;
    let mut found = decode(source.path(), joined_len, moved, 0..joined_len, bytes)?.into_builder();
    let (columns, offsets) = (found.take_column_index(), found.take_offset_index());
    Ok(metadata.into_builder().set_column_index(columns).set_offset_index(offsets).build())
}

/// Decodes the page index, which lies in `range`, and adds it to `metadata`.
pub(super) fn decode(
    path: &str,
    len: u64,
    metadata: ParquetMetaData,
    range: Range<u64>,
    bytes: Bytes,
) -> Result<ParquetMetaData> {
    contain(path, || {
        let damaged = |e| Error::damaged(path, e);
        let mut decoder = ParquetMetaDataPushDecoder::try_new_with_metadata(len, metadata)
            .map_err(damaged)?
            .with_page_index_policy(PageIndexPolicy::Optional);
        decoder.push_range(range, bytes).map_err(damaged)?;
        match decoder.try_decode().map_err(damaged)? {
            DecodeResult::Data(metadata) => Ok(metadata),
            _ => Err(Error::damaged(path, "its page index lies outside the place that its footer names")),
        }
    })
}

/// The ranges of a file that hold its page index: ascending, with gaps worth a request between them.
#[derive(Debug, PartialEq, Eq)]
struct Pieces(Vec<Range<u64>>);

impl Pieces {
    fn of(metadata: &ParquetMetaData) -> Self {
        let columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
        Self::joined(columns.flat_map(parts).flatten().collect())
    }

    fn joined(mut parts: Vec<Range<u64>>) -> Self {
        parts.sort_unstable_by_key(|part| part.start);
        let mut pieces: Vec<Range<u64>> = Vec::new();
        for part in parts {
            match pieces.last_mut() {
                Some(last) if part.start <= last.end.saturating_add(MAX_GAP_BYTES) => {
                    last.end = last.end.max(part.end);
                }
                _ => pieces.push(part),
            }
        }
        Self(pieces)
    }

    /// Where the byte at `offset` is once the pieces lie side by side.
    fn place(&self, offset: u64) -> u64 {
        let piece = self.0.partition_point(|piece| piece.start <= offset).saturating_sub(1);
        let before: u64 = self.0[..piece].iter().map(|piece| piece.end - piece.start).sum();
        before + (offset - self.0[piece].start)
    }

    /// `metadata` as if the pieces lay side by side at the start of the file.
    fn moved(&self, metadata: &ParquetMetaData) -> parquet::errors::Result<ParquetMetaData> {
        let moved =
            |part: Option<Range<u64>>| part.and_then(|part| i64::try_from(self.place(part.start)).ok());
        let column = |column: ColumnChunkMetaData| {
            let [index, offsets] = parts(&column);
            let column = column.into_builder().set_column_index_offset(moved(index));
            column.set_offset_index_offset(moved(offsets)).build()
        };
        let row_group = |group: &RowGroupMetaData| {
            let columns = group.columns().iter().cloned().map(column).collect::<Result<_, _>>()?;
            group.clone().into_builder().set_column_metadata(columns).build()
        };
        let row_groups = metadata.row_groups().iter().map(row_group).collect::<Result<_, _>>()?;
        Ok(metadata.clone().into_builder().set_row_groups(row_groups).build())
    }
}

/// Where a column's index and offset index lie, as far as it has them. The footer's check has refused such outside the
/// file.
fn parts(column: &ColumnChunkMetaData) -> [Option<Range<u64>>; 2] {
    let range = |at: Option<i64>, length: Option<i32>| {
        let (at, length) = (u64::try_from(at?).ok()?, u64::try_from(length?).ok()?);
        Some(at..at + length)
    };
    [
        range(column.column_index_offset(), column.column_index_length()),
        range(column.offset_index_offset(), column.offset_index_length()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_where_a_request_costs_more_than_the_gap() {
        let far = 10 * MAX_GAP_BYTES;
        let pieces =
            Pieces::joined(vec![far..far + 5, 10..20, 15..18, 20 + MAX_GAP_BYTES..30 + MAX_GAP_BYTES]);
        assert_eq!(pieces, Pieces(vec![10..30 + MAX_GAP_BYTES, far..far + 5]));
        assert_eq!(
            [10, 15, far, far + 4].map(|at| pieces.place(at)),
            [0, 5, 20 + MAX_GAP_BYTES, 24 + MAX_GAP_BYTES]
        );
        assert_eq!(Pieces::joined(Vec::new()), Pieces(Vec::new()));
    }
}
