//! Integration tests of tsdb-vfs.

mod real; // The real file system: the conformance suite, and what only a real one shows.
