//! The tail of a file, page index and footer, and the checksums that protect it.
//!
//! A flipped bit in a statistic or an offset would make a reader skip rows in silence, and Parquet's footer
//! has no checksum. So the footer's key-value metadata holds one pair of fixed width, which the writer fills
//! in after the rest of the tail is encoded:
//!
//! ```text
//! tsdb.tail = "<offset, 20 digits> <page index, 16 hex digits> <footer, 16 hex digits>"
//! ```
//!
//! - offset: where the tail begins, in bytes from the start of the file; the page index lies from there to the
//!   footer;
//! - page index: xxh3-64 of those bytes;
//! - footer: xxh3-64 of the footer's Thrift bytes, with the 16 digits of this very checksum as zeros.
//!
//! Other tools read the pair as text and are not concerned. One that rewrites the file may copy it; the
//! file's creator then is another, and the pair is not looked at.

use std::io::{self, Write};

use xxhash_rust::xxh3::xxh3_64;

/// The key of the pair.
pub(crate) const TAIL_KEY: &str = "tsdb.tail";
/// Length of a Parquet file's last part: the footer's length and the magic bytes.
pub(crate) const TRAILER_BYTES: usize = 8;
/// The magic bytes at both ends of a Parquet file.
pub(crate) const MAGIC: &[u8; 4] = b"PAR1";

const OFFSET_DIGITS: usize = 20;
const HASH_DIGITS: usize = 16;
const INDEX_HASH_AT: usize = OFFSET_DIGITS + 1;
const FOOTER_HASH_AT: usize = INDEX_HASH_AT + HASH_DIGITS + 1;
const VALUE_LEN: usize = FOOTER_HASH_AT + HASH_DIGITS;

/// The value before the checksums are known.
pub(crate) fn placeholder(tail_offset: u64) -> String {
    format!("{tail_offset:020} {:016x} {:016x}", 0, 0)
}

/// The value as a reader finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailChecks {
    pub(crate) tail_offset: u64,
    pub(crate) index_hash: u64,
    footer_hash: u64,
}

impl TailChecks {
    /// Reads the pair's value; `None` when it does not have the form.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        // The one text of its numbers, so that no other bytes mean the same.
        let is_known = |byte: u8| byte == b' ' || byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if value.len() != VALUE_LEN || !value.bytes().all(is_known) {
            return None;
        }
        Some(Self {
            tail_offset: value[..OFFSET_DIGITS].parse().ok()?,
            index_hash: u64::from_str_radix(&value[INDEX_HASH_AT..INDEX_HASH_AT + HASH_DIGITS], 16).ok()?,
            footer_hash: u64::from_str_radix(&value[FOOTER_HASH_AT..], 16).ok()?,
        })
    }

    /// Whether `footer`, the Thrift bytes in which `value` was found, is what was written.
    pub(crate) fn matches_footer(self, footer: &[u8], value: &str) -> bool {
        let Some(at) = find(footer, value.as_bytes()) else { return false };
        let mut zeroed = footer.to_vec();
        zeroed[at + FOOTER_HASH_AT..at + VALUE_LEN].fill(b'0');
        xxh3_64(&zeroed) == self.footer_hash
    }
}

/// A sink that holds bytes until they are released: those of a row group, to take the checksums of its pages, and
/// those of the tail, to fill in its own.
#[derive(Debug)]
pub(crate) struct TailSink<W> {
    inner: W,
    /// Bytes that went to `inner`.
    released: u64,
    held: Vec<u8>,
    placeholder: String,
}

impl<W: Write> TailSink<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, released: 0, held: Vec::new(), placeholder: String::new() }
    }

    /// Where in the file the held bytes begin, and they themselves.
    pub(crate) fn held(&self) -> (u64, &[u8]) {
        (self.released, &self.held)
    }

    /// Writes the held bytes.
    pub(crate) fn release(&mut self) -> io::Result<()> {
        self.inner.write_all(&self.held)?;
        self.released += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// Begins the tail here. Returns the value to store under [`TAIL_KEY`].
    pub(crate) fn begin_tail(&mut self) -> io::Result<String> {
        self.release()?;
        self.placeholder = placeholder(self.released);
        Ok(self.placeholder.clone())
    }

    /// Fills in the checksums and writes the tail. Returns the sink and the length of the file.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64)> {
        self.held = seal(std::mem::take(&mut self.held), &self.placeholder)?;
        self.release()?;
        self.inner.flush()?;
        Ok((self.inner, self.released))
    }
}

