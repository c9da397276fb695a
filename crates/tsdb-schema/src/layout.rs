//! The three ways to lay labels out as columns.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Where a table keeps the labels of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LabelLayout {
    /// One sparse column for each label name; no map. The schema must name every label in advance.
    Columns,
    /// All labels in one `labels` map column; no column of their own.
    Map,
    /// The promoted labels as columns, all others in the `labels` map.
    #[default]
    Hybrid,
}

impl LabelLayout {
    /// The name used in metadata and settings: `columns`, `map` or `hybrid`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::Map => "map",
            Self::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for LabelLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LabelLayout {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "columns" => Ok(Self::Columns),
            "map" => Ok(Self::Map),
            "hybrid" => Ok(Self::Hybrid),
            _ => Err(Error::UnknownLayout(name.to_owned())),
        }
    }
}
