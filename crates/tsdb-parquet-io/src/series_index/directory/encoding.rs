//! The bytes of the directory.
//!
//! ```text
//! stored := ZSTD frame of raw, which states its length
//! raw    := series varint, first time zigzag varint, ms to the last time varint
//!           own value blocks varint, shared value blocks varint, row groups varint
//!           labels varint, label*                 by name
//!           rows of each series block             column
//!           rows of each row group                column
//!           stored length of each block           column, blocks in the order of the file
//!           raw length of each block              column
//!           xxh3-64 of each block's stored bytes  u64 each
//! label  := name length varint, name, values varint, series varint
//!           shared block + 1 varint (0: none; counted from the first shared one)
//!           own blocks varint, shared block has the texts of the own ones (0 or 1) u8, own*
//! own    := values in the block varint
//!           separator length varint, separator
//! ```

use super::super::bytes::{Column, Cursor, put_column, put_varint, unzigzag, zigzag};
use super::super::frame::decompress;
use super::super::{BlockId, BlockKind, BlockRef, IndexPointer, IndexResult};
use super::{Directory, LABEL_BLOOM_BLOCKS, Label, REGION_HEAD, ValuesAt};

/// Bytes of a block's checksum.
const HASH_BYTES: usize = 8;

impl Directory {
    /// The raw directory. `cuts` gets the place where its checksums begin.
    pub(in super::super) fn encode(&self, cuts: &mut Vec<usize>) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(self.series));
        put_varint(&mut out, zigzag(self.start_ms));
        put_varint(&mut out, self.end_ms.wrapping_sub(self.start_ms) as u64);
        put_varint(&mut out, u64::from(self.own_blocks));
        put_varint(&mut out, u64::from(self.shared_blocks));
        put_varint(&mut out, u64::from(self.row_groups()));
        put_varint(&mut out, self.labels.len() as u64);
        for label in &self.labels {
            self.encode_label(label, &mut out);
        }
        put_column(&mut out, self.series_rows.windows(2).map(|rows| rows[1] - rows[0]));
        put_column(&mut out, self.row_group_rows.windows(2).map(|rows| rows[1] - rows[0]));
        put_column(&mut out, self.blocks.iter().map(|block| u64::from(block.stored_len)));
        put_column(&mut out, self.blocks.iter().map(|block| u64::from(block.raw_len)));
        cuts.push(out.len());
        self.blocks.iter().for_each(|block| out.extend_from_slice(&block.hash.to_le_bytes()));
        out
    }

    fn first_shared(&self) -> u32 {
        self.first_series_block() + self.series_blocks()
    }

    fn encode_label(&self, label: &Label, out: &mut Vec<u8>) {
        put_varint(out, label.name.len() as u64);
        out.extend_from_slice(label.name.as_bytes());
        put_varint(out, u64::from(label.values));
        put_varint(out, u64::from(label.series));
        put_varint(out, label.shared.map_or(0, |block| u64::from(block.0 - self.first_shared()) + 1));
        put_varint(out, label.own.len() as u64);
        out.push(u8::from(label.has_texts));
        let nexts = label.own.iter().skip(1).map(|at| at.first_value).chain([label.values + 1]);
        for (at, next) in label.own.iter().zip(nexts) {
            put_varint(out, u64::from(next - at.first_value));
            put_varint(out, at.separator.len() as u64);
            out.extend_from_slice(&at.separator);
        }
    }
}

/// Checks and decodes the stored directory.
pub(super) fn decode(stored: &[u8], pointer: &IndexPointer) -> IndexResult<Directory> {
    let mut place = pointer.place(BlockKind::Directory);
    place.offset = pointer.directory()?.start;
    if !pointer.matches(stored) {
        return Err(place.damaged("wrong checksum or length"));
    }
    let raw = decompress(stored, None, place)?;
    let mut cursor = Cursor::new(place, &raw);
    let mut directory = Directory { series: cursor.varint_u32()?, ..Directory::default() };
    directory.start_ms = unzigzag(cursor.varint()?);
    let length = cursor.varint()?;
    let end_ms = directory.start_ms.checked_add_unsigned(length);
    directory.end_ms = end_ms.ok_or_else(|| cursor.damaged("a last time past all times"))?;
    directory.own_blocks = cursor.varint_u32()?;
    directory.shared_blocks = cursor.varint_u32()?;
    let row_groups = cursor.varint_u32()?;
    // Each block has a checksum in these bytes: a bound on everything that counts blocks.
    let blocks = [
        directory.own_blocks,
        LABEL_BLOOM_BLOCKS,
        directory.series_blocks(),
        directory.shared_blocks,
        row_groups,
    ];
    let blocks = blocks.into_iter().map(u64::from).sum::<u64>();
    if blocks > (cursor.remaining() / HASH_BYTES) as u64 {
        return Err(cursor.damaged(format!("{blocks} blocks in {} bytes", cursor.remaining())));
    }

    decode_labels(&mut cursor, &mut directory)?;
    let series_rows = cursor.column(directory.series_blocks() as usize)?;
    directory.series_rows = starts(series_rows, &raw, &cursor)?;
    let row_group_rows = cursor.column(row_groups as usize)?;
    directory.row_group_rows = starts(row_group_rows, &raw, &cursor)?;
    if row_groups > 0 && directory.row_group_rows.last() != directory.series_rows.last() {
        return Err(cursor.damaged("row groups and series of different rows"));
    }
    decode_blocks(&mut cursor, &raw, pointer, blocks as usize, &mut directory)?;
    cursor.finish()?;
    Ok(directory)
}

