//! Errors that say what was tried and on which file.
//!
//! The operating system's own error names neither ("No such file or directory"), and by the time it reaches
//! a person the path is lost. The [`std::io::ErrorKind`] survives, because callers decide on it.

use std::io;
use std::path::Path;

/// Wraps `error` so that its message reads `cannot <operation> <path>: <cause>`; the kind stays.
///
/// Every implementation of [`Vfs`](crate::Vfs) reports its errors through this.
///
/// ```
/// use std::{io, path::Path};
/// let e = tsdb_vfs::path_error("open", Path::new("wal/1.wal"), io::Error::from(io::ErrorKind::NotFound));
/// assert_eq!(e.kind(), io::ErrorKind::NotFound);
/// assert_eq!(e.to_string(), "cannot open wal/1.wal: entity not found");
/// ```
#[must_use]
pub fn path_error(operation: &str, path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {operation} {}: {error}", path.display()))
}
