//! The names section: label names, where their values begin, and which series have each.

use std::ops::Range;

use super::format::VALUES_PER_PAGE;
use super::ordinals::StoredSet;
use crate::Result;
use crate::cursor::{Cursor, put_varint};

/// One label name of a block.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) name: Box<str>,
    /// Number of distinct values, at least 1; value ordinals are `0..values`, in the order of the values.
    pub(super) values: u32,
    /// The first of the name's pages in the value section.
    pub(super) first_page: u64,
    /// The series that have the label.
    pub(super) having: StoredSet,
    /// The tail of `having` in the names section.
    pub(super) having_tail: Range<usize>,
}

impl Name {
    pub(super) fn pages(&self) -> u64 {
        u64::from(self.values).div_ceil(VALUES_PER_PAGE as u64)
    }
}

/// Appends one name.
pub(super) fn put_name(out: &mut Vec<u8>, name: &str, values: u32, having: StoredSet, tail: &[u8]) {
    put_varint(out, name.len() as u64);
    out.extend_from_slice(name.as_bytes());
    put_varint(out, u64::from(values));
    out.push(having.form);
    put_varint(out, having.payload);
    put_varint(out, tail.len() as u64);
    out.extend_from_slice(tail);
}

/// Reads the section: names ascend strictly and own the `value_pages` pages of the value section in order.
pub(super) fn read_names(mut cursor: Cursor<'_>, value_pages: u64) -> Result<Vec<Name>> {
    let mut names: Vec<Name> = Vec::new();
    let mut first_page = 0;
    while cursor.remaining() > 0 {
        let len = cursor.varint()?;
        let name =
            std::str::from_utf8(cursor.take(len)?).map_err(|_| cursor.corrupt("a name not in UTF-8"))?;
        if name.is_empty() || names.last().is_some_and(|previous| &*previous.name >= name) {
            return Err(cursor.corrupt("label names out of order"));
        }
        let values = cursor.varint_u32()?;
        if values == 0 {
            return Err(cursor.corrupt("a label name without values"));
        }
        let having = StoredSet { form: cursor.u8()?, payload: cursor.varint()? };
        let tail_len = cursor.varint()?;
        cursor.take(tail_len)?;
        let having_tail = cursor.position() - tail_len as usize..cursor.position();
        let name = Name { name: name.into(), values, first_page, having, having_tail };
        first_page += name.pages();
        names.push(name);
    }
    if first_page != value_pages {
        return Err(cursor.corrupt(format!("values on {first_page} pages of {value_pages}")));
    }
    Ok(names)
}
