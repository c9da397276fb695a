//! The bytes of the metadata file; `docs/format/metadata.md` describes them.
//!
//! ```text
//! file  := "TSDBMETA" version:u32 count:u32 entry* crc32c:u32     the checksum is of everything before it
//! entry := kind:u8 metric help unit                               by metric ascending (bytes), each once
//! metric, help, unit := length:u32 byte*                          UTF-8
//! ```

use std::collections::HashMap;

use super::{MetricKind, MetricMetadata};

const MAGIC: [u8; 8] = *b"TSDBMETA";
/// The format version that is written, and the only one that is read.
const VERSION: u32 = 1;
/// Bytes before the first entry.
pub(super) const HEADER_BYTES: usize = 16;
/// Bytes of an entry besides its texts.
const ENTRY_BYTES: usize = 13;
/// Bytes after the last entry.
const CHECKSUM_BYTES: usize = 4;

/// Bytes that an entry takes.
pub(super) fn entry_bytes(metric: &str, metadata: &MetricMetadata) -> usize {
    ENTRY_BYTES + metric.len() + metadata.help.len() + metadata.unit.len()
}

pub(super) fn encode(metrics: &HashMap<String, MetricMetadata>) -> Vec<u8> {
    let mut sorted: Vec<_> = metrics.iter().collect();
    sorted.sort_unstable_by_key(|(metric, _)| metric.as_str());
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(sorted.len() as u32).to_le_bytes());
    for (metric, MetricMetadata { kind, help, unit }) in sorted {
        out.push(*kind as u8);
        for text in [metric, help, unit] {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// Reads back what [`encode`] gave. The error says what is wrong.
pub(super) fn decode(file: &[u8]) -> Result<HashMap<String, MetricMetadata>, String> {
    let (contents, checksum) = file.split_last_chunk::<CHECKSUM_BYTES>().ok_or("it is too short")?;
    if !contents.starts_with(&MAGIC) || contents.len() < HEADER_BYTES {
        return Err("it does not begin as a metadata file does".to_owned());
    }
    // First the checksum: a damaged version is no newer one.
    if u32::from_le_bytes(*checksum) != crc32c::crc32c(contents) {
        return Err("its checksum is wrong".to_owned());
    }
    let mut rest = &contents[MAGIC.len()..];
    let version = number(&mut rest)?;
    if version != VERSION {
        return Err(format!("it has format version {version}; this build reads {VERSION}: use a newer tsdb"));
    }
    let count = number(&mut rest)?;
    let mut metrics = HashMap::new();
    for _ in 0..count {
        let kind = rest.split_off_first().ok_or(CUT_SHORT)?;
        let kind =
            MetricKind::try_from(*kind).map_err(|kind| format!("there is no kind {kind} of metric"))?;
        let [metric, help, unit] = [text(&mut rest)?, text(&mut rest)?, text(&mut rest)?];
        if metrics.insert(metric, MetricMetadata { kind, help, unit }).is_some() {
            return Err("a metric occurs twice".to_owned());
        }
    }
    if rest.is_empty() { Ok(metrics) } else { Err("there is something behind the last entry".to_owned()) }
}

const CUT_SHORT: &str = "it ends in the middle of an entry";

fn number(rest: &mut &[u8]) -> Result<u32, String> {
    let bytes = rest.split_off(..4).and_then(<[u8]>::first_chunk).ok_or(CUT_SHORT)?;
    Ok(u32::from_le_bytes(*bytes))
}

fn text(rest: &mut &[u8]) -> Result<String, String> {
    let length = number(rest)? as usize;
    let bytes = rest.split_off(..length).ok_or(CUT_SHORT)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> HashMap<String, MetricMetadata> {
        let about =
            |kind, help: &str, unit: &str| MetricMetadata { kind, help: help.into(), unit: unit.into() };
        HashMap::from([
            ("up".to_owned(), about(MetricKind::Gauge, "Whether it is.", "")),
            ("request_duration".to_owned(), about(MetricKind::Histogram, "Zeit für eine Antwort", "seconds")),
        ])
    }

    #[test]
    fn what_is_written_is_read_and_its_size_is_known() {
        for metrics in [HashMap::new(), metrics()] {
            let file = encode(&metrics);
            let entries: usize = metrics.iter().map(|(metric, about)| entry_bytes(metric, about)).sum();
            assert_eq!(file.len(), HEADER_BYTES + entries + CHECKSUM_BYTES);
            assert_eq!(decode(&file), Ok(metrics));
        }
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_noticed() {
        let file = encode(&metrics());
        for at in 0..file.len() {
            assert!(decode(&file[..at]).is_err(), "cut at {at}");
            let mut flipped = file.clone();
            flipped[at] ^= 0x10;
            assert!(decode(&flipped).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn a_valid_checksum_does_not_excuse_the_rest() {
        let sealed = |mut contents: Vec<u8>| {
            contents.extend_from_slice(&crc32c::crc32c(&contents).to_le_bytes());
            decode(&contents).unwrap_err()
        };
        let contents = encode(&metrics());
        let contents = &contents[..contents.len() - CHECKSUM_BYTES];
        let with = |at: usize, byte: u8| {
            let mut changed = contents.to_vec();
            changed[at] = byte;
            sealed(changed)
        };
        assert_eq!(with(8, 2), "it has format version 2; this build reads 1: use a newer tsdb");
        assert_eq!(with(12, 3), CUT_SHORT);
        assert_eq!(with(12, 1), "there is something behind the last entry");
        assert_eq!(with(HEADER_BYTES, 99), "there is no kind 99 of metric");
        assert_eq!(with(HEADER_BYTES + 4, 255), CUT_SHORT);
    }
}
