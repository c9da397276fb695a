//! One catalog snapshot and its bytes (`docs/format/catalog.md`).
//!
//! The object is `{"checksum":"<xxh3-64 of the snapshot's text, 16 hex digits>","snapshot":{...}}`: JSON, so
//! that people and scripts can read it, with the checksum over the exact text of the second member.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tsdb_core::{BlockId, TimeRange};
use tsdb_parquet_io::LabelBloomPlace;
use ulid::Ulid;
use xxhash_rust::xxh3::xxh3_64;

use super::DATA_DIR;
use crate::{Error, Partition, Result};

/// The version that is written.
const CURRENT_VERSION: u32 = 1;
/// The oldest version that is read.
const OLDEST_READABLE_VERSION: u32 = 1;

/// A cold file's path under the cold root, such as `data/day=2026-01-31/01J....parquet`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(pub(crate) String);

impl FileId {
    /// A new name for a file of `partition`, made at `now_ms`.
    pub(crate) fn new(partition: Partition, now_ms: i64) -> Self {
        let ulid = Ulid::from_parts(now_ms.max(0) as u64, Ulid::new().random()).to_string().to_lowercase();
        Self(format!("{DATA_DIR}/day={partition}/{ulid}.parquet"))
    }

    /// The id of an object of the data directory whose name this crate has given. Others are not ours.
    pub(crate) fn of_object(location: &object_store::path::Path) -> Option<Self> {
        let id = Self(location.to_string());
        (id.ulid().is_some() && id.partition().is_some()).then_some(id)
    }

    /// When the file was made, milliseconds since the Unix epoch.
    #[must_use]
    pub fn created_ms(&self) -> i64 {
        self.ulid().map_or(0, |ulid| ulid.timestamp_ms() as i64)
    }

    /// The partition that the path names.
    pub(crate) fn partition(&self) -> Option<Partition> {
        let (day, _) = self.0.strip_prefix(DATA_DIR)?.strip_prefix("/day=")?.split_once('/')?;
        day.parse().ok()
    }

    fn ulid(&self) -> Option<Ulid> {
        let (_, name) = self.0.rsplit_once('/')?;
        name.strip_suffix(".parquet")?.parse().ok()
    }

    /// The path as an object store takes it.
    #[must_use]
    pub fn path(&self) -> object_store::path::Path {
        object_store::path::Path::from(self.0.as_str())
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One live cold file, as the catalog knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColdFile {
    /// Its path under the cold root.
    pub path: FileId,
    /// Its size in bytes.
    pub bytes: u64,
    /// The partition (UTC day) that all of its samples lie in.
    pub partition: Partition,
    /// Timestamp of its first sample, milliseconds since the Unix epoch.
    pub min_time_ms: i64,
    /// Timestamp of its last sample, milliseconds since the Unix epoch.
    pub max_time_ms: i64,
    /// Lowest sequence of the generations it was made of.
    pub min_sequence: u64,
    /// Highest sequence of the generations it was made of: between sources the higher one wins.
    pub max_sequence: u64,
    /// 0 for a converted file; compaction writes one more than its highest input.
    pub level: u32,
    /// The tombstones with lower numbers have been applied to it.
    pub tombstones_below: u64,
    /// Series in the file.
    pub series: u64,
    /// Samples in the file.
    pub samples: u64,
    /// xxh3-64 of all its bytes, 16 hex digits.
    pub checksum: String,
    /// Where its label bloom lies, which is read without anything else of it; `None` for a file without one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "label_bloom")]
    pub label_bloom: Option<LabelBloomPlace>,
}

impl ColdFile {
    /// The closed range of the file's timestamps.
    #[must_use]
    pub const fn time_range(&self) -> TimeRange {
        TimeRange::new(self.min_time_ms, self.max_time_ms)
    }
}

/// The state of the cold tier after one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogSnapshot {
    /// Version of the snapshot's format.
    pub format_version: u32,
    /// Its number; the first one is 1.
    pub number: u64,
    /// The number of the snapshot it followed; 0 for the first.
    pub predecessor: u64,
    /// A nonce of the writer that committed it.
    pub writer: String,
    /// The store's promoted labels, most frequent first: those that are columns in new files. Only grows.
    pub promoted_labels: Vec<String>,
    /// Above every sequence that ever was in the cold tier, gone files included.
    pub next_sequence: u64,
    /// The live files, by path. Whoever holds one of them keeps its bytes from being removed.
    #[serde(with = "shared")]
    pub files: Vec<Arc<ColdFile>>,
    /// Blocks that are in live (or gone) files and whose removal from the hot tier is not known to be durable.
    #[serde(with = "block_ids")]
    pub handed_over: BTreeSet<BlockId>,
}

impl CatalogSnapshot {
    /// Holds the files that `before` has, too, as the same ones: by who holds a file it is known whether a query reads it.
    pub(super) fn share_files(&mut self, before: &Self) {
        let known: HashMap<&FileId, &Arc<ColdFile>> =
            before.files.iter().map(|file| (&file.path, file)).collect();
        for file in &mut self.files {
            if let Some(known) = known.get(&file.path).filter(|known| **known == file) {
                *file = Arc::clone(known);
            }
        }
    }

