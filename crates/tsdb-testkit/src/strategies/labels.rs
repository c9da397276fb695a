//! Label names, values and sets.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use tsdb_core::Labels;

/// Names that recur. Capitals sort before `__name__`; the last ones are what columns and queries trip over.
const NAMES: &[&str] = &[
    "__name__",
    "job",
    "instance",
    "pod",
    "le",
    "a",
    "b",
    "A",
    "Zone",
    "POD",
    "_",
    "größe",
    "名前",
    "http.method",
    "with space",
    "timestamp",
    "value",
    "labels",
    "day",
    "label_pod",
];

/// Values that recur: prefixes of each other, look-alikes, characters that patterns and quoting give a meaning.
const VALUES: &[&str] = &[
    "a",
    "ab",
    "abc",
    "b",
    "A",
    "api",
    "api-1",
    "api-2",
    "up",
    "http_requests_total",
    "0",
    "10",
    "9",
    "a.c",
    "a|b",
    "(x)",
    "[y]",
    "*",
    "+Inf",
    "\\",
    "\"",
    "'",
    "a\nb",
    "\t",
    " ",
    "ä",
    "a\u{308}",
    "日本語",
    "\u{1F980}",
    "\u{0}",
    "\u{10FFFF}",
];

/// The longest generated name and value, in bytes.
const HUGE_NAME_BYTES: usize = 700;
const HUGE_VALUE_BYTES: usize = 20_000;

/// A label name: not empty; any UTF-8.
pub fn label_name() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        12 => select(NAMES).prop_map(str::to_owned),
        2 => "[a-zA-Z_][a-zA-Z0-9_]{0,12}",
        2 => vec(any::<char>(), 1..6).prop_map(String::from_iter),
        1 => (select(NAMES), 1..HUGE_NAME_BYTES).prop_map(|(name, len)| repeated(name, len)),
    ]
}

/// A label value: not empty; any UTF-8.
pub fn label_value() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        24 => select(VALUES).prop_map(str::to_owned),
        4 => "[a-z0-9-]{1,16}",
        4 => vec(any::<char>(), 1..10).prop_map(String::from_iter),
        1 => (select(VALUES), 1..HUGE_VALUE_BYTES).prop_map(|(value, len)| repeated(value, len)),
    ]
}

/// A label set, usually with a metric name; now and then the empty one. One value in twenty is empty before the
/// set is built, which is a label left out.
pub fn label_set() -> impl Strategy<Value = Labels> + Clone {
    let value = prop_oneof![19 => label_value(), 1 => Just(String::new())];
    let metric = prop_oneof![4 => select(VALUES).prop_map(|v| Some(v.to_owned())), 1 => Just(None)];
    (metric, btree_map(label_name(), value, 0..7)).prop_map(|(metric, mut pairs)| {
        if let Some(metric) = metric {
            pairs.insert("__name__".to_owned(), metric);
        }
        labels(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    })
}

/// Between `count.start` and `count.end - 1` different label sets, none of them empty, in random order.
pub fn distinct_label_sets(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Labels>> + Clone {
    // A label of its own keeps a set from being empty and makes the number of sets reachable.
    let set = (label_set(), 0..1000_u32).prop_map(|(set, id)| {
        let id = id.to_string();
        let others = set.iter().filter(|(name, _)| *name != "id");
        labels(others.chain([("id", id.as_str())]))
    });
    btree_set(set, count).prop_map(|sets| sets.into_iter().collect::<Vec<_>>()).prop_shuffle()
}

fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Labels {
    Labels::from_pairs(pairs).expect("invariant: the generated names are unique and not empty")
}

fn repeated(part: &str, len: usize) -> String {
    part.repeat(len.div_ceil(part.len()))
}
