//! The label bloom: which pairs of label and value the series of a file have, about, in a few kilobytes.
//!
//! Whoever looks for one value in very many files asks the blooms first, which fit in memory where directories and
//! footers do not, and opens only the files that can have it. It is a block of the index, and the one that is read by
//! itself, by its [`LabelBloomPlace`], before anything else of the file: so it names its own version.
//!
//! ```text
//! raw := version u32
//!        labels left out varint, (name length varint, name)*    by name
//!        filter: blocks of 8 words u32, to the end
//! ```
//!
//! The filter is Parquet's split block bloom filter over the pairs' hashes. A pair's hash is the value's, seeded with the
//! name's. A label of very many values is left out: its filter would be larger than the block that the value is found
//! with. Of it nothing is known, and a file is never passed over for it; every other pair that is in the file is said to be.

use tsdb_core::{Candidates, Matcher};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::bytes::{Cursor, Place, put_varint};
use super::frame::decompress;
use super::{BlockKind, BlockRef, IndexError, IndexResult};

/// The version of the bloom's bytes that is written.
pub const LABEL_BLOOM_VERSION: u32 = 1;
/// The oldest version that is read.
pub const OLDEST_READABLE_LABEL_BLOOM_VERSION: u32 = 1;

/// A label of more values is left out: the value's own block is read sooner than its share of the bloom.
const VALUES_MAX: usize = 1 << 16;
/// Pairs of all labels together, of which those of the largest labels go first: 384 KiB.
const PAIRS_MAX: usize = 1 << 18;
/// Bits of the filter for each pair: of a thousand pairs that are not there, some four seem to be.
const BITS_A_PAIR: usize = 12;
/// Values of one matcher beyond which a file is not passed over for it: one of so many is as a rule there, or seems so.
const LITERALS_MAX: usize = 64;

const WORDS: usize = 8;
const FILTER_BLOCK_BYTES: usize = WORDS * 4;
/// The multipliers of Parquet's split block bloom filter, one for each word.
const SALT: [u32; WORDS] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Where a file's label bloom lies, and how to tell that it is whole: all that is needed to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelBloomPlace {
    /// First byte, counted from the start of the file.
    pub offset: u64,
    /// Bytes in the file.
    pub bytes: u32,
    /// xxh3-64 (seed 0) of these.
    pub checksum: u64,
}

impl LabelBloomPlace {
    pub(super) fn of(block: &BlockRef) -> Self {
        Self { offset: block.offset, bytes: block.stored_len, checksum: block.hash }
    }
}

/// The decoded label bloom of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelBloom {
    /// Labels of which nothing is known, by name.
    left_out: Vec<Box<str>>,
    filter: Vec<[u32; WORDS]>,
}

impl LabelBloom {
    /// Checks and decodes the bytes at `at`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] when they are not what was written, [`IndexError::UnsupportedVersion`].
    pub fn decode(stored: &[u8], at: &LabelBloomPlace) -> IndexResult<Self> {
        let place = Place { block: BlockKind::LabelBloom, offset: at.offset };
        if stored.len() as u64 != u64::from(at.bytes) || xxh3_64(stored) != at.checksum {
            return Err(place.damaged("wrong checksum or length"));
        }
        Self::decode_raw(&decompress(stored, None, place)?, place)
    }

    pub(super) fn decode_raw(raw: &[u8], place: Place) -> IndexResult<Self> {
        let mut cursor = Cursor::new(place, raw);
        let version = cursor.u32()?;
        if !(OLDEST_READABLE_LABEL_BLOOM_VERSION..=LABEL_BLOOM_VERSION).contains(&version) {
            return Err(IndexError::UnsupportedVersion {
                format: "label bloom",
                found: version,
                oldest: OLDEST_READABLE_LABEL_BLOOM_VERSION,
                newest: LABEL_BLOOM_VERSION,
            });
        }
        let mut left_out: Vec<Box<str>> = Vec::new();
        for _ in 0..cursor.count("labels", 1)? {
            let len = cursor.varint()?;
            let name = std::str::from_utf8(cursor.take(len)?);
            let name = name.map_err(|_| cursor.damaged("a label name that is not UTF-8"))?.into();
            if left_out.last().is_some_and(|last| *last >= name) {
                return Err(cursor.damaged("label names that do not ascend"));
            }
            left_out.push(name);
        }
        let bytes = cursor.take(cursor.remaining() as u64)?;
        if bytes.is_empty() || !bytes.len().is_multiple_of(FILTER_BLOCK_BYTES) {
            return Err(cursor.damaged(format!("a filter of {} bytes", bytes.len())));
        }
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("invariant: chunks of 4"));
        let block = |bytes: &[u8]| {
            let mut words = [0; WORDS];
            words.iter_mut().zip(bytes.chunks_exact(4)).for_each(|(to, bytes)| *to = word(bytes));
            words
        };
        Ok(Self { left_out, filter: bytes.chunks_exact(FILTER_BLOCK_BYTES).map(block).collect() })
    }

    /// Whether a series of the file may satisfy all the matchers of `wanted`. A false answer is right, a true one mostly.
    #[must_use]
    pub fn may_have(&self, wanted: &WantedPairs) -> bool {
        wanted.labels.iter().all(|WantedLabel { name, hashes }| {
            self.leaves_out(name) || hashes.iter().any(|&hash| self.has(hash))
        })
    }

    /// Bytes that the bloom takes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let names = self.left_out.iter().map(|name| size_of::<Box<str>>() + name.len());
        size_of::<Self>() + names.sum::<usize>() + self.filter.len() * FILTER_BLOCK_BYTES
    }

    fn leaves_out(&self, name: &str) -> bool {
        self.left_out.binary_search_by(|left_out| (**left_out).cmp(name)).is_ok()
    }

    fn has(&self, hash: u64) -> bool {
        let block = &self.filter[block_of(hash, self.filter.len())];
        block.iter().zip(mask(hash)).all(|(word, mask)| word & mask != 0)
    }
}

