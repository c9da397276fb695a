//! The text under [`SERIES_INDEX_KEY`] by which a reader finds the index.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::Place;
use super::{BlockKind, IndexError, IndexResult, OLDEST_READABLE_SERIES_INDEX_VERSION, SERIES_INDEX_VERSION};

/// The key of the pair in the Parquet file's key-value metadata.
pub const SERIES_INDEX_KEY: &str = "tsdb.series_index";

/// Where the index lies in its file, and the checksum of its directory.
///
/// As text it always takes [`IndexPointer::VALUE_LEN`] bytes: decimal numbers with leading zeros, the checksum in
/// hexadecimal, single spaces between them.
///
/// ```
/// use tsdb_parquet_io::IndexPointer;
/// let pointer =
///     IndexPointer { version: 1, offset: 4096, length: 300, directory_length: 100, directory_hash: 0xfeed };
/// let value = pointer.to_value();
/// assert_eq!(value, "0001 00000000000000004096 00000000000000000300 0000000100 000000000000feed");
/// assert_eq!(IndexPointer::parse(&value), Some(pointer));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexPointer {
    /// The version of the index' format.
    pub version: u32,
    /// The first byte of the region, counted from the start of the file.
    pub offset: u64,
    /// Bytes of the region, the directory included.
    pub length: u64,
    /// Bytes of the stored directory, the last ones of the region.
    pub directory_length: u32,
    /// xxh3-64 (seed 0) of the stored directory.
    pub directory_hash: u64,
}

/// Digits of each field.
const DIGITS: [usize; 5] = [4, 20, 20, 10, 16];

impl IndexPointer {
    /// Bytes of the text form.
    pub const VALUE_LEN: usize = DIGITS[0] + DIGITS[1] + DIGITS[2] + DIGITS[3] + DIGITS[4] + DIGITS.len() - 1;

    /// The text form.
    #[must_use]
    pub fn to_value(&self) -> String {
        let Self { version, offset, length, directory_length, directory_hash } = self;
        format!("{version:04} {offset:020} {length:020} {directory_length:010} {directory_hash:016x}")
    }

    /// Reads the text form; `None` when it does not have it.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split(' ');
        let mut next = |index: usize| {
            fields.next().filter(|field| {
                field.len() == DIGITS[index] && field.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        let pointer = Self {
            version: next(0)?.parse().ok()?,
            offset: next(1)?.parse().ok()?,
            length: next(2)?.parse().ok()?,
            directory_length: next(3)?.parse().ok()?,
            directory_hash: u64::from_str_radix(next(4)?, 16).ok()?,
        };
        // The one text of a pointer, so that no other bytes mean the same.
        (pointer.to_value() == value).then_some(pointer)
    }

    /// Refuses the text of a pointer to an index of a version that is not read, in which all behind the version may have
    /// another form. One that does not begin with a version at all is not refused here.
    ///
    /// # Errors
    /// [`IndexError::UnsupportedVersion`].
    pub fn check_version(value: &str) -> IndexResult<()> {
        let version = value.get(..DIGITS[0]).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let Some(found) = version.and_then(|digits| digits.parse().ok()) else { return Ok(()) };
        let (oldest, newest) = (OLDEST_READABLE_SERIES_INDEX_VERSION, SERIES_INDEX_VERSION);
        if (oldest..=newest).contains(&found) {
            return Ok(());
        }
        Err(IndexError::UnsupportedVersion { format: "series index", found, oldest, newest })
    }

    /// The bytes of the region in the file.
    ///
    /// # Errors
    /// [`IndexError::Damaged`](super::IndexError::Damaged) when no file has such a place.
    pub fn region(&self) -> IndexResult<Range<u64>> {
        match self.offset.checked_add(self.length) {
            Some(end) if u64::from(self.directory_length) <= self.length => Ok(self.offset..end),
            _ => Err(self.place(BlockKind::Region).damaged("a pointer past the end of any file")),
        }
    }

    /// The bytes of the stored directory in the file.
    ///
    /// # Errors
    /// As [`IndexPointer::region`].
    pub fn directory(&self) -> IndexResult<Range<u64>> {
        let end = self.region()?.end;
        Ok(end - u64::from(self.directory_length)..end)
    }

    pub(super) fn place(&self, block: BlockKind) -> Place {
        Place { block, offset: self.offset }
    }

    /// Whether `stored` is the directory that was written.
    pub(super) fn matches(&self, stored: &[u8]) -> bool {
        stored.len() as u64 == u64::from(self.directory_length) && xxh3_64(stored) == self.directory_hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_only_one() {
        let pointer = IndexPointer {
            version: 9_999,
            offset: u64::MAX,
            length: u64::MAX - 1,
            directory_length: u32::MAX,
            directory_hash: u64::MAX,
        };
        let value = pointer.to_value();
        assert_eq!(value.len(), IndexPointer::VALUE_LEN);
        assert_eq!(IndexPointer::parse(&value), Some(pointer));
        assert!(pointer.region().is_err());
        for broken in
            [&value[1..], &value.replace(' ', "_"), &format!("{value} "), &value.to_uppercase(), "", "0"]
        {
            assert_eq!(IndexPointer::parse(broken), None, "{broken}");
        }
    }
}
