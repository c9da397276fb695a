//! The registry: which series the head knows, their labels and the postings over them. Generations that follow one
//! another share it, so that a seal does not double what labels cost; when most of its series are idle, the next
//! generation begins a fresh one, and the old one goes with the last generation and snapshot that holds it.
//!
//! A series is a dense number ([`SeriesId`]) and a short list of interned pairs. It is found by the xxh3 fingerprint of
//! its canonical label bytes and then compared in full. Postings are kept for each pair; most pairs of a store with a
//! unique label have one series, which costs no heap.
//!
//! **Locking.** One `RwLock`. Finding a series reads; only a series never seen before writes. Long readers (a regex
//! over a million values, a sort) never hold it for more than [`BATCH`] steps at a time. That is right because nothing
//! is ever removed from a registry or changed: a reader fixes the number of series when it starts ([`RegistryView`]), and a series below
//! that number has all its postings already.
//!
//! The registry knows nothing of samples: whether a series has any is for its generation to say.

mod sorted;
mod symbols;

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;
use parking_lot::RwLock;
use tsdb_core::{LabelIndex, Labels, LabelsBuilder, Matcher, Postings, select};
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(crate) use sorted::SortedSeries;
pub(crate) use symbols::{PairId, Symbols};

use crate::{Error, Result};

/// The longest canonical encoding of a label set that the head takes, in bytes: 1 MiB.
pub const LABELS_BYTES_MAX: usize = 1 << 20;
/// Steps that a long reader takes before it lets writers in.
const BATCH: usize = 4096;

/// A series of a registry: dense numbers in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeriesId(pub(crate) u32);

/// The series and their index. See the module's comment.
#[derive(Debug)]
pub(crate) struct Registry {
    /// No other registry of this process has it.
    id: u32,
    inner: RwLock<Inner>,
}

impl Default for Registry {
    fn default() -> Self {
        static NEXT_ID: AtomicU32 = AtomicU32::new(0);
        Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), inner: RwLock::default() }
    }
}

#[derive(Debug, Default)]
struct Inner {
    symbols: Symbols,
    names: HashTable<u32>,
    by_name: Vec<NameIndex>,
    pairs: HashTable<PairId>,
    postings: Vec<Postings>,
    series: PairLists,
    /// Half a fingerprint finds a series; the labels decide.
    by_fingerprint: HashTable<(u32, SeriesId)>,
}

/// What is known of one label name.
#[derive(Debug, Default)]
struct NameIndex {
    having: Postings,
    pairs: Vec<PairId>,
}

/// Lists of pairs, end to end.
#[derive(Debug, Default)]
pub(crate) struct PairLists {
    flat: Vec<PairId>,
    ends: Vec<u32>,
}

impl PairLists {
    pub(crate) fn push(&mut self, list: &[PairId]) {
        self.flat.extend_from_slice(list);
        self.ends.push(u32::try_from(self.flat.len()).expect("invariant: the registry refuses more pairs"));
    }

    pub(crate) fn get(&self, index: usize) -> &[PairId] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.flat[start as usize..self.ends[index] as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn heap_bytes(&self) -> usize {
        (self.flat.capacity() + self.ends.capacity()) * size_of::<u32>()
    }
}

impl Registry {
    /// Tells the series numbers of this registry from those of all others.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The series of a label set, if it is registered.
    pub(crate) fn get(&self, labels: &Labels) -> Option<SeriesId> {
        self.inner.read().find(labels.fingerprint(), labels)
    }

    /// The series of a label set, registered if it is new.
    pub(crate) fn get_or_insert(&self, labels: &Labels) -> Result<SeriesId> {
        let fingerprint = labels.fingerprint();
        if let Some(found) = self.inner.read().find(fingerprint, labels) {
            return Ok(found);
        }
        let bytes = labels.as_bytes().len();
        if bytes > LABELS_BYTES_MAX {
            return Err(Error::LabelsTooLarge { bytes, max: LABELS_BYTES_MAX });
        }
        let mut inner = self.inner.write();
        // Another writer may have come between the two locks.
        match inner.find(fingerprint, labels) {
            Some(found) => Ok(found),
            None => inner.insert(fingerprint, labels),
        }
    }

