//! The writer's dictionary: every distinct (name, value) once, with what the index needs to know of it.
//!
//! Values are numbered as they come; [`Dictionary::sort`] gives each its final ordinal at the end. The strings
//! lie in one arena, so a million unique values are no million allocations.
//!
//! A label whose values hardly ever come again (a request id) is no longer looked up after a while: each lookup
//! would wait for memory, only to find nothing. Its repetitions meet in the sort instead, where the first takes
//! in the others: those keep their ids, have no series, and name the first.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::values::shared_prefix;
use crate::{Error, Result};

/// A label name while the block is written.
#[derive(Debug)]
pub(super) struct NameEntry {
    pub(super) name: Box<str>,
    /// The name's place among all names, by bytes; known after [`Dictionary::sort`].
    pub(super) ordinal: u32,
    /// The ids of its values: as they came, then sorted by value.
    pub(super) values: Vec<u32>,
    slots: Slots,
    /// Lookups that found their value.
    found: usize,
    /// Values are appended without a lookup.
    unique: bool,
}

/// From so many values on a label can be taken for one with unique values.
const UNIQUE_MIN: usize = 1 << 15;

/// A label value of one name while the block is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValueEntry {
    start: u64,
    pub(super) len: u32,
    /// The first series that has it; once there are groups and it has several series, its group; for a
    /// repetition the id of the first.
    pub(super) first_series: u32,
    /// How many series have it; none for a repetition.
    pub(super) series: u32,
    pub(super) name: u32,
}

/// All names and values of a block. Ids are in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    pub(super) names: Vec<NameEntry>,
    name_ids: HashMap<Box<str>, u32>,
    pub(super) values: Vec<ValueEntry>,
    /// By id, each value's place among its name's values, by bytes; known after [`Dictionary::sort`].
    pub(super) ordinals: Vec<u32>,
    arena: Vec<u8>,
}

impl Dictionary {
    /// The id of a label name.
    pub(super) fn name(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.name_ids.get(name) {
            return id;
        }
        let id = self.names.len() as u32;
        self.names.push(NameEntry {
            name: name.into(),
            ordinal: 0,
            values: Vec::new(),
            slots: Slots::default(),
            found: 0,
            unique: false,
        });
        self.name_ids.insert(name.into(), id);
        id
    }

    /// The id of a value, which `series` has.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] beyond 2^32 distinct label pairs.
    pub(super) fn value(&mut self, name: u32, value: &str, series: u32) -> Result<u32> {
        let Self { names, values, arena, .. } = self;
        let entry = &mut names[name as usize];
        let hash = if entry.unique { 0 } else { xxh3_64(value.as_bytes()) };
        if !entry.unique {
            let found = entry.slots.find(hash, |id| string(arena, &values[id as usize]) == value.as_bytes());
            if let Some(id) = found {
                values[id as usize].series += 1;
                entry.found += 1;
                return Ok(id);
            }
        }
        let id = u32::try_from(values.len()).ok().filter(|&id| id < u32::MAX).ok_or_else(|| {
            Error::InvalidInput("a block holds fewer than 2^32 distinct label pairs".into())
        })?;
        let (start, len) = (arena.len() as u64, value.len() as u32);
        arena.extend_from_slice(value.as_bytes());
        values.push(ValueEntry { start, len, first_series: series, series: 1, name });
        entry.values.push(id);
        if !entry.unique {
            entry.slots.insert(hash, id);
            if entry.values.len() >= UNIQUE_MIN && entry.found < entry.values.len() / 16 {
                entry.unique = true;
                entry.slots = Slots::default();
            }
        }
        Ok(id)
    }

    /// Counts one more series for a value that is known already.
    #[inline]
    pub(super) fn again(&mut self, value: u32) {
        self.values[value as usize].series += 1;
    }

    /// The bytes of a value.
    #[inline]
    pub(super) fn string(&self, value: u32) -> &[u8] {
        string(&self.arena, &self.values[value as usize])
    }

    /// Reads a byte of each of `values`, so that the processor waits for all of them at once and not for one
    /// after the other.
    pub(super) fn prefetch(&self, values: &[ValueEntry]) {
        let touched = values.iter().fold(0, |touched, value| touched ^ self.arena[value.start as usize]);
        std::hint::black_box(touched);
    }

    /// Gives names and values their ordinals; returns the name ids in order.
    pub(super) fn sort(&mut self) -> Vec<u32> {
        let Self { names, values, ordinals, arena, .. } = self;
        let mut ids: Vec<u32> = (0..names.len() as u32).collect();
        ids.sort_unstable_by(|&a, &b| names[a as usize].name.cmp(&names[b as usize].name));
        *ordinals = vec![0; values.len()];
        for (ordinal, &id) in ids.iter().enumerate() {
            let entry = &mut names[id as usize];
            entry.ordinal = ordinal as u32;
            entry.slots = Slots::default();
            let mut keyed = sort_values(values, arena, &entry.values);
            if entry.unique {
                join_repetitions(values, arena, &mut keyed);
            }
            entry.values.clear();
            entry.values.extend(keyed.iter().map(|&(_, id)| id));
            for (ordinal, &value) in entry.values.iter().enumerate() {
                ordinals[value as usize] = ordinal as u32;
            }
        }
        for (id, value) in values.iter().enumerate().filter(|(_, value)| value.series == 0) {
            ordinals[id] = ordinals[value.first_series as usize];
        }
        self.name_ids = HashMap::new();
        ids
    }
}

fn string<'a>(arena: &'a [u8], value: &ValueEntry) -> &'a [u8] {
    &arena[value.start as usize..value.start as usize + value.len as usize]
}

