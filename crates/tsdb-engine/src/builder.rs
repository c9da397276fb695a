//! How an engine is put together: settings, and the components that tests and other homes replace.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use tsdb_vfs::{RealFs, Vfs};

use crate::{Clock, Engine, EngineOptions, Result, SystemClock};

/// Builds an [`Engine`]; made by [`Engine::builder`].
#[derive(Debug)]
pub struct EngineBuilder {
    pub(crate) dir: PathBuf,
    pub(crate) options: EngineOptions,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) cold_store: Option<Arc<dyn ObjectStore>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) create: bool,
}

impl EngineBuilder {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let options = EngineOptions::default();
        Self {
            dir,
            options,
            vfs: Arc::new(RealFs),
            cold_store: None,
            clock: Arc::new(SystemClock),
            create: true,
        }
    }

    /// Replaces all settings.
    #[must_use]
    pub fn options(mut self, options: EngineOptions) -> Self {
        self.options = options;
        self
    }

    /// Replaces the file system: the real one by default.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
    }

    /// Replaces the cold store: the directory `cold/` of the data directory by default.
    #[must_use]
    pub fn cold_store(mut self, store: Arc<dyn ObjectStore>) -> Self {
        self.cold_store = Some(store);
        self
    }

    /// Replaces the clock: the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Whether a new store is made where there is none: so by default. Otherwise [`Error::NoStore`](crate::Error::NoStore).
    #[must_use]
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens the engine.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open(self) -> Result<Engine> {
        Engine::open_built(self).await
    }
}
