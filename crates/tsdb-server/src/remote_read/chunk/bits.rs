//! Bits in a row, the first one highest in its byte, and the variable-length integers that Prometheus makes of them.
//!
//! A variable-length integer (`varbit`) is a prefix of ones that ends in a zero, which says how many bits follow:
//!
//! ```text
//! 0                  the value 0
//! 10       + 3 bits  signed: -3..=4       unsigned: up to 7
//! 110      + 6       (with n bits: -(2^(n-1) - 1)..=2^(n-1), or up to 2^n - 1)
//! 1110     + 9
//! 11110    + 12
//! 111110   + 18
//! 1111110  + 25
//! 11111110 + 56
//! 11111111 + 64
//! ```

/// The bits that follow a prefix of one 1, of two, and so on.
const WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

/// Bytes that bits are appended to.
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// The last bits, fewer than eight, lowest in the byte.
    rest: u8,
    rest_bits: u32,
}

impl BitWriter {
    /// Begins with whole bytes.
    pub(super) fn after(header: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(header);
        Self { bytes, rest: 0, rest_bits: 0 }
    }

    /// The bytes; zeros fill up the last one.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.rest_bits > 0 {
            self.bytes.push(self.rest << (8 - self.rest_bits));
        }
        self.bytes
    }

    /// Appends the lowest `count` bits of `value`, at most 64.
    pub(super) fn bits(&mut self, value: u64, count: u32) {
        debug_assert!(count <= 64, "invariant: a value has 64 bits");
        let value = if count < 64 { value & ((1 << count) - 1) } else { value };
        // Seven bits and 64 fit 128.
        let total = self.rest_bits + count;
        let joined =
            (u128::from(self.rest) << count | u128::from(value)).wrapping_shl(128 - total).to_be_bytes();
        let whole = total as usize / 8;
        self.bytes.extend_from_slice(&joined[..whole]);
        self.rest_bits = total % 8;
        self.rest = joined[whole] >> ((8 - self.rest_bits) % 8);
    }

    pub(super) fn bit(&mut self, bit: bool) {
        self.bits(u64::from(bit), 1);
    }

    /// Appends all bits of a float.
    pub(super) fn float(&mut self, value: f64) {
        self.bits(value.to_bits(), 64);
    }

    /// Appends an integer in groups of seven bits, the lowest first, a byte each (Go's `PutUvarint`).
    pub(super) fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bits(value | 0x80, 8);
            value >>= 7;
        }
        self.bits(value, 8);
    }

    /// Appends a signed integer in the same way, zigzag (Go's `PutVarint`).
    pub(super) fn varint(&mut self, value: i64) {
        self.uvarint((value << 1 ^ value >> 63) as u64);
    }

    /// Appends a signed integer as a `varbit`.
    pub(super) fn varbit(&mut self, value: i64) {
        self.prefixed(value as u64, value == 0, |width| is_in(value, width));
    }

    /// Appends an unsigned integer as a `varbit`.
    pub(super) fn uvarbit(&mut self, value: u64) {
        self.prefixed(value, value == 0, |width| value >> width == 0);
    }

    fn prefixed(&mut self, value: u64, is_zero: bool, fits: impl Fn(u32) -> bool) {
        if is_zero {
            return self.bits(0, 1);
        }
        match WIDTHS.iter().position(|&width| fits(width)) {
            Some(place) => {
                let ones = place as u32 + 1;
                self.bits((1 << (ones + 1)) - 2, ones + 1);
                self.bits(value, WIDTHS[place]);
            }
            None => {
                self.bits(0xff, 8);
                self.bits(value, 64);
            }
        }
    }
}

/// Whether a signed number is among those that Prometheus writes with so many bits: the range is shifted up by one against
/// two's complement.
pub(super) fn is_in(value: i64, bits: u32) -> bool {
    let most = 1_i64 << (bits - 1);
    -(most - 1) <= value && value <= most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut BitWriter)) -> String {
        let mut bits = BitWriter::after(&[]);
        write(&mut bits);
        let (whole, rest, rest_bits) = (bits.bytes, bits.rest, bits.rest_bits as usize);
        let mut text: String = whole.iter().map(|byte| format!("{byte:08b}")).collect();
        if rest_bits > 0 {
            text.push_str(&format!("{rest:0rest_bits$b}"));
        }
        text
    }

    #[test]
    fn bits_follow_one_another_over_the_edges_of_bytes() {
        assert_eq!(written(|out| (0..5).for_each(|i| out.bits(i, 3))), "000001010011100");
        assert_eq!(written(|out| out.bits(5, 0)), "");
        let seven_and_all = written(|out| {
            out.bits(0b101_0101, 7);
            out.bits(u64::MAX - 1, 64);
        });
        assert_eq!(seven_and_all, format!("1010101{}0", "1".repeat(63)));
        let mut padded = BitWriter::after(&[9]);
        padded.bit(true);
        assert_eq!(padded.finish(), [9, 0x80]);
    }

    #[test]
    fn small_numbers_take_few_bits() {
        let signed: &[(i64, &str)] = &[
            (0, "0"),
            (1, "10001"),
            (4, "10100"),
            (-3, "10101"),
            (5, "110000101"),
            (-4, "110111100"),
            (-31, "110100001"),
            (33, "1110000100001"),
        ];
        for &(value, want) in signed {
            assert_eq!(written(|out| out.varbit(value)), want, "{value}");
        }
        let unsigned: &[(u64, &str)] =
            &[(0, "0"), (7, "10111"), (8, "110001000"), (512, "11110001000000000")];
        for &(value, want) in unsigned {
            assert_eq!(written(|out| out.uvarbit(value)), want, "{value}");
        }
        assert_eq!(written(|out| out.varbit(i64::MIN)), format!("{}1{}", "1".repeat(8), "0".repeat(63)));
        assert_eq!(written(|out| out.uvarbit(u64::MAX)), "1".repeat(72));
    }

    #[test]
    fn varints_are_those_of_go() {
        assert_eq!(written(|out| out.uvarint(300)), "1010110000000010");
        assert_eq!(written(|out| out.varint(-1)), "00000001");
        assert_eq!(written(|out| out.varint(64)), "1000000000000001");
    }
}
