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

mod index;
mod lists;
mod sorted;
mod symbols;

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;
use parking_lot::RwLock;
use tsdb_core::{LabelIndex, Labels, LabelsBuilder, Matcher, Postings, select};
use xxhash_rust::xxh3::xxh3_64;

use index::Index;
pub(crate) use index::{IndexBuilder, NewSeries};
pub(crate) use lists::PairLists;
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
    by_name: Vec<NamePairs>,
    /// The names of the label set that was registered last, or of a longer one before it.
    last_names: Vec<u32>,
    series: PairLists,
    /// Half a fingerprint finds a series; the labels decide.
    by_fingerprint: HashTable<(u32, SeriesId)>,
    index: Index,
}

/// The pairs of one label name: most names have few, so their tables stay in the processor's caches.
#[derive(Debug, Default)]
struct NamePairs {
    /// With half of the value's hash, so that growing looks at no value, and finding at the right one only.
    by_value: HashTable<(u32, PairId)>,
    /// In order of arrival.
    pairs: Vec<PairId>,
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
        let looked_at = {
            let inner = self.inner.read();
            if let Some(found) = inner.find(fingerprint, labels) {
                return Ok(found);
            }
            inner.series.len()
        };
        let mut inner = self.inner.write();
        // Another writer may have come between the two locks.
        if inner.series.len() > looked_at
            && let Some(found) = inner.find(fingerprint, labels)
        {
            return Ok(found);
        }
        let id = inner.insert(fingerprint, labels)?;
        let Inner { series, index, .. } = &mut *inner;
        index.add(id.0, series.get(id.0 as usize));
        Ok(id)
    }

    /// As [`Registry::get_or_insert`], at opening, when there is one writer and no reader: the index is built elsewhere,
    /// of what is told to `new`, and given to [`Registry::set_index`].
    pub(crate) fn get_or_insert_unindexed(&self, labels: &Labels, new: &mut NewSeries) -> Result<SeriesId> {
        let fingerprint = labels.fingerprint();
        let mut inner = self.inner.write();
        if let Some(found) = inner.find(fingerprint, labels) {
            return Ok(found);
        }
        let id = inner.insert(fingerprint, labels)?;
        new.push(inner.series.get(id.0 as usize));
        Ok(id)
    }

    /// Takes the index of all series so far.
    pub(crate) fn set_index(&self, builder: IndexBuilder) {
        self.inner.write().index = builder.finish();
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

    /// The pairs of the series so far, and their symbols, to be read without the lock.
    pub(crate) fn view(&self) -> (PairLists, Symbols) {
        let inner = self.inner.read();
        (inner.series.clone(), inner.symbols.clone())
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

    /// About [`Registry::heap_bytes`], without looking at every page and set.
    pub(crate) fn estimated_bytes(&self) -> usize {
        let inner = self.inner.read();
        let (series, pairs) = (inner.series.len(), inner.symbols.len());
        // A pair: its place in a page, its set, its places in the tables of its name. A series: its list of pairs, each of
        // which also costs a place in a set, and its place among the fingerprints.
        let of_pairs = inner.symbols.text_bytes() + pairs * (8 + size_of::<Postings>() + 9 + 4);
        of_pairs + inner.series.total() * (4 + 2) + series * (4 + 9)
    }

    /// Bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        let inner = self.inner.read();
        let by_name: usize = inner
            .by_name
            .iter()
            .map(|name| {
                name.by_value.allocation_size()
                    + name.pairs.capacity() * size_of::<PairId>()
                    + size_of::<NamePairs>()
            })
            .sum();
        inner.symbols.heap_bytes()
            + inner.series.heap_bytes()
            + by_name
            + inner.index.heap_bytes()
            + inner.names.allocation_size()
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
        if count >= u32::MAX as usize {
            return Err(Error::TooManySeries { max: u32::MAX });
        }
        let id = count as u32;
        let mut pairs = Vec::with_capacity(labels.len());
        let bytes = labels.as_bytes().len();
        if bytes > LABELS_BYTES_MAX {
            return Err(Error::LabelsTooLarge { bytes, max: LABELS_BYTES_MAX });
        }
        for (place, (name, value)) in labels.iter().enumerate() {
            let name = self.name_at(place, name);
            let hashed = hash(value);
            let pair = self.find_pair(name, value, hashed);
            pairs.push(pair.unwrap_or_else(|| self.insert_pair(name, value, hashed)));
        }
        self.series.push(&pairs);
        let half = half(fingerprint);
        self.by_fingerprint.insert_unique(spread(half), (half, SeriesId(id)), |&(half, _)| spread(half));
        Ok(SeriesId(id))
    }

    /// The number of the name at a place of a label set, interned if it is new. Most label sets have the names of the one
    /// before.
    fn name_at(&mut self, place: usize, name: &str) -> u32 {
        if let Some(&last) = self.last_names.get(place).filter(|&&last| self.symbols.name(last) == name) {
            return last;
        }
        let number = self.find_name(name).unwrap_or_else(|| self.insert_name(name));
        self.last_names.truncate(place);
        self.last_names.push(number);
        number
    }

    fn find_name(&self, name: &str) -> Option<u32> {
        self.names.find(hash(name), |&found| self.symbols.name(found) == name).copied()
    }

    fn find_pair(&self, name: u32, value: &str, hashed: u64) -> Option<PairId> {
        let half = half(hashed);
        let is = |&(found, pair): &(u32, PairId)| found == half && self.symbols.value(pair) == value;
        self.by_name[name as usize].by_value.find(spread(half), is).map(|&(_, pair)| pair)
    }

    fn insert_name(&mut self, name: &str) -> u32 {
        let id = self.symbols.push_name(name);
        let symbols = &self.symbols;
        self.names.insert_unique(hash(name), id, |&id| hash(symbols.name(id)));
        self.by_name.push(NamePairs::default());
        id
    }

    fn insert_pair(&mut self, name: u32, value: &str, hashed: u64) -> PairId {
        let id = self.symbols.push(name, value);
        let (half, of_name) = (half(hashed), &mut self.by_name[name as usize]);
        of_name.by_value.insert_unique(spread(half), (half, id), |&(half, _)| spread(half));
        of_name.pairs.push(id);
        id
    }
}

fn hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
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
        let pair = inner.find_name(name).and_then(|name| inner.find_pair(name, value, hash(value)));
        Ok(pair.map(|pair| inner.index.of_pair(pair).clone()).unwrap_or_default())
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
                    found.extend(inner.index.of_pair(pair).iter());
                }
            }
        }
        Ok(found.into_iter().collect())
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
