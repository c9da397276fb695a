//! The block format: one immutable file with chunks, series and the index over their labels.
//!
//! ```text
//! header | chunks | values | postings | series | page tables | names | TOC | footer
//! ```
//!
//! [`BlockWriter`] streams it front to back; [`Block`] reads it over [`Bytes`](bytes::Bytes), a memory map as
//! a rule, and touches only what a query needs. `docs/format/block.md` describes every byte;
//! `docs/decisions/0004-block-format.md` says why it is so.
//!
//! Invariants: series ordinals follow label order; every byte is under a checksum, which is compared before
//! the byte is used; no length or count that was read is trusted before it was compared with the bytes that
//! are there. This module opens no file and keeps no cache but the bits that say which pages were verified.

mod dictionary;
mod format;
mod id;
mod labels;
mod names;
mod ordinals;
mod paged;
mod reader;
mod series;
mod values;
mod verify;
mod writer;

pub use id::{BlockId, BlockMeta};
pub use labels::LabelsReader;
pub use reader::{Block, ChunkMeta};
pub use writer::BlockWriter;
