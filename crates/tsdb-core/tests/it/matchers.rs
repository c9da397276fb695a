//! Matchers against an oracle, and the dialect of their patterns.
//!
//! The oracle knows nothing of the crate: it makes a random pattern as a small tree, writes it as Go would read it
//! and walks the tree itself over the characters of a value, keeping the set of places where a part can end.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tsdb_core::{Candidates, Error, Labels, MatchOp, Matcher};

/// A pattern, as the oracle understands it.
#[derive(Clone, Debug)]
enum Tree {
    Text(String),
    /// The characters, whether the class is negated, and how it is written.
    Class(Vec<char>, bool, String),
    Dot,
    Start,
    End,
    WordBoundary(bool),
    Sequence(Vec<Self>),
    Choice(Vec<Self>),
    Repeat(Box<Self>, u32, Option<u32>),
    /// `(?i:...)`; its text has no letters that fold outside of ASCII.
    AnyCase(Box<Self>),
}

impl Tree {
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => text.chars().for_each(|c| {
                if c.is_ascii_punctuation() {
                    out.push('\\');
                }
                out.push(c);
            }),
            Self::Class(_, _, written) => out.push_str(written),
            Self::Dot => out.push('.'),
            Self::Start => out.push('^'),
            Self::End => out.push('$'),
            Self::WordBoundary(true) => out.push_str(r"\b"),
            Self::WordBoundary(false) => out.push_str(r"\B"),
            Self::Sequence(parts) => parts.iter().for_each(|part| part.write_group(out)),
            Self::Choice(parts) => {
                out.push_str("(?:");
                for (i, part) in parts.iter().enumerate() {
                    out.push_str(if i > 0 { "|" } else { "" });
                    part.write(out);
                }
                out.push(')');
            }
            Self::Repeat(part, min, max) => {
                out.push('(');
                part.write(out);
                out.push(')');
                out.push_str(&match (min, max) {
                    (0, None) => "*".to_owned(),
                    (1, None) => "+?".to_owned(),
                    (0, Some(1)) => "?".to_owned(),
                    (min, None) => format!("{{{min},}}"),
                    (min, Some(max)) => format!("{{{min},{max}}}"),
                });
            }
            Self::AnyCase(part) => {
                out.push_str("(?i:");
                part.write(out);
                out.push(')');
            }
        }
    }

    fn write_group(&self, out: &mut String) {
        out.push_str("(?:");
        self.write(out);
        out.push(')');
    }

    /// Where a match that starts at one of `starts` can end.
    fn ends(&self, value: &[char], starts: &BTreeSet<usize>, any_case: bool) -> BTreeSet<usize> {
        let same = |a: char, b: char| a == b || (any_case && a.eq_ignore_ascii_case(&b));
        let one = |accepts: &dyn Fn(char) -> bool| {
            starts.iter().filter(|&&at| value.get(at).is_some_and(|&c| accepts(c))).map(|at| at + 1).collect()
        };
        match self {
            Self::Text(text) => text.chars().fold(starts.clone(), |starts, c| {
                starts
                    .into_iter()
                    .filter(|&at| value.get(at).is_some_and(|&v| same(v, c)))
                    .map(|at| at + 1)
                    .collect()
            }),
            Self::Class(chars, negated, _) => one(&|v| chars.iter().any(|&c| same(v, c)) != *negated),
            Self::Dot => one(&|_| true),
            Self::Start => starts.iter().copied().filter(|&at| at == 0).collect(),
            Self::End => starts.iter().copied().filter(|&at| at == value.len()).collect(),
            Self::WordBoundary(wanted) => {
                let word = |at: Option<usize>| {
                    at.and_then(|at| value.get(at)).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_')
                };
                let boundary = |at: usize| word(at.checked_sub(1)) != word(Some(at));
                starts.iter().copied().filter(|&at| boundary(at) == *wanted).collect()
            }
            Self::Sequence(parts) => {
                parts.iter().fold(starts.clone(), |starts, part| part.ends(value, &starts, any_case))
            }
            Self::Choice(parts) => parts.iter().flat_map(|part| part.ends(value, starts, any_case)).collect(),
            Self::Repeat(part, min, max) => {
                let mut ends = BTreeSet::new();
                let mut current = starts.clone();
                // More rounds than characters reach nothing new once the minimum is done.
                for round in 0..=max.unwrap_or(min + value.len() as u32 + 1) {
                    if round >= *min {
                        ends.extend(&current);
                    }
                    current = part.ends(value, &current, any_case);
                }
                ends
            }
            Self::AnyCase(part) => part.ends(value, starts, true),
        }
    }

    fn is_match(&self, value: &str) -> bool {
        let chars: Vec<char> = value.chars().collect();
        self.ends(&chars, &BTreeSet::from([0]), false).contains(&chars.len())
    }
}