/// The running sums of a column of lengths, from 0 on.
fn starts(lengths: Column, raw: &[u8], cursor: &Cursor<'_>) -> IndexResult<Vec<u64>> {
    let mut sum = 0_u64;
    let ends = lengths.to_vec(raw).into_iter().map(|length| {
        sum = sum.checked_add(length).ok_or_else(|| cursor.damaged("more rows than a file can have"))?;
        Ok(sum)
    });
    std::iter::once(Ok(0)).chain(ends).collect()
}

fn decode_labels(cursor: &mut Cursor<'_>, directory: &mut Directory) -> IndexResult<()> {
    let labels = cursor.count("labels", 7)?;
    directory.labels.reserve_exact(labels);
    let mut next_own = 0;
    for _ in 0..labels {
        let label = decode_label(cursor, directory, &mut next_own)?;
        if directory.labels.last().is_some_and(|last| last.name >= label.name) {
            return Err(cursor.damaged("label names that do not ascend"));
        }
        directory.labels.push(label);
    }
    if next_own != directory.own_blocks {
        return Err(cursor.damaged(format!("{next_own} of {} blocks have a label", directory.own_blocks)));
    }
    Ok(())
}

fn decode_label(cursor: &mut Cursor<'_>, directory: &Directory, next_own: &mut u32) -> IndexResult<Label> {
    let len = cursor.varint()?;
    let name = std::str::from_utf8(cursor.take(len)?);
    let name = name.map_err(|_| cursor.damaged("a label name that is not UTF-8"))?.into();
    let (values, series) = (cursor.varint_u32()?, cursor.varint_u32()?);
    let shared = match cursor.varint_u32()?.checked_sub(1) {
        None => None,
        Some(shared) if shared < directory.shared_blocks => Some(BlockId(directory.first_shared() + shared)),
        Some(shared) => return Err(cursor.damaged(format!("shared block {shared}"))),
    };
    let own_blocks = cursor.count("value blocks", 2)?;
    let has_texts = match cursor.u8()? {
        0 => false,
        1 if shared.is_some() && own_blocks > 0 => true,
        other => return Err(cursor.damaged(format!("texts {other} of a label of {own_blocks} blocks"))),
    };
    let sound = values > 0
        && values < u32::MAX
        && (1..=directory.series).contains(&series)
        && values <= series
        && (own_blocks > 0 || shared.is_some())
        && own_blocks <= (directory.own_blocks - *next_own) as usize;
    if !sound {
        let detail = format!("a label of {values} values, {series} series and {own_blocks} blocks");
        return Err(cursor.damaged(detail));
    }
    let mut own: Vec<ValuesAt> = Vec::with_capacity(own_blocks);
    let mut first_value = 1_u32;
    for _ in 0..own_blocks {
        let in_block = cursor.varint_u32()?;
        let len = cursor.varint()?;
        let separator: Box<[u8]> = cursor.take(len)?.into();
        if own.last().is_some_and(|last| last.separator >= separator) {
            return Err(cursor.damaged("separators that do not ascend"));
        }
        own.push(ValuesAt { block: BlockId(*next_own), first_value, separator });
        *next_own += 1;
        let next = first_value.checked_add(in_block).filter(|_| in_block > 0);
        first_value = next.ok_or_else(|| cursor.damaged(format!("{in_block} values in a block")))?;
    }
    if own_blocks > 0 && first_value - 1 != values {
        return Err(cursor.damaged(format!("{} values in blocks of {values}", first_value - 1)));
    }
    Ok(Label { name, values, series, own, has_texts, shared })
}

fn decode_blocks(
    cursor: &mut Cursor<'_>,
    raw: &[u8],
    pointer: &IndexPointer,
    blocks: usize,
    directory: &mut Directory,
) -> IndexResult<()> {
    let (stored, raw_lens) = (cursor.column(blocks)?.to_vec(raw), cursor.column(blocks)?.to_vec(raw));
    directory.blocks.reserve_exact(blocks);
    let mut offset = pointer.offset.saturating_add(REGION_HEAD.len() as u64);
    for (index, (stored_len, raw_len)) in stored.into_iter().zip(raw_lens).enumerate() {
        let index = index as u32;
        let hash = cursor.take(HASH_BYTES as u64)?;
        let (Ok(stored_len), Ok(raw_len)) = (u32::try_from(stored_len), u32::try_from(raw_len)) else {
            return Err(cursor.damaged("a block of more than 32 bits"));
        };
        directory.blocks.push(BlockRef {
            id: BlockId(index),
            kind: directory.kind_of(index),
            offset,
            stored_len,
            raw_len,
            hash: u64::from_le_bytes(hash.try_into().expect("invariant: 8 bytes")),
        });
        offset = offset.saturating_add(u64::from(stored_len));
    }
    if offset != pointer.directory()?.start {
        return Err(cursor.damaged(format!("blocks end at byte {offset}")));
    }
    Ok(())
}
