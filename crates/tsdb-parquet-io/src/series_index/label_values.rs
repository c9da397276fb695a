//! Which values does a label have, and which labels, in the whole file or in some of its series.

use tsdb_core::Postings;

use super::block::{BLOCKS_AT_A_TIME, Held};
use super::resolve::{ValueNumbers, ValueTexts};
use super::{Block, BlockId, BlockLookup, Directory, IndexResult, Step};

/// The values of a label in the whole file or in some series, sorted by bytes, as a lookup in blocks.
#[derive(Debug)]
pub struct LabelValuesLookup<'a> {
    directory: &'a Directory,
    held: Held,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// No series has the label.
    Nothing,
    /// All values: the label, its blocks, how many of them are done, and the values so far.
    File { label: u32, blocks: Vec<BlockId>, done: usize, values: Vec<String> },
    /// The values of some series.
    Series { label: u32, numbers: ValueNumbers, texts: ValueTexts },
}

impl<'a> LabelValuesLookup<'a> {
    /// A lookup of the values that the label `name` has in `series`; in all series for `None`.
    #[must_use]
    pub fn new(directory: &'a Directory, name: &str, series: Option<&Postings>) -> Self {
        let source = match (directory.label(name), series) {
            (None, _) => Source::Nothing,
            (Some((number, label)), None) => {
                Source::File { label: number, blocks: label.text_blocks(), done: 0, values: Vec::new() }
            }
            (Some((label, _)), Some(series)) => Source::Series {
                label,
                numbers: ValueNumbers::new(series.iter().collect()),
                texts: ValueTexts::default(),
            },
        };
        Self { directory, held: Held::default(), source }
    }
}

impl BlockLookup for LabelValuesLookup<'_> {
    type Answer = Vec<String>;

    fn step(&mut self) -> IndexResult<Step<Self::Answer>> {
        let Self { directory, held, source } = self;
        match source {
            Source::Nothing => Ok(Step::Done(Vec::new())),
            Source::File { label, blocks, done, values } => {
                while let Some(&id) = blocks.get(*done) {
                    if !held.has(id) {
                        let next = blocks[*done..].iter().copied().take(BLOCKS_AT_A_TIME);
                        return Ok(Step::Need(held.missing(next)));
                    }
                    let block = held.values(id, directory)?;
                    let of_label = block.values(*label)?;
                    let texts = (0..of_label.len()).map(|entry| of_label.value(entry));
                    values.extend(texts.filter(|text| !text.is_empty()).map(str::to_owned));
                    held.take(id);
                    *done += 1;
                }
                Ok(Step::Done(std::mem::take(values)))
            }
            Source::Series { label, numbers, texts } => {
                let label = *label;
                let needed = numbers.go_on(directory, held, |block, ordinal, found| {
                    let value = block.value(ordinal, label);
                    // Neighbours mostly have the same value.
                    if value > 0 && found.last() != Some(&(label, value, 0)) {
                        found.push((label, value, 0));
                    }
                })?;
                if let Some(needed) = needed {
                    return Ok(Step::Need(needed));
                }
                numbers.found.dedup();
                match texts.go_on(&numbers.found, directory, held)? {
                    Some(needed) => Ok(Step::Need(needed)),
                    None => Ok(Step::Done(std::mem::take(texts).into_values())),
                }
            }
        }
    }

    fn supply(&mut self, block: Block) {
        self.held.supply(block);
    }
}

/// The label names that some series have, sorted by bytes, as a lookup in series blocks. Those of the whole file are in
/// the directory.
#[derive(Debug)]
pub struct LabelNamesLookup<'a> {
    directory: &'a Directory,
    held: Held,
    numbers: ValueNumbers,
    /// By label, whether a series has it.
    found: Vec<bool>,
}

impl<'a> LabelNamesLookup<'a> {
    /// A lookup of the names of the labels of `series`.
    #[must_use]
    pub fn new(directory: &'a Directory, series: &Postings) -> Self {
        let found = vec![false; directory.labels().len()];
        let numbers = ValueNumbers::new(series.iter().collect());
        Self { directory, held: Held::default(), numbers, found }
    }
}

impl BlockLookup for LabelNamesLookup<'_> {
    type Answer = Vec<String>;

    fn step(&mut self) -> IndexResult<Step<Self::Answer>> {
        let Self { directory, held, numbers, found } = self;
        let needed = numbers.go_on(directory, held, |block, ordinal, _| {
            block.labels(ordinal).for_each(|(label, _)| found[label as usize] = true);
        })?;
        Ok(needed.map_or_else(
            || {
                let names = directory.labels().iter().zip(found.iter());
                Step::Done(
                    names.filter(|(_, found)| **found).map(|(label, _)| label.name.to_string()).collect(),
                )
            },
            Step::Need,
        ))
    }

    fn supply(&mut self, block: Block) {
        self.held.supply(block);
    }
}
