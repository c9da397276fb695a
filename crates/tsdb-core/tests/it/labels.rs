//! Label sets against plain vectors of pairs: canonical form, order, encoding, damage.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use proptest::prelude::*;
use tsdb_core::{Error, Labels, LabelsBuilder, MatchOp, Matcher, parse_selector};

/// Names from a small alphabet, so that sets share names and prefixes of names.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-cA-C_]{1,3}",
        1 => Just("__name__".to_owned()),
        1 => "\\PC{1,4}",
        1 => any::<String>().prop_filter("names are not empty", |n| !n.is_empty()),
        1 => "[ab]{120,130}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]{0,3}", 1 => any::<String>(), 1 => "[xy]{120,300}"]
}

/// Pairs with unique names, in name order; values may be empty.
fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(name(), value(), 0..6)
}

fn labels_of(pairs: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(pairs).expect("the strategy gives unique names")
}

/// The naive form: the pairs that a set keeps.
fn kept(pairs: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_set_is_its_sorted_pairs_whatever_their_order(pairs in pairs(), seed in any::<u64>()) {
        let labels = labels_of(&pairs);
        prop_assert_eq!(labels.iter().collect::<Vec<_>>(), kept(&pairs));
        prop_assert_eq!(labels.len(), kept(&pairs).len());
        prop_assert_eq!(labels.is_empty(), kept(&pairs).is_empty());
        let mut shuffled: Vec<_> = pairs.iter().collect();
        shuffled.sort_by_key(|(name, _)| name.len() as u64 ^ seed.rotate_left(name.len() as u32));
        prop_assert_eq!(&Labels::from_pairs(shuffled).unwrap(), &labels);
        for (name, value) in &pairs {
            prop_assert_eq!(labels.get(name), Some(value.as_str()).filter(|v| !v.is_empty()));
            let absent = format!("{name}!");
            prop_assert_eq!(labels.get(&absent), pairs.get(&absent).map(String::as_str).filter(|v| !v.is_empty()));
        }
    }

    #[test]
    fn bytes_round_trip_and_identify(a in pairs(), b in pairs()) {
        let (a, b) = (labels_of(&a), labels_of(&b));
        prop_assert_eq!(&Labels::from_bytes(a.as_bytes()).unwrap(), &a);
        prop_assert_eq!(a == b, a.as_bytes() == b.as_bytes());
        prop_assert_eq!(a.fingerprint() == b.fingerprint(), a == b);
    }

    #[test]
    fn the_order_is_that_of_prometheus(a in pairs(), b in pairs(), c in pairs()) {
        // Pair by pair, name before value, by bytes; the shorter set first: the order of vectors of byte pairs.
        let oracle = |x: &BTreeMap<String, String>, y: &BTreeMap<String, String>| kept(x).cmp(&kept(y));
        let sets = [labels_of(&a), labels_of(&b), labels_of(&c)];
        prop_assert_eq!(sets[0].cmp(&sets[1]), oracle(&a, &b));
        prop_assert_eq!(sets[1].cmp(&sets[0]), oracle(&a, &b).reverse());
        prop_assert_eq!(sets[0].cmp(&sets[1]) == Ordering::Equal, sets[0] == sets[1]);
        let mut sorted = sets.clone();
        sorted.sort();
        prop_assert!(sorted[0] <= sorted[1] && sorted[1] <= sorted[2] && sorted[0] <= sorted[2]);
    }

    #[test]
    fn the_text_is_a_selector_of_the_set(pairs in pairs()) {
        let labels = labels_of(&pairs);
        let matchers = parse_selector(&labels.to_string()).unwrap();
        prop_assert_eq!(matchers.len(), labels.len());
        prop_assert!(Matcher::all_match(&matchers, &labels));
        prop_assert!(matchers.iter().all(|m| m.op() == MatchOp::Equal && labels.get(m.name()) == Some(m.value())));
    }

    #[test]
    fn damaged_bytes_are_refused_or_canonical(pairs in pairs(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = labels_of(&pairs).as_bytes().to_vec();
        let truncated = bytes[..cut.index(bytes.len() + 1)].to_vec();
        check_decoding(&truncated);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            check_decoding(&bytes);
        }
    }

    #[test]
    fn random_bytes_are_refused_or_canonical(bytes in prop::collection::vec(prop_oneof![0u8..5, any::<u8>()], 0..40)) {
        check_decoding(&bytes);
    }
}

/// Bytes decode to a set whose pairs give the same bytes again, or to an error inside the bytes.
fn check_decoding(bytes: &[u8]) {
    match Labels::from_bytes(bytes) {
        Ok(labels) => {
            assert_eq!(labels.as_bytes(), bytes);
            assert_eq!(Labels::from_pairs(&labels).expect("a set is valid").as_bytes(), bytes);
        }
        Err(Error::Corrupt { offset, .. }) => assert!(offset <= bytes.len() as u64),
        Err(other) => panic!("another kind of error: {other}"),
    }
}

#[test]
fn every_byte_flipped_and_every_truncation() {
    let long = "v".repeat(200);
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "é"), ("long", &long), ("z", "1")]).unwrap();
    let bytes = labels.as_bytes();
    for at in 0..bytes.len() {
        check_decoding(&bytes[..at]);
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at] ^= 1 << bit;
            check_decoding(&flipped);
        }
    }
}

