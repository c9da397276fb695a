//! Postings: sets of series ordinals, and their algebra.
//!
//! An index keeps one set for each label pair, and most pairs of a store with a unique label (`request_id`)
//! have exactly one series. So a set costs 16 bytes and no heap for up to three ordinals, a short sorted
//! vector for a few, and a roaring bitmap beyond that. The form is never visible: two sets are equal when
//! they hold the same ordinals.
//!
//! Invariants: the ordinals of the inline and the vector form ascend strictly; the bitmap form holds more
//! ordinals than the inline form can.
//!
//! [`select`] runs matchers over any [`LabelIndex`]. This module knows nothing of where postings are stored.

mod select;

use std::fmt;

use roaring::RoaringBitmap;

pub use select::{LabelIndex, select};

/// Ordinals that fit beside the tag without any heap.
const INLINE_MAX: usize = 3;
/// Ordinals up to which a sorted vector is kept; more go to a bitmap.
const FEW_MAX: usize = 64;
/// A bitmap that shrinks to this many ordinals becomes a vector again. Half of [`FEW_MAX`], so that a set
/// on the border does not change its form at every insert and remove.
const FEW_AGAIN: usize = 32;

/// A set of series ordinals (`u32`), 16 bytes plus heap for what does not fit in them.
#[derive(Clone)]
pub struct Postings(Form);

#[derive(Clone)]
enum Form {
    Inline { len: u8, ordinals: [u32; INLINE_MAX] },
    Few(Box<FewOrdinals>),
    Many(Box<RoaringBitmap>),
}

/// The boxed vector keeps [`Postings`] at 16 bytes.
#[derive(Clone)]
struct FewOrdinals(Vec<u32>);

impl Postings {
    /// The empty set; no heap.
    #[must_use]
    pub const fn new() -> Self {
        Self(Form::Inline { len: 0, ordinals: [0; INLINE_MAX] })
    }

    /// The ordinals `0..count`.
    #[must_use]
    pub fn all(count: u32) -> Self {
        Self::from_range(0, count)
    }

    /// The `count` ordinals from `first` on. The caller has made sure that `first + count` fits in 32 bits.
    pub(crate) fn from_range(first: u32, count: u32) -> Self {
        if count as usize <= FEW_MAX {
            return Self::from_sorted_vec((first..first + count).collect());
        }
        let mut bitmap = RoaringBitmap::new();
        bitmap.insert_range(first..=first + (count - 1));
        Self::from_bitmap(bitmap)
    }

    /// A set of ordinals that ascend strictly.
    pub(crate) fn from_sorted_vec(sorted: Vec<u32>) -> Self {
        debug_assert!(sorted.is_sorted_by(|a, b| a < b));
        if let Some(inline) = Self::inline(&sorted) {
            inline
        } else if sorted.len() <= FEW_MAX {
            Self(Form::Few(Box::new(FewOrdinals(sorted))))
        } else {
            let bitmap = RoaringBitmap::from_sorted_iter(sorted).expect("invariant: ordinals ascend");
            Self(Form::Many(Box::new(bitmap)))
        }
    }

    /// A set from a bitmap, in the form that its size asks for.
    pub(crate) fn from_bitmap(bitmap: RoaringBitmap) -> Self {
        let mut postings = Self(Form::Many(Box::new(bitmap)));
        postings.shrink();
        postings
    }

    fn inline(sorted: &[u32]) -> Option<Self> {
        let mut ordinals = [0; INLINE_MAX];
        ordinals.get_mut(..sorted.len())?.copy_from_slice(sorted);
        Some(Self(Form::Inline { len: sorted.len() as u8, ordinals }))
    }

    /// The ordinals as a slice, unless they are a bitmap.
    fn as_slice(&self) -> Option<&[u32]> {
        match &self.0 {
            Form::Inline { len, ordinals } => Some(&ordinals[..usize::from(*len)]),
            Form::Few(few) => Some(&few.0),
            Form::Many(_) => None,
        }
    }

    /// Returns a bitmap that has become small to the vector form.
    fn shrink(&mut self) {
        if let Form::Many(bitmap) = &self.0
            && bitmap.len() <= FEW_AGAIN as u64
        {
            *self = Self::from_sorted_vec(bitmap.iter().collect());
        }
    }