/// What a query's matchers ask of a label bloom: for those that only some values of a label can satisfy, these.
#[derive(Clone, Debug, Default)]
pub struct WantedPairs {
    labels: Vec<WantedLabel>,
}

#[derive(Clone, Debug)]
struct WantedLabel {
    name: Box<str>,
    hashes: Vec<u64>,
}

impl WantedPairs {
    /// What equalities and short alternations of literals ask. A matcher that a series without the label satisfies asks
    /// nothing, and so does one of any other form.
    #[must_use]
    pub fn of(matchers: &[Matcher]) -> Self {
        let asks = |matcher: &&Matcher| !matcher.op().is_negated() && !matcher.matches_empty();
        let wanted = |matcher: &Matcher| match matcher.candidates() {
            Candidates::Literals(values) if values.len() <= LITERALS_MAX => {
                let seed = name_seed(matcher.name());
                let hashes = values.iter().map(|value| pair_hash(seed, value.as_bytes())).collect();
                Some(WantedLabel { name: matcher.name().into(), hashes })
            }
            _ => None,
        };
        Self { labels: matchers.iter().filter(asks).filter_map(wanted).collect() }
    }

    /// Whether nothing is asked, so that every file may have it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Gathers the pairs of a file, label by label.
#[derive(Debug, Default)]
pub(super) struct LabelBloomBuilder {
    labels: Vec<WantedLabel>,
    /// Of all of these together.
    pairs: usize,
    left_out: Vec<Box<str>>,
    /// The label at hand: the seed of its hashes, and these; none once it has too many values.
    seed: u64,
    hashes: Option<Vec<u64>>,
}

impl LabelBloomBuilder {
    /// Begins a label.
    pub(super) fn begin_label(&mut self, name: &str) {
        self.seed = name_seed(name);
        self.hashes = Some(Vec::new());
    }

    /// Adds a value of it, none twice.
    pub(super) fn value(&mut self, value: &[u8]) {
        if let Some(hashes) = &mut self.hashes {
            hashes.push(pair_hash(self.seed, value));
            if hashes.len() > VALUES_MAX {
                self.hashes = None;
            }
        }
    }

    /// Ends it.
    pub(super) fn end_label(&mut self, name: &str) {
        match self.hashes.take() {
            Some(hashes) => {
                self.pairs += hashes.len();
                self.labels.push(WantedLabel { name: name.into(), hashes });
            }
            None => self.left_out.push(name.into()),
        }
        while self.pairs > PAIRS_MAX {
            let by_values = self.labels.iter().enumerate().max_by_key(|(_, label)| label.hashes.len());
            let Some((largest, _)) = by_values else { return };
            let WantedLabel { name, hashes } = self.labels.remove(largest);
            self.pairs -= hashes.len();
            self.left_out.push(name);
        }
    }

    /// Appends the raw block.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&LABEL_BLOOM_VERSION.to_le_bytes());
        self.left_out.sort_unstable();
        put_varint(out, self.left_out.len() as u64);
        for name in &self.left_out {
            put_varint(out, name.len() as u64);
            out.extend_from_slice(name.as_bytes());
        }
        let blocks = (self.pairs * BITS_A_PAIR).div_ceil(FILTER_BLOCK_BYTES * 8).max(1);
        let mut filter = vec![[0_u32; WORDS]; blocks];
        for &hash in self.labels.iter().flat_map(|label| &label.hashes) {
            let block = &mut filter[block_of(hash, blocks)];
            block.iter_mut().zip(mask(hash)).for_each(|(word, mask)| *word |= mask);
        }
        filter.iter().flatten().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }
}

