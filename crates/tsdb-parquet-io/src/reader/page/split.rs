//! Numbers of which all first bytes come first, then all second ones, and so on (BYTE_STREAM_SPLIT), put together again.

use std::ops::Range;

use super::Number;

/// Appends the numbers at `range` of the `len` whose bytes `body` is.
pub(super) fn join<N: Number>(body: &[u8], len: usize, range: Range<usize>, out: &mut Vec<N>) {
    let streams: [&[u8]; 8] = std::array::from_fn(|byte| &body[byte * len..][range.clone()]);
    let eights = streams.map(|stream| stream.as_chunks::<8>().0);
    out.reserve(range.len());
    for at in 0..range.len() / 8 {
        let numbers = transposed(eights.map(|eights| u64::from_le_bytes(eights[at])));
        out.extend_from_slice(&numbers.map(N::from_bits));
    }
    let rest = range.len() / 8 * 8..range.len();
    out.extend(rest.map(|at| N::from_bits(u64::from_le_bytes(streams.map(|stream| stream[at])))));
}

/// Rows of eight bytes turned into columns: byte `i` of row `j` becomes byte `j` of row `i`. First the quarters of four rows by
/// four bytes change places, then within each the quarters of two by two, then single bytes.
fn transposed(mut rows: [u64; 8]) -> [u64; 8] {
    const STEPS: [(usize, u32, u64); 3] =
        [(4, 32, 0x0000_0000_ffff_ffff), (2, 16, 0x0000_ffff_0000_ffff), (1, 8, 0x00ff_00ff_00ff_00ff)];
    for (apart, shift, mask) in STEPS {
        for at in (0..8).filter(|at| at & apart == 0) {
            let change = ((rows[at] >> shift) ^ rows[at + apart]) & mask;
            rows[at + apart] ^= change;
            rows[at] ^= change << shift;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows() {
        let rows = std::array::from_fn(|row| {
            u64::from_le_bytes(std::array::from_fn(|byte| (16 * row + byte) as u8))
        });
        let expected = std::array::from_fn(|row| {
            u64::from_le_bytes(std::array::from_fn(|byte| (16 * byte + row) as u8))
        });
        assert_eq!(transposed(rows), expected);
    }

    #[test]
    fn any_part_of_split_numbers_is_joined() {
        let numbers: Vec<u64> = (0..29_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let body: Vec<u8> =
            (0..8).flat_map(|byte| numbers.iter().map(move |number| number.to_le_bytes()[byte])).collect();
        for start in 0..=numbers.len() {
            for end in start..=numbers.len() {
                let mut out: Vec<u64> = vec![7];
                join(&body, numbers.len(), start..end, &mut out);
                assert_eq!(out[1..], numbers[start..end]);
            }
        }
    }
}
