//! The distinct values of one label in a run, each with the series that have it.
//!
//! Values are numbered as they come. A label whose values hardly ever come again (a request id) is no longer looked up
//! after a while: each look-up would wait for memory, only to find nothing. Its repetitions meet in the sort instead.

use xxhash_rust::xxh3::xxh3_64;

use super::super::postings::OrdinalRun;
use super::super::value_block::shared_prefix;

/// From so many values on a label can be taken for one with unique values.
const UNIQUE_MIN: usize = 1 << 15;
/// Bytes that a value takes beside its text and its slot.
pub(super) const VALUE_BYTES: usize = size_of::<Value>();
/// Bytes that a further run of a value takes.
pub(super) const LINK_BYTES: usize = size_of::<Link>();

/// A value while its run is gathered.
#[derive(Clone, Copy, Debug)]
struct Value {
    /// Where its text lies in the run's text.
    start: u32,
    len: u32,
    /// Its first run of series; none if the count is 0.
    first: OrdinalRun,
    /// The last of its further runs, as a place in the run's links + 1; 0 for none.
    link: u32,
}

/// A further run of series of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    run: OrdinalRun,
    /// The run of the same value before this one, as in [`Value::link`].
    before: u32,
}

/// The values of one label. Value 0 is the empty one: its series are those that have the label.
#[derive(Debug)]
pub(super) struct Dictionary {
    values: Vec<Value>,
    slots: Slots,
    /// Look-ups that found their value.
    found: usize,
    /// Values are appended without a look-up.
    unique: bool,
}

impl Dictionary {
    pub(super) fn new() -> Self {
        let empty = Value { start: 0, len: 0, first: OrdinalRun { first: 0, count: 0 }, link: 0 };
        Self { values: vec![empty], slots: Slots::default(), found: 0, unique: false }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes of the hash table.
    pub(super) fn slot_bytes(&self) -> usize {
        self.slots.slots.len() * size_of::<u64>()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.values.capacity() * VALUE_BYTES + self.slot_bytes()
    }

    /// The number of a value, which is new or known. `text` has fewer than 2^32 bytes, also with the value.
    pub(super) fn value(&mut self, value: &str, text: &mut Vec<u8>) -> u32 {
        let Self { values, slots, found, unique } = self;
        let hash = if *unique { 0 } else { xxh3_64(value.as_bytes()) };
        if !*unique {
            let known = slots.find(hash, |id| text_of(text, values[id as usize]) == value.as_bytes());
            if let Some(id) = known {
                *found += 1;
                return id;
            }
        }
        let id = values.len() as u32;
        let (start, len) = (text.len() as u32, value.len() as u32);
        text.extend_from_slice(value.as_bytes());
        values.push(Value { start, len, first: OrdinalRun { first: 0, count: 0 }, link: 0 });
        if !*unique {
            slots.insert(hash, id);
            if values.len() >= UNIQUE_MIN && *found < values.len() / 16 {
                *unique = true;
                *slots = Slots::default();
            }
        }
        id
    }

    /// Notes that the series of `run` have a value.
    pub(super) fn add_run(&mut self, value: u32, run: OrdinalRun, links: &mut Vec<Link>) {
        let value = &mut self.values[value as usize];
        if value.first.count == 0 {
            value.first = run;
        } else {
            links.push(Link { run, before: value.link });
            value.link = links.len() as u32;
        }
    }

    /// The numbers of the values in the order of their bytes, the empty one first; repetitions are neighbours.
    pub(super) fn sorted(&self, text: &[u8]) -> Vec<u32> {
        let text_of = |id: u32| text_of(text, self.values[id as usize]);
        // What all values have in common says nothing about their order; eight bytes behind it mostly do, and are
        // compared without waiting for the text.
        let first = if self.values.len() > 1 { text_of(1) } else { b"" };
        let ids = 1..self.values.len() as u32;
        let common = ids.clone().fold(first.len(), |common, id| shared_prefix(&first[..common], text_of(id)));
        let mut keyed: Vec<(u64, u32)> = ids.map(|id| (key(&text_of(id)[common..]), id)).collect();
        keyed.sort_unstable_by(|&(a_key, a), &(b_key, b)| {
            a_key.cmp(&b_key).then_with(|| text_of(a).cmp(text_of(b)).then(a.cmp(&b)))
        });
        std::iter::once(0).chain(keyed.into_iter().map(|(_, id)| id)).collect()
    }

    /// Whether two numbers are repetitions of one value.
    pub(super) fn is_same(&self, a: u32, b: u32, text: &[u8]) -> bool {
        self.unique && self.text(a, text) == self.text(b, text)
    }

    pub(super) fn text<'t>(&self, id: u32, text: &'t [u8]) -> &'t [u8] {
        text_of(text, self.values[id as usize])
    }

    /// Leaves in `runs` the series of a value with all its repetitions, ascending.
    pub(super) fn runs(&self, ids: &[u32], links: &[Link], runs: &mut Vec<OrdinalRun>) {
        runs.clear();
        for &id in ids {
            let Value { first, mut link, .. } = self.values[id as usize];
            runs.extend((first.count > 0).then_some(first));
            while let Some(at) = link.checked_sub(1) {
                let Link { run, before } = links[at as usize];
                runs.push(run);
                link = before;
            }
        }
        if runs.len() > 1 {
            runs.sort_unstable();
        }
    }
}

fn text_of(text: &[u8], value: Value) -> &[u8] {
    &text[value.start as usize..value.start as usize + value.len as usize]
}

/// The first eight bytes as a number that compares as they do; zeros past the end.
fn key(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(word) => u64::from_be_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_be_bytes(word)
        }
    }
}

/// An open-addressing hash table from strings, which it does not keep, to numbers.
#[derive(Debug, Default)]
struct Slots {
    /// Half of the hash above the number, which is never 0; zero is free. The length is a power of two.
    slots: Vec<u64>,
    used: usize,
}

impl Slots {
    /// The number whose string has `hash` and `is` right.
    #[inline]
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = (hash >> 32) as usize & mask;
        loop {
            let slot = *self.slots.get(place)?;
            if slot == 0 {
                return None;
            }
            if slot >> 32 == hash >> 32 && is(slot as u32) {
                return Some(slot as u32);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a number that [`Slots::find`] has not found.
    fn insert(&mut self, hash: u64, id: u32) {
        if self.used * 2 >= self.slots.len() {
            let larger = vec![0; (self.slots.len() * 2).max(8)];
            for slot in std::mem::replace(&mut self.slots, larger) {
                if slot != 0 {
                    self.place(slot);
                }
            }
        }
        self.used += 1;
        self.place(hash >> 32 << 32 | u64::from(id));
    }

    fn place(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut place = (slot >> 32) as usize & mask;
        while self.slots[place] != 0 {
            place = (place + 1) & mask;
        }
        self.slots[place] = slot;
    }
}