    /// Adds `ordinal`; whether it was missing.
    pub fn insert(&mut self, ordinal: u32) -> bool {
        match &mut self.0 {
            Form::Many(bitmap) => bitmap.insert(ordinal),
            // An index takes its series in ascending order, as a rule.
            Form::Few(few) if few.0.len() < FEW_MAX && few.0.last() < Some(&ordinal) => {
                few.0.push(ordinal);
                true
            }
            Form::Few(few) if few.0.len() < FEW_MAX => match few.0.binary_search(&ordinal) {
                Ok(_) => false,
                Err(place) => {
                    few.0.insert(place, ordinal);
                    true
                }
            },
            Form::Few(_) | Form::Inline { .. } => self.insert_growing(ordinal),
        }
    }

    /// The insert that may have to change the form.
    fn insert_growing(&mut self, ordinal: u32) -> bool {
        let slice = self.as_slice().expect("invariant: not a bitmap");
        let Err(place) = slice.binary_search(&ordinal) else { return false };
        let mut sorted = Vec::with_capacity(slice.len() + 1);
        sorted.extend_from_slice(&slice[..place]);
        sorted.push(ordinal);
        sorted.extend_from_slice(&slice[place..]);
        *self = Self::from_sorted_vec(sorted);
        true
    }

    /// Removes `ordinal`; whether it was there.
    pub fn remove(&mut self, ordinal: u32) -> bool {
        match &mut self.0 {
            Form::Many(bitmap) => {
                let removed = bitmap.remove(ordinal);
                self.shrink();
                removed
            }
            Form::Few(_) | Form::Inline { .. } => {
                let len = self.len();
                self.retain_in_slice(|kept| kept != ordinal);
                self.len() < len
            }
        }
    }

    /// Keeps what `keep` accepts; nothing to do for a bitmap.
    fn retain_in_slice(&mut self, mut keep: impl FnMut(u32) -> bool) {
        match &mut self.0 {
            Form::Inline { len, ordinals } => {
                let mut kept = 0;
                for read in 0..usize::from(*len) {
                    if keep(ordinals[read]) {
                        ordinals[kept] = ordinals[read];
                        kept += 1;
                    }
                }
                *len = kept as u8;
            }
            Form::Few(few) => {
                few.0.retain(|&ordinal| keep(ordinal));
                if let Some(inline) = Self::inline(&few.0) {
                    *self = inline;
                }
            }
            Form::Many(_) => {}
        }
    }

    /// Whether `ordinal` is in the set.
    #[must_use]
    pub fn contains(&self, ordinal: u32) -> bool {
        match &self.0 {
            Form::Inline { len, ordinals } => ordinals[..usize::from(*len)].contains(&ordinal),
            Form::Few(few) => few.0.binary_search(&ordinal).is_ok(),
            Form::Many(bitmap) => bitmap.contains(ordinal),
        }
    }

    /// The number of ordinals. (A set of all 2^32 ordinals, which no index can fill, is not supported.)
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Inline { len, .. } => usize::from(*len),
            Form::Few(few) => few.0.len(),
            Form::Many(bitmap) => bitmap.len() as usize,
        }
    }

    /// Whether the set has no ordinal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ordinals, ascending.
    #[must_use]
    pub fn iter(&self) -> PostingsIter<'_> {
        let left = self.len();
        match &self.0 {
            Form::Many(bitmap) => PostingsIter { inner: Iter::Many(Box::new(bitmap.iter())), left },
            _ => PostingsIter { inner: Iter::Slice(self.as_slice().unwrap_or_default().iter()), left },
        }
    }

    /// Keeps only what is also in `other`.
    pub fn intersect(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Form::Many(mine), Form::Many(theirs)) => {
                **mine &= &**theirs;
                self.shrink();
            }
            (Form::Many(mine), _) => {
                let mut kept = other.clone();
                kept.retain_in_slice(|ordinal| mine.contains(ordinal));
                *self = kept;
            }
            _ => self.retain_in_slice(|ordinal| other.contains(ordinal)),
        }
    }

    /// Adds everything in `other`.
    pub fn union(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Form::Many(mine), Form::Many(theirs)) => **mine |= &**theirs,
            (Form::Many(mine), _) => mine.extend(other.iter()),
            (_, Form::Many(theirs)) => {
                let mut all = theirs.clone();
                all.extend(self.iter());
                self.0 = Form::Many(all);
            }
            _ => {
                let mut all: Vec<u32> = Vec::with_capacity(self.len() + other.len());
                all.extend(self.iter().chain(other.iter()));
                all.sort_unstable();
                all.dedup();
                *self = Self::from_sorted_vec(all);
            }
        }
    }

    /// Removes everything in `other`.
    pub fn subtract(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Form::Many(mine), Form::Many(theirs)) => **mine -= &**theirs,
            (Form::Many(mine), _) => other.iter().for_each(|ordinal| {
                mine.remove(ordinal);
            }),
            _ => self.retain_in_slice(|ordinal| !other.contains(ordinal)),
        }
        self.shrink();
    }

    /// Bytes on the heap, as requested from the allocator.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match &self.0 {
            Form::Inline { .. } => 0,
            Form::Few(few) => size_of::<FewOrdinals>() + few.0.capacity() * size_of::<u32>(),
            Form::Many(bitmap) => {
                let containers = bitmap.statistics();
                let payload = containers.n_bytes_array_containers
                    + containers.n_bytes_run_containers
                    + containers.n_bytes_bitset_containers;
                let each = CONTAINER_BYTES * containers.n_containers as usize;
                size_of::<RoaringBitmap>() + each + payload as usize
            }
        }
    }
}

