//! The integration tests of the workspace are in `it/`, the Python interoperability tests in `interop/`. This
//! library is empty: a package needs a target of its own to hold tests.
