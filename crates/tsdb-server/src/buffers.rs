//! Buffers that are used again: memory that is fresh from the system costs more than what is decompressed into it.

use std::ops::{Deref, DerefMut};

use parking_lot::Mutex;

/// Buffers that are kept at most.
const KEPT_MAX: usize = 8;
/// A buffer that has grown beyond this is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Buffers that nobody uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
}

/// Bytes of a stated length, whose memory goes back when they are dropped.
pub(crate) struct Buffer<'a> {
    buffers: &'a Buffers,
    bytes: Vec<u8>,
    length: usize,
}

impl Buffers {
    /// A buffer of `length` bytes, of which nobody knows the values.
    pub(crate) fn take(&self, length: usize) -> Buffer<'_> {
        let mut bytes = self.free.lock().pop().unwrap_or_default();
        if bytes.len() < length {
            bytes.resize(length, 0);
        }
        Buffer { buffers: self, bytes, length }
    }
}

impl Deref for Buffer<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Buffer<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            return;
        }
        let mut free = self.buffers.free.lock();
        if free.len() < KEPT_MAX {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_buffers_are_used_again_and_large_ones_are_not_kept() {
        let buffers = Buffers::default();
        buffers.take(100)[99] = 7;
        let again = buffers.take(10);
        assert_eq!((again.len(), again.bytes.len()), (10, 100));
        drop(again);
        drop(buffers.take(KEPT_BYTES_MAX + 1));
        assert!(buffers.free.lock().is_empty());
        let many: Vec<_> = (0..2 * KEPT_MAX).map(|_| buffers.take(1)).collect();
        drop(many);
        assert_eq!(buffers.free.lock().len(), KEPT_MAX);
    }
}
