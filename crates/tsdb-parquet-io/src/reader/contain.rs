//! Keeps a panic of the Parquet decoder from taking the process with it.
//!
//! The decoder of the `parquet` crate indexes and asserts on bytes that it takes from the file: a damaged
//! page can make it panic where it should return an error. The files that we read come from disks and from
//! other tools, so a panic while decoding is taken as what it means: the bytes are damaged. The decoder is
//! dropped afterwards and never used again. (With `panic = "abort"` nothing can be contained.)

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Result};

/// Runs one step of the decoder on bytes of the file `path`.
pub(super) fn contain<T>(path: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(result) => result,
        Err(panic) => Err(Error::damaged(path, format!("the decoder gave up: {}", message(&*panic)))),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => message,
        (None, Some(message)) => message,
        (None, None) => "no message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_damage_with_its_message() {
        let bytes: Vec<u8> = Vec::new();
        let error = contain("f.parquet", || Ok(bytes[bytes.len()])).unwrap_err();
        let Error::Damaged { path, detail } = error else { panic!("{error}") };
        assert_eq!(path, "f.parquet");
        assert!(detail.contains("index out of bounds"), "{detail}");
        assert_eq!(contain("f.parquet", || Ok(1)).unwrap(), 1);
    }
}