    /// The number of series ever registered.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().series.len()
    }

    /// Calls `with` for each of `series` with its labels as pairs.
    pub(crate) fn for_each(&self, series: &[SeriesId], mut with: impl FnMut(SeriesId, &Symbols, &[PairId])) {
        for batch in series.chunks(BATCH) {
            let inner = self.inner.read();
            batch.iter().for_each(|&id| with(id, &inner.symbols, inner.series.get(id.0 as usize)));
        }
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, series: SeriesId) -> Labels {
        let inner = self.inner.read();
        inner.symbols.labels(inner.series.get(series.0 as usize), &mut LabelsBuilder::new())
    }

    /// The symbols so far, to be read without the lock.
    pub(crate) fn symbols(&self) -> Symbols {
        self.inner.read().symbols.clone()
    }

    /// The series that satisfy all matchers, of those registered before the call.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Postings {
        let view = RegistryView { registry: self, series: self.len() as u32 };
        let mut selected = match select(&view, matchers) {
            Ok(selected) => selected,
            Err(never) => match never {},
        };
        // What was registered meanwhile is in some of the postings that were read and not in others: leave it out.
        if selected.iter().any(|series| series >= view.series) {
            selected = selected.iter().filter(|&series| series < view.series).collect();
        }
        selected
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let inner = self.inner.read();
        let by_name: usize = inner
            .by_name
            .iter()
            .map(|name| {
                name.having.heap_bytes()
                    + name.pairs.capacity() * size_of::<PairId>()
                    + size_of::<NameIndex>()
            })
            .sum();
        inner.symbols.heap_bytes()
            + inner.series.heap_bytes()
            + by_name
            + inner.postings.capacity() * size_of::<Postings>()
            + inner.postings.iter().map(Postings::heap_bytes).sum::<usize>()
            + inner.names.allocation_size()
            + inner.pairs.allocation_size()
            + inner.by_fingerprint.allocation_size()
    }
}

impl Inner {
    fn find(&self, fingerprint: u64, labels: &Labels) -> Option<SeriesId> {
        let half = half(fingerprint);
        let is = |&(found, id): &(u32, SeriesId)| {
            found == half && self.symbols.are(self.series.get(id.0 as usize), labels)
        };
        self.by_fingerprint.find(spread(half), is).map(|&(_, id)| id)
    }

    fn insert(&mut self, fingerprint: u64, labels: &Labels) -> Result<SeriesId> {
        let count = self.series.len();
        if count >= u32::MAX as usize || self.series.flat.len() + labels.len() > u32::MAX as usize {
            return Err(Error::TooManySeries { max: u32::MAX });
        }
        let id = count as u32;
        let mut pairs = Vec::with_capacity(labels.len());
        for (name, value) in labels {
            let (name, pair) = self.intern(name, value);
            self.postings[pair as usize].insert(id);
            self.by_name[name as usize].having.insert(id);
            pairs.push(pair);
        }
        self.series.push(&pairs);
        let half = half(fingerprint);
        self.by_fingerprint.insert_unique(spread(half), (half, SeriesId(id)), |&(half, _)| spread(half));
        Ok(SeriesId(id))
    }

    /// The numbers of a label name and of a pair, interned if they are new.
    fn intern(&mut self, name: &str, value: &str) -> (u32, PairId) {
        let name = self.find_name(name).unwrap_or_else(|| self.insert_name(name));
        let pair = self.find_pair(name, value).unwrap_or_else(|| self.insert_pair(name, value));
        (name, pair)
    }

    fn find_name(&self, name: &str) -> Option<u32> {
        self.names.find(hash(0, name), |&found| self.symbols.name(found) == name).copied()
    }

    fn find_pair(&self, name: u32, value: &str) -> Option<PairId> {
        let is = |&pair: &PairId| self.symbols.name_of(pair) == name && self.symbols.value(pair) == value;
        self.pairs.find(hash(name, value), is).copied()
    }

    fn insert_name(&mut self, name: &str) -> u32 {
        let id = self.symbols.push_name(name);
        let symbols = &self.symbols;
        self.names.insert_unique(hash(0, name), id, |&id| hash(0, symbols.name(id)));
        self.by_name.push(NameIndex::default());
        id
    }