#[test]
fn the_encoding_is_the_documented_one() {
    let labels = Labels::from_pairs([("b", "é"), ("a", "xyz")]).unwrap();
    assert_eq!(labels.as_bytes(), b"\x01a\x03xyz\x01b\x02\xc3\xa9");
    let long = Labels::from_pairs([("n", "v".repeat(300))]).unwrap();
    assert_eq!(long.as_bytes()[..8], *b"\x01n\x7f\x2c\x02\x00\x00\x00");
    assert_eq!(long.as_bytes().len(), 2 + 6 + 300);
    let edge = |length: usize| Labels::from_pairs([("n", "v".repeat(length))]).unwrap().as_bytes()[2];
    assert_eq!((edge(126), edge(127)), (126, 127));
    // The hash is of these bytes, with seed 0: it may be stored.
    assert_eq!(Labels::empty().fingerprint(), 0x2d06_8005_38d3_94c2);
    assert_eq!(Labels::default(), Labels::empty());
    assert!(Labels::empty().as_bytes().is_empty());
}

#[test]
fn encodings_that_are_not_canonical_are_refused() {
    let cases: &[(&[u8], u64, &str)] = &[
        (b"\x01a", 2, "ends after a name"),
        (b"\x00\x01v", 0, "empty name"),
        (b"\x01a\x00", 2, "empty name or value"),
        (b"\x01b\x01v\x01a\x01v", 4, "do not ascend"),
        (b"\x01a\x01v\x01a\x01w", 4, "do not ascend"),
        (b"\x05a\x01v", 0, "past the end"),
        (b"\x01a\x01\xc3\xa9", 2, "inside a character"),
        (b"\x01a\x01\xff", 3, "is not UTF-8"),
        (b"\x01a\x7f\x01\x00\x00\x00\x00v", 2, "shortest form"),
        (b"\x01a\x7f\x00\x00", 2, "broken length"),
        (b"\x01a\x7f\x7f\x7f\x7f\x7f\x7fv", 2, "2^32-1"),
        (b"\x01a\x7f\x7f\x7f\x7f\x7f\x0fv", 2, "past the end"),
    ];
    for (bytes, at, why) in cases {
        match Labels::from_bytes(bytes) {
            Err(Error::Corrupt { what: "label set", offset, detail }) => {
                assert!(offset == *at && detail.contains(why), "{bytes:?}: {offset} {detail}");
            }
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
}

#[test]
fn sets_that_cannot_be_stored_are_refused() {
    let refused = |pairs: &[(&str, &str)], why: &str| match Labels::from_pairs(pairs.iter().copied()) {
        Err(Error::InvalidLabels(reason)) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{pairs:?}: {other:?}"),
    };
    refused(&[("", "v")], "name is empty");
    refused(&[("a", "1"), ("", "")], "name is empty");
    refused(&[("a", "1"), ("b", "2"), ("a", "3")], r#""a" occurs twice"#);
    refused(&[("a", "1"), ("a", "1")], "twice");
    refused(&[("a", "1"), ("a", "")], "twice");
}

#[test]
fn values_of_megabytes_are_values() {
    let huge = "é".repeat(1 << 20);
    let labels = Labels::from_pairs([("a", "1"), ("huge", &huge), ("z", "2")]).unwrap();
    assert_eq!(labels.get("huge"), Some(huge.as_str()));
    assert_eq!(Labels::from_bytes(labels.as_bytes()).unwrap(), labels);
    let matchers = parse_selector(&labels.to_string()).unwrap();
    assert!(Matcher::all_match(&matchers, &labels));
    assert!(Matcher::new(MatchOp::Regex, "huge", "é+").unwrap().matches_labels(&labels));
}

#[test]
fn a_builder_is_reused() {
    let mut builder = LabelsBuilder::new();
    builder.push("b", "2");
    builder.push("a", "1");
    let first = builder.build().unwrap();
    builder.push("c", "3");
    assert_eq!(builder.build().unwrap().to_string(), r#"{a="1", b="2", c="3"}"#);
    builder.clear();
    assert!(builder.build().unwrap().is_empty());
    builder.push("a", "1");
    builder.push("a", "2");
    assert!(builder.build().is_err());
    builder.clear();
    builder.push("b", "2");
    builder.push("a", "1");
    assert_eq!(builder.build().unwrap(), first);
}

#[test]
fn the_text_quotes_what_is_no_identifier() {
    let text = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap().to_string();
    assert_eq!(text(&[]), "{}");
    assert_eq!(text(&[("__name__", "up")]), "up");
    assert_eq!(text(&[("__name__", "a:b"), ("B", "1")]), r#"a:b{B="1"}"#);
    assert_eq!(text(&[("__name__", "my.metric"), ("l.x", "v")]), r#"{"my.metric", "l.x"="v"}"#);
    assert_eq!(text(&[("__name__", "1up")]), r#"{"1up"}"#);
    assert_eq!(text(&[("a:b", "1")]), r#"{"a:b"="1"}"#);
    assert_eq!(text(&[("a", "q\"b\\n\nt\te\u{1b}é")]), r#"{a="q\"b\\n\nt\te\u001bé"}"#);
}