    /// Numbers this edit of `previous` as its successor.
    pub(super) fn succeed(&mut self, previous: &Self, writer: &str) {
        self.format_version = CURRENT_VERSION;
        self.number = previous.number + 1;
        self.predecessor = previous.number;
        self.writer = writer.to_owned();
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        let above_files = self.files.iter().map(|f| f.max_sequence + 1).max().unwrap_or(0);
        self.next_sequence = self.next_sequence.max(above_files);
    }

    pub(super) fn encode(&self) -> Result<Bytes> {
        let damaged = |e: serde_json::Error| Error::Invariant {
            invariant: "snapshots_are_json",
            detail: e.to_string(),
        };
        let snapshot = serde_json::to_string(self).map_err(damaged)?;
        let checksum = checksum_text(snapshot.as_bytes());
        Ok(format!("{{\"checksum\":\"{checksum}\",\"snapshot\":{snapshot}}}\n").into())
    }

    pub(super) fn decode(path: &str, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Envelope<'a> {
            checksum: String,
            #[serde(borrow)]
            snapshot: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let damaged = |detail: String| Error::CatalogDamaged { path: path.to_owned(), detail };

        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(|e| damaged(e.to_string()))?;
        let text = envelope.snapshot.get();
        let found = checksum_text(text.as_bytes());
        if found != envelope.checksum {
            return Err(damaged(format!("its checksum is {found}, it says {}", envelope.checksum)));
        }
        let version: Version = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        let (found, oldest, newest) = (version.format_version, OLDEST_READABLE_VERSION, CURRENT_VERSION);
        if !(oldest..=newest).contains(&found) {
            let what = format!("catalog snapshot {path}");
            return Err(Error::UnsupportedVersion { what, found, oldest, newest });
        }
        serde_json::from_str(text).map_err(|e| damaged(e.to_string()))
    }
}

/// A checksum as files and catalog write it: xxh3-64, 16 hex digits.
pub(crate) fn checksum_text(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

/// Files as if they were not shared.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::ColdFile;

    pub(super) fn serialize<S: Serializer>(
        files: &[Arc<ColdFile>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(files.iter().map(Arc::as_ref))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Arc<ColdFile>>, D::Error> {
        Ok(Vec::<ColdFile>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
    }
}

/// The place of a label bloom, its checksum as text: a number of 64 bits is more than many readers of JSON keep.
mod label_bloom {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
    use tsdb_parquet_io::LabelBloomPlace;

    #[derive(Serialize, Deserialize)]
    struct Written {
        offset: u64,
        bytes: u32,
        checksum: String,
    }

    pub(super) fn serialize<S: Serializer>(
        place: &Option<LabelBloomPlace>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let written = |place: &LabelBloomPlace| {
            let LabelBloomPlace { offset, bytes, checksum } = *place;
            Written { offset, bytes, checksum: format!("{checksum:016x}") }
        };
        place.as_ref().map(written).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<LabelBloomPlace>, D::Error> {
        let Some(Written { offset, bytes, checksum }) = Option::deserialize(deserializer)? else {
            return Ok(None);
        };
        let wrong = |e| de::Error::custom(format!("the checksum {checksum:?} of a label bloom: {e}"));
        let checksum = u64::from_str_radix(&checksum, 16).map_err(wrong)?;
        Ok(Some(LabelBloomPlace { offset, bytes, checksum }))
    }
}

/// Block ids as their display text.
mod block_ids {
    use std::collections::BTreeSet;

    use serde::{Deserialize, Deserializer, Serializer, de};
    use tsdb_core::BlockId;

    pub(super) fn serialize<S: Serializer>(
        ids: &BTreeSet<BlockId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeSet<BlockId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|e| de::Error::custom(format!("{text:?}: {e}"))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> CatalogSnapshot {
        let mut next = CatalogSnapshot {
            promoted_labels: vec!["__name__".into(), "jöb".into()],
            files: vec![Arc::new(ColdFile {
                path: FileId("data/day=2026-01-01/a.parquet".into()),
                bytes: 10,
                partition: Partition::of(1_767_225_600_000),
                min_time_ms: 1_767_225_600_000,
                max_time_ms: 1_767_225_600_001,
                min_sequence: 1,
                max_sequence: 2,
                level: 0,
                tombstones_below: 0,
                series: 1,
                samples: 2,
                checksum: "00".repeat(8),
                label_bloom: Some(LabelBloomPlace { offset: 4, bytes: 5, checksum: u64::MAX - 6 }),
            })],
            handed_over: [BlockId { sequence: 2, window_start_ms: -7_200_000, window_end_ms: 0 }].into(),
            ..CatalogSnapshot::default()
        };
        next.succeed(&CatalogSnapshot::default(), "writer");
        next
    }

    #[test]
    fn a_snapshot_reads_back_as_written() {
        let written = snapshot();
        assert_eq!(CatalogSnapshot::decode("p", &written.encode().unwrap()).unwrap(), written);
        assert_eq!((written.number, written.predecessor, written.next_sequence), (1, 0, 3));
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_an_error_or_the_same_snapshot() {
        let written = snapshot();
        let bytes = written.encode().unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= 1 << bit;
                match CatalogSnapshot::decode("p", &damaged) {
                    Ok(read) => assert_eq!(read, written, "bit {bit} of byte {at}"),
                    Err(Error::CatalogDamaged { .. }) => {}
                    Err(other) => panic!("bit {bit} of byte {at}: {other}"),
                }
            }
            // The last byte is a line feed, which JSON does not need.
            if at < bytes.len() - 1 {
                assert!(CatalogSnapshot::decode("p", &bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_version_that_is_not_read_is_named() {
        for version in [0, CURRENT_VERSION + 1] {
            let text = format!(r#"{{"format_version":{version},"what":"ever"}}"#);
            let bytes = format!(r#"{{"checksum":"{}","snapshot":{text}}}"#, checksum_text(text.as_bytes()));
            let error = CatalogSnapshot::decode("p", bytes.as_bytes()).unwrap_err();
            assert!(matches!(error, Error::UnsupportedVersion { found, .. } if found == version), "{error}");
        }
    }

    /// What later versions may add without a new number: it is passed over, here and in each file.
    #[test]
    fn members_that_are_not_known_are_passed_over() {
        let written = snapshot();
        let text = serde_json::to_string(&written).unwrap();
        let text = text
            .replacen('{', r#"{"a":[1,{"b":null}],"#, 1)
            .replace(r#""level":"#, r#""tint":"red","level":"#);
        let bytes = format!(r#"{{"checksum":"{}","snapshot":{text}}}"#, checksum_text(text.as_bytes()));
        assert!(bytes.contains("tint"));
        assert_eq!(CatalogSnapshot::decode("p", bytes.as_bytes()).unwrap(), written);
    }

    #[test]
    fn a_file_without_a_label_bloom_says_nothing_of_it() {
        let mut written = snapshot();
        let with = written.encode().unwrap();
        assert!(
            String::from_utf8_lossy(&with)
                .contains(r#""label_bloom":{"offset":4,"bytes":5,"checksum":"fffffffffffffff9"}"#)
        );
        written.files = written
            .files
            .iter()
            .map(|file| Arc::new(ColdFile { label_bloom: None, ..ColdFile::clone(file) }))
            .collect();
        let without = written.encode().unwrap();
        assert!(!String::from_utf8_lossy(&without).contains("label_bloom"));
        assert_eq!(CatalogSnapshot::decode("p", &without).unwrap(), written);
    }
}
