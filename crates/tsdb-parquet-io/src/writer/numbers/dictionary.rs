//! The distinct numbers of a chunk, in order, so that near values have near references.

/// The distinct numbers of a chunk, and each row's place among them.
pub(super) struct Dictionary {
    /// Ascending as floats.
    pub(super) values: Vec<u64>,
    /// For each number of the chunk, its index in `values`.
    pub(super) references: Vec<u32>,
}

impl Dictionary {
    /// Most distinct numbers for which a dictionary is tried. A reader of one series decodes the whole dictionary first,
    /// so it must stay small: 512 KiB before compression.
    pub(super) const MAX_VALUES: usize = 1 << 16;

    /// Whether so many of `sample` differ that a dictionary cannot pay.
    pub(super) fn is_hopeless(sample: &[u64]) -> bool {
        let mut table = Table::new(sample.len());
        sample.iter().for_each(|&bits| _ = table.insert(bits));
        table.values.len() > sample.len() / 4 * 3 && table.values.len() > 256
    }

    /// The dictionary of `bits`; `None` when it has more than `limit` numbers.
    pub(super) fn build(bits: &[u64], limit: usize) -> Option<Self> {
        let mut table = Table::new(bits.len().min(limit));
        let mut references = Vec::with_capacity(bits.len());
        let mut last = None;
        for &number in bits {
            let reference = match last {
                Some((same, reference)) if same == number => reference,
                _ => table.insert(number),
            };
            last = Some((number, reference));
            references.push(reference);
            if table.values.len() > limit {
                return None;
            }
        }
        let found = table.values;
        let mut order: Vec<u32> = (0..found.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            f64::from_bits(found[a as usize]).total_cmp(&f64::from_bits(found[b as usize]))
        });
        let mut rank = vec![0; found.len()];
        for (to, &from) in order.iter().enumerate() {
            rank[from as usize] = to as u32;
        }
        references.iter_mut().for_each(|reference| *reference = rank[*reference as usize]);
        let values = order.iter().map(|&from| found[from as usize]).collect();
        Some(Self { values, references })
    }
}

/// A hash table of numbers to the order of their first use.
struct Table {
    /// One more than an index of `values`; 0 where free. A power of two long.
    slots: Vec<u32>,
    values: Vec<u64>,
}

impl Table {
    fn new(expected: usize) -> Self {
        Self { slots: vec![0; (expected / 8).next_power_of_two().max(64)], values: Vec::new() }
    }

    #[inline]
    fn insert(&mut self, number: u64) -> u32 {
        let mut at = self.slot_of(number);
        loop {
            match self.slots[at] {
                0 => break,
                index if self.values[index as usize - 1] == number => return index - 1,
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
        self.values.push(number);
        self.slots[at] = self.values.len() as u32;
        if self.values.len() * 2 > self.slots.len() {
            self.grow();
        }
        self.values.len() as u32 - 1
    }

    fn slot_of(&self, number: u64) -> usize {
        // Multiplication carries every bit to the top ones.
        let hash = (number ^ (number >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (64 - self.slots.len().trailing_zeros())) as usize
    }

    #[cold]
    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for index in 0..self.values.len() {
            let mut at = self.slot_of(self.values[index]);
            while self.slots[at] != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = index as u32 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn references_give_the_numbers_back(
            bits in prop::collection::vec(prop_oneof![any::<u64>(), 0_u64..50, (0_u32..9).prop_map(|x| f64::from(x).to_bits())], 0..2000),
        ) {
            let dictionary = Dictionary::build(&bits, usize::MAX).unwrap();
            let back: Vec<u64> =
                dictionary.references.iter().map(|&reference| dictionary.values[reference as usize]).collect();
            prop_assert_eq!(&back, &bits);
            prop_assert!(dictionary.values.is_sorted_by(|&a, &b| f64::from_bits(a).total_cmp(&f64::from_bits(b)).is_lt()));
            let limit = dictionary.values.len();
            prop_assert!(Dictionary::build(&bits, limit).is_some());
            prop_assert!(limit == 0 || Dictionary::build(&bits, limit - 1).is_none());
        }
    }
}
