//! Numbers of so many bits, packed one after the other, lowest bits first.

/// Numbers that are unpacked together. They begin and end at whole bytes whatever their width.
pub(super) const GROUP: usize = 32;

/// Unpacks a group of numbers of `width` bits, at most 64, from its `4 * width` bytes.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u8) -> [u64; GROUP] {
    // A function for each width, in which every place is known, so that none is computed.
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                0 => [0; GROUP],
                $($width => of_width::<$width>(packed),)*
                _ => std::array::from_fn(|index| wide(packed, width, index)),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

#[inline(never)]
fn of_width<const WIDTH: usize>(packed: &[u8]) -> [u64; GROUP] {
    // One word more, so that each number lies in two that are there.
    let mut words = [0_u32; 33];
    for (word, bytes) in words.iter_mut().zip(&packed.as_chunks::<4>().0[..WIDTH]) {
        *word = u32::from_le_bytes(*bytes);
    }
    std::array::from_fn(|index| {
        let (word, bit) = (index * WIDTH / 32, index * WIDTH % 32);
        let both = u64::from(words[word]) | u64::from(words[word + 1]) << 32;
        (both >> bit) & (u64::MAX >> (64 - WIDTH))
    })
}

/// The number at `index`, of any width.
fn wide(packed: &[u8], width: u8, index: usize) -> u64 {
    let bit = index * usize::from(width);
    let mut word = [0; 16];
    let from = &packed[bit / 8..packed.len().min(bit / 8 + 16)];
    word[..from.len()].copy_from_slice(from);
    (u128::from_le_bytes(word) >> (bit % 8)) as u64 & (u64::MAX >> (64 - width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_unpacked() {
        for width in 0..=64_u8 {
            let mask = u64::MAX.checked_shr(64 - u32::from(width)).unwrap_or(0);
            let numbers: [u64; GROUP] =
                std::array::from_fn(|n| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask);
            let mut packed = vec![0_u8; 4 * usize::from(width)];
            for (index, number) in numbers.iter().enumerate() {
                for bit in (0..usize::from(width)).filter(|bit| number >> bit & 1 == 1) {
                    let at = index * usize::from(width) + bit;
                    packed[at / 8] |= 1 << (at % 8);
                }
            }
            assert_eq!(unpack(&packed, width), numbers, "{width}");
        }
    }
}
