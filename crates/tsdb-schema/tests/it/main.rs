//! Tests of `tsdb-schema` through its public face.

/// Tables of other tools: types, missing and repeated columns, cells that no sample can hold.
mod foreign;
/// Any batch comes back bit for bit under each layout.
mod round_trip;
/// The roadmap's mapping tests: which column holds what.
mod schema_mapper_test;
