//! The encodings of the flat columns, from numbers to the bytes of a page: plain, byte-stream-split, delta, and
//! references into a dictionary.
//!
//! They are here, and not the `parquet` crate's, because pages are made of runs and of dictionaries that are sorted
//! first. The byte layouts are those of Parquet's `Encodings.md`.

mod delta;
mod hybrid;

pub(super) use delta::delta_binary_packed;
pub(super) use hybrid::{HybridEncoder, bit_width};

/// Appends the values to `out`, eight bytes each.
pub(super) fn plain(values: &[u64], out: &mut Vec<u8>) {
    out.reserve(values.len() * 8);
    for value in values {
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends the first bytes of all values to `out`, then the second ones, and so on.
pub(super) fn byte_stream_split(values: &[u64], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + values.len() * 8, 0);
    let streams = &mut out[start..];
    for (index, stream) in streams.chunks_exact_mut(values.len().max(1)).enumerate() {
        let shift = 8 * index;
        for (byte, value) in stream.iter_mut().zip(values) {
            *byte = (value >> shift) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_hold_one_byte_of_each_value() {
        let mut out = vec![9];
        byte_stream_split(&[0x0807_0605_0403_0201, 0x1817_1615_1413_1211], &mut out);
        assert_eq!(out, [9, 1, 0x11, 2, 0x12, 3, 0x13, 4, 0x14, 5, 0x15, 6, 0x16, 7, 0x17, 8, 0x18]);
        let mut none = Vec::new();
        byte_stream_split(&[], &mut none);
        assert!(none.is_empty());
    }
}