/// Few characters, so that values and patterns meet: letters, a word character, punctuation, a line feed, two
/// characters of two bytes that share the first, one of four bytes.
const ALPHABET: &[char] = &['a', 'b', 'B', '_', '.', '-', '\n', 'é', 'è', '😀'];

fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(ALPHABET), length)
        .prop_map(|chars| chars.into_iter().collect())
}

fn leaf() -> impl Strategy<Value = Tree> {
    let class = |chars: &str, negated: bool, written: &str| {
        Tree::Class(chars.chars().collect(), negated, written.into())
    };
    let ascii = [
        class("ab", false, "[ab]"),
        class("ab", true, "[^ab]"),
        class(".", true, "[^.]"),
        class("é", true, "[^é]"),
        class("é😀", false, "[é😀]"),
        class("-.", false, "[.-]"),
        class("\n \t", false, r"\s"),
        class("0123456789", true, r"\D"),
        class("a-&", false, "[a&&-]"),
        class("-ab", false, r"[a\-b]"),
    ];
    prop_oneof![
        6 => text(0..4).prop_map(Tree::Text),
        2 => prop::sample::select(ascii.to_vec()),
        2 => Just(Tree::Dot),
        2 => Just(Tree::Repeat(Box::new(Tree::Dot), 0, None)),
        1 => Just(Tree::Repeat(Box::new(Tree::Dot), 1, None)),
        1 => Just(Tree::Start),
        1 => Just(Tree::End),
        1 => any::<bool>().prop_map(Tree::WordBoundary),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let bounds = prop_oneof![
            Just((0, None)),
            Just((1, None)),
            Just((0, Some(1))),
            (0..3u32, 0..3u32).prop_map(|(min, more)| (min, Some(min + more))),
            (0..4u32).prop_map(|min| (min, None)),
        ];
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Sequence),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(Tree::Choice),
            2 => (inner.clone(), bounds).prop_map(|(part, (min, max))| Tree::Repeat(Box::new(part), min, max)),
            1 => inner.prop_map(|part| Tree::AnyCase(Box::new(part))),
        ]
    })
}

