//! Parquet's hybrid of run-length encoding and bit-packing, fed with runs.
//!
//! Levels and dictionary references are encoded so. A run of eight or more becomes one entry, whatever its length:
//! a label column costs what its series cost, not its rows.

use crate::varint::put_varint;

/// Values of a bit-packed group; also the shortest run that is not packed.
const GROUP: u64 = 8;

/// The bits that numbers up to `max` take.
pub(in crate::writer) fn bit_width(max: u32) -> u8 {
    (u32::BITS - max.leading_zeros()) as u8
}

/// Encodes numbers of one bit width.
#[derive(Debug)]
pub(in crate::writer) struct HybridEncoder<'a> {
    width: u8,
    out: &'a mut Vec<u8>,
    /// Numbers to bit-pack, before a run ends them.
    literals: Vec<u32>,
    /// The run that may still grow.
    run: (u32, u64),
}

impl<'a> HybridEncoder<'a> {
    /// Appends to `out` numbers of at most `width` bits.
    pub(in crate::writer) fn new(width: u8, out: &'a mut Vec<u8>) -> Self {
        Self { width, out, literals: Vec::new(), run: (0, 0) }
    }

    /// Appends `count` times `number`.
    #[inline]
    pub(in crate::writer) fn push(&mut self, number: u32, count: u64) {
        if number == self.run.0 {
            self.run.1 += count;
        } else {
            self.end_run();
            self.run = (number, count);
        }
    }

    /// Writes what is left.
    pub(in crate::writer) fn finish(mut self) {
        self.end_run();
        self.put_literals();
    }

    /// Moves the run to where it costs least.
    #[inline]
    fn end_run(&mut self) {
        let (number, mut count) = self.run;
        // Packed groups are whole ones, so the numbers before the run are filled up from it.
        let missing = (GROUP - self.literals.len() as u64 % GROUP) % GROUP;
        if count < missing + GROUP {
            self.literals.extend(std::iter::repeat_n(number, count as usize));
            return;
        }
        self.literals.extend(std::iter::repeat_n(number, missing as usize));
        count -= missing;
        self.put_literals();
        // A run's length and its flag share 32 bits in some readers.
        while count > 0 {
            let part = count.min(u64::from(u32::MAX >> 2));
            put_varint(self.out, part << 1);
            self.out.extend_from_slice(&number.to_le_bytes()[..usize::from(self.width).div_ceil(8)]);
            count -= part;
        }
    }

    fn put_literals(&mut self) {
        if self.literals.is_empty() {
            return;
        }
        self.literals.resize(self.literals.len().next_multiple_of(GROUP as usize), 0);
        put_varint(self.out, (self.literals.len() as u64 / GROUP) << 1 | 1);
        let width = u32::from(self.width);
        self.out.reserve(self.literals.len() * usize::from(self.width) / 8 + 8);
        if width % 8 == 0 {
            let bytes = usize::from(self.width) / 8;
            for literal in &self.literals {
                self.out.extend_from_slice(&literal.to_le_bytes()[..bytes]);
            }
        } else {
            let (mut buffer, mut bits) = (0_u64, 0);
            for &literal in &self.literals {
                buffer |= u64::from(literal) << bits;
                bits += width;
                while bits >= 8 {
                    self.out.push(buffer as u8);
                    buffer >>= 8;
                    bits -= 8;
                }
            }
        }
        self.literals.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Decodes as the format page says.
    fn decode(bytes: &[u8], width: u8, len: usize) -> Vec<u32> {
        let mut at = 0;
        let mut out = Vec::new();
        while out.len() < len {
            let (mut header, mut shift) = (0_u64, 0);
            loop {
                header |= u64::from(bytes[at] & 0x7f) << shift;
                shift += 7;
                at += 1;
                if bytes[at - 1] < 0x80 {
                    break;
                }
            }
            if header & 1 == 0 {
                let size = usize::from(width).div_ceil(8);
                let mut number = [0; 4];
                number[..size].copy_from_slice(&bytes[at..at + size]);
                at += size;
                out.extend(std::iter::repeat_n(u32::from_le_bytes(number), (header >> 1) as usize));
            } else {
                let numbers = (header >> 1) as usize * 8;
                for i in 0..numbers {
                    let number = (0..usize::from(width)).fold(0, |number, bit| {
                        let from = i * usize::from(width) + bit;
                        number | u32::from(bytes[at + from / 8] >> (from % 8) & 1) << bit
                    });
                    out.push(number);
                }
                at += numbers * usize::from(width) / 8;
            }
        }
        assert_eq!(at, bytes.len(), "all bytes are used");
        // Only the last group may be filled up.
        assert!(out[len..].len() < 8 && out[len..].iter().all(|&number| number == 0));
        out.truncate(len);
        out
    }

    proptest! {
        #[test]
        fn any_runs_come_back(
            width in 0_u8..=32,
            runs in prop::collection::vec((any::<u32>(), prop_oneof![3 => 1_u64..4, 1 => 1_u64..40, 1 => 1_u64..1000]), 0..60),
        ) {
            let mask = if width == 32 { u32::MAX } else { (1 << width) - 1 };
            let mut bytes = Vec::new();
            let mut encoder = HybridEncoder::new(width, &mut bytes);
            let mut numbers = Vec::new();
            for (number, count) in runs {
                encoder.push(number & mask, count);
                numbers.extend(std::iter::repeat_n(number & mask, count as usize));
            }
            encoder.finish();
            prop_assert_eq!(decode(&bytes, width, numbers.len()), numbers);
        }
    }

    #[test]
    fn a_run_costs_its_entry_whatever_its_length() {
        let mut bytes = Vec::new();
        let mut encoder = HybridEncoder::new(17, &mut bytes);
        encoder.push(70_000, 1_000_000);
        encoder.finish();
        assert_eq!(bytes.len(), 3 + 3);
        assert_eq!((bit_width(0), bit_width(1), bit_width(255), bit_width(256)), (0, 1, 8, 9));
    }
}