/// Size of one container's entry in a roaring bitmap (key, form and vector), not counting its payload.
const CONTAINER_BYTES: usize = 40;

impl Default for Postings {
    fn default() -> Self {
        Self::new()
    }
}

impl From<RoaringBitmap> for Postings {
    /// The set of the bitmap's ordinals, in the form that its size asks for.
    fn from(bitmap: RoaringBitmap) -> Self {
        Self::from_bitmap(bitmap)
    }
}

impl PartialEq for Postings {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Many(a), Form::Many(b)) => a == b,
            _ => self.len() == other.len() && self.iter().eq(other.iter()),
        }
    }
}

impl Eq for Postings {}

impl fmt::Debug for Postings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl FromIterator<u32> for Postings {
    /// Collects ordinals in any order; repetitions count once.
    fn from_iter<I: IntoIterator<Item = u32>>(ordinals: I) -> Self {
        let mut sorted: Vec<u32> = ordinals.into_iter().collect();
        if !sorted.is_sorted_by(|a, b| a < b) {
            sorted.sort_unstable();
            sorted.dedup();
        }
        sorted.shrink_to_fit();
        Self::from_sorted_vec(sorted)
    }
}

impl<'a> IntoIterator for &'a Postings {
    type Item = u32;
    type IntoIter = PostingsIter<'a>;

    fn into_iter(self) -> PostingsIter<'a> {
        self.iter()
    }
}

/// The ordinals of a [`Postings`], ascending.
#[derive(Clone)]
pub struct PostingsIter<'a> {
    inner: Iter<'a>,
    left: usize,
}

#[derive(Clone)]
enum Iter<'a> {
    Slice(std::slice::Iter<'a, u32>),
    Many(Box<roaring::bitmap::Iter<'a>>),
}

impl Iterator for PostingsIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let next = match &mut self.inner {
            Iter::Slice(slice) => slice.next().copied(),
            Iter::Many(bitmap) => bitmap.next(),
        };
        self.left -= usize::from(next.is_some());
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl fmt::Debug for PostingsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl ExactSizeIterator for PostingsIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_up_to_three_costs_sixteen_bytes_and_no_heap() {
        assert_eq!(size_of::<Postings>(), 16);
        let mut postings = Postings::new();
        for (i, ordinal) in [7, 3, u32::MAX].into_iter().enumerate() {
            assert!(postings.insert(ordinal) && !postings.insert(ordinal));
            assert_eq!((postings.len(), postings.heap_bytes()), (i + 1, 0));
        }
        postings.insert(5);
        assert!(postings.heap_bytes() > 0);
        assert_eq!(postings.iter().collect::<Vec<_>>(), [3, 5, 7, u32::MAX]);
    }

    #[test]
    fn the_form_follows_the_size_and_equality_does_not_see_it() {
        let mut grown = Postings::new();
        (0..1_000).for_each(|ordinal| assert!(grown.insert(ordinal * 70_000 % 4_000_037)));
        assert!(matches!(grown.0, Form::Many(_)));
        let ordinals: Vec<u32> = grown.iter().collect();
        for (i, ordinal) in ordinals.iter().enumerate() {
            assert!(grown.remove(*ordinal) && !grown.remove(*ordinal));
            assert_eq!(grown, ordinals[i + 1..].iter().copied().collect());
        }
        assert!(matches!(grown.0, Form::Inline { len: 0, .. }));
    }

    #[test]
    fn a_range_is_what_its_ordinals_are() {
        for (first, count) in [(0, 0), (0, 1), (5, 64), (0, 65), (100, 200_000), (u32::MAX - 99, 99)] {
            let range = Postings::from_range(first, count);
            assert_eq!(range, (first..first + count).collect());
            assert_eq!(range.len(), count as usize);
        }
        assert_eq!(Postings::all(3).iter().collect::<Vec<_>>(), [0, 1, 2]);
    }
}
