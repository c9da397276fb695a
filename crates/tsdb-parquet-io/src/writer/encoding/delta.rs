//! DELTA_BINARY_PACKED: differences between neighbours, in blocks with their minimum, bit-packed.

use crate::varint::{put_varint, zigzag};

/// Values of a block, each with one minimum.
const BLOCK: usize = 128;
/// Parts of a block, each with a bit width of its own.
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends the values to `out`. Differences wrap around, as the format says.
pub(in crate::writer) fn delta_binary_packed(values: &[i64], out: &mut Vec<u8>) {
    put_varint(out, BLOCK as u64);
    put_varint(out, MINIBLOCKS as u64);
    put_varint(out, values.len() as u64);
    put_varint(out, zigzag(values.first().copied().unwrap_or(0)));
    let mut deltas = [0_i64; BLOCK];
    let mut previous = values.first().copied().unwrap_or(0);
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let deltas = &mut deltas[..block.len()];
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(previous);
            previous = value;
        }
        put_block(deltas, out);
    }
}

fn put_block(deltas: &[i64], out: &mut Vec<u8>) {
    let min = deltas.iter().copied().min().unwrap_or(0);
    put_varint(out, zigzag(min));
    let above = |delta: i64| delta.wrapping_sub(min) as u64;
    let widths_at = out.len();
    out.extend_from_slice(&[0; MINIBLOCKS]);
    for (index, part) in deltas.chunks(MINIBLOCK).enumerate() {
        let width = part.iter().map(|&delta| 64 - above(delta).leading_zeros()).max().unwrap_or(0);
        out[widths_at + index] = width as u8;
        put_packed(part.iter().map(|&delta| above(delta)), width, out);
    }
}

/// Packs a miniblock, filled up with zeros, lowest bits first.
fn put_packed(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let end = out.len() + width as usize * MINIBLOCK / 8;
    let mut buffer = 0_u128;
    let mut bits = 0;
    for value in values {
        buffer |= u128::from(value) << bits;
        bits += width;
        while bits >= 64 {
            out.extend_from_slice(&(buffer as u64).to_le_bytes());
            buffer >>= 64;
            bits -= 64;
        }
    }
    out.extend_from_slice(&(buffer as u64).to_le_bytes()[..bits.div_ceil(8) as usize]);
    out.resize(end, 0);
}