/// Globs and sets of literals, the forms with a fast path, more often than chance would make them.
fn pattern_tree() -> impl Strategy<Value = Tree> {
    let gap =
        prop_oneof![Just(Tree::Dot), (0..3u32).prop_map(|min| Tree::Repeat(Box::new(Tree::Dot), min, None)),];
    let piece = prop_oneof![gap, text(1..3).prop_map(Tree::Text)];
    prop_oneof![
        2 => tree(),
        1 => prop::collection::vec(piece, 0..6).prop_map(Tree::Sequence),
        1 => prop::collection::vec(text(0..3).prop_map(Tree::Text), 1..5).prop_map(Tree::Choice),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn patterns_match_what_the_oracle_says(tree in pattern_tree(), values in prop::collection::vec(text(0..7), 8)) {
        let mut pattern = String::new();
        tree.write(&mut pattern);
        let is = Matcher::new(MatchOp::Regex, "l", &pattern).unwrap();
        let not = Matcher::new(MatchOp::NotRegex, "l", &pattern).unwrap();
        prop_assert_eq!(is.candidates(), not.candidates());
        for value in values.iter().map(String::as_str).chain([""]) {
            let expected = tree.is_match(value);
            prop_assert_eq!(is.matches(value), expected, "{:?} on {:?}", &pattern, value);
            prop_assert_eq!(not.matches(value), !expected, "{:?} on {:?}", &pattern, value);
            match is.candidates() {
                Candidates::Literals(literals) => {
                    prop_assert_eq!(literals.iter().any(|l| **l == *value), expected, "{:?}", literals);
                    prop_assert!(literals.is_sorted_by(|a, b| a < b));
                }
                Candidates::Prefix(prefix) => {
                    prop_assert!(!expected || value.starts_with(prefix), "{:?} {:?}", prefix, value);
                    prop_assert!(!prefix.is_empty());
                }
                Candidates::Any => {}
            }
            prop_assert!(!is.matches_everything() || expected);
        }
        prop_assert_eq!(is.matches_empty(), tree.is_match(""));
        prop_assert_eq!(is.matches_labels(&Labels::empty()), tree.is_match(""));
    }

    #[test]
    fn random_patterns_compile_or_are_refused(pattern in prop_oneof![
        any::<String>(),
        prop::collection::vec(prop::sample::select(FRAGMENTS), 0..12).prop_map(|f| f.concat()),
    ], value in text(0..6)) {
        match Matcher::new(MatchOp::Regex, "l", &pattern) {
            Ok(matcher) => prop_assert_eq!(matcher.matches(&value), matcher.clone().matches(&value)),
            Err(Error::InvalidMatcher { matcher, reason }) => {
                prop_assert!(matcher.starts_with("l=~\"") && !reason.is_empty());
            }
            Err(other) => prop_assert!(false, "another kind of error: {}", other),
        }
    }
}

const FRAGMENTS: &[&str] = &[
    "a",
    "é",
    "(",
    ")",
    "(?i)",
    "(?-s:",
    "(?P<n>",
    "(?<n>",
    "(?",
    "[",
    "[^",
    "]",
    "[:alpha:]",
    "-",
    "&&",
    "|",
    "*",
    "+",
    "?",
    "{",
    "}",
    "{2}",
    "{2,",
    "{,3}",
    "\\",
    r"\d",
    r"\W",
    r"\pL",
    r"\p{^Greek}",
    r"\Q",
    r"\E",
    r"\x",
    r"\x{41}",
    r"\123",
    r"\b",
    r"\z",
    "^",
    "$",
    ".",
    ".*",
];

/// Patterns on which dialects differ, with values and whether Go matches them (with `^(?s:` and `)$` around).
#[test]
fn the_dialect_is_that_of_go() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        // Anchored, and a dot is everything.
        ("a", &["a"], &["ab", "ba", "", "A"]),
        ("a|b", &["a", "b"], &["ab", "aa"]),
        ("a.c", &["abc", "a\nc", "aéc", "a😀c"], &["ac", "abbc"]),
        ("a.*c", &["ac", "a\n\nc"], &["ac\n"]),
        ("", &[""], &["a"]),
        (".*", &["", "a", "\n"], &[]),
        (".+", &["a", "\n"], &[""]),
        ("^a$", &["a"], &["\na", "a\n"]),
        ("(?-s).*", &["abc", ""], &["a\nb"]),
        ("(?-s:a.)b.", &["acb\n"], &["a\nbc"]),
        // Line anchors only with the flag.
        ("a$.^b", &[], &["a\nb"]),
        ("(?m)a$.^b", &["a\nb"], &["a.b"]),
        (r"(?m)\Aa$(?s:.)b\z", &["a\nb"], &["aab"]),
        // ASCII classes.
        (r"\d+", &["0129"], &["٣", "a"]),
        (r"\D", &["٣", "é", "\n"], &["3"]),
        (r"\w+", &["aZ_09"], &["é", "-"]),
        (r"\W", &["é", "-"], &["a", "_"]),
        (r"\s", &[" ", "\t", "\n", "\r", "\x0c"], &["\x0b", "\u{a0}", "\u{2028}"]),
        (r"\S", &["\x0b", "\u{a0}"], &[" "]),
        (r"[[:space:]]", &["\x0b", " "], &["\u{a0}"]),
        (r"é\b.*", &["éa", "éa-"], &["é", "é-"]),
        (r".*\Bé", &["é", "-é"], &["aé"]),
        ("[[:word:]]", &["_", "7"], &["é"]),
        ("[[:^alpha:]x]", &["x", "1"], &["a"]),
        // In brackets nearly everything is itself.
        ("[a&&b]+", &["a&b"], &["c"]),
        ("[+--]+", &["+,-"], &["."]),
        ("[a~~b]+", &["a~b"], &["c"]),
        ("[[a]", &["[", "a"], &["]"]),
        ("[a[b]c]", &["ac]", "[c]", "bc]"], &["b", "a"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[^]a]", &["b", "\n"], &["]", "a"]),
        ("[a-]", &["-", "a"], &["b"]),
        ("[-a]", &["-", "a"], &["b"]),
        ("[a-c-e]", &["b", "-", "e"], &["d"]),
        ("[^-^]", &["b"], &["^", "-"]),
        (r"[\]\-\\]", &["]", "-", "\\"], &["a"]),
        (r"[\x41-\x{43}\101]", &["A", "B", "C"], &["D"]),
        (r"[^\d]", &["a", "٣"], &["5"]),
        (r"[^\D]", &["5"], &["a"]),
        (r"[\d-z]", &["5", "-", "z"], &["a"]),
        ("[[:alpha:]-z]", &["a", "-"], &["5"]),
        ("[:alpha:]+", &["alpha:"], &["b"]),
        ("[#a b]", &["#", " "], &["c"]),
        // Braces that are no repetition.
        ("{", &["{"], &[""]),
        ("}", &["}"], &[""]),
        ("a{", &["a{"], &["a"]),
        ("{a}", &["{a}"], &["a"]),
        ("a{,2}", &["a{,2}"], &["aa"]),
        ("a{2,1", &["a{2,1"], &["aa"]),
        ("a{01}", &["a{01}"], &["a"]),
        ("a{1,02}", &["a{1,02}"], &["a"]),
        ("a{ 2}", &["a{ 2}"], &["aa"]),
        ("a{x}", &["a{x}"], &["a"]),
        ("x{1001", &["x{1001"], &["x"]),
        ("a*{", &["{", "aa{"], &["a"]),
        ("${x}", &[], &["${x}", "x"]),
        (r"\${x}", &["${x}"], &[]),
        // Repetitions.
        ("a{2}", &["aa"], &["a", "aaa"]),
        ("a{2,}", &["aa", "aaaa"], &["a"]),
        ("a{0}", &[""], &["a"]),
        ("a{0,}b", &["b", "ab"], &["a"]),
        ("a{1,2}?b??", &["a", "aab"], &["aaa"]),
        ("a*?b+?c??", &["b", "aabbc"], &["a"]),
        ("(?U)a+?", &["aaa"], &[""]),
        ("(a{0,30}){33}", &["", "aaa"], &["b"]),
        ("^*a", &["a"], &[""]),
        ("(?:$)?a", &["a"], &[""]),
        ("()*a", &["a"], &[""]),
        // What stands between two repetitions separates them, even if it is nothing.
        ("a*(?i)*", &["", "aa"], &["A"]),
        ("a(?i)*", &["", "aa"], &["A"]),
        (r"a+\Q\E?", &["", "aa"], &["b"]),
        // Groups and flags.
        ("(a)(?:b)(?P<n>c)(?<m_1>d)", &["abcd"], &["abc"]),
        ("(?P<1>a)(?P<n>b)(?P<n>c)", &["abc"], &[]),
        ("(?i)ab", &["ab", "AB", "aB"], &["abc"]),
        ("a(?i)b|c", &["ab", "aB", "c", "C"], &["A", "AB"]),
        ("(a(?i)b)c", &["abc", "aBc"], &["abC", "Abc"]),
        ("(?i:a)b", &["ab", "Ab"], &["aB"]),
        ("(?i-i)a", &["a"], &["A"]),
        ("(?is-mU:a.)", &["A\n"], &["a"]),
        ("(?)a", &["a"], &[]),
        ("(?i)k", &["k", "K", "\u{212a}"], &["q"]),
        ("(?i)ß", &["ß", "ẞ"], &["ss"]),
        ("(?i)σ", &["σ", "Σ", "ς"], &["s"]),
        ("(?i)[k-k]", &["\u{212a}"], &["l"]),
        ("(?i)[^k]", &["l"], &["k", "K", "\u{212a}"]),
        (r"(?i)\w", &["ſ", "\u{212a}"], &["é"]),
        (r"(?i)\W", &["é"], &["ſ", "s"]),
        (r"(?i)[[:^upper:]]", &["1", "é"], &["a", "ſ"]),
        // Escapes.
        (r"\Qa.b\E.", &["a.bc"], &["axbc"]),
        (r"\Q[(*", &["[(*"], &[]),
        (r"\Qab\E+", &["abb"], &["abab"]),
        (r"\Q\\E", &["\\"], &[]),
        (r"(?i)\Qa\E", &["A"], &[]),
        (r"\a\f\t\n\r\v", &["\x07\x0c\t\n\r\x0b"], &[]),
        (r"\x41\x{1F600}\101\0", &["A😀A\0"], &[]),
        (r"\08", &["\08"], &[]),
        (r"\777", &["ǿ"], &[]),
        (r"\<\>", &["<>"], &[]),
        (r"\_\-\/\#\ \~\&", &["_-/# ~&"], &[]),
        (r"\x{D800}|a", &["a"], &["\u{fffd}"]),
        (r"[\x{D000}-\x{E000}]", &["\u{d000}", "\u{e000}"], &["\u{cfff}", "\u{e001}"]),
        (r"[\x{D800}]", &[], &["\u{fffd}", ""]),
        (r"\zx", &[], &["x"]),
        // Unicode classes.
        (r"\pL+", &["aéΩ"], &["1"]),
        (r"\PL", &["1"], &["a"]),
        (r"\p{Greek}", &["Ω"], &["a"]),
        (r"\P{^Greek}", &["Ω"], &["a"]),
        (r"\p{^Greek}", &["a"], &["Ω"]),
        (r"[\p{Lu}\d]", &["A", "É", "1"], &["a"]),
        (r"(?i)\p{Lu}", &["a", "É", "é"], &["1"]),
        (r"(?i)\P{Lu}", &["1"], &["a", "A"]),
        (r"\p{upper case-letter}", &["A"], &["a"]),
        (r"\p{Thai}|\p{Zl}", &["ก", "\u{2028}"], &["a"]),
        (r"\p{Any}\p{ASCII}", &["éa"], &["aé"]),
        (r"\p{Cs}|\p{Cc}", &["\n"], &["a"]),
        (r"\P{Cs}", &["a"], &[]),
    ];
    for (pattern, yes, no) in cases {
        let matcher = Matcher::new(MatchOp::Regex, "l", pattern).unwrap();
        yes.iter().for_each(|value| assert!(matcher.matches(value), "{pattern} has to match {value:?}"));
        no.iter().for_each(|value| assert!(!matcher.matches(value), "{pattern} must not match {value:?}"));
    }
}

