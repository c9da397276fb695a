//! The commands, one module each.

pub(crate) mod catalog;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod demo;
pub(crate) mod export;
pub(crate) mod flush;
pub(crate) mod import;
pub(crate) mod inspect;
mod limits;
pub(crate) mod lookup;
pub(crate) mod query;
pub(crate) mod rewrite;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod verify;

use std::path::PathBuf;

use tsdb_core::{Matcher, TimeRange, parse_selector};
use tsdb_engine::blocking::Engine;
use tsdb_engine::{EngineBuilder, EngineOptions, Error};

use crate::args::TimeArgs;
use crate::error::{Failure, Result};
use tsdb_text::time;

use crate::clock;

/// The data directory when none is named.
const DEFAULT_DATA_DIR: &str = "tsdb-data";

/// How often a command that reads opens a store of which it finds the files gone.
const READ_TRIES: u32 = 10;

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
        Ok(Engine::open_with(self.builder().create(create))?)
    }

    /// Opens the store to be read only, beside whoever writes to it, and does `work`. The store is opened again when a writer
    /// has meanwhile removed what `work` was about to read; so `work` prints nothing before it has read a first answer.
    fn read<T>(&self, work: impl Fn(&Engine) -> Result<T>) -> Result<T> {
        let mut tried = 0;
        loop {
            tried += 1;
            let engine = Engine::open_read_only_with(self.builder())?;
            match work(&engine) {
                Err(Failure::Engine(Error::Outdated { .. })) if tried < READ_TRIES => {}
                done => return done,
            }
        }
    }

    fn builder(&self) -> EngineBuilder {
        let mut options = EngineOptions::default();
        // A command does what it says and no more.
        options.background.interval = None;
        tsdb_engine::Engine::builder(self.dir()).options(options)
    }
}

/// The matchers of a selector argument.
fn matchers(selector: &str) -> Result<Vec<Matcher>> {
    parse_selector(selector).map_err(|error| {
        let found = selector[error.offset()..].chars().next();
        let hint = if matches!(found, Some('(' | '[')) {
            "\nThis looks like PromQL. A selector only names series, and --start and --end say when. Prometheus evaluates PromQL \
             over this store when it reads from `tsdb serve`"
        } else if error.reason().contains("a quoted value") {
            "\nValues are quoted, and the shell must not take the quotes: put the selector in single quotes, 'up{job=\"api\"}'"
        } else {
            ""
        };
        Failure::Usage(format!("{error}{hint}"))
    })
}

/// The time range of `--start` and `--end`.
fn range(times: &TimeArgs) -> Result<TimeRange> {
    let now_ms = clock::now_ms();
    let bound = |text: &Option<String>, open: i64| match text {
        Some(text) => time::parse(text, now_ms).map_err(Failure::Usage),
        None => Ok(open),
    };
    let range = TimeRange::new(bound(&times.start, i64::MIN)?, bound(&times.end, i64::MAX)?);
    if range.is_empty() {
        let (start, end) = (time::format(range.start_ms), time::format(range.end_ms));
        return Err(Failure::Usage(format!("--start ({start}) lies after --end ({end})")));
    }
    Ok(range)
}
