//! Damage: an error or the same data, never a panic, a wrong value or a huge allocation.

use std::fs;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;

/// What a reader gets from a block: everything, in a form to compare, or the first error.
fn read_all(bytes: Bytes) -> Result<Vec<(Labels, Vec<(i64, u64)>)>, Error> {
    let block = Block::open(bytes)?;
    let mut all = Vec::new();
    for ordinal in block.select(&parse_selector(r#"{l=~"v.*",none=""}"#)?)?.iter() {
        let samples = block.samples(ordinal, TimeRange::ALL)?;
        let floats = samples.timestamps_ms.iter().zip(&samples.values).map(|(t, v)| (*t, v.to_bits()));
        let histograms = samples.histograms.iter().map(|(t, h)| (*t, h.sum.to_bits()));
        all.push((block.labels(ordinal)?, floats.chain(histograms).collect()));
    }
    for name in block.label_names()? {
        for value in block.label_values(&name)? {
            block.select(&[Matcher::equal(&name, &value)])?;
        }
    }
    Ok(all)
}

/// A block with every structure, and small: a list, a run, a bitmap; two pages of series and of values; floats
/// and a histogram; several chunks.
fn small() -> Input {
    let mut input = Input::new();
    for i in 0..i64::from(SMALL_SERIES) {
        let value = format!("v{:03}", i * 37 % i64::from(SMALL_SERIES));
        let (run, most) = ((i / 40).to_string(), if i % 9 == 0 { "" } else { "m" });
        let few = if i % 30 == 3 { "x" } else { "" };
        let labels = Labels::from_pairs([("l", value.as_str()), ("run", &run), ("most", most), ("few", few)]);
        let count = if i == 5 { 3 } else { 1 };
        let samples = (0..count).map(|n| (ID.window_start_ms + i * 10 + n, SampleValue::Float(i as f64)));
        input.insert(labels.unwrap(), samples.collect());
    }
    let histogram = SampleValue::Histogram(Arc::new(Histogram::stale(true)));
    input.values_mut().next().unwrap().insert(ID.window_start_ms + 5_000, histogram);
    input
}

const SMALL_SERIES: u32 = 80;

/// The bytes of [`small`].
fn small_bytes() -> Bytes {
    static BYTES: OnceLock<Bytes> = OnceLock::new();
    BYTES.get_or_init(|| write(&small(), 2).1).clone()
}

#[test]
fn every_flipped_byte_is_an_error_or_the_same_data() {
    let bytes = small_bytes();
    let whole = read_all(bytes.clone()).unwrap();
    assert_eq!(whole.len(), SMALL_SERIES as usize);
    for at in 0..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= [0x01, 0x80, 0xff][at % 3];
        let damaged = Bytes::from(damaged);
        match read_all(damaged.clone()) {
            Ok(read) => assert_eq!(read, whole, "byte {at}"),
            Err(Error::Corrupt { offset, .. }) => assert!(offset <= bytes.len() as u64, "byte {at}"),
            Err(other) => panic!("byte {at}: {other}"),
        }
        let verified = Block::open(damaged).and_then(|block| block.verify());
        assert!(verified.is_err(), "byte {at}: every byte is under a checksum");
    }
}