impl<W: Write> Write for TailSink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// The held bytes stay.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fills the checksums into a tail that holds `placeholder` once, in its footer.
fn seal(mut tail: Vec<u8>, placeholder: &str) -> io::Result<Vec<u8>> {
    let broken = || io::Error::other("the Parquet encoder wrote a tail without its checksum's place");
    let trailer_at = tail.len().checked_sub(TRAILER_BYTES).ok_or_else(broken)?;
    let footer_len = footer_len(&tail[trailer_at..]).ok_or_else(broken)?;
    let footer_at = trailer_at.checked_sub(footer_len).ok_or_else(broken)?;
    let value_at =
        footer_at + find(&tail[footer_at..trailer_at], placeholder.as_bytes()).ok_or_else(broken)?;

    let index_hash = format!("{:016x}", xxh3_64(&tail[..footer_at]));
    tail[value_at + INDEX_HASH_AT..][..HASH_DIGITS].copy_from_slice(index_hash.as_bytes());
    let footer_hash = format!("{:016x}", xxh3_64(&tail[footer_at..trailer_at]));
    tail[value_at + FOOTER_HASH_AT..][..HASH_DIGITS].copy_from_slice(footer_hash.as_bytes());
    Ok(tail)
}

/// The length of the footer that a trailer names; `None` without the magic bytes.
pub(crate) fn footer_len(trailer: &[u8]) -> Option<usize> {
    let (length, magic) = trailer.split_first_chunk::<4>()?;
    if magic != MAGIC {
        return None;
    }
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

/// Where `needle` begins in `haystack`. The footer is searched from its end, where the pairs are.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_has_its_documented_form() {
        let value = placeholder(1234);
        assert_eq!(value, "00000000000000001234 0000000000000000 0000000000000000");
        let parsed = TailChecks::parse(&value).unwrap();
        assert_eq!((parsed.tail_offset, parsed.index_hash, parsed.footer_hash), (1234, 0, 0));
        assert_eq!(TailChecks::parse("1234 0 0"), None);
        for other in ["x", "A", "+"] {
            assert_eq!(TailChecks::parse(&value.replace('1', other)), None);
        }
    }

    #[test]
    fn a_sealed_tail_checks_and_no_flipped_bit_does() {
        let mut sink = TailSink::new(Vec::new());
        sink.write_all(b"data").unwrap();
        let value = sink.begin_tail().unwrap();
        let footer = format!("thrift {value} thrift");
        sink.write_all(b"index").unwrap();
        sink.write_all(footer.as_bytes()).unwrap();
        sink.write_all(&u32::try_from(footer.len()).unwrap().to_le_bytes()).unwrap();
        sink.write_all(MAGIC).unwrap();
        let (file, len) = sink.finish().unwrap();
        assert_eq!(file.len() as u64, len);

        let footer_at = b"dataindex".len();
        let footer = &file[footer_at..file.len() - TRAILER_BYTES];
        let value = std::str::from_utf8(&footer[7..7 + VALUE_LEN]).unwrap();
        let checks = TailChecks::parse(value).unwrap();
        assert_eq!(checks.tail_offset, 4);
        assert_eq!(checks.index_hash, xxh3_64(b"index"));
        assert!(checks.matches_footer(footer, value));
        for at in (0..footer.len()).filter(|at| !(7..7 + VALUE_LEN).contains(at)) {
            let mut flipped = footer.to_vec();
            flipped[at] ^= 1;
            assert!(!checks.matches_footer(&flipped, value), "byte {at}");
        }
    }
}
