//! Matchers, with patterns made of the values that label sets have.
//!
//! Patterns stay within what RE2 and the regex crate read alike, because the oracle evaluates them with the latter.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tsdb_core::{Labels, MatchOp, Matcher};

use super::{label_name, label_value};

/// Patterns of no value in particular. Some match the empty string, and so also series without the label.
const PATTERNS: &[&str] = &[
    "",
    ".*",
    ".+",
    ".",
    "a.*",
    "a.+",
    ".*a",
    ".*a.*",
    "a|",
    "a?",
    "(a|b)c?",
    "[a-z]+",
    "[^a]*",
    "api-[12]",
    "api-.*",
    "(?i)API",
    "(?i:a)b?",
    "a|ab|abc",
    "(?:a|b|up)",
    "^a$",
    "x*",
    "\\x61",
    "api-(1|2|3)",
    "(api|up).*",
    "a.c",
    "a\\.c",
    "[[:alpha:]]+",
];

/// A matcher of any operator on any label.
pub fn matcher() -> impl Strategy<Value = Matcher> + Clone {
    (op(), label_name(), operand(label_value().boxed()))
        .prop_map(|(op, name, operand)| build(op, &name, operand))
}

/// Up to three matchers of any labels; often none.
pub fn matchers() -> impl Strategy<Value = Vec<Matcher>> + Clone {
    vec(matcher(), 0..4)
}

/// Up to three matchers on labels that these sets have (now and then on any label), so that most select something.
///
/// # Panics
/// When `sets` is empty.
pub fn matchers_for(sets: &[Labels]) -> impl Strategy<Value = Vec<Matcher>> + Clone + use<> {
    assert!(!sets.is_empty(), "matchers need label sets to be for");
    let pairs: Vec<(String, String)> =
        sets.iter().flat_map(Labels::iter).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let one = (any::<Index>(), any::<Index>(), op()).prop_flat_map(move |(name, value, op)| {
        if pairs.is_empty() {
            return matcher().boxed();
        }
        let name = name.get(&pairs).0.clone();
        // Values of the same label match; a value of another label is the case of no match.
        let of_label: Vec<String> =
            pairs.iter().filter(|pair| pair.0 == name).map(|pair| pair.1.clone()).collect();
        let own = value.get(&of_label).clone();
        let values = prop_oneof![4 => Just(own), 2 => select(of_label), 1 => label_value()];
        operand(values.boxed()).prop_map(move |operand| build(op, &name, operand)).boxed()
    });
    vec(prop_oneof![8 => one, 1 => matcher()], 0..4)
}

/// What a matcher compares with: a value for `=` and `!=`, a pattern for the others.
#[derive(Clone, Debug)]
struct Operand {
    value: String,
    pattern: String,
}

fn op() -> impl Strategy<Value = MatchOp> + Clone {
    prop_oneof![
        3 => Just(MatchOp::Equal),
        2 => Just(MatchOp::NotEqual),
        3 => Just(MatchOp::Regex),
        2 => Just(MatchOp::NotRegex),
    ]
}

/// A value, and a pattern that has to do with it.
fn operand(values: BoxedStrategy<String>) -> impl Strategy<Value = Operand> + Clone {
    let value = prop_oneof![9 => values.clone(), 1 => Just(String::new())];
    let related = (vec(values, 1..4), any::<Index>(), 0..7_u8).prop_map(|(values, at, form)| {
        // Half a kilobyte of a huge value is pattern enough.
        let values: Vec<String> = values.into_iter().map(|value| value.chars().take(500).collect()).collect();
        let escaped: Vec<String> = values.iter().map(|value| regex::escape(value)).collect();
        let chars: Vec<char> = values[0].chars().collect();
        let (head, tail) = chars.split_at(at.index(chars.len() + 1));
        let text = |chars: &[char]| regex::escape(&String::from_iter(chars));
        match form {
            0 => escaped[0].clone(),
            1 => escaped.join("|"),
            2 => format!("({})", escaped.join("|")),
            3 => format!("{}.*", text(head)),
            4 => format!(".*{}", text(tail)),
            5 => format!("{}.+", text(head)),
            _ => format!("{}|", escaped.join("|")),
        }
    });
    let pattern = prop_oneof![3 => related, 1 => select(PATTERNS).prop_map(str::to_owned)];
    (value, pattern).prop_map(|(value, pattern)| Operand { value, pattern })
}

fn build(op: MatchOp, name: &str, operand: Operand) -> Matcher {
    let value = match op {
        MatchOp::Equal | MatchOp::NotEqual => operand.value,
        MatchOp::Regex | MatchOp::NotRegex => operand.pattern,
    };
    Matcher::new(op, name, &value).expect("every generated pattern is valid")
}
