//! Reading label sets, one after another.

use super::names::Name;
use super::reader::Block;
use crate::{Labels, LabelsBuilder, Result};

/// Reads label sets of a block. See [`Block::labels_reader`].
///
/// It remembers the last value of each label, so that reading series in label order decodes a value only where
/// it changes. Its memory is that of one label set, and grows to one value for each label name of the block.
#[derive(Debug)]
pub struct LabelsReader<'a> {
    block: &'a Block,
    builder: LabelsBuilder,
    /// For each name the value read last: its ordinal and text.
    last: Vec<Option<(u32, String)>>,
}

impl<'a> LabelsReader<'a> {
    pub(super) fn new(block: &'a Block) -> Self {
        Self { block, builder: LabelsBuilder::new(), last: Vec::new() }
    }

    /// The label set of a series.
    ///
    /// # Errors
    /// As [`Block::labels`].
    pub fn labels(&mut self, ordinal: u32) -> Result<Labels> {
        let Self { block, builder, last } = self;
        let (page, row) = block.series_page(ordinal)?;
        let names = block.names()?;
        builder.clear();
        page.labels(row, |name_ordinal, value_ordinal| {
            let index = name_ordinal as usize;
            let name: &Name = names
                .get(index)
                .ok_or_else(|| page.corrupt(format!("label name {index} of {}", names.len())))?;
            if last.len() <= index {
                last.resize_with(index + 1, || None);
            }
            match &last[index] {
                Some((known, value)) if *known == value_ordinal => builder.push(&name.name, value),
                _ => {
                    let (known, value) = last[index].get_or_insert_default();
                    block.value(name, value_ordinal, value)?;
                    *known = value_ordinal;
                    builder.push(&name.name, value);
                }
            }
            Ok(())
        })?;
        builder.build().map_err(|error| page.corrupt(error.to_string()))
    }
}
