//! Where the Parquet writer's bytes go on their way to the store: a buffer that is emptied part by part and
//! that keeps the length and the checksum of all that went through.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

/// A handle to the buffer: the writer owns one, the upload loop the other.
#[derive(Clone, Default)]
pub(super) struct Sink(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    buffered: BytesMut,
    hasher: Xxh3,
    total: u64,
}

impl Sink {
    /// The next `len` bytes, when as many are there.
    pub(super) fn take_part(&self, len: usize) -> Option<Bytes> {
        let mut state = self.0.lock();
        (state.buffered.len() >= len).then(|| state.buffered.split_to(len).freeze())
    }

    /// Everything that is buffered.
    pub(super) fn take_rest(&self) -> Bytes {
        self.0.lock().buffered.split().freeze()
    }

    /// Length in bytes and xxh3-64 of all that was written.
    pub(super) fn totals(&self) -> (u64, u64) {
        let state = self.0.lock();
        (state.total, state.hasher.digest())
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        state.buffered.extend_from_slice(bytes);
        state.hasher.update(bytes);
        state.total += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    #[test]
    fn parts_and_rest_are_what_was_written() {
        let mut sink = Sink::default();
        let data: Vec<u8> = (0..=255).cycle().take(1000).collect();
        sink.write_all(&data).unwrap();
        let mut out = Vec::new();
        while let Some(part) = sink.take_part(300) {
            assert_eq!(part.len(), 300);
            out.extend_from_slice(&part);
        }
        out.extend_from_slice(&sink.take_rest());
        assert_eq!(out, data);
        assert_eq!(sink.totals(), (1000, xxh3_64(&data)));
    }
}