#[test]
fn every_cut_is_an_error() {
    let bytes = small_bytes();
    for len in 0..bytes.len() {
        let opened = Block::open(bytes.slice(..len));
        assert!(matches!(opened, Err(Error::Corrupt { .. })), "cut at {len}");
        assert!(Block::open(bytes.slice(bytes.len() - len..)).is_err(), "front cut off, {len} left");
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(Block::open(longer.into()).is_err());
}

#[test]
fn damage_hurts_only_what_touches_it() {
    let (_, bytes) = write(&small(), 2);
    let block = Block::open(bytes.clone()).unwrap();
    let victim = block.chunks(70).unwrap()[0];
    let mut damaged = bytes.to_vec();
    let at = Places::of(&bytes).chunks + victim.offset as usize;
    damaged[at] ^= 1;
    let block = Block::open(damaged.into()).unwrap();
    for ordinal in 0..SMALL_SERIES {
        let read = block.samples(ordinal, TimeRange::ALL);
        match read {
            Err(Error::Corrupt { offset, .. }) => assert_eq!((ordinal, offset as usize), (70, at)),
            other => assert!(ordinal != 70 && other.is_ok()),
        }
        block.labels(ordinal).unwrap();
    }
    assert!(block.samples(70, TimeRange::new(0, 1)).unwrap().is_empty(), "no need to touch the chunk");
}

/// Where everything lies, read by the page `docs/format/block.md` and not by the crate's own constants.
struct Places {
    chunks: usize,
    /// Values, postings, series: section, its table, and its table's checksum in the TOC.
    paged: [(std::ops::Range<usize>, std::ops::Range<usize>, usize); 3],
    names: std::ops::Range<usize>,
    names_crc: usize,
    toc: usize,
}

impl Places {
    fn of(block: &[u8]) -> Self {
        let toc = block.len() - 16 - 144;
        let number =
            |at: usize| u64::from_le_bytes(block[toc + at..toc + at + 8].try_into().unwrap()) as usize;
        let mut section = 16 + number(56);
        let mut table = section + number(64) + number(72) + number(80);
        let paged = std::array::from_fn(|i| {
            let (start, table_start) = (section, table);
            section += number(64 + 8 * i);
            table += 12 * number(88 + 8 * i);
            (start..section, table_start..table, toc + 128 + 4 * i)
        });
        Self { chunks: 16, paged, names: table..table + number(112), names_crc: toc + 124, toc }
    }

    /// Makes all checksums right again. The lengths in the TOC must be those of an undamaged block.
    fn repair(&self, block: &mut [u8]) {
        let put =
            |block: &mut [u8], at: usize, crc: u32| block[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        for (section, table, table_crc) in self.paged.clone() {
            let mut start = 0;
            for entry in table.clone().step_by(12) {
                let end = u64::from_le_bytes(block[entry..entry + 8].try_into().unwrap());
                let end = (end as usize).clamp(start, section.len());
                let crc = crc32c::crc32c(&block[section.start + start..section.start + end]);
                put(block, entry + 8, crc);
                start = end;
            }
            let crc = crc32c::crc32c(&block[table]);
            put(block, table_crc, crc);
        }
        put(block, self.names_crc, crc32c::crc32c(&block[self.names.clone()]));
        put(block, 12, crc32c::crc32c(&block[..12]));
        let crc = crc32c::crc32c(&block[self.toc..self.toc + 148]);
        put(block, self.toc + 148, crc);
    }
}

/// Peak virtual memory of this process in bytes: also what was asked for and never touched.
#[cfg(target_os = "linux")]
fn peak_virtual_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

#[cfg(not(target_os = "linux"))]
fn peak_virtual_bytes() -> u64 {
    0
}

/// Reads a damaged block in all ways; whatever comes of it, it must not be a panic.
fn exercise(bytes: Bytes) {
    let _ = read_all(bytes.clone());
    let Ok(block) = Block::open(bytes) else { return };
    let _ = block.verify();
    for selector in [r#"{most="m"}"#, r#"{l=~".*7"}"#, r#"{few!=""}"#, r#"{l!~"v1.*",run="0"}"#] {
        let _ = block.select(&parse_selector(selector).unwrap());
    }
    for ordinal in (0..block.meta().series.min(200)).chain([u32::MAX - 1]) {
        let _ = block.labels(ordinal);
        let _ = block.samples(ordinal, TimeRange::ALL);
    }
}

#[test]
fn the_repaired_block_is_the_block() {
    let bytes = small_bytes();
    let mut repaired = bytes.to_vec();
    Places::of(&bytes).repair(&mut repaired);
    assert_eq!(repaired, bytes);
}

#[test]
fn a_contradiction_under_right_checksums_is_found_by_verify() {
    let bytes = small_bytes();
    let places = Places::of(&bytes);
    let (values, _, _) = places.paged[0].clone();
    let (series, _, _) = places.paged[2].clone();
    let mut missed = Vec::new();
    for at in values.chain(series).chain(places.names.clone()) {
        let mut damaged = bytes.to_vec();
        damaged[at] ^= 1;
        places.repair(&mut damaged);
        let damaged = Bytes::from(damaged);
        if Block::open(damaged).and_then(|block| block.verify()).is_ok() {
            missed.push(at);
        }
    }
    // A bit past the last number of a packed column says nothing.
    assert!(missed.len() * 100 < bytes.len(), "{} of {}: {missed:?}", missed.len(), bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn mutated_blocks_do_not_panic_nor_ask_for_the_moon(
        mutations in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 1..9_usize), 1..6),
        repair in any::<bool>(),
    ) {
        let bytes = small_bytes();
        let places = Places::of(&bytes);
        let mut damaged = bytes.to_vec();
        for (at, byte, len) in mutations {
            // Half of a block is chunks, whose decoders have their own tests: aim at the index.
            let at = places.paged[0].0.start + at.index(bytes.len() - places.paged[0].0.start);
            let end = (at + len).min(bytes.len());
            damaged[at..end].fill(byte);
        }
        if repair {
            let toc = places.toc;
            // The counts stay as mutated, the lengths do not: the places must remain.
            damaged[toc + 56..toc + 120].copy_from_slice(&bytes[toc + 56..toc + 120]);
            damaged[toc + 144..].copy_from_slice(&bytes[toc + 144..]);
            places.repair(&mut damaged);
        }
        let before = peak_virtual_bytes();
        exercise(damaged.into());
        let grown = peak_virtual_bytes() - before;
        prop_assert!(grown < 1 << 30, "{grown} bytes for a block of {}", bytes.len());
    }

    #[test]
    fn bytes_of_any_kind_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(bytes.into());
    }
}
