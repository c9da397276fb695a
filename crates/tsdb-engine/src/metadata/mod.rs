//! What is known of metrics besides their samples: type, help, unit. One entry a metric; the last one that came counts.
//!
//! Senders repeat it with every body, and it hardly ever changes, so it is compared in memory and written only when it does: all
//! of it, to a new file that takes the place of the old one (`docs/format/metadata.md`). So there is no log to replay and
//! nothing to compact, a reader sees one state or the next, and a crash leaves one of them. Callers at the same time share one
//! write.
//!
//! It is bounded ([`METADATA_BYTES_MAX`]): what goes beyond is left out, and that is said. Nothing leaves it by itself.

mod format;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tsdb_vfs::Vfs;

use crate::Engine;
use crate::error::{Error, Result};

/// Name of the file in the data directory.
const FILE: &str = "metrics.metadata";
/// Name of the file while it is written.
const TEMPORARY_FILE: &str = "metrics.metadata.tmp";
/// The longest that metric, help and unit of one entry may be together, in bytes.
const ENTRY_TEXT_BYTES_MAX: usize = 64 << 10;
/// The longest that the file may become, in bytes: 8 MiB.
pub const METADATA_BYTES_MAX: usize = 8 << 20;

/// What kind of metric it is, as OpenMetrics names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum MetricKind {
    /// Not known.
    #[default]
    Unknown = 0,
    /// Only grows, or begins anew at zero.
    Counter = 1,
    /// Goes up and down.
    Gauge = 2,
    /// Observations in buckets.
    Histogram = 3,
    /// Observations in buckets that may shrink.
    GaugeHistogram = 4,
    /// Quantiles.
    Summary = 5,
    /// Labels that say something, and a 1.
    Info = 6,
    /// States, of which some are on.
    StateSet = 7,
}

impl MetricKind {
    /// The name in Prometheus' API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

impl TryFrom<u8> for MetricKind {
    /// The number that is no kind.
    type Error = u8;

    fn try_from(number: u8) -> Result<Self, u8> {
        const ALL: [MetricKind; 8] = [
            MetricKind::Unknown,
            MetricKind::Counter,
            MetricKind::Gauge,
            MetricKind::Histogram,
            MetricKind::GaugeHistogram,
            MetricKind::Summary,
            MetricKind::Info,
            MetricKind::StateSet,
        ];
        ALL.get(usize::from(number)).copied().ok_or(number)
    }
}

/// What is known of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricMetadata {
    /// What kind of metric it is.
    pub kind: MetricKind,
    /// What it means, for people.
    pub help: String,
    /// What it is measured in; often empty.
    pub unit: String,
}

/// The metadata of a store, by metric, as it was at one moment.
pub type MetadataSnapshot = Arc<HashMap<String, MetricMetadata>>;

/// What became of metadata that was given to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetadataStored {
    /// Entries that are new, or other than before.
    pub changed: u64,
    /// Entries that were left out, because they are too long or there are too many.
    pub left_out: u64,
}

impl Engine {
    /// What is known of metrics, as it is now.
    #[must_use]
    pub fn metadata(&self) -> MetadataSnapshot {
        self.metadata_store().snapshot()
    }

    /// Stores what is known of metrics, each entry in place of an earlier one of its metric. Durable when this returns. Blocks
    /// while it writes; what is known already costs no write.
    ///
    /// # Errors
    /// [`Error::Metadata`] when it cannot be written: it is seen until the engine closes, and written with the next change.
    /// [`Error::ReadOnly`].
    pub fn set_metadata(
        &self,
        entries: impl IntoIterator<Item = (String, MetricMetadata)>,
    ) -> Result<MetadataStored> {
        self.check_writable()?;
        self.metadata_store().set(entries)
    }
}

/// The metadata of an open store.
#[derive(Debug)]
pub(crate) struct MetadataStore {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    current: Mutex<Current>,
    /// The version that is on disk. Held by whoever writes.
    durable: Mutex<u64>,
}

