//! Interned label pairs: each distinct `name=value` of the head is stored once and known by a number.
//!
//! A series of eight labels is then eight `u32`s, and a value that a million series share costs its bytes once. Values
//! lie end to end in pages, not in a box each: the unique value of a `request_id` costs its bytes and eight more.
//!
//! Pages are shared (`Arc`). A reader takes a copy of the page list, which is a counter per page, and then reads and
//! compares strings without any lock, for as long as it likes; the writer copies only the one page that it still
//! fills, and only if a reader holds it. That is why a sort of a million series stalls nobody.
//!
//! Invariants: pairs are numbered densely in order of arrival; a pair never changes. Nothing is removed.

use std::cmp::Ordering;
use std::sync::Arc;

use tsdb_core::{Labels, LabelsBuilder};

/// Pairs in one page.
const PAGE_PAIRS: usize = 1024;

/// The number of an interned pair.
pub(crate) type PairId = u32;

/// The interned pairs, and cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols {
    names: Arc<Vec<Box<str>>>,
    pages: Vec<Arc<Page>>,
    text_bytes: usize,
}

/// The values of up to [`PAGE_PAIRS`] pairs, end to end.
#[derive(Clone, Debug, Default)]
struct Page {
    text: String,
    /// For each pair where its value ends in `text`, and the number of its name.
    pairs: Vec<(u32, u32)>,
}

impl Page {
    fn value(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.pairs[before].0);
        &self.text[start as usize..self.pairs[index].0 as usize]
    }
}

impl Symbols {
    /// The number of pairs.
    pub(crate) fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE_PAIRS + last.pairs.len())
    }

    /// Bytes of all values.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Adds a label name; gives its number.
    pub(crate) fn push_name(&mut self, name: &str) -> u32 {
        Arc::make_mut(&mut self.names).push(name.into());
        (self.names.len() - 1) as u32
    }

    /// Adds a pair; gives its number.
    pub(crate) fn push(&mut self, name: u32, value: &str) -> PairId {
        if self.pages.last().is_none_or(|page| page.pairs.len() == PAGE_PAIRS) {
            let page = self.close_page();
            self.pages.push(Arc::new(page));
        }
        let page = Arc::make_mut(self.pages.last_mut().expect("invariant: a page was just made"));
        self.text_bytes += value.len();
        page.text.push_str(value);
        page.pairs.push((page.text.len() as u32, name));
        (self.len() - 1) as PairId
    }

    /// Gives back the spare capacity of a page that is full, unless a reader holds it. Gives the next one, with room for
    /// as much.
    fn close_page(&mut self) -> Page {
        let Some(full) = self.pages.last_mut().and_then(Arc::get_mut) else { return Page::default() };
        full.text.shrink_to_fit();
        Page { text: String::with_capacity(full.text.len()), pairs: Vec::with_capacity(PAGE_PAIRS) }
    }

    /// A label name by its number.
    pub(crate) fn name(&self, name: u32) -> &str {
        &self.names[name as usize]
    }

    /// The number of a pair's name.
    pub(crate) fn name_of(&self, pair: PairId) -> u32 {
        let (page, index) = split(pair);
        self.pages[page].pairs[index].1
    }

    /// The value of a pair.
    pub(crate) fn value(&self, pair: PairId) -> &str {
        let (page, index) = split(pair);
        self.pages[page].value(index)
    }

    /// Whether `pairs` (by name ascending) are `labels`.
    pub(crate) fn are(&self, pairs: &[PairId], labels: &Labels) -> bool {
        let mut pairs = pairs.iter();
        for (name, value) in labels {
            match pairs.next() {
                Some(&pair) if self.value(pair) == value && self.name(self.name_of(pair)) == name => {}
                _ => return false,
            }
        }
        pairs.next().is_none()
    }

    /// The order of two label sets, as that of [`Labels`]: an interned pair that both have needs no look.
    pub(crate) fn compare(&self, a: &[PairId], b: &[PairId]) -> Ordering {
        let differ = a.iter().zip(b).find(|(a, b)| a != b);
        differ.map_or_else(
            || a.len().cmp(&b.len()),
            |(&a, &b)| {
                let (name_a, name_b) = (self.name_of(a), self.name_of(b));
                let names =
                    if name_a == name_b { Ordering::Equal } else { self.name(name_a).cmp(self.name(name_b)) };
                names.then_with(|| self.value(a).cmp(self.value(b)))
            },
        )
    }

    /// The label set of `pairs`; `builder` is only for its memory.
    pub(crate) fn labels(&self, pairs: &[PairId], builder: &mut LabelsBuilder) -> Labels {
        self.collect(pairs, builder);
        builder.build().expect("invariant: interned pairs came from a label set")
    }

    /// The canonical bytes of the label set of `pairs`, in `builder`'s memory.
    pub(crate) fn encode<'a>(&self, pairs: &[PairId], builder: &'a mut LabelsBuilder) -> &'a [u8] {
        self.collect(pairs, builder);
        builder.build_bytes().expect("invariant: interned pairs came from a label set")
    }

    fn collect(&self, pairs: &[PairId], builder: &mut LabelsBuilder) {
        builder.clear();
        for &pair in pairs {
            builder.push(self.name(self.name_of(pair)), self.value(pair));
        }
    }

    /// Bytes on the heap, counting pages that readers share as ours.
    pub(crate) fn heap_bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len() + size_of::<Box<str>>()).sum();
        let pages: usize = self
            .pages
            .iter()
            .map(|page| {
                page.text.capacity() + page.pairs.capacity() * size_of::<(u32, u32)>() + size_of::<Page>()
            })
            .sum();
        names + pages + self.pages.capacity() * size_of::<Arc<Page>>()
    }
}

