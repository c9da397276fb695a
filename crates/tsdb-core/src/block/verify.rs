//! Checks a whole block: every checksum, and that its parts say the same.

use xxhash_rust::xxh3::xxh3_128;

use super::format::{FORM_BITMAP, HEADER_BYTES, SERIES_PER_PAGE};
use super::names::Name;
use super::ordinals::{StoredSet, Union};
use super::reader::{Block, displace};
use crate::{ChunkMeta, Error, Labels, Result, SampleBuffer, TimeRange};

impl Block {
    /// Checks everything: all checksums, the order of names, values and series, that postings and series say
    /// the same, that every chunk decodes to what its metadata promise, and the counts. Reads the whole block.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first damage or contradiction.
    pub fn verify(&self) -> Result<()> {
        self.values.verify(&self.bytes)?;
        self.bitmaps.verify(&self.bytes)?;
        self.series.verify(&self.bytes)?;
        let mut of_postings = Pairs::default();
        let mut bitmaps = 0;
        for (ordinal, name) in self.names()?.iter().enumerate() {
            self.verify_values(ordinal as u32, name, &mut of_postings, &mut bitmaps)?;
        }
        if bitmaps != self.bitmaps.pages() {
            return Err(self.contradiction(format!("{bitmaps} bitmaps used of {}", self.bitmaps.pages())));
        }
        let mut of_series = Pairs::default();
        self.verify_series(&mut of_series)?;
        if of_postings != of_series {
            return Err(self.contradiction("postings and series do not say the same"));
        }
        Ok(())
    }

    /// One name's values: in order, with disjoint sets that make up the set of the name.
    fn verify_values(&self, ordinal: u32, name: &Name, pairs: &mut Pairs, bitmaps: &mut u64) -> Result<()> {
        let mut buffer = String::new();
        let mut previous = String::new();
        let (mut union, mut count, mut value_ordinal) = (Union::new(self.meta().series), 0, 0);
        for page in 0..name.pages() {
            let (page, _) = self.value_page(name, page)?;
            let sets = page.sets()?;
            page.for_each(&mut buffer, |index, value| {
                if value <= previous.as_str() {
                    return Err(self.contradiction(format!("values of label {} out of order", name.name)));
                }
                previous.clear();
                previous.push_str(value);
                self.count_bitmap(sets.get(index), bitmaps)?;
                let set = self.decode_set(sets.get(index), &sets.tail)?.into_postings();
                count += set.len();
                set.iter().for_each(|series| pairs.add(ordinal, value_ordinal, series));
                union.add_all(&set);
                value_ordinal += 1;
                Ok(true)
            })?;
        }
        self.count_bitmap(name.having, bitmaps)?;
        let (union, having) = (union.finish(), self.decode_having(name)?.into_postings());
        if union.len() != count || union != having {
            let detail = format!("the postings of label {} and of its values differ", name.name);
            return Err(self.contradiction(detail));
        }
        Ok(())
    }

    /// Bitmaps are used in their order, each once.
    fn count_bitmap(&self, set: StoredSet, bitmaps: &mut u64) -> Result<()> {
        if set.form == FORM_BITMAP {
            if set.payload != *bitmaps {
                return Err(self.contradiction(format!("bitmap {} where {bitmaps} belongs", set.payload)));
            }
            *bitmaps += 1;
        }
        Ok(())
    }

    /// The series: in order, with chunks that fill the chunk section and hold what is promised.
    fn verify_series(&self, pairs: &mut Pairs) -> Result<()> {
        let meta = self.meta();
        let mut found = Found { time_range: TimeRange::EMPTY, samples: 0, chunks: 0, chunks_len: 0 };
        let mut previous: Option<Labels> = None;
        let mut reader = self.labels_reader();
        for ordinal in 0..meta.series {
            let labels = reader.labels(ordinal)?;
            if previous.as_ref().is_some_and(|previous| *previous >= labels) {
                return Err(self.contradiction(format!("series {ordinal} out of order")));
            }
            previous = Some(labels);
            let (page, row) = self.series_page(ordinal)?;
            page.labels(row, |name, value| {
                pairs.add(name, value, ordinal);
                Ok(())
            })?;
            if row == SERIES_PER_PAGE - 1 || ordinal == meta.series - 1 {
                page.chunks(meta.id.window_start_ms)?.verify(row + 1)?;
            }
            for chunk in self.chunks(ordinal)? {
                self.verify_chunk(&chunk, &mut found)?;
            }
        }
        let promised = Found {
            time_range: meta.time_range,
            samples: meta.samples,
            chunks: meta.chunks,
            chunks_len: self.toc.chunks_len,
        };
        if found == promised {
            Ok(())
        } else {
            Err(self.contradiction(format!("the block has {found:?} and says {promised:?}")))
        }
    }

    fn verify_chunk(&self, meta: &ChunkMeta, found: &mut Found) -> Result<()> {
        let offset = HEADER_BYTES as u64 + meta.offset;
        let corrupt = |detail: &str| Error::Corrupt { what: "block chunk", offset, detail: detail.into() };
        if meta.offset != found.chunks_len {
            return Err(corrupt("chunks do not lie back to back"));
        }
        let mut samples = SampleBuffer::default();
        self.chunk(meta)?.decode_into(&mut samples).map_err(|error| displace(error, offset))?;
        if samples.len() != meta.count as usize || samples.time_range() != meta.time_range {
            return Err(corrupt("the samples contradict the chunk's metadata"));
        }
        found.time_range = found.time_range.hull(meta.time_range);
        found.samples += u64::from(meta.count);
        found.chunks += 1;
        found.chunks_len += u64::from(meta.len);
        Ok(())
    }

    fn contradiction(&self, detail: impl Into<String>) -> Error {
        Error::Corrupt { what: "block", offset: 0, detail: detail.into() }
    }
}

/// What a block's series add up to.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    time_range: TimeRange,
    samples: u64,
    chunks: u64,
    chunks_len: u64,
}

/// A set of (name, value, series) triples as its size and the sum of their hashes, so that two sets are
/// compared in any order and without memory. It finds damage; it is no defence against a forger.
#[derive(Debug, Default, PartialEq, Eq)]
struct Pairs {
    count: u64,
    sum: u128,
}

impl Pairs {
    fn add(&mut self, name: u32, value: u32, series: u32) {
        let mut triple = [0; 12];
        triple[..4].copy_from_slice(&name.to_le_bytes());
        triple[4..8].copy_from_slice(&value.to_le_bytes());
        triple[8..].copy_from_slice(&series.to_le_bytes());
        self.count += 1;
        self.sum = self.sum.wrapping_add(xxh3_128(&triple));
    }
}
