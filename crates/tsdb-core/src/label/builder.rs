//! The builder of label sets: any order in, the canonical set out, buffers reused.

use super::encoding::{STRING_BYTES_MAX, encoded_len, write_str};
use super::{Labels, Quoted};
use crate::{Error, Result};

/// Collects pairs in any order and builds [`Labels`]. Reuse it through [`LabelsBuilder::clear`]: after the first
/// set, only the set itself is allocated.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    /// All names and values pushed, one after another.
    text: String,
    /// Where each pair lies in `text`.
    pairs: Vec<Pair>,
    /// Where the canonical encoding is put together.
    encoded: String,
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
        self.text.clear();
        self.pairs.clear();
    }

    /// Adds a pair. What is wrong with it (an empty or repeated name) is told by [`LabelsBuilder::build`].
    pub fn push(&mut self, name: &str, value: &str) {
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
        let Self { text, pairs, encoded } = self;
        let name = |p: &Pair| &text[p.start..p.middle];
        let value = |p: &Pair| &text[p.middle..p.end];
        // Most callers push in order already; the check is cheaper than the sort.
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
