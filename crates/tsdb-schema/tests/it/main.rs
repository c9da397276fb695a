//! Tests of `tsdb-schema` through its public face.

/// Tables of other tools: types, missing and repeated columns, cells that no sample can hold.
mod foreign;
/// Native histograms with other tools' number and list types.
mod foreign_histograms;
/// Labels in every shape that tools write, labels named twice, the role of each column.
mod foreign_labels;
/// Any batch comes back bit for bit under each layout.
mod round_trip;
/// The roadmap's mapping tests: which column holds what.
mod schema_mapper_test;
