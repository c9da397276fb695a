//! The blocks on their way out: their order in the region, and which labels share one.

use std::io::Write;

use xxhash_rust::xxh3::xxh3_64;

use super::super::bytes::Cursor;
use super::super::directory::{Label, ValuesAt};
use super::super::frame::Compressor;
use super::super::label_bloom::LabelBloomBuilder;
use super::super::postings::{OrdinalRun, SetEncoder};
use super::super::series_block::SeriesBlockBuilder;
use super::super::value_block::{SectionBuilder, VALUE_BLOCK_BYTES, shared_prefix};
use super::super::{BlockId, BlockKind, BlockRef, IndexResult, LabelBloomPlace, SERIES_PER_BLOCK};
use super::run::Replay;
use super::spill::Spilling;

/// Writes the region and knows what it has written.
#[derive(Debug)]
pub(super) struct BlockSink<W> {
    out: W,
    compressor: Compressor,
    /// The next byte, counted from the start of the file.
    pub(super) offset: u64,
    pub(super) blocks: Vec<BlockRef>,
}

impl<W: Write> BlockSink<W> {
    pub(super) fn new(out: W, offset: u64) -> Self {
        Self { out, compressor: Compressor::for_blocks(), offset, blocks: Vec::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> IndexResult<()> {
        self.out.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Writes a block. Its parts end at `cuts`.
    pub(super) fn block(&mut self, kind: BlockKind, raw: &[u8], cuts: &[usize]) -> IndexResult<BlockId> {
        let stored = self.compressor.compress(raw, cuts)?;
        self.out.write_all(stored)?;
        let (stored_len, hash) = (stored.len() as u32, xxh3_64(stored));
        Ok(self.written(kind, stored_len, raw.len() as u32, hash))
    }

    /// Writes a block that was compressed before.
    fn stored_block(&mut self, kind: BlockKind, block: &BlockRef, stored: &[u8]) -> IndexResult<BlockId> {
        self.out.write_all(stored)?;
        Ok(self.written(kind, block.stored_len, block.raw_len, block.hash))
    }

    fn written(&mut self, kind: BlockKind, stored_len: u32, raw_len: u32, hash: u64) -> BlockId {
        let id = BlockId(self.blocks.len() as u32);
        self.blocks.push(BlockRef { id, kind, offset: self.offset, stored_len, raw_len, hash });
        self.offset += u64::from(stored_len);
        id
    }

    /// Writes the directory; its stored length and checksum.
    pub(super) fn directory(&mut self, raw: &[u8], cuts: &[usize]) -> IndexResult<(u32, u64)> {
        let stored = self.compressor.compress(raw, cuts)?;
        self.out.write_all(stored)?;
        self.offset += stored.len() as u64;
        Ok((stored.len() as u32, xxh3_64(stored)))
    }
}

/// Texts of a label's values that are stored once more beside those of other labels, so that whoever wants to know the
/// labels of a series need not read the sets of all series that share them.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Takes the values of one label after the other, sorted, and makes blocks of them.
#[derive(Debug, Default)]
pub(super) struct ValueWriter {
    bloom: LabelBloomBuilder,
    section: SectionBuilder,
    /// For a label with blocks of its own: the set of the empty value, if not all series have the label, and the texts of
    /// the values, if they are short together.
    beside: SectionBuilder,
    has_texts: bool,
    set: SetEncoder,
    text_set: SetEncoder,
    /// Of the label at hand: number of series and of values, its full blocks, and what the section at hand begins with.
    series: u32,
    values: u32,
    own: Vec<ValuesAt>,
    first_value: u32,
    separator: Box<[u8]>,
    raw: Vec<u8>,
    cuts: Vec<usize>,
    shared: SharedBlocks,
}

impl ValueWriter {
    /// Begins a label.
    pub(super) fn begin_label(&mut self, name: &str) {
        self.bloom.begin_label(name);
    }

    /// Adds series that have the next value; runs come in ascending order.
    pub(super) fn run(&mut self, run: OrdinalRun) {
        self.set.push(run);
    }

    /// Ends a value, all of whose series were added. The empty value comes first.
    pub(super) fn value(
        &mut self,
        value: &[u8],
        all_series: u32,
        sink: &mut BlockSink<impl Write>,
    ) -> IndexResult<()> {
        if value.is_empty() {
            self.series = self.set.count();
            self.beside.clear();
            self.has_texts = true;
            if self.series < all_series {
                self.beside.push(b"", &mut self.set);
            } else {
                self.set.clear();
            }
            return Ok(());
        }
        self.bloom.value(value);
        if self.has_texts {
            self.beside.push_text(value, &mut self.text_set);
            if self.beside.text_bytes() > TEXT_BYTES_MAX {
                self.beside.truncate(usize::from(self.series < all_series));
                self.has_texts = false;
            }
        }
        if self.section.is_full() {
            let shared = shared_prefix(self.section.last(), value);
            self.own_block(sink)?;
            self.separator = value[..=shared].into();
        }
        if self.section.len() == 0 {
            self.first_value = self.values + 1;
        }
        self.values += 1;
        self.section.push(value, &mut self.set);
        Ok(())
    }

    fn own_block(&mut self, sink: &mut BlockSink<impl Write>) -> IndexResult<()> {
        self.raw.clear();
        self.cuts.clear();
        self.section.finish(self.shared.label, self.first_value, &mut self.raw, &mut self.cuts);
        let block = sink.block(BlockKind::Values, &self.raw, &self.cuts)?;
        let separator = std::mem::take(&mut self.separator);
        self.own.push(ValuesAt { block, first_value: self.first_value, separator });
        Ok(())
    }

    /// Ends a label, all of whose values were added. The label's shared block is counted from the first shared one.
    pub(super) fn label(
        &mut self,
        name: Box<str>,
        sink: &mut BlockSink<impl Write>,
        spill: &mut Spilling,
    ) -> IndexResult<Label> {
        self.bloom.end_label(&name);
        let (mut shared, mut has_texts) = (None, false);
        if self.own.is_empty() && !self.section.is_full() {
            shared = Some(self.shared.add(&mut self.section, 1, sink, spill)?);
        } else {
            self.own_block(sink)?;
            has_texts = self.has_texts;
            if self.beside.len() > 0 {
                let first_value = u32::from(!self.beside.begins_with_empty());
                shared = Some(self.shared.add(&mut self.beside, first_value, sink, spill)?);
            }
        }
        self.shared.label += 1;
        let (values, series) = (std::mem::take(&mut self.values), self.series);
        Ok(Label { name, values, series, own: std::mem::take(&mut self.own), has_texts, shared })
    }

    /// Writes the bloom of all labels, which were all added.
    pub(super) fn label_bloom(&mut self, sink: &mut BlockSink<impl Write>) -> IndexResult<LabelBloomPlace> {
        let mut raw = Vec::new();
        std::mem::take(&mut self.bloom).finish(&mut raw);
        let block = sink.block(BlockKind::LabelBloom, &raw, &[])?;
        Ok(LabelBloomPlace::of(&sink.blocks[block.0 as usize]))
    }

    /// Ends the last label: the shared blocks, to be written later.
    pub(super) fn finish(
        mut self,
        sink: &mut BlockSink<impl Write>,
        spill: &mut Spilling,
    ) -> IndexResult<Vec<BlockRef>> {
        self.shared.close(sink, spill)?;
        Ok(self.shared.blocks)
    }
}

/// Writes blocks that were put aside.
pub(super) fn write_shared(
    blocks: &[BlockRef],
    sink: &mut BlockSink<impl Write>,
    spill: &mut Spilling,
) -> IndexResult<()> {
    for block in blocks {
        let stored = spill.read(block)?;
        block.open(&stored)?;
        sink.stored_block(BlockKind::Values, block, &stored)?;
    }
    Ok(())
}

/// The value blocks that labels share. They are put aside until the series blocks are written.
#[derive(Debug, Default)]
struct SharedBlocks {
    /// The number of the label at hand.
    label: u32,
    raw: Vec<u8>,
    cuts: Vec<usize>,
    blocks: Vec<BlockRef>,
}

impl SharedBlocks {
    /// Adds a section of the label at hand; which of the shared blocks it is in.
    fn add(
        &mut self,
        section: &mut SectionBuilder,
        first_value: u32,
        sink: &mut BlockSink<impl Write>,
        spill: &mut Spilling,
    ) -> IndexResult<BlockId> {
        if !self.raw.is_empty() && self.raw.len() + section.bytes() > VALUE_BLOCK_BYTES {
            self.close(sink, spill)?;
        }
        section.finish(self.label, first_value, &mut self.raw, &mut self.cuts);
        Ok(BlockId(self.blocks.len() as u32))
    }

    fn close(&mut self, sink: &mut BlockSink<impl Write>, spill: &mut Spilling) -> IndexResult<()> {
        if !self.raw.is_empty() {
            let stored = sink.compressor.compress(&self.raw, &self.cuts)?;
            self.blocks.push(spill.keep(stored, self.raw.len())?);
            self.raw.clear();
            self.cuts.clear();
        }
        Ok(())
    }
}

/// Makes series blocks of the records of one run after the other.
#[derive(Debug)]
pub(super) struct SeriesWriter {
    block: SeriesBlockBuilder,
    file_start_ms: i64,
    raw: Vec<u8>,
    /// The first row of each block, and the number of rows.
    pub(super) first_rows: Vec<u64>,
}

impl SeriesWriter {
    pub(super) fn new(file_start_ms: i64) -> Self {
        Self { block: SeriesBlockBuilder::default(), file_start_ms, raw: Vec::new(), first_rows: vec![0] }
    }

    /// Takes records of a run, of which `replay` has read the ones before. `labels` gives the file's number of each
    /// label number, `values` by label the file's number of each value number of the run.
    pub(super) fn records(
        &mut self,
        records: &[u8],
        replay: &mut Replay,
        labels: &[u32],
        values: &[Vec<u32>],
        sink: &mut BlockSink<impl Write>,
    ) -> IndexResult<()> {
        let mut cursor = Cursor::new(super::SPILL, records);
        while cursor.remaining() > 0 {
            let record = replay.record(&mut cursor)?;
            let of_file = replay
                .labels
                .iter()
                .map(|&(label, value)| (labels[label as usize], values[label as usize][value as usize]));
            self.block.push(record, of_file);
            if self.block.len() == SERIES_PER_BLOCK {
                self.close(sink)?;
            }
        }
        Ok(())
    }

    /// Writes the block at hand if it has series.
    pub(super) fn close(&mut self, sink: &mut BlockSink<impl Write>) -> IndexResult<()> {
        if self.block.len() > 0 {
            self.raw.clear();
            let rows = self.block.finish(self.file_start_ms, &mut self.raw);
            sink.block(BlockKind::Series, &self.raw, &[])?;
            self.first_rows.push(self.first_rows.last().copied().unwrap_or(0) + rows);
        }
        Ok(())
    }
}
