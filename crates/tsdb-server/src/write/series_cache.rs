//! Series that were written before, by the bytes of their labels as they came.
//!
//! A sender writes the labels of a series anew with each sample. Found here, they are neither taken apart nor looked up in the
//! head: the bytes are hashed, and compared in full with those that were seen. A reference that is not good any more (idle
//! series have left the head) is replaced at the next use.
//!
//! Bounded by bytes. What is used goes to the young half; when that is full it becomes the old one, and what was old is
//! forgotten, all at once: so an entry costs no allocation of its own. A series that is new to the head comes again soon, as a
//! rule, and is always taken in. Of those that the head knows and the cache has lost only some are: where series are more than
//! fit, most would be forgotten before they come again, and the work be for nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use parking_lot::RwLock;
use tsdb_engine::SeriesRef;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes of labels that are kept, with what each entry costs besides.
const BYTES_MAX: u64 = 16 << 20;
/// What an entry costs besides its bytes.
const ENTRY_BYTES: u64 = 32;
/// Of the series that the head knows a full cache takes in one in so many.
const TAKEN_WHEN_FULL: u64 = 8;
/// Parts with a lock of their own.
const SHARDS: usize = 8;
/// Bytes of one half of a shard.
const HALF_BYTES_MAX: u64 = BYTES_MAX / SHARDS as u64 / 2;

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

    fn half(&self) -> u32 {
        (self.hash >> 32) as u32
    }
}

/// Series in the order in which they came, which is the one in which a sender writes them again: so what a look-up needs next
/// lies behind what the one before it needed.
#[derive(Default)]
struct Half {
    /// Half of the hash, and the place among the entries.
    places: HashTable<(u32, u32)>,
    entries: Vec<Entry>,
    /// The bytes of all entries.
    bytes: Vec<u8>,
}

struct Entry {
    /// Where its bytes end.
    end: u32,
    dialect: Dialect,
    series: SeriesRef,
}

impl Half {
    fn find(&self, key: &SeriesKey<'_>) -> Option<usize> {
        let half = key.half();
        let is = |&(found, place): &(u32, u32)| found == half && self.is(place as usize, key);
        self.places.find(spread(half), is).map(|&(_, place)| place as usize)
    }

    fn is(&self, place: usize, key: &SeriesKey<'_>) -> bool {
        let start = place.checked_sub(1).map_or(0, |before| self.entries[before].end);
        let Entry { end, dialect, .. } = self.entries[place];
        dialect == key.dialect && self.bytes[start as usize..end as usize] == *key.bytes
    }

    fn get(&self, key: &SeriesKey<'_>) -> Option<SeriesRef> {
        self.find(key).map(|place| self.entries[place].series)
    }

    /// Adds a series, or replaces its reference: another writer was faster, or the one that is there is not good any more.
    fn insert(&mut self, key: &SeriesKey<'_>, series: SeriesRef) {
        if let Some(place) = self.find(key) {
            self.entries[place].series = series;
            return;
        }
        let (half, place) = (key.half(), self.entries.len() as u32);
        self.places.insert_unique(spread(half), (half, place), |&(half, _)| spread(half));
        self.bytes.extend_from_slice(key.bytes);
        self.entries.push(Entry { end: self.bytes.len() as u32, dialect: key.dialect, series });
    }

    fn held_bytes(&self) -> u64 {
        self.bytes.len() as u64 + self.entries.len() as u64 * ENTRY_BYTES
    }

    fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.bytes.clear();
    }
}

/// The table takes its bucket from the low bits and its tag from the high ones: give it both.
fn spread(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}

#[derive(Default)]
struct Shard {
    young: Half,
    old: Half,
}

impl Shard {
    /// Puts a series where it is found first.
    fn insert(&mut self, key: &SeriesKey<'_>, series: SeriesRef) {
        let bytes = key.bytes.len() as u64 + ENTRY_BYTES;
        if bytes > HALF_BYTES_MAX {
            return;
        }
        if self.young.held_bytes() + bytes > HALF_BYTES_MAX {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, series);
    }
}

/// The series that were written last.
#[derive(Default)]
pub(crate) struct SeriesCache {
    shards: [RwLock<Shard>; SHARDS],
    /// Bytes of all entries that came, taken in or not.
    came: AtomicU64,
}

