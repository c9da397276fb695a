//! `tsdb series`, `tsdb label-names`, `tsdb label-values`: what there is, over all tiers, one a line.

use std::io::{self, BufWriter, Write};

use serde_json::{Map, Value};
use tsdb_core::Labels;

use super::{Store, matchers, range};
use crate::args::{LabelNamesArgs, LabelValuesArgs, SeriesArgs};
use crate::error::Result;

pub(crate) fn series(store: &Store, args: &SeriesArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let found = store.read(|engine| Ok(engine.series(&matchers, range)?))?;
    let as_json = |labels: &Labels| {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
        Value::Object(Map::from_iter(pairs))
    };
    print(store, found.iter().map(|labels| (labels.to_string(), as_json(labels))))
}

pub(crate) fn label_names(store: &Store, args: &LabelNamesArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let found = store.read(|engine| Ok(engine.label_names(&matchers, range)?))?;
    print(store, found.into_iter().map(|name| (name.clone(), name.into())))
}

pub(crate) fn label_values(store: &Store, args: &LabelValuesArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let found = store.read(|engine| Ok(engine.label_values(&args.name, &matchers, range)?))?;
    print(store, found.into_iter().map(|value| (value.clone(), value.into())))
}

/// A line each, or with `--json` one array.
fn print(store: &Store, found: impl Iterator<Item = (String, Value)>) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if store.json {
        let all: Vec<Value> = found.map(|(_, value)| value).collect();
        writeln!(out, "{}", Value::Array(all))?;
    } else {
        for (text, _) in found {
            writeln!(out, "{text}")?;
        }
    }
    Ok(out.flush()?)
}
