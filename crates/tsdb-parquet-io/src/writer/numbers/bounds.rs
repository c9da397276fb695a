//! Smallest and largest number of a page or chunk, as Parquet wants them.

use parquet::file::statistics::Statistics;

/// How the bits of a column are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::writer) enum Bounds {
    /// Signed integers.
    Int64,
    /// Floats. NaN is left out; a zero that is the smallest is negative, one that is the largest positive, since
    /// readers take both for equal.
    Double,
}

impl Bounds {
    /// Bits of the smallest and the largest number, if any counts.
    fn min_max(self, bits: &[u64]) -> Option<(u64, u64)> {
        match self {
            Self::Int64 => {
                let (first, rest) = bits.split_first()?;
                let first = first.cast_signed();
                let (min, max) = rest.iter().fold((first, first), |(min, max), bits| {
                    (min.min(bits.cast_signed()), max.max(bits.cast_signed()))
                });
                Some((min.cast_unsigned(), max.cast_unsigned()))
            }
            Self::Double => {
                // Comparisons with NaN are false, so a NaN never becomes a bound.
                let (min, max) = bits.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), &bits| {
                    let value = f64::from_bits(bits);
                    (if value < min { value } else { min }, if value > max { value } else { max })
                });
                if min > max {
                    return None;
                }
                let min = if min == 0.0 { -0.0 } else { min };
                let max = if max == 0.0 { 0.0 } else { max };
                Some((min.to_bits(), max.to_bits()))
            }
        }
    }

    /// Smallest and largest number, plain-encoded.
    pub(super) fn plain_min_max(self, bits: &[u64]) -> Option<(Vec<u8>, Vec<u8>)> {
        self.min_max(bits).map(|(min, max)| (min.to_le_bytes().to_vec(), max.to_le_bytes().to_vec()))
    }

    /// The statistics of a column chunk.
    pub(super) fn statistics(self, bits: &[u64], nulls: u64) -> Statistics {
        let bounds = self.min_max(bits);
        let (min, max) = (bounds.map(|(min, _)| min), bounds.map(|(_, max)| max));
        match self {
            Self::Int64 => {
                let signed = |bits: Option<u64>| bits.map(u64::cast_signed);
                Statistics::int64(signed(min), signed(max), None, Some(nulls), false)
            }
            Self::Double => {
                let double = |bits: Option<u64>| bits.map(f64::from_bits);
                Statistics::double(double(min), double(max), None, Some(nulls), false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_floats_leave_nan_out_and_cover_both_zeros() {
        let bounds = |values: &[f64]| {
            let bits: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
            Bounds::Double.min_max(&bits).map(|(min, max)| (f64::from_bits(min), f64::from_bits(max)))
        };
        let zero_signs = |bounds: Option<(f64, f64)>| {
            bounds.map(|(min, max)| (min.is_sign_negative(), max.is_sign_negative()))
        };
        assert_eq!(bounds(&[]), None);
        assert_eq!(bounds(&[f64::NAN]), None);
        assert_eq!(bounds(&[2.0, f64::NAN, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(zero_signs(bounds(&[0.0])), Some((true, false)));
        assert_eq!(zero_signs(bounds(&[-0.0])), Some((true, false)));
        assert_eq!(bounds(&[f64::INFINITY]), Some((f64::INFINITY, f64::INFINITY)));
        assert_eq!(bounds(&[f64::NEG_INFINITY]), Some((f64::NEG_INFINITY, f64::NEG_INFINITY)));
        assert_eq!(bounds(&[f64::INFINITY, 1.0]), Some((1.0, f64::INFINITY)));
        assert_eq!(Bounds::Int64.min_max(&[5, u64::MAX, 3]), Some((u64::MAX, 5)));
    }
}
