//! The one error type of the crate: variants by what the caller can do about them.

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the cold tier could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store under the cold tier failed; the message names the object. Worth a retry when the cause is.
    #[error("cold store: {0}")]
    Store(#[from] object_store::Error),
    /// A call that writes, on a cold tier that was opened to be read only.
    #[error("the cold tier was opened to be read only")]
    ReadOnly,
    /// A cold file could not be written or read.
    #[error("cold file {path}: {source}")]
    File {
        /// The object's path in the cold store.
        path: String,
        /// What the Parquet layer says.
        source: Box<tsdb_parquet_io::Error>,
    },
    /// A block, a label or a chunk could not be decoded.
    #[error(transparent)]
    Core(#[from] tsdb_core::Error),
    /// The newest catalog snapshot cannot be trusted. Older ones are not used in its stead: they may name
    /// files that are gone.
    #[error(
        "catalog snapshot {path} is damaged: {detail}. List the cold files anew with `tsdb catalog rebuild`"
    )]
    CatalogDamaged {
        /// The snapshot's path in the cold store.
        path: String,
        /// What was found.
        detail: String,
    },
    /// There are cold files but no catalog snapshot: the catalog has been removed.
    #[error(
        "the cold store holds data ({example}) but no catalog ({catalog}/): list the files anew with `tsdb catalog rebuild`"
    )]
    CatalogMissing {
        /// One of the data files.
        example: String,
        /// Where the catalog should be.
        catalog: &'static str,
    },
    /// A tombstone that is damaged: what it deleted would be visible again.
    #[error(
        "tombstone {path} is damaged: {source}. Restore it from a backup, or remove it to see again what it deleted"
    )]
    TombstoneDamaged {
        /// The object's path in the cold store.
        path: String,
        /// What the decoder found.
        source: tsdb_core::Error,
    },
    /// The work was asked to stop ([`Progress::cancel`](crate::Progress::cancel)). What it had committed stays.
    #[error("cancelled")]
    Cancelled,
    /// A format version that this build does not read.
    #[error(
        "{what} has format version {found}; this build reads {oldest} to {newest}: a higher one needs a newer tsdb"
    )]
    UnsupportedVersion {
        /// What has the version.
        what: String,
        /// The version found.
        found: u32,
        /// The oldest version read.
        oldest: u32,
        /// The newest version read.
        newest: u32,
    },
    /// Another writer has committed to the same cold root; this one must stop.
    #[error(
        "another writer committed catalog snapshot {number}; this writer is fenced off: reopen the store"
    )]
    Fenced {
        /// The number of the other writer's snapshot.
        number: u64,
    },
    /// A commit would break an invariant of the catalog. It was not made.
    #[error("catalog invariant `{invariant}` would be broken: {detail}")]
    Invariant {
        /// The predicate's name.
        invariant: &'static str,
        /// What breaks it.
        detail: String,
    },
    /// A cold file does not hold what was written. After a conversion: it was removed and not committed.
    #[error("cold file {path} failed its verification: {detail}")]
    Verification {
        /// The object's path in the cold store.
        path: String,
        /// What differs.
        detail: String,
    },
}

impl Error {
    /// The path of the object that was asked for and is not there, if that is the error.
    #[must_use]
    pub fn missing_object(&self) -> Option<&str> {
        let error = match self {
            Self::Store(error) => error,
            Self::File { source, .. } => match source.as_ref() {
                tsdb_parquet_io::Error::Store { source, .. } => source.as_ref(),
                _ => return None,
            },
            _ => return None,
        };
        match error {
            object_store::Error::NotFound { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Puts the path of the cold file to an error of the Parquet layer.
    pub(crate) fn file(path: &object_store::path::Path) -> impl FnOnce(tsdb_parquet_io::Error) -> Self {
        let path = path.to_string();
        move |source| Self::File { path, source: Box::new(source) }
    }
}