impl SeriesCache {
    pub(super) fn get(&self, key: &SeriesKey<'_>) -> Option<SeriesRef> {
        let shard = self.shard(key);
        let (series, is_old) = {
            let shard = shard.read();
            match shard.young.get(key) {
                Some(series) => (series, false),
                None => (shard.old.get(key)?, true),
            }
        };
        if is_old {
            shard.write().insert(key, series);
        }
        Some(series)
    }

    /// Takes in a series, or not. `is_new` says that the head had not known it.
    pub(super) fn insert(&self, key: &SeriesKey<'_>, series: SeriesRef, is_new: bool) {
        let came = self.came.fetch_add(key.bytes.len() as u64 + ENTRY_BYTES, Ordering::Relaxed);
        // By the bytes that came so far, which are as good as chance.
        if is_new || came <= BYTES_MAX || (came ^ key.hash).is_multiple_of(TAKEN_WHEN_FULL) {
            self.shard(key).write().insert(key, series);
        }
    }

    /// By bits of the hash that the tables do not look at.
    fn shard(&self, key: &SeriesKey<'_>) -> &RwLock<Shard> {
        &self.shards[key.hash as usize % SHARDS]
    }

    /// Series that are in it.
    pub(crate) fn len(&self) -> usize {
        self.halves(|half| half.entries.len() as u64) as usize
    }

    /// Bytes that it counts for them.
    pub(crate) fn bytes(&self) -> u64 {
        self.halves(Half::held_bytes)
    }

    /// A number of each half, in all.
    fn halves(&self, number: impl Fn(&Half) -> u64) -> u64 {
        let of_shard = |shard: &RwLock<Shard>| {
            let shard = shard.read();
            number(&shard.young) + number(&shard.old)
        };
        self.shards.iter().map(of_shard).sum()
    }
}

impl std::fmt::Debug for SeriesCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesCache").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reference for each number.
    fn references(count: usize) -> Vec<SeriesRef> {
        let dir = tempfile::tempdir().unwrap();
        let engine = tsdb_engine::blocking::Engine::open(dir.path()).unwrap();
        let mut batch = engine.appender();
        let mut append = |i: usize| {
            let labels = tsdb_core::Labels::from_pairs([("__name__", format!("m{i}"))]).unwrap();
            batch.append(&labels, 1, 1.0).unwrap()
        };
        (0..count).map(&mut append).collect()
    }

    fn bytes(i: usize) -> Vec<u8> {
        format!("{i:0200}").into_bytes()
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let (cache, series) = (SeriesCache::default(), references(2));
        let used = bytes(0);
        let used = SeriesKey::new(Dialect::Wire, &used);
        cache.insert(&used, series[0], true);
        let fit = (BYTES_MAX / (200 + ENTRY_BYTES)) as usize;
        for i in 1..3 * fit {
            cache.insert(&SeriesKey::new(Dialect::Wire, &bytes(i)), series[1], true);
            assert!(i % 100 != 0 || cache.get(&used) == Some(series[0]));
        }
        assert_eq!(cache.get(&SeriesKey::new(Dialect::Wire, &bytes(1))), None);
        assert_eq!(cache.get(&SeriesKey::new(Dialect::Wire, &bytes(3 * fit - 1))), Some(series[1]));
        assert_eq!(cache.get(&SeriesKey::new(Dialect::Text, &bytes(0))), None);
        assert!(cache.bytes() <= BYTES_MAX && cache.len() > fit / 3, "{cache:?}");
    }

    #[test]
    fn a_full_cache_takes_in_few_of_the_series_that_the_head_knows() {
        let (cache, series) = (SeriesCache::default(), references(1)[0]);
        let fit = (BYTES_MAX / (200 + ENTRY_BYTES)) as usize + 1;
        (0..fit).for_each(|i| cache.insert(&SeriesKey::new(Dialect::Wire, &bytes(i)), series, true));
        let more = fit..fit + 8000;
        more.clone().for_each(|i| cache.insert(&SeriesKey::new(Dialect::Wire, &bytes(i)), series, false));
        let taken = more.filter(|&i| cache.get(&SeriesKey::new(Dialect::Wire, &bytes(i))).is_some()).count();
        assert!((500..1500).contains(&taken), "{taken}");
    }

    #[test]
    fn a_reference_is_replaced() {
        let (cache, series) = (SeriesCache::default(), references(2));
        let bytes = bytes(0);
        let key = SeriesKey::new(Dialect::Text, &bytes);
        cache.insert(&key, series[0], true);
        cache.insert(&key, series[1], true);
        assert_eq!((cache.get(&key), cache.len()), (Some(series[1]), 1));
    }
}
