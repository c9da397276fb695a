//! The integration tests of the workspace are in `it/`, the Python tests in `interop/` and `e2e_parquet_suite.py`. This
//! library has nothing but the documents whose Rust is compiled and run as documentation is: `cargo xtask doctest`.

#[doc = include_str!("../docs/guide/embed.md")]
pub mod embed {}

#[doc = include_str!("../docs/guide/one-crate.md")]
pub mod one_crate {}

#[doc = include_str!("../README.md")]
pub mod readme {}