/// Sorts ids by their strings: eight bytes at a time as one number, and only what is equal in them goes on to
/// the next eight. Comparing strings instead waits for memory at every comparison. Of equal neighbours the keys
/// that are returned beside the ids are equal.
fn sort_values(values: &[ValueEntry], arena: &[u8], ids: &[u32]) -> Vec<(u64, u32)> {
    let skip = common_prefix(values, arena, ids);
    let mut keyed: Vec<(u64, u32)> = ids.iter().map(|&id| (0, id)).collect();
    // Runs still to sort: from, to, bytes known to be equal.
    let mut runs = vec![(0, keyed.len(), skip)];
    while let Some((from, to, depth)) = runs.pop() {
        let run = &mut keyed[from..to];
        for (key, id) in run.iter_mut() {
            *key = key_at(string(arena, &values[*id as usize]), depth);
        }
        run.sort_unstable_by_key(|&(key, _)| key);
        let mut start = from;
        for same in run.chunk_by_mut(|a, b| a.0 == b.0) {
            let longer = || same.iter().any(|&(_, id)| values[id as usize].len as usize > depth + 8);
            if same.len() > SHORT_RUN && longer() {
                runs.push((start, start + same.len(), depth + 8));
            } else {
                let text = |id: u32| string(arena, &values[id as usize]);
                same.sort_unstable_by(|a, b| text(a.1).cmp(text(b.1)).then(a.1.cmp(&b.1)));
            }
            start += same.len();
        }
    }
    keyed
}

/// Of equal neighbours keeps the lowest id, which takes in the others' series.
fn join_repetitions(values: &mut [ValueEntry], arena: &[u8], sorted: &mut Vec<(u64, u32)>) {
    sorted.dedup_by(|&mut (key, id), &mut (kept_key, first)| {
        if key != kept_key {
            return false;
        }
        let (entry, kept) = (values[id as usize], values[first as usize]);
        let same = string(arena, &entry) == string(arena, &kept);
        if same {
            values[first as usize].series += entry.series;
            values[id as usize].series = 0;
            values[id as usize].first_series = first;
        }
        same
    });
}

/// Runs up to this length are sorted by comparing strings.
const SHORT_RUN: usize = 12;

/// Eight bytes from `depth` on as a number that compares as they do; zeros past the end.
fn key_at(string: &[u8], depth: usize) -> u64 {
    let rest = string.get(depth..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(word) => u64::from_be_bytes(*word),
        None => {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            u64::from_be_bytes(word)
        }
    }
}

/// Length of the prefix that all values share.
fn common_prefix(values: &[ValueEntry], arena: &[u8], ids: &[u32]) -> usize {
    let strings = || ids.iter().map(|&id| string(arena, &values[id as usize]));
    let first = strings().next().unwrap_or_default();
    strings().fold(first.len(), |shared, string| shared_prefix(&first[..shared], string))
}

/// An open-addressing hash table from strings, which it does not keep, to ids.
#[derive(Debug, Default)]
struct Slots {
    /// Half of the hash above the id + 1; zero is free. The length is a power of two.
    slots: Vec<u64>,
    used: usize,
}

impl Slots {
    /// The id whose string has `hash` and `is` right.
    #[inline]
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = (hash >> 32) as usize & mask;
        loop {
            let slot = *self.slots.get(place)?;
            if slot == 0 {
                return None;
            }
            let id = slot as u32 - 1;
            if slot >> 32 == hash >> 32 && is(id) {
                return Some(id);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds an id that [`Slots::find`] has not found.
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
        self.place(hash >> 32 << 32 | (u64::from(id) + 1));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_among_unique_values_are_joined() {
        let mut dictionary = Dictionary::default();
        let name = dictionary.name("id");
        let count = 3 * UNIQUE_MIN as u32;
        let of =
            |series: u32| format!("{:08x}", (series % (2 * UNIQUE_MIN as u32 + 7)).wrapping_mul(0x9e37_79b1));
        let ids: Vec<u32> =
            (0..count).map(|series| dictionary.value(name, &of(series), series).unwrap()).collect();
        assert!(dictionary.names[0].unique);
        dictionary.sort();
        let sorted = &dictionary.names[0].values;
        assert_eq!(sorted.len(), 2 * UNIQUE_MIN + 7);
        assert!(sorted.is_sorted_by_key(|&id| dictionary.string(id)));
        assert_eq!(sorted.iter().map(|&id| dictionary.values[id as usize].series).sum::<u32>(), count);
        for (series, &id) in ids.iter().enumerate() {
            let found = sorted[dictionary.ordinals[id as usize] as usize];
            assert_eq!(dictionary.string(found), of(series as u32).as_bytes());
        }
    }

    #[test]
    fn values_sort_by_bytes_whatever_they_share() {
        let mut dictionary = Dictionary::default();
        let name = dictionary.name("l");
        let mut expected: Vec<String> = (0..3_000_u64)
            .map(|i| format!("shared-{:03}-{:x}", i % 7, i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20))
            .collect();
        expected.extend((0..40).map(|zeros| format!("shared-{}", "\0".repeat(zeros))));
        expected.extend(["é", "\u{10ffff}", "shared"].map(String::from));
        for (series, value) in expected.iter().enumerate() {
            let id = dictionary.value(name, value, series as u32).unwrap();
            assert_eq!(dictionary.value(name, value, series as u32).unwrap(), id);
        }
        dictionary.sort();
        expected.sort();
        let sorted: Vec<&[u8]> = dictionary.names[0].values.iter().map(|&id| dictionary.string(id)).collect();
        assert_eq!(sorted, expected.iter().map(String::as_bytes).collect::<Vec<_>>());
    }
}
