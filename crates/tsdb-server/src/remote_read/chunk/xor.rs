//! Floats that follow one another, as the bits in which they differ (Gorilla's way).
//!
//! ```text
//! 0                                     the same bits as before
//! 10 bits                               the difference lies within the window of the last one
//! 11 leading:5 length:6 bits:length     a new window: `leading` zeros, then `length` bits (64 is written as 0)
//! ```

use super::bits::BitWriter;

/// More leading zeros do not fit five bits.
const LEADING_MAX: u32 = 31;

/// The last value, and the window of the last difference.
pub(super) struct Xor {
    value: u64,
    window: Option<Window>,
}

#[derive(Clone, Copy)]
struct Window {
    leading: u32,
    trailing: u32,
}

impl Xor {
    /// Writes the first value, whole.
    pub(super) fn first(out: &mut BitWriter, value: f64) -> Self {
        out.float(value);
        Self { value: value.to_bits(), window: None }
    }

    /// Writes the next value.
    pub(super) fn write(&mut self, out: &mut BitWriter, value: f64) {
        let difference = value.to_bits() ^ self.value;
        self.value = value.to_bits();
        if difference == 0 {
            return out.bit(false);
        }
        out.bit(true);
        let leading = difference.leading_zeros().min(LEADING_MAX);
        let trailing = difference.trailing_zeros();
        if let Some(window) = self.window
            && leading >= window.leading
            && trailing >= window.trailing
        {
            out.bit(false);
            return out.bits(difference >> window.trailing, 64 - window.leading - window.trailing);
        }
        self.window = Some(Window { leading, trailing });
        let length = 64 - leading - trailing;
        out.bit(true);
        out.bits(u64::from(leading), 5);
        out.bits(u64::from(length), 6);
        out.bits(difference >> trailing, length);
    }
}
