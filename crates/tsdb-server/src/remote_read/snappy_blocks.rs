//! A snappy block whose content is written piece by piece, with places in it that are filled in later.
//!
//! A block is the length of its content and then elements: copies, and literals. Copies of this encoder reach back within 64
//! KiB of content that is compressed at once; so pieces that were compressed by themselves, one after the other, are one block.
//! Only compressed bytes are kept, which bounds the memory of a large response. A **slot** is content of a few bytes that depends
//! on what comes after it: the length before a message. It becomes a literal of its own.

use bytes::Bytes;
use snap::raw::Encoder;

/// Content that is compressed at once: what the encoder itself works on.
const PIECE_BYTES: usize = 1 << 16;
/// A literal of up to so many bytes has its length in its tag.
const SHORT_LITERAL_BYTES: usize = 60;

/// The block so far.
pub(super) struct SnappyBlocks {
    encoder: Encoder,
    /// Where a piece is compressed to, before its bytes are copied: what is kept has no room to spare.
    compressed: Vec<u8>,
    done: Vec<Bytes>,
    /// Content that is not compressed yet.
    rest: Vec<u8>,
    content_bytes: u64,
}

/// A place that is to be filled in.
pub(super) struct Slot {
    index: usize,
    /// The length of the content before it.
    begin: u64,
}

impl SnappyBlocks {
    pub(super) fn new() -> Self {
        // The first one is for the length of the whole.
        Self {
            encoder: Encoder::new(),
            compressed: Vec::new(),
            done: vec![Bytes::new()],
            rest: Vec::new(),
            content_bytes: 0,
        }
    }

    /// The bytes of content so far.
    pub(super) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Appends content.
    pub(super) fn write(&mut self, mut content: &[u8]) {
        self.content_bytes += content.len() as u64;
        while self.rest.len() + content.len() >= PIECE_BYTES {
            let (now, later) = content.split_at(PIECE_BYTES - self.rest.len());
            self.rest.extend_from_slice(now);
            self.compress_rest();
            content = later;
        }
        self.rest.extend_from_slice(content);
    }

    /// Leaves a place.
    pub(super) fn slot(&mut self) -> Slot {
        self.compress_rest();
        self.done.push(Bytes::new());
        Slot { index: self.done.len() - 1, begin: self.content_bytes }
    }

    /// Fills a place with what `content` makes of the length of the content behind it: one to 60 bytes.
    pub(super) fn fill(&mut self, slot: Slot, content: impl FnOnce(u64) -> Vec<u8>) {
        let content = content(self.content_bytes - slot.begin);
        debug_assert!((1..=SHORT_LITERAL_BYTES).contains(&content.len()), "invariant: a slot is small");
        self.content_bytes += content.len() as u64;
        let tag = (content.len() as u8 - 1) << 2;
        self.done[slot.index] = [&[tag][..], &content].concat().into();
    }

    /// The pieces of the block.
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.compress_rest();
        let mut length = Vec::new();
        prost::encoding::encode_varint(self.content_bytes, &mut length);
        self.done[0] = length.into();
        self.done
    }

    fn compress_rest(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        // Most responses are small: no more room is made than their pieces need.
        let room = self.compressed.len().max(snap::raw::max_compress_len(self.rest.len()));
        self.compressed.resize(room, 0);
        let block_bytes = self.encoder.compress(&self.rest, &mut self.compressed);
        let block_bytes = block_bytes.expect("invariant: the buffer has room for what a piece compresses to");
        let length_bytes = prost::encoding::encoded_len_varint(self.rest.len() as u64);
        self.done.push(Bytes::copy_from_slice(&self.compressed[length_bytes..block_bytes]));
        self.rest.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(blocks: SnappyBlocks) -> Vec<u8> {
        let block = blocks.finish().concat();
        snap::raw::Decoder::new().decompress_vec(&block).unwrap()
    }

    #[test]
    fn pieces_and_slots_are_one_block() {
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(|i| (i / 3).to_le_bytes()).collect();
        let mut blocks = SnappyBlocks::new();
        let mut want = Vec::new();
        for part in [0, 1, 65_535, 65_536, 65_537, 300_000, 17] {
            let slot = blocks.slot();
            blocks.write(&bytes[..part / 2]);
            blocks.write(&bytes[part / 2..part]);
            blocks.fill(slot, |length| format!("<{length}>").into_bytes());
            want.extend_from_slice(format!("<{part}>").as_bytes());
            want.extend_from_slice(&bytes[..part]);
        }
        assert_eq!(blocks.content_bytes(), want.len() as u64);
        assert!(content(blocks) == want);
        assert_eq!(content(SnappyBlocks::new()), b"");
    }
}
