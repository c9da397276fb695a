//! The commands, one module each.

pub(crate) mod demo;
pub(crate) mod flush;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod query;
pub(crate) mod status;

use std::path::PathBuf;

use tsdb_engine::blocking::Engine;

use crate::error::Result;

/// The data directory when none is named.
const DEFAULT_DATA_DIR: &str = "tsdb-data";

/// What every command is told: where the data is, and whom it prints for.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) dir: Option<PathBuf>,
    pub(crate) json: bool,
}

impl Store {
    fn dir(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR))
    }

    /// Opens the store; one that is not there is made only where `create` says so.
    fn open(&self, create: bool) -> Result<Engine> {
        Ok(Engine::open_with(tsdb_engine::Engine::builder(self.dir()).create(create))?)
    }
}
