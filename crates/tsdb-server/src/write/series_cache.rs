//! Series that were written before, by the bytes of their labels as they came.
//!
//! A sender writes the labels of a series anew with each sample. Found here, they are neither taken apart nor looked up in the
//! head: the bytes are hashed, and compared in full with those that were seen. A reference that is not good any more (idle
//! series have left the head) is replaced at the next use.
//!
//! Bounded by bytes, with an eviction that a scan of more series than fit does not empty. Once it is full, it takes in only some of
//! what comes: where series are more than fit, most would be thrown out before they come again, and the work be for nothing.

use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use tsdb_engine::SeriesRef;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of labels that are kept, with what each entry costs besides.
const BYTES_MAX: u64 = 16 << 20;
/// What an entry costs besides its bytes: the table's slot, and the allocation.
const ENTRY_BYTES: u64 = 80;
/// Of a full cache's new entries one in so many is taken in.
const TAKEN_WHEN_FULL: u64 = 8;
/// About as many entries as fit.
const ENTRIES_EXPECTED: usize = 1 << 15;

/// How the bytes are to be read: equal bytes of two dialects may mean different labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Fields of remote write 1.0.
    Wire,
    /// The canonical encoding of a label set.
    Canonical,
    /// Text of the exposition format.
    Text,
}

/// Bytes of labels with their hash.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeriesKey<'a> {
    hash: u64,
    dialect: Dialect,
    bytes: &'a [u8],
}

impl<'a> SeriesKey<'a> {
    pub(super) fn new(dialect: Dialect, bytes: &'a [u8]) -> Self {
        Self { hash: xxh3_64_with_seed(bytes, dialect as u64), dialect, bytes }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnedKey {
    hash: u64,
    dialect: Dialect,
    bytes: Box<[u8]>,
}

impl Hash for SeriesKey<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<OwnedKey> for SeriesKey<'_> {
    fn equivalent(&self, key: &OwnedKey) -> bool {
        self.hash == key.hash && self.dialect == key.dialect && *self.bytes == *key.bytes
    }
}

/// Takes a hash as it is.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("invariant: a key writes its hash, and nothing else");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<OwnedKey, SeriesRef> for ByBytes {
    fn weight(&self, key: &OwnedKey, _series: &SeriesRef) -> u64 {
        key.bytes.len() as u64 + ENTRY_BYTES
    }
}

type References = Cache<OwnedKey, SeriesRef, ByBytes, BuildHasherDefault<Hashed>>;

/// The series that were written last.
pub(crate) struct SeriesCache {
    series: References,
    /// Bytes of all entries that came, taken in or not.
    came: AtomicU64,
}

impl Default for SeriesCache {
    fn default() -> Self {
        let (hasher, lifecycle) = (BuildHasherDefault::default(), DefaultLifecycle::default());
        let series = Cache::with(ENTRIES_EXPECTED, BYTES_MAX, ByBytes, hasher, lifecycle);
        Self { series, came: AtomicU64::new(0) }
    }
}

impl SeriesCache {
    pub(super) fn get(&self, key: &SeriesKey<'_>) -> Option<SeriesRef> {
        self.series.get(key)
    }

    pub(super) fn insert(&self, key: &SeriesKey<'_>, series: SeriesRef) {
        let SeriesKey { hash, dialect, bytes } = *key;
        let came = self.came.fetch_add(bytes.len() as u64 + ENTRY_BYTES, Ordering::Relaxed);
        // By the bytes that came so far, which are as good as chance.
        if came > BYTES_MAX && !(came ^ hash).is_multiple_of(TAKEN_WHEN_FULL) {
            return;
        }
        self.series.insert(OwnedKey { hash, dialect, bytes: bytes.into() }, series);
    }

    /// Series that are in it.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Bytes that it counts for them.
    pub(crate) fn bytes(&self) -> u64 {
        self.series.weight()
    }
}

impl std::fmt::Debug for SeriesCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesCache").field("len", &self.len()).finish_non_exhaustive()
    }
}
