//! Random numbers that are the same on every platform.
//!
//! The bits come from ChaCha8, which is portable. The distributions are written here, with additions,
//! multiplications, divisions and square roots only: IEEE 754 defines those to the last bit, whereas `exp` and
//! `ln` of the standard library are the platform's own and may differ in the last place. (`rand_distr` uses
//! whichever of the two its feature flags, and so other crates in the build, happen to select.)
//!
//! Each series draws from a stream of its own, so that any target can be made alone, in any order.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A mean above which a Poisson variable is drawn as a rounded normal one.
const POISSON_NORMAL_MEAN: f64 = 30.0;

/// One stream of random numbers.
pub(crate) struct Random {
    bits: ChaCha8Rng,
    /// The second value of the last pair that the polar method made.
    spare_normal: Option<f64>,
}

impl Random {
    /// The stream numbered `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut bits = ChaCha8Rng::seed_from_u64(seed);
        bits.set_stream(stream);
        Self { bits, spare_normal: None }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.bits.next_u64()
    }

    /// Uniform in the open interval (0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.bits.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Uniform in the open interval (`low`, `high`).
    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in `0..bound`; 0 when `bound` is 0. The bias is below 2^-32 for the bounds used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Normal, by Marsaglia's polar method.
    pub(crate) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return mean + deviation * spare;
        }
        loop {
            let (x, y) = (self.uniform(-1.0, 1.0), self.uniform(-1.0, 1.0));
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let scale = (-2.0 * ln(square) / square).sqrt();
                self.spare_normal = Some(y * scale);
                return mean + deviation * x * scale;
            }
        }
    }

    pub(crate) fn log_normal(&mut self, mean: f64, deviation: f64) -> f64 {
        exp(self.normal(mean, deviation))
    }

    /// Exponential with the given mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(self.unit())
    }

    /// Gamma with scale 1, by Marsaglia and Tsang's method.
    pub(crate) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = exp(ln(self.unit()) / shape);
            return self.gamma(shape + 1.0) * boost;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal(0.0, 1.0);
            let cube_root = 1.0 + c * x;
            if cube_root <= 0.0 {
                continue;
            }
            let v = cube_root * cube_root * cube_root;
            if ln(self.unit()) < 0.5 * x * x + d - d * v + d * ln(v) {
                return d * v;
            }
        }
    }

    pub(crate) fn beta(&mut self, a: f64, b: f64) -> f64 {
        let (x, y) = (self.gamma(a), self.gamma(b));
        x / (x + y)
    }

    /// Poisson: by inversion for small means, a rounded normal for large ones. 0 for a mean of 0.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean <= 0.0 {
            return 0.0;
        }
        if mean > POISSON_NORMAL_MEAN {
            return self.normal(mean, mean.sqrt()).round().max(0.0);
        }
        let target = self.unit();
        let mut term = exp(-mean);
        let mut sum = term;
        let mut count = 0.0;
        // Beyond a hundred events the terms no longer change the sum: the bound ends the loop.
        while sum < target && count < 200.0 {
            count += 1.0;
            term *= mean / count;
            sum += term;
        }
        count
    }
}

/// e^x to about 1e-15 relative, for |x| up to 700 (clamped beyond).
fn exp(x: f64) -> f64 {
    // ln 2 in two parts: the first has zeros at its end, so that its product with a small integer is exact.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = x.clamp(-700.0, 700.0);
    let power = (x / std::f64::consts::LN_2).round();
    let rest = x - power * LN_2_HIGH - power * LN_2_LOW;
    // The Taylor series by Horner's scheme; |rest| <= 0.35, so 14 terms reach 1e-17.
    let mut sum = 1.0;
    for n in (1..=14).rev() {
        sum = 1.0 + sum * rest / f64::from(n);
    }
    sum * f64::from_bits(((power as i64 + 1023) as u64) << 52)
}

/// The natural logarithm of a positive, normal number, to about 1e-15 relative.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits(bits & ((1 << 52) - 1) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 atanh((m - 1) / (m + 1)), whose argument is below 0.172 here.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for n in (0..=10).rev() {
        sum = sum * square + 1.0 / f64::from(2 * n + 1);
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * s * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_ln_agree_with_the_standard_library() {
        for i in -6900..6900 {
            let x = f64::from(i) / 10.0 + 0.037;
            assert!((exp(x) / x.exp() - 1.0).abs() < 2e-15, "exp({x})");
            let y = x.exp();
            assert!((ln(y) - y.ln()).abs() <= 1e-15 * y.ln().abs().max(1.0), "ln({y})");
        }
    }

    /// Mean and variance of 200,000 draws against the distribution's own.
    fn check(name: &str, mean: f64, variance: f64, mut draw: impl FnMut(&mut Random) -> f64) {
        let mut random = Random::new(7, 1);
        let draws: Vec<f64> = (0..200_000).map(|_| draw(&mut random)).collect();
        let count = draws.len() as f64;
        let found_mean = draws.iter().sum::<f64>() / count;
        let found_variance = draws.iter().map(|x| (x - found_mean) * (x - found_mean)).sum::<f64>() / count;
        assert!((found_mean - mean).abs() < 6.0 * (variance / count).sqrt(), "{name}: mean {found_mean}");
        assert!((found_variance / variance - 1.0).abs() < 0.05, "{name}: variance {found_variance}");
    }

    #[test]
    fn the_distributions_have_their_mean_and_variance() {
        check("unit", 0.5, 1.0 / 12.0, Random::unit);
        check("below", 4.5, 99.0 / 12.0, |r| r.below(10) as f64);
        check("normal", 3.0, 4.0, |r| r.normal(3.0, 2.0));
        check("exponential", 5.0, 25.0, |r| r.exponential(5.0));
        check("gamma", 4.0, 4.0, |r| r.gamma(4.0));
        check("gamma below 1", 0.6, 0.6, |r| r.gamma(0.6));
        check("beta", 20.0 / 23.0, 60.0 / (529.0 * 24.0), |r| r.beta(20.0, 3.0));
        for mean in [0.01, 1.5, 29.9, 30.1, 4000.0] {
            check("poisson", mean, mean, |r| r.poisson(mean));
        }
        let half = (0.5f64).exp();
        check("log normal", half, (1f64.exp() - 1.0) * half * half, |r| r.log_normal(0.0, 1.0));
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Random::new(seed, stream).next_u64();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }
}