    fn insert_pair(&mut self, name: u32, value: &str) -> PairId {
        let id = self.symbols.push(name, value);
        let symbols = &self.symbols;
        self.pairs.insert_unique(hash(name, value), id, |&id| hash(symbols.name_of(id), symbols.value(id)));
        self.postings.push(Postings::new());
        self.by_name[name as usize].pairs.push(id);
        id
    }
}

fn hash(seed: u32, text: &str) -> u64 {
    xxh3_64_with_seed(text.as_bytes(), u64::from(seed))
}

fn half(fingerprint: u64) -> u32 {
    (fingerprint >> 32) as u32
}

/// The table takes its bucket from the low bits and its tag from the high ones: give it both.
fn spread(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}

/// The registry as an index, for series that were there when the view was made.
struct RegistryView<'a> {
    registry: &'a Registry,
    series: u32,
}

impl LabelIndex for RegistryView<'_> {
    type Error = std::convert::Infallible;

    fn all(&self) -> Result<Postings, Self::Error> {
        Ok(Postings::all(self.series))
    }

    fn postings(&self, name: &str, value: &str) -> Result<Postings, Self::Error> {
        let inner = self.registry.inner.read();
        let pair = inner.find_name(name).and_then(|name| inner.find_pair(name, value));
        Ok(pair.map(|pair| inner.postings[pair as usize].clone()).unwrap_or_default())
    }

    fn postings_matching(
        &self,
        name: &str,
        prefix: &str,
        test: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Postings, Self::Error> {
        let mut found = Vec::new();
        let Some(name) = self.registry.inner.read().find_name(name) else { return Ok(Postings::new()) };
        for start in (0..).step_by(BATCH) {
            let inner = self.registry.inner.read();
            let pairs = &inner.by_name[name as usize].pairs;
            let Some(rest) = pairs.get(start..).filter(|rest| !rest.is_empty()) else { break };
            for &pair in rest.iter().take(BATCH) {
                let value = inner.symbols.value(pair);
                if value.starts_with(prefix) && test(value) {
                    found.extend(inner.postings[pair as usize].iter());
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    fn postings_having(&self, name: &str) -> Result<Postings, Self::Error> {
        let inner = self.registry.inner.read();
        let name = inner.find_name(name);
        Ok(name.map(|name| inner.by_name[name as usize].having.clone()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use tsdb_core::parse_selector;

    use super::*;

    #[test]
    fn one_set_is_one_series_and_postings_answer_matchers() {
        let registry = Registry::default();
        let sets: Vec<Labels> = (0..200)
            .map(|i| {
                Labels::from_pairs([
                    ("__name__", "m"),
                    ("even", if i % 2 == 0 { "y" } else { "" }),
                    ("i", &i.to_string()),
                ])
                .unwrap()
            })
            .collect();
        let ids: Vec<SeriesId> = sets.iter().map(|set| registry.get_or_insert(set).unwrap()).collect();
        assert_eq!(ids, sets.iter().map(|set| registry.get_or_insert(set).unwrap()).collect::<Vec<_>>());
        assert_eq!(registry.len(), 200);
        assert_eq!(ids.iter().map(|&id| registry.labels(id)).collect::<Vec<_>>(), sets);
        for selector in [
            r#"{even="y"}"#,
            r#"{even=""}"#,
            r#"m{i=~"1.*"}"#,
            r#"{i!~"1.*",even!="y"}"#,
            "{}",
            "n",
            r#"{even=~".+"}"#,
        ] {
            let matchers = parse_selector(selector).unwrap();
            let want: Vec<u32> = (0..200u32)
                .filter(|&i| matchers.iter().all(|m| m.matches_labels(&sets[i as usize])))
                .collect();
            assert_eq!(registry.select(&matchers).iter().collect::<Vec<_>>(), want, "{selector}");
        }
    }

    #[test]
    fn a_label_set_over_the_limit_is_refused() {
        let labels = Labels::from_pairs([("a", "x".repeat(LABELS_BYTES_MAX))]).unwrap();
        let refused = Registry::default().get_or_insert(&labels);
        assert!(matches!(refused, Err(Error::LabelsTooLarge { max: LABELS_BYTES_MAX, .. })));
    }
}
