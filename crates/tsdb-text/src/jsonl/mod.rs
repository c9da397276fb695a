//! One series a line as JSON: what `query --format jsonl` prints and `import` reads back.
//!
//! ```json
//! {"labels":{"__name__":"up","job":"a"},"samples":[[1700000000000,"1"]],"histograms":[[1700000000000,{...}]]}
//! ```
//!
//! Timestamps are milliseconds since the Unix epoch. Floats are **strings**, because JSON numbers know neither NaN
//! nor the infinities, and because readers of JSON numbers differ in the last bit. A string is the shortest that
//! parses to the same bits: `"1.5"`, `"1e300"`, `"-0"`, `"+Inf"`, `"-Inf"`, `"NaN"`. `NaN` means the quiet NaN
//! that parsers make of that word, 0x7ff8000000000000; any other NaN is written with its bits, so that the
//! staleness marker is `"NaN(0x7ff0000000000002)"`. Everything written is read back bit for bit.
//!
//! A native histogram is an object with the fields of the Parquet schema's struct: `is_float`, `reset_hint` (0
//! unknown, 1 reset, 2 no reset, 3 gauge), `schema`, `zero_threshold`, `zero_count`, `count`, `sum`,
//! `positive_spans` and `negative_spans` (`[offset,length]` pairs), `positive_counts` and `negative_counts`
//! (absolute, one a bucket), and `custom_values` where the schema has custom bounds. Counts are JSON integers, or
//! strings where `is_float`. On reading, `is_float`, `schema`, `count` and `sum` must be there.
//!
//! In the input, `samples` and `histograms` may be missing and in any order; of several samples with one
//! timestamp the last wins, as it would in the store. Unknown fields are errors.

mod histogram;
mod read;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use self::read::parse_line;
pub use self::value::ValueText;
pub use self::write::{histogram_text, write_series};
