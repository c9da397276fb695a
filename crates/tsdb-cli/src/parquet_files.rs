//! Parquet files named on the command line, which belong to no store of ours.
//!
//! They are read where they lie, by the same reader as the cold tier's own files. Only what a command needs is
//! read: the end of a file to inspect it, the matching pages to query it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;
use tsdb_cold::{SeriesSource, VfsStore, merge_series};
use tsdb_core::{Matcher, Series, TimeRange};
use tsdb_parquet_io::futures::{StreamExt, TryStreamExt};
use tsdb_parquet_io::object_store::path::Path;
use tsdb_parquet_io::{Inspection, ParquetReader};
use tsdb_vfs::{RealFs, Vfs};

use crate::error::{Failure, Result};

/// Reads such files, one command long.
pub(crate) struct ParquetFiles {
    runtime: Runtime,
}

impl ParquetFiles {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { runtime: tokio::runtime::Builder::new_current_thread().build()? })
    }

    /// What is in `file`.
    pub(crate) fn inspect(&self, file: &FsPath) -> Result<Inspection> {
        let Place { store, path, bytes } = Place::of(file)?;
        self.runtime.block_on(ParquetReader::inspect(store, path, Some(bytes))).map_err(in_file(file))
    }

    /// The series of all `files` that match, merged; of two samples with one time the later file's is right.
    pub(crate) fn select(
        &self,
        files: &[PathBuf],
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<impl Iterator<Item = Result<Series>>> {
        let matchers: Arc<[Matcher]> = matchers.into();
        let mut sources = Vec::new();
        for (sequence, file) in (0..).zip(files) {
            let Place { store, path, bytes } = Place::of(file)?;
            let opened = self.runtime.block_on(ParquetReader::open(store, path, Some(bytes)));
            let series = opened.map_err(in_file(file))?.select(Arc::clone(&matchers), range);
            sources.push(SeriesSource { sequence, series: series.map_err(in_file(file)).boxed() });
        }
        let mut merged = merge_series(sources).boxed();
        Ok(std::iter::from_fn(move || self.runtime.block_on(merged.next())))
    }
}

/// Where a file lies, as the reader wants to be told.
struct Place {
    store: Arc<VfsStore>,
    path: Path,
    bytes: u64,
}

impl Place {
    fn of(file: &FsPath) -> Result<Self> {
        let unreadable = |source| Failure::Input { path: file.to_owned(), source };
        let info = RealFs.metadata(file).map_err(Failure::File)?;
        if info.is_dir {
            return Err(unreadable(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a directory; name a file in it",
            )));
        }
        let name = file.file_name().and_then(OsStr::to_str).and_then(|name| Path::parse(name).ok());
        let path =
            name.ok_or_else(|| unreadable(io::Error::other("its name is not plain text; rename it")))?;
        let directory = file.parent().unwrap_or(FsPath::new(""));
        let directory = if directory.as_os_str().is_empty() { FsPath::new(".") } else { directory };
        Ok(Self { store: Arc::new(VfsStore::new(Arc::new(RealFs), directory)), path, bytes: info.len })
    }
}

fn in_file(file: &FsPath) -> impl Fn(tsdb_parquet_io::Error) -> Failure + 'static {
    let path = file.to_owned();
    move |source| Failure::Parquet { path: path.clone(), source }
}