#[test]
fn what_go_refuses_is_refused_in_its_words() {
    let cases = [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        // The anchors around it must not be broken out of.
        ("a)|(b", "unexpected )"),
        ("(a|b", "missing closing )"),
        ("[a", "missing closing ]: `[a`"),
        ("[", "missing closing ]"),
        ("[]", "missing closing ]"),
        ("[a-", "missing closing ]"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[a--b]", "invalid character class range: `a--`"),
        ("[a-\\d]", "invalid escape sequence: `\\d`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a|*", "missing argument to repetition operator: `*`"),
        ("(+)", "missing argument to repetition operator: `+`"),
        ("{2}", "missing argument to repetition operator: `{2}`"),
        ("(?i)?", "missing argument to repetition operator: `?`"),
        (r"\Q\E*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a++b", "invalid nested repetition operator: `++`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a*??", "invalid nested repetition operator: `*??`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{1001,}", "invalid repeat count"),
        ("a{2,1}", "invalid repeat count: `{2,1}`"),
        ("a{99999999999}", "invalid repeat count"),
        ("(a{100}){11}", "invalid repeat count: `{11}`"),
        ("(?:[a-z]{4}){0,251}", "invalid repeat count"),
        (r"\", "trailing backslash at end of expression"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\Z", "invalid escape sequence"),
        (r"\G", "invalid escape sequence"),
        (r"a\E", r"invalid escape sequence: `\E`"),
        (r"\é", "invalid escape sequence"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\8", "invalid escape sequence"),
        (r"\x4", "invalid escape sequence"),
        (r"\xg0", "invalid escape sequence"),
        (r"\x{}", "invalid escape sequence"),
        (r"\x{110000}", "invalid escape sequence"),
        (r"\u0041", "invalid escape sequence"),
        (r"[\b]", r"invalid escape sequence: `\b`"),
        (r"[\Qa\E]", "invalid escape sequence"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?!a)", "invalid or unsupported Perl syntax: `(?!`"),
        ("(?<=a)", "invalid named capture"),
        ("(?>a)", "invalid or unsupported Perl syntax"),
        ("(?#a)", "invalid or unsupported Perl syntax"),
        ("(?x)a b", "invalid or unsupported Perl syntax: `(?x`"),
        ("(?u)a", "invalid or unsupported Perl syntax"),
        ("(?i-)a", "invalid or unsupported Perl syntax"),
        ("(?-)", "invalid or unsupported Perl syntax"),
        ("(?i--s)", "invalid or unsupported Perl syntax"),
        ("(?", "invalid or unsupported Perl syntax"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<>a)", "invalid named capture: `(?P<>`"),
        ("(?P<n-m>a)", "invalid named capture"),
        ("(?P=n)", "invalid or unsupported Perl syntax"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
        (r"\p{Alphabetic}", "invalid character class range"),
        (r"\p{Grek}", "invalid character class range"),
        (r"\p{IsGreek}", "invalid character class range"),
        (r"\p{sc=Greek}", "invalid character class range"),
        (r"\p{L", r"invalid character class range: `\p{L`"),
        (r"\p", "invalid character class range"),
        (r"\pX", "invalid character class range"),
        // Bounds of this crate.
        (r"[a-z]{1000}[a-z]{1000}\pL{500}", "expression too large: it compiles to more than 10 MiB"),
    ];
    for (pattern, expected) in cases {
        match Matcher::new(MatchOp::NotRegex, "l", pattern) {
            Ok(_) => panic!("{pattern} has to be refused"),
            Err(Error::InvalidMatcher { matcher, reason }) => {
                assert!(reason.contains(expected), "{pattern}: {reason}");
                assert!(matcher.starts_with("l!~\""));
            }
            Err(other) => panic!("{pattern}: {other}"),
        }
    }
}

#[test]
fn patterns_from_outside_are_bounded() {
    let refused = |pattern: String, why: &str| match Matcher::new(MatchOp::Regex, "l", &pattern) {
        Err(Error::InvalidMatcher { reason, .. }) => {
            assert!(reason.contains(why) && reason.len() < 400, "{reason}");
        }
        Ok(_) => panic!("{}... has to be refused", &pattern[..10]),
        Err(other) => panic!("{other}"),
    };
    refused("a".repeat((1 << 20) + 1), "longer than 1 MiB");
    refused(format!("{}x{}", "(a".repeat(300), ")*".repeat(300)), "nests too deeply");
    refused("(".repeat(1 << 20), "missing closing )");
    refused(format!("{}{}", "(".repeat(1 << 19), ")".repeat(1 << 19)), "too large");
    refused("|".repeat(1 << 20), "too large");
    refused(".".repeat(1 << 20), "too large");
    refused("a?".repeat(1 << 19), "too large");
    refused(r"\pL".repeat(10_000), "too large");
    refused(format!("[{}]", r"\pL".repeat(10_000)), "too large");
    // Depth without weight is fine, and so are long literals.
    let nested = format!("{}a{}", "(".repeat(5000), ")".repeat(5000));
    assert!(Matcher::new(MatchOp::Regex, "l", &nested).unwrap().matches("a"));
    let long = "a".repeat(1 << 20);
    assert!(Matcher::new(MatchOp::Regex, "l", &long).unwrap().matches(&long));
}

#[test]
fn a_missing_label_is_the_empty_value() {
    let labels = Labels::from_pairs([("__name__", "up"), ("a", "1")]).unwrap();
    let cases = [
        (MatchOp::Equal, "a", "1", true),
        (MatchOp::Equal, "a", "2", false),
        (MatchOp::Equal, "b", "", true),
        (MatchOp::Equal, "b", "1", false),
        (MatchOp::NotEqual, "a", "1", false),
        (MatchOp::NotEqual, "a", "", true),
        (MatchOp::NotEqual, "b", "", false),
        (MatchOp::NotEqual, "b", "1", true),
        (MatchOp::Regex, "b", ".*", true),
        (MatchOp::Regex, "b", ".+", false),
        (MatchOp::Regex, "b", "|x", true),
        (MatchOp::Regex, "a", "|x", false),
        (MatchOp::NotRegex, "b", ".+", true),
        (MatchOp::NotRegex, "b", ".*", false),
        (MatchOp::NotRegex, "a", "2|3", true),
        (MatchOp::Regex, "__name__", "u.", true),
    ];
    for (op, name, value, expected) in cases {
        let matcher = Matcher::new(op, name, value).unwrap();
        assert_eq!(matcher.matches_labels(&labels), expected, "{matcher}");
        assert_eq!(Matcher::all_match(&[Matcher::equal("a", "1"), matcher.clone()], &labels), expected);
        assert_eq!(matcher.matches_empty(), matcher.matches(""), "{matcher}");
    }
    assert!(Matcher::all_match(&[], &labels) && Matcher::all_match(&[], &Labels::empty()));
}

#[test]
fn parts_text_and_equality() {
    let matcher = Matcher::new(MatchOp::NotRegex, "l.x", "a\"\n").unwrap();
    assert_eq!((matcher.name(), matcher.op(), matcher.value()), ("l.x", MatchOp::NotRegex, "a\"\n"));
    assert_eq!(matcher.to_string(), r#""l.x"!~"a\"\n""#);
    assert_eq!(Matcher::equal("a", "b"), Matcher::new(MatchOp::Equal, "a", "b").unwrap());
    assert_ne!(Matcher::equal("a", "b"), Matcher::new(MatchOp::Regex, "a", "b").unwrap());
    assert!(Matcher::new(MatchOp::Regex, "a", ".*").unwrap().matches_everything());
    assert!(!Matcher::new(MatchOp::NotRegex, "a", ".*").unwrap().matches_everything());
    let error = Matcher::new(MatchOp::Regex, "a", "(").unwrap_err();
    assert_eq!(error.to_string(), r#"invalid matcher a=~"(": missing closing ): `(`"#);
}
