//! What a cold file says about itself in its key-value metadata.

use parquet::file::metadata::{FileMetaData, KeyValue};
use tsdb_core::TimeRange;

use crate::series_index::{LabelBloomPlace, SERIES_INDEX_KEY};
use crate::tail::TAIL_KEY;
use crate::{Error, Result};

/// The version of the cold file format that this build writes.
pub const FORMAT_VERSION: u32 = 1;
/// The oldest version that it reads.
pub const OLDEST_READABLE_FORMAT_VERSION: u32 = 1;

/// What `created_by` begins with in our files. Other tools copy key-value metadata, but write their own name.
pub(crate) const CREATOR: &str = "tsdb-parquet-io version ";

const VERSION_KEY: &str = "tsdb.format_version";
const SAMPLES_KEY: &str = "tsdb.samples";
const SERIES_KEY: &str = "tsdb.series";
const MIN_TIME_KEY: &str = "tsdb.min_time_ms";
const MAX_TIME_KEY: &str = "tsdb.max_time_ms";

/// The keys that are not the caller's.
const OWN_KEYS: [&str; 8] = [
    VERSION_KEY,
    SAMPLES_KEY,
    SERIES_KEY,
    MIN_TIME_KEY,
    MAX_TIME_KEY,
    TAIL_KEY,
    SERIES_INDEX_KEY,
    parquet::arrow::ARROW_SCHEMA_META_KEY,
];

/// Who wrote a file, and so what can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This crate: rows are sorted by label set, then time, and the footer has been checked.
    Tsdb,
    /// Another tool, perhaps by rewriting a file of ours: rows come in any order.
    Foreign,
}

/// What is known of a file without reading its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// Who wrote the file.
    pub origin: Origin,
    /// Rows, each a sample.
    pub rows: u64,
    /// Series. 0 for a foreign file: not known without reading it.
    pub series: u64,
    /// First and last timestamp. Empty without rows; [`TimeRange::ALL`] for a foreign file without
    /// statistics.
    pub time_range: TimeRange,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Where the label bloom lies; `None` for a file without a series index.
    pub label_bloom: Option<LabelBloomPlace>,
    /// The caller's own pairs, in their order.
    pub key_values: Vec<(String, String)>,
}

impl FileMeta {
    /// The pairs that the file will hold, the caller's last.
    pub(crate) fn to_key_values(&self) -> Vec<KeyValue> {
        let mut own = vec![
            (VERSION_KEY, FORMAT_VERSION.to_string()),
            (SAMPLES_KEY, self.rows.to_string()),
            (SERIES_KEY, self.series.to_string()),
        ];
        if !self.time_range.is_empty() {
            own.push((MIN_TIME_KEY, self.time_range.start_ms.to_string()));
            own.push((MAX_TIME_KEY, self.time_range.end_ms.to_string()));
        }
        let own = own.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value));
        own.chain(self.key_values.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())))
            .collect()
    }

    /// Reads the pairs of a file that this crate wrote. The series index, and in it the label bloom, is left to others.
    pub(crate) fn from_own(path: &str, file: &FileMetaData, bytes: u64) -> Result<Self> {
        let pairs = Pairs { path, file };
        let rows: u64 = pairs.number(SAMPLES_KEY)?;
        if i128::from(rows) != i128::from(file.num_rows()) {
            let detail = format!("its metadata counts {rows} samples, its footer {} rows", file.num_rows());
            return Err(Error::damaged(path, detail));
        }
        let time_range = if rows == 0 {
            TimeRange::EMPTY
        } else {
            TimeRange::new(pairs.number(MIN_TIME_KEY)?, pairs.number(MAX_TIME_KEY)?)
        };
        let series = pairs.number(SERIES_KEY)?;
        let (label_bloom, key_values) = (None, caller_pairs(file));
        Ok(Self { origin: Origin::Tsdb, rows, series, time_range, bytes, label_bloom, key_values })
    }

    /// What a foreign file's footer says.
    pub(crate) fn from_foreign(file: &FileMetaData, time_range: TimeRange, bytes: u64) -> Self {
        let rows = u64::try_from(file.num_rows()).unwrap_or_default();
        let (series, label_bloom, key_values) = (0, None, caller_pairs(file));
        Self { origin: Origin::Foreign, rows, series, time_range, bytes, label_bloom, key_values }
    }
}

/// Refuses a file of ours of a version that is not read. The first thing to look at once the footer is known to be whole: what
/// else there is may have another form in another version.
pub(crate) fn check_version(path: &str, file: &FileMetaData) -> Result<()> {
    let found: u32 = Pairs { path, file }.number(VERSION_KEY)?;
    let (oldest, newest) = (OLDEST_READABLE_FORMAT_VERSION, FORMAT_VERSION);
    if (oldest..=newest).contains(&found) {
        return Ok(());
    }
    Err(Error::UnsupportedVersion {
        path: path.to_owned(),
        format: "cold file format",
        found,
        oldest,
        newest,
    })
}

/// Refuses pairs of the caller that would take the place of ours.
pub(crate) fn check_caller_keys(key_values: &[(String, String)]) -> Result<()> {
    match key_values.iter().find(|(key, _)| OWN_KEYS.contains(&key.as_str())) {
        Some((key, _)) => Err(Error::InvalidConfig(format!("the metadata key {key} is the writer's own"))),
        None => Ok(()),
    }
}

/// The pairs that the writer did not add.
fn caller_pairs(file: &FileMetaData) -> Vec<(String, String)> {
    let pairs = file.key_value_metadata().into_iter().flatten();
    pairs
        .filter(|pair| !OWN_KEYS.contains(&pair.key.as_str()))
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect()
}

/// The value of the pair `key`.
pub(crate) fn value_of<'a>(file: &'a FileMetaData, key: &str) -> Option<&'a str> {
    file.key_value_metadata()?.iter().find(|pair| pair.key == key)?.value.as_deref()
}

/// The pairs of a file of ours, where each must be there.
struct Pairs<'a> {
    path: &'a str,
    file: &'a FileMetaData,
}

impl Pairs<'_> {
    fn get(&self, key: &str) -> Result<&str> {
        let missing = || Error::damaged(self.path, format!("the metadata key {key} is missing"));
        value_of(self.file, key).ok_or_else(missing)
    }

    fn number<N: std::str::FromStr>(&self, key: &str) -> Result<N> {
        let value = self.get(key)?;
        value
            .parse()
            .map_err(|_| Error::damaged(self.path, format!("the metadata {key} is {value:?}, not a number")))
    }
}
