//! Matchers over a million distinct, sorted values of one label: how long one matcher takes to find its values.
//!
//! The values lie as an index keeps them, sorted and one after another in memory. A set of literals is looked up
//! value by value, a prefix is two binary searches and a test of each value between them, and anything else tests
//! every value. The two shapes of values are a short one and a long one of what labels with a million values hold:
//! ids of requests, and names of hosts.

use std::ops::Range;

use tsdb_core::{Candidates, MatchOp, Matcher};

/// The values of one label.
pub const VALUES: u64 = 1_000_000;

/// A matcher to measure, and the most milliseconds it may take over [`VALUES`] values.
pub struct Case {
    /// What kind of pattern it is.
    pub name: &'static str,
    /// The values it runs over.
    pub shape: Shape,
    /// The pattern, for `=~`.
    pub pattern: &'static str,
    /// The bar, in milliseconds.
    pub bar_ms: f64,
}

/// What the values look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `7c9e6679-7425-40de-944b-e07fc1f90ae7`: 36 bytes.
    Uuid,
    /// `instance-1f0c2a3b.zone-b.eu-west-2.example.com:9143`: 51 bytes.
    Host,
}

const LOOKUP_MS: f64 = 0.1;
const SCAN_MS: f64 = 100.0;

/// Every case, in the order of a report.
pub const CASES: &[Case] = &[
    case("literals", Shape::Uuid, "00000000-0000-0000-0000-000000000000|a|b(c|d)", LOOKUP_MS),
    case("prefix", Shape::Uuid, "7c9e.*", LOOKUP_MS),
    case("prefix and more", Shape::Uuid, "7c9e.*-4[0-9a-f]{3}-.+", LOOKUP_MS),
    case("suffix", Shape::Uuid, ".*7ae7", SCAN_MS),
    case("contains", Shape::Uuid, ".*7ae7.*", SCAN_MS),
    case("general", Shape::Uuid, ".*-4.*-a[0-9].*f", SCAN_MS),
    case("general, many match", Shape::Uuid, "[^-]*[0-9]+-[0-9a-f-]+[02468ace]", SCAN_MS),
    case("alternation of contains", Shape::Uuid, ".*foo.*|.*7a.*|.*bar", SCAN_MS),
    case("unicode class", Shape::Uuid, r"[\pL\pN]+-[\pL\pN-]+", SCAN_MS),
    case("prefix", Shape::Host, "instance-7c9e.*", LOOKUP_MS),
    case("contains", Shape::Host, ".*zone-b.*:91.*", SCAN_MS),
    case("general, literals inside", Shape::Host, ".*zone-b.*:91[0-4].*", SCAN_MS),
    case("general", Shape::Host, r".*[0-9]7.*\.zone-[ab]\..*", SCAN_MS),
    case("general, any case", Shape::Host, r"(?i).*[13579]\.ZONE-[AB]\..*COM:\d+", SCAN_MS),
];

const fn case(name: &'static str, shape: Shape, pattern: &'static str, bar_ms: f64) -> Case {
    Case { name, shape, pattern, bar_ms }
}

impl Case {
    /// The matcher, compiled.
    ///
    /// # Panics
    /// When the pattern of a case is wrong.
    #[must_use]
    pub fn matcher(&self) -> Matcher {
        Matcher::new(MatchOp::Regex, "label", self.pattern).expect("invariant: the patterns above are valid")
    }
}

/// Sorted values, one after another.
pub struct Values {
    text: String,
    /// Where each value ends.
    ends: Vec<u32>,
}

impl Values {
    /// `count` distinct values, always the same.
    #[must_use]
    pub fn generate(shape: Shape, count: u64) -> Self {
        let mut values: Vec<String> = (0..count).map(|i| value(shape, i)).collect();
        values.sort_unstable();
        values.dedup();
        let mut sorted = Self { text: String::new(), ends: Vec::with_capacity(values.len()) };
        for value in values {
            sorted.text.push_str(&value);
            sorted.ends.push(sorted.text.len() as u32);
        }
        sorted
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many values the matcher selects, found the cheapest way that its candidates allow.
    #[must_use]
    pub fn count(&self, matcher: &Matcher) -> usize {
        match matcher.candidates() {
            Candidates::Literals(literals) => literals.iter().filter(|value| self.contains(value)).count(),
            Candidates::Prefix(prefix) => self.count_in(self.with_prefix(prefix), matcher),
            Candidates::Any => self.count_in(0..self.len(), matcher),
        }
    }

    fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start as usize..self.ends[at] as usize]
    }

    fn count_in(&self, range: Range<usize>, matcher: &Matcher) -> usize {
        range.filter(|&at| matcher.matches(self.get(at))).count()
    }

    fn contains(&self, value: &str) -> bool {
        let at = self.partition_point(0..self.len(), |v| v < value);
        at < self.len() && self.get(at) == value
    }

    fn with_prefix(&self, prefix: &str) -> Range<usize> {
        let start = self.partition_point(0..self.len(), |v| v < prefix);
        start..self.partition_point(start..self.len(), |v| v.starts_with(prefix))
    }

    /// The first place in `range` where `before` no longer holds.
    fn partition_point(&self, range: Range<usize>, before: impl Fn(&str) -> bool) -> usize {
        let Range { mut start, mut end } = range;
        while start < end {
            let middle = start + (end - start) / 2;
            if before(self.get(middle)) {
                start = middle + 1;
            } else {
                end = middle;
            }
        }
        start
    }
}

/// The `i`-th value, before sorting: a bijection of `i` spreads them.
fn value(shape: Shape, i: u64) -> String {
    let a = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let b = (a ^ (a >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    match shape {
        Shape::Uuid => format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            b >> 48,
            b & 0xffff_ffff_ffff
        ),
        Shape::Host => format!(
            "instance-{:08x}.zone-{}.eu-west-{}.example.com:91{:02}",
            a >> 32,
            ["a", "b", "c"][(b % 3) as usize],
            b % 4,
            (b >> 8) % 100
        ),
    }
}
