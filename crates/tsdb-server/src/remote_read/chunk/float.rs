//! Prometheus' chunk of floats.
//!
//! ```text
//! 0  count:u16, big-endian
//! 2  varint timestamp, value:64                first sample
//!    uvarint delta, xor                        second
//!    delta of deltas, xor                      each after it
//!
//! delta of deltas := 0 | 10 + 14 bits | 110 + 17 | 1110 + 20 | 1111 + 64
//! ```

use super::bits::{BitWriter, is_in};
use super::count_bytes;
use super::xor::Xor;

/// Encodes samples of ascending timestamps, at least one and at most [`SAMPLES_MAX`](super::SAMPLES_MAX).
pub(super) fn encode(timestamps_ms: &[i64], values: &[f64]) -> Vec<u8> {
    let mut out = BitWriter::after(&count_bytes(timestamps_ms.len()));
    out.varint(timestamps_ms[0]);
    let mut xor = Xor::first(&mut out, values[0]);
    let mut last_delta = 0_i64;
    for (i, (pair, &value)) in timestamps_ms.windows(2).zip(&values[1..]).enumerate() {
        let delta = pair[1].wrapping_sub(pair[0]);
        if i == 0 {
            out.uvarint(delta as u64);
        } else {
            write_delta_of_deltas(&mut out, delta.wrapping_sub(last_delta));
        }
        last_delta = delta;
        xor.write(&mut out, value);
    }
    out.finish()
}

fn write_delta_of_deltas(out: &mut BitWriter, value: i64) {
    let (prefix, prefix_bits, bits) = match value {
        0 => (0, 1, 0),
        _ if is_in(value, 14) => (0b10, 2, 14),
        _ if is_in(value, 17) => (0b110, 3, 17),
        _ if is_in(value, 20) => (0b1110, 4, 20),
        _ => (0b1111, 4, 64),
    };
    out.bits(prefix, prefix_bits);
    out.bits(value as u64, bits);
}
