//! The bytes of one file: as the system shows them, and as a power loss leaves them.
//!
//! Invariants: `stable <= durable.len()` and `stable <= current.len()`; the first `stable` bytes survive any crash
//! as `durable` has them, and both have the same there but for the ranges that a failed sync doomed. Beyond lie, in
//! `durable`, bytes that an unsynced truncation took back, or zeros that were reserved and written over since, and in
//! `current`, bytes that no sync covered yet.

use std::ops::Range;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::crash::Rng;

/// Unsynced bytes tear at any byte, and the zeros or garbage behind the tear end at a sector.
const SECTOR: usize = 512;

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What reads see.
    current: Vec<u8>,
    /// How many zeros are reserved at its end.
    reserved: usize,
    /// What the last good sync made durable.
    durable: Vec<u8>,
    /// How far the two are known to agree.
    stable: usize,
    /// Ranges whose sync failed: the system shows them and will never write them.
    doomed: Vec<Range<usize>>,
    /// Alive while somebody holds a map of the file.
    map: Weak<Vec<u8>>,
    pub(super) modified_ms: i64,
}

/// What a map hands out; the file knows by it that it is mapped.
struct Mapped(Arc<Vec<u8>>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Contents {
    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    /// How much was appended.
    pub(super) fn len(&self) -> usize {
        self.current.len() - self.reserved
    }

    /// How much an append of `len` bytes would make the file longer.
    pub(super) fn growth(&self, len: usize) -> usize {
        len.saturating_sub(self.reserved)
    }

    /// Reserves `len` more bytes; not durable.
    pub(super) fn reserve(&mut self, len: usize) {
        self.assert_not_mapped();
        self.current.resize(self.current.len() + len, 0);
        self.reserved += len;
    }

    /// The contents as a map, which forbids changes while it lives.
    pub(super) fn map(&mut self) -> Bytes {
        let map = self.map.upgrade().unwrap_or_else(|| Arc::new(self.current.clone()));
        self.map = Arc::downgrade(&map);
        Bytes::from_owner(Mapped(map))
    }

    /// Appends; not durable.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.assert_not_mapped();
        let start = self.len();
        let (over, behind) = bytes.split_at(bytes.len().min(self.reserved));
        self.current[start..start + over.len()].copy_from_slice(over);
        self.current.extend_from_slice(behind);
        self.reserved -= over.len();
        self.stable = self.stable.min(start);
    }

    /// Cuts; not durable.
    pub(super) fn truncate(&mut self, len: usize) {
        self.assert_not_mapped();
        self.current.truncate(len);
        self.reserved = 0;
        self.stable = self.stable.min(len);
        for range in &mut self.doomed {
            range.end = range.end.min(len);
        }
        self.doomed.retain(|range| !range.is_empty());
    }

    /// Makes everything durable but what a failed sync has lost already.
    pub(super) fn sync(&mut self) {
        self.durable.truncate(self.stable);
        self.durable.extend_from_slice(&self.current[self.stable..]);
        wipe(&mut self.durable, &self.doomed);
        self.stable = self.current.len();
    }

    /// A sync that failed: what it covered will never be written.
    pub(super) fn sync_failed(&mut self) {
        if self.stable < self.current.len() {
            self.doomed.push(self.stable..self.current.len());
        }
    }

    /// The file after a power loss.
    pub(super) fn after_crash(&self, loss: &mut Rng) -> Self {
        let synced = self.stable == self.current.len() && self.stable == self.durable.len();
        let mut bytes = if synced || loss.lose_all() {
            self.durable.clone()
        } else {
            let mut image = self.current.clone();
            wipe(&mut image, &self.doomed);
            if !loss.keep_all() {
                self.tear(&mut image, loss);
            }
            image
        };
        bytes.shrink_to_fit();
        Self {
            durable: bytes.clone(),
            stable: bytes.len(),
            current: bytes,
            modified_ms: self.modified_ms,
            ..Self::default()
        }
    }

    /// The same file on a copy of the disk.
    pub(super) fn fork(&self) -> Self {
        Self {
            current: self.current.clone(),
            reserved: self.reserved,
            durable: self.durable.clone(),
            stable: self.stable,
            doomed: self.doomed.clone(),
            map: Weak::new(),
            modified_ms: self.modified_ms,
        }
    }

    /// Keeps a random part of what lies behind `stable`. Mostly the file ends there, or its length reached the disk but the
    /// sectors did not, and zeros or garbage stand in their place; or one sector did not, and what follows it did. Reserved
    /// space that was there stays there.
    fn tear(&self, image: &mut Vec<u8>, loss: &mut Rng) {
        let keep = self.stable + loss.below(image.len() - self.stable + 1);
        match loss.below(5) {
            0 | 1 => image.truncate(keep),
            2 => {
                let end = keep.next_multiple_of(SECTOR).min(image.len());
                image[keep..end].fill(0);
            }
            kind => {
                let end = (keep + 1 + loss.below(4 * SECTOR)).next_multiple_of(SECTOR).min(image.len());
                image.truncate(end);
                for byte in &mut image[keep..] {
                    *byte = if kind == 3 { 0 } else { loss.byte() };
                }
            }
        }
        let there = self.durable.len().min(self.current.len());
        image.extend_from_slice(self.durable.get(image.len()..there).unwrap_or_default());
    }

    fn assert_not_mapped(&self) {
        assert!(self.map.strong_count() == 0, "the file is mapped, and a mapped file must not change");
    }
}

fn wipe(bytes: &mut [u8], doomed: &[Range<usize>]) {
    for range in doomed {
        bytes[range.clone()].fill(0);
    }
}