#[derive(Debug)]
struct Current {
    metrics: MetadataSnapshot,
    /// Counts changes.
    version: u64,
    /// What the entries take in the file.
    bytes: usize,
}

impl MetadataStore {
    /// What is in `dir`, nothing if there is no file. `owned` says that the store is open for writing.
    pub(crate) fn open(vfs: Arc<dyn Vfs>, dir: &Path, owned: bool) -> Result<Self> {
        let metrics = read(vfs.as_ref(), dir)?;
        if owned && metrics.is_some() {
            // What is found is taken for durable from now on, so its name has to be.
            vfs.sync_dir(dir).map_err(|error| failed(dir, error.to_string()))?;
        }
        let metrics = metrics.unwrap_or_default();
        let bytes = metrics.iter().map(|(metric, about)| format::entry_bytes(metric, about)).sum();
        let current = Current { metrics: Arc::new(metrics), version: 0, bytes };
        Ok(Self { vfs, dir: dir.to_owned(), current: Mutex::new(current), durable: Mutex::new(0) })
    }

    /// Reads the file again.
    pub(crate) fn verify(&self) -> Result<()> {
        read(self.vfs.as_ref(), &self.dir).map(drop)
    }

    fn snapshot(&self) -> MetadataSnapshot {
        Arc::clone(&self.current.lock().metrics)
    }

    fn set(&self, entries: impl IntoIterator<Item = (String, MetricMetadata)>) -> Result<MetadataStored> {
        let mut stored = MetadataStored::default();
        let version = {
            let mut current = self.current.lock();
            for (metric, about) in entries {
                current.set(metric, about, &mut stored);
            }
            current.version += u64::from(stored.changed > 0);
            current.version
        };
        self.make_durable(version)?;
        Ok(stored)
    }

    /// Returns when a version, or a later one, is on disk.
    fn make_durable(&self, version: u64) -> Result<()> {
        let mut durable = self.durable.lock();
        if *durable >= version {
            return Ok(());
        }
        let (metrics, version) = {
            let current = self.current.lock();
            (Arc::clone(&current.metrics), current.version)
        };
        self.write(&format::encode(&metrics)).map_err(|error| failed(&self.dir, error.to_string()))?;
        *durable = version;
        Ok(())
    }

    fn write(&self, file: &[u8]) -> io::Result<()> {
        let (path, temporary) = (self.dir.join(FILE), self.dir.join(TEMPORARY_FILE));
        match self.vfs.remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let new = self.vfs.create(&temporary)?;
        new.append(file)?;
        new.sync()?;
        self.vfs.rename(&temporary, &path)?;
        self.vfs.sync_dir(&self.dir)
    }
}

impl Current {
    fn set(&mut self, metric: String, about: MetricMetadata, stored: &mut MetadataStored) {
        let known = self.metrics.get(&metric);
        if known == Some(&about) {
            return;
        }
        let before = known.map_or(0, |known| format::entry_bytes(&metric, known));
        let after = self.bytes - before + format::entry_bytes(&metric, &about);
        let text_bytes = metric.len() + about.help.len() + about.unit.len();
        if metric.is_empty() || text_bytes > ENTRY_TEXT_BYTES_MAX || after > METADATA_BYTES_MAX {
            stored.left_out += 1;
            return;
        }
        self.bytes = after;
        Arc::make_mut(&mut self.metrics).insert(metric, about);
        stored.changed += 1;
    }
}

/// Reads the file of `dir`; `None` if there is none.
pub(crate) fn read(vfs: &dyn Vfs, dir: &Path) -> Result<Option<HashMap<String, MetricMetadata>>> {
    match vfs.read(&dir.join(FILE)) {
        Ok(file) => format::decode(&file).map(Some).map_err(|detail| failed(dir, detail)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(dir, error.to_string())),
    }
}

fn failed(dir: &Path, detail: String) -> Error {
    Error::Metadata { path: dir.join(FILE), detail }
}