fn split(pair: PairId) -> (usize, usize) {
    (pair as usize / PAGE_PAIRS, pair as usize % PAGE_PAIRS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_reader_keeps_its_view_while_the_writer_goes_on() {
        let mut symbols = Symbols::default();
        let name = symbols.push_name("id");
        (0..PAGE_PAIRS + 5).for_each(|i| assert_eq!(symbols.push(name, &format!("v{i}")), i as u32));
        let view = symbols.clone();
        (0..PAGE_PAIRS).for_each(|i| {
            symbols.push(name, &format!("later{i}"));
        });
        assert_eq!((view.len(), symbols.len()), (PAGE_PAIRS + 5, 2 * PAGE_PAIRS + 5));
        for i in 0..view.len() {
            assert_eq!(
                (view.value(i as u32), symbols.value(i as u32)),
                (&*format!("v{i}"), &*format!("v{i}"))
            );
        }
    }

    #[test]
    fn the_order_is_that_of_the_label_sets() {
        let sets: Vec<Labels> = [
            vec![],
            vec![("A", "2")],
            vec![("__name__", "m")],
            vec![("__name__", "m"), ("a", "1")],
            vec![("__name__", "m"), ("a", "1"), ("b", "0")],
            vec![("__name__", "m"), ("a", "10")],
            vec![("__name__", "n")],
        ]
        .into_iter()
        .map(|pairs| Labels::from_pairs(pairs).unwrap())
        .collect();
        // Interned from the last set to the first, so that numbers say nothing of the order.
        let (mut symbols, mut names, mut pairs) = (Symbols::default(), HashMap::new(), HashMap::new());
        let ids: Vec<Vec<u32>> = sets
            .iter()
            .rev()
            .map(|set| {
                let intern = |(name, value)| {
                    let name_id = *names.entry(name).or_insert_with(|| symbols.push_name(name));
                    *pairs.entry((name, value)).or_insert_with(|| symbols.push(name_id, value))
                };
                set.iter().map(intern).collect()
            })
            .collect();
        for (a, ids_a) in sets.iter().rev().zip(&ids) {
            assert!(symbols.are(ids_a, a));
            assert_eq!(&symbols.labels(ids_a, &mut LabelsBuilder::new()), a);
            for (b, ids_b) in sets.iter().rev().zip(&ids) {
                assert_eq!(symbols.compare(ids_a, ids_b), a.cmp(b), "{a} {b}");
                assert_eq!(symbols.are(ids_a, b), a == b);
            }
        }
    }
}