fn name_seed(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

fn pair_hash(seed: u64, value: &[u8]) -> u64 {
    xxh3_64_with_seed(value, seed)
}

/// The filter's block of a hash, by its upper half.
fn block_of(hash: u64, blocks: usize) -> usize {
    (((hash >> 32) * blocks as u64) >> 32) as usize
}

/// The bit of each word of the block, by the hash's lower half.
fn mask(hash: u64) -> [u32; WORDS] {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use tsdb_core::MatchOp;

    use super::*;

    const PLACE: Place = Place { block: BlockKind::LabelBloom, offset: 0 };

    fn bloom(labels: &[(&str, usize)]) -> LabelBloom {
        let mut builder = LabelBloomBuilder::default();
        for &(name, values) in labels {
            builder.begin_label(name);
            (0..values).for_each(|value| builder.value(format!("value-{value}").as_bytes()));
            builder.end_label(name);
        }
        let mut raw = Vec::new();
        builder.finish(&mut raw);
        LabelBloom::decode_raw(&raw, PLACE).unwrap()
    }

    fn may_have(bloom: &LabelBloom, name: &str, value: &str) -> bool {
        bloom.may_have(&WantedPairs::of(&[Matcher::equal(name, value)]))
    }

    #[test]
    fn what_is_there_is_found_and_little_else() {
        let bloom = bloom(&[("a", 3), ("job", 5_000), ("z", 1)]);
        for (name, values) in [("a", 3), ("job", 5_000), ("z", 1)] {
            assert!((0..values).all(|value| may_have(&bloom, name, &format!("value-{value}"))), "{name}");
        }
        let absent = |name: &str| {
            (0..50_000).filter(|value| may_have(&bloom, name, &format!("value-{}", value + 5_000))).count()
        };
        // 4 in 1,000 are expected.
        let wrong = absent("a") + absent("job") + absent("none");
        assert!((1..1_500).contains(&wrong), "{wrong} of 150,000");
        assert_eq!(bloom.filter.len(), (5_004_usize * 12).div_ceil(256));
    }

    #[test]
    fn labels_of_many_values_are_left_out_and_never_missed() {
        let bloom = bloom(&[("a", VALUES_MAX), ("b", VALUES_MAX + 1), ("c", 1)]);
        assert_eq!(bloom.left_out, ["b".into()]);
        assert!(may_have(&bloom, "b", "anything") && !may_have(&bloom, "c", "anything"));
    }

    #[test]
    fn the_largest_labels_make_room() {
        let names: Vec<String> = (0..6).map(|i| format!("l{i}")).collect();
        let sizes = [50_000, 60_000, 10, 65_000, 60_000, 50_000];
        let labels: Vec<_> = names.iter().map(String::as_str).zip(sizes).collect();
        let bloom = bloom(&labels);
        assert_eq!(bloom.left_out, ["l3".into()]);
        assert!(may_have(&bloom, "l3", "x") && may_have(&bloom, "l5", "value-49999"));
        assert!(!may_have(&bloom, "l2", "value-10"));
        assert!(bloom.memory_bytes() < 400 << 10);
    }

    #[test]
    fn only_matchers_that_need_a_value_ask() {
        let bloom = bloom(&[("job", 10)]);
        let may =
            |op, value: &str| bloom.may_have(&WantedPairs::of(&[Matcher::new(op, "job", value).unwrap()]));
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let many = (0..100).map(|i| format!("x{i}")).collect::<Vec<_>>().join("|");
        for (op, value, expected) in [
            (Equal, "value-1", true),
            (Equal, "x", false),
            (Equal, "", true),
            (NotEqual, "x", true),
            (Regex, "x|y|z", false),
            (Regex, "x|value-9", true),
            (Regex, "x|", true),
            (Regex, "x.*", true),
            (Regex, many.as_str(), true),
            (NotRegex, "value-1|x", true),
            (NotRegex, "", true),
        ] {
            assert_eq!(may(op, value), expected, "{op} {value}");
        }
        // No value satisfies it: nothing is missed.
        assert!(!may(Regex, r"\x{D800}"));
        let both = [Matcher::equal("job", "value-1"), Matcher::equal("zone", "a")];
        assert!(!bloom.may_have(&WantedPairs::of(&both)));
        assert!(WantedPairs::of(&[Matcher::equal("job", "")]).is_empty());
    }

    #[test]
    fn a_newer_version_and_odd_bytes_are_refused() {
        let mut raw = Vec::new();
        LabelBloomBuilder::default().finish(&mut raw);
        assert_eq!(raw.len(), 4 + 1 + 32);
        assert!(LabelBloom::decode_raw(&raw, PLACE).is_ok());
        let newer = [&[LABEL_BLOOM_VERSION as u8 + 1], &raw[1..]].concat();
        let error = LabelBloom::decode_raw(&newer, PLACE).unwrap_err();
        assert!(matches!(error, IndexError::UnsupportedVersion { format: "label bloom", .. }), "{error}");
        for len in 0..raw.len() {
            assert!(LabelBloom::decode_raw(&raw[..len], PLACE).is_err(), "{len} bytes");
        }
    }
}
