//! The builder of label sets: any order in, the canonical set out, buffers reused.

use std::ops::Range;

use super::encoding::{STRING_BYTES_MAX, encoded_len, write_str};
use super::{Labels, LabelsIter, Quoted};
use crate::{Error, Result};

/// Collects pairs in any order and builds [`Labels`]. Reuse it through [`LabelsBuilder::clear`]: after the first
/// set, only the set itself is allocated.
///
/// Pairs that come in order, as they mostly do, are encoded as they come; the first that does not has all of them
/// collected and sorted.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// The canonical encoding: of all pairs so far while they come in order.
    encoded: String,
    /// Where the last name lies in `encoded`.
    last_name: Range<usize>,
    /// All names and values that were pushed, one after another, once a pair came out of order.
    text: String,
    /// Where each pair lies in `text`; empty while pairs come in order.
    pairs: Vec<Pair>,
}

/// A pair as offsets in the builder's text: the name is `start..middle`, the value `middle..end`.
#[derive(Clone, Copy, Debug)]
struct Pair {
    start: usize,
    middle: usize,
    end: usize,
}

impl LabelsBuilder {
    /// A builder without pairs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.encoded.clear();
        self.last_name = 0..0;
        self.text.clear();
        self.pairs.clear();
    }

    /// Adds a pair. What is wrong with it (an empty or repeated name) is told by [`LabelsBuilder::build`].
    pub fn push(&mut self, name: &str, value: &str) {
        // An empty name is not above the last one either.
        let in_order = self.pairs.is_empty()
            && &self.encoded[self.last_name.clone()] < name
            && !value.is_empty()
            && name.len().max(value.len()) <= STRING_BYTES_MAX;
        if in_order {
            write_str(&mut self.encoded, name);
            let end = self.encoded.len();
            self.last_name = end - name.len()..end;
            write_str(&mut self.encoded, value);
            return;
        }
        if self.pairs.is_empty() {
            let encoded = std::mem::take(&mut self.encoded);
            LabelsIter { rest: &encoded }.for_each(|(name, value)| self.collect(name, value));
            self.encoded = encoded;
        }
        self.collect(name, value);
    }

    fn collect(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        self.text.push_str(value);
        self.pairs.push(Pair { start, middle, end: self.text.len() });
    }

    /// The canonical set of the pairs pushed since the last [`LabelsBuilder::clear`]; the pairs stay.
    ///
    /// # Errors
    /// As [`Labels::from_pairs`].
    pub fn build(&mut self) -> Result<Labels> {
        Ok(Labels { encoded: self.encode()?.into() })
    }

    /// What [`Labels::as_bytes`] of the set would give, without a set being made. The bytes are the builder's own.
    ///
    /// # Errors
    /// As [`Labels::from_pairs`].
    pub fn build_bytes(&mut self) -> Result<&[u8]> {
        Ok(self.encode()?.as_bytes())
    }

    fn encode(&mut self) -> Result<&str> {
        let Self { text, pairs, encoded, .. } = self;
        if pairs.is_empty() {
            return Ok(encoded);
        }
        let name = |p: &Pair| &text[p.start..p.middle];
        let value = |p: &Pair| &text[p.middle..p.end];
        if !pairs.is_sorted_by(|a, b| name(a) < name(b)) {
            pairs.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            if let Some(twice) = pairs.windows(2).find(|w| name(&w[0]) == name(&w[1])) {
                return Err(Error::InvalidLabels(format!(
                    "the name {} occurs twice",
                    Quoted(name(&twice[0]))
                )));
            }
        }
        if pairs.first().is_some_and(|p| name(p).is_empty()) {
            return Err(Error::InvalidLabels("a label name is empty".into()));
        }
        if pairs.iter().any(|p| name(p).len() > STRING_BYTES_MAX || value(p).len() > STRING_BYTES_MAX) {
            return Err(Error::InvalidLabels("a name or value has 2^32 bytes or more".into()));
        }
        let kept = || pairs.iter().filter(|p| !value(p).is_empty());
        encoded.clear();
        encoded.reserve(kept().map(|p| encoded_len(name(p)) + encoded_len(value(p))).sum());
        for pair in kept() {
            write_str(encoded, name(pair));
            write_str(encoded, value(pair));
        }
        Ok(encoded)
    }
}
