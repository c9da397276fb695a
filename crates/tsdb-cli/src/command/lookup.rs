//! `tsdb series`, `tsdb label-names`, `tsdb label-values`: what there is, over all tiers, one a line.

use std::io::{self, BufWriter, Write};

use serde_json::{Map, Value};
use tsdb_core::Labels;
use tsdb_engine::{Found, LookupOptions};

use super::limits::{naming_flags, query_limits};
use super::query::explain;
use super::{Store, matchers, range};
use crate::args::{LabelNamesArgs, LabelValuesArgs, ListArgs, SeriesArgs};
use crate::error::Result;
use crate::parquet_files::ParquetFiles;

pub(crate) fn series(store: &Store, args: &SeriesArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let options = lookup_options(&args.list);
    let found = if args.files.is_empty() {
        store.read(|engine| Ok(engine.series_within(&matchers, range, &options)?))
    } else {
        ParquetFiles::new()?.series(&args.files, &matchers, range, &options)
    };
    let as_json = |labels: &Labels| {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
        Value::Object(Map::from_iter(pairs))
    };
    print(store, &args.list, found, |labels| (labels.to_string(), as_json(labels)))
}

pub(crate) fn label_names(store: &Store, args: &LabelNamesArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let options = lookup_options(&args.list);
    let found = store.read(|engine| Ok(engine.label_names_within(&matchers, range, &options)?));
    print(store, &args.list, found, |text| as_text(text))
}

pub(crate) fn label_values(store: &Store, args: &LabelValuesArgs) -> Result<()> {
    let (matchers, range) = (matchers(&args.selector)?, range(&args.times)?);
    let options = lookup_options(&args.list);
    let found = store.read(|engine| Ok(engine.label_values_within(&args.name, &matchers, range, &options)?));
    print(store, &args.list, found, |text| as_text(text))
}

fn lookup_options(args: &ListArgs) -> LookupOptions {
    let mut options = LookupOptions::default();
    options.limits = query_limits(None, &args.cost);
    options.first = args.limit;
    options
}

fn as_text(text: &str) -> (String, Value) {
    (text.to_owned(), text.into())
}

/// A line each, or with `--json` one array. That there is more is said beside.
fn print<T>(
    store: &Store,
    args: &ListArgs,
    found: Result<Found<T>>,
    item: impl Fn(&T) -> (String, Value),
) -> Result<()> {
    let found = found.map_err(naming_flags)?;
    let items = found.found.iter().map(item);
    let mut out = BufWriter::new(io::stdout().lock());
    if store.json {
        let all: Vec<Value> = items.map(|(_, value)| value).collect();
        writeln!(out, "{}", Value::Array(all))?;
    } else {
        for (text, _) in items {
            writeln!(out, "{text}")?;
        }
    }
    out.flush()?;
    if !found.is_all {
        writeln!(io::stderr(), "there are more: these are the first {}", found.found.len())?;
    }
    if args.cost.explain {
        explain(&found.statistics, store.json)?;
    }
    Ok(())
}
