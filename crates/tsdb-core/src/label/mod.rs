//! Label sets: canonical, compact, in Prometheus' order.
//!
//! A [`Labels`] is one shared, immutable allocation that holds its **canonical encoding** and nothing else, so
//! that equality and hashing are those of the bytes, a clone is a counter, and what is stored in a file is what
//! lies in memory:
//!
//! ```text
//! labels := pair*                    by name ascending (bytes), names unique, no empty name, no empty value
//! pair   := length name length value name and value in UTF-8
//! length := 0x01..=0x7e              one byte, the length in bytes
//!         | 0x7f b0 b1 b2 b3 b4      0x7f and up: 35 bits, seven a byte, the lowest first; at most 2^32-1
//! ```
//!
//! Every byte of a length is below 0x80, so the whole encoding is itself valid UTF-8. That is the reason for
//! this form over a varint: names and values are slices of one checked `str`, and reading them needs neither
//! `unsafe` nor a second UTF-8 check. The empty set has the empty encoding.
//!
//! The order of [`Labels`] is Prometheus' `labels.Compare`, not the order of the encodings. This module knows
//! nothing of interning: whoever keeps many sets shares the strings in its own way.

mod builder;
mod encoding;
mod quote;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use builder::LabelsBuilder;
use encoding::{check, read_str};
pub(crate) use quote::{Quoted, is_label_identifier, is_metric_identifier};
use xxhash_rust::xxh3::xxh3_64;

use crate::Result;

/// The name of the label that holds the metric name.
pub const METRIC_NAME: &str = "__name__";

/// A label set: `name=value` pairs sorted by name (bytes), names unique, neither names nor values empty.
///
/// Equality, hashing and [`Labels::fingerprint`] are those of the canonical bytes. The order is Prometheus'
/// `labels.Compare`: pair by pair, name then value by bytes, and the shorter set first. A clone shares the
/// allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    /// The canonical encoding; always valid, see the module's comment.
    encoded: Arc<str>,
}

impl Labels {
    /// The set without labels.
    #[must_use]
    pub fn empty() -> Self {
        Self { encoded: Arc::default() }
    }

    /// The canonical set of `pairs`, which may come in any order. Pairs with an empty value are dropped.
    ///
    /// ```
    /// let labels = tsdb_core::Labels::from_pairs([("job", "api"), ("__name__", "up"), ("zone", "")])?;
    /// assert_eq!(labels.to_string(), r#"up{job="api"}"#);
    /// # Ok::<(), tsdb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidLabels`](crate::Error::InvalidLabels) when a name is empty, occurs twice (also when one of
    /// its values is empty), or when a name or value has 2^32 bytes or more.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self>
    where
        N: AsRef<str>,
        V: AsRef<str>,
    {
        let mut builder = LabelsBuilder::new();
        for (name, value) in pairs {
            builder.push(name.as_ref(), value.as_ref());
        }
        builder.build()
    }

    /// The pairs as `(name, value)`, by name ascending.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.encoded }
    }

    /// The pairs behind the first `offset` bytes of the canonical encoding, where a pair must end.
    pub(crate) fn iter_from(&self, offset: usize) -> LabelsIter<'_> {
        LabelsIter { rest: &self.encoded[offset..] }
    }

    /// The value of the label `name`. Prometheus takes a missing label as the empty value; this tells `None`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().take_while(|&(n, _)| n <= name).find(|&(n, _)| n == name).map(|(_, value)| value)
    }

    /// The value of [`METRIC_NAME`].
    #[must_use]
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// The number of pairs. Counts them: O(pairs).
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there is no pair.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// The 64-bit xxh3 (seed 0) of [`Labels::as_bytes`]. It finds a series; it does not identify one: compare
    /// the sets as well.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        xxh3_64(self.as_bytes())
    }

    /// The canonical encoding: a list of pairs, each a length, the name, a length, the value. Equal sets have
    /// equal bytes. The layout is given with [`Labels::from_bytes`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.encoded.as_bytes()
    }

    /// Reads back what [`Labels::as_bytes`] gave.
    ///
    /// Pairs follow one another without a count or a separator. A length below 127 is one byte; a longer one is
    /// the byte 127 and five bytes of seven bits, the lowest first. Only the canonical form is accepted, so that
    /// no two encodings mean one set.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) with the offset of the first fault: bytes that are not UTF-8, a
    /// length past the end or not in its shortest form, an empty name or value, names that do not ascend.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Ok(Self { encoded: check(bytes)?.into() })
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `name{a="b"}` as [`parse_selector`](crate::parse_selector) reads it; names that are not plain identifiers are
/// quoted, `{"my.metric", "my.label"="b"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.metric_name();
        let plain_metric = metric.filter(|name| is_metric_identifier(name));
        if let Some(name) = plain_metric {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let mut separator = "";
        if let (Some(name), None) = (metric, plain_metric) {
            write!(f, "{}", Quoted(name))?;
            separator = ", ";
        }
        for (name, value) in self.iter().filter(|&(name, _)| name != METRIC_NAME) {
            f.write_str(separator)?;
            if is_label_identifier(name) {
                f.write_str(name)?;
            } else {
                write!(f, "{}", Quoted(name))?;
            }
            write!(f, "={}", Quoted(value))?;
            separator = ", ";
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Labels({self})")
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> LabelsIter<'a> {
        self.iter()
    }
}

/// The pairs of a [`Labels`], by name ascending.
#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    rest: &'a str,
}

impl LabelsIter<'_> {
    /// Bytes of the canonical encoding that the pairs still to come take.
    pub(crate) fn bytes_left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = read_str(self.rest);
        let (value, rest) = read_str(rest);
        self.rest = rest;
        Some((name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let mut rest = self.rest;
        let mut pairs = 0;
        while !rest.is_empty() {
            rest = read_str(read_str(rest).1).1;
            pairs += 1;
        }
        (pairs, Some(pairs))
    }
}

impl ExactSizeIterator for LabelsIter<'_> {}
