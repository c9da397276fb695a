//! Matchers on labels, with Prometheus' semantics.
//!
//! A missing label has the value `""`; a regular expression has to match the whole value, `.` matches everything.
//! A pattern is read once, in Go's dialect ([`dialect`]), and then takes the cheapest form that means the same:
//! a sorted set of values ([`literals`]), literals with gaps ([`glob`]) or an automaton ([`automaton`]). All three
//! are derived from the syntax tree, never from the pattern's text.
//!
//! [`Candidates`] is what an index asks: which values can match at all. What an index then does is its own affair.

mod automaton;
mod dialect;
mod glob;
mod literals;
mod pattern;

use std::fmt;
use std::sync::Arc;

use self::pattern::Pattern;
use crate::label::{Labels, Quoted, is_label_identifier};
use crate::{Error, Result};

/// The four ways of matching a label's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`: the value is the given one.
    Equal,
    /// `!=`: the value is not the given one.
    NotEqual,
    /// `=~`: the whole value matches the pattern.
    Regex,
    /// `!~`: the whole value does not match the pattern.
    NotRegex,
}

impl MatchOp {
    /// Whether it accepts what the value or pattern does *not* match.
    #[must_use]
    pub const fn is_negated(self) -> bool {
        matches!(self, Self::NotEqual | Self::NotRegex)
    }

    /// The operator as written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }

    /// Whether the matcher's value is a pattern.
    #[must_use]
    pub const fn is_regex(self) -> bool {
        matches!(self, Self::Regex | Self::NotRegex)
    }
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an index can do with the **un-negated** pattern of a matcher, without looking at every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates<'a> {
    /// Exactly these values match, sorted by bytes and unique; `""` among them stands for a missing label.
    Literals(&'a [Box<str>]),
    /// Only values that start so can match; each is to be tested.
    Prefix(&'a str),
    /// Any value can match.
    Any,
}

/// A condition on the value of one label. A missing label has the value `""`.
///
/// A clone shares the compiled pattern. Two matchers are equal when they are written alike.
#[derive(Clone)]
pub struct Matcher {
    inner: Arc<Inner>,
}

struct Inner {
    op: MatchOp,
    name: Box<str>,
    value: Box<str>,
    pattern: Pattern,
}

impl Matcher {
    /// The matcher `name op value`. For the two regex operators `value` is a pattern in RE2's dialect, as Go and
    /// Prometheus have it; it has to match the *whole* value, and `.` matches a line feed, too.
    ///
    /// ```
    /// use tsdb_core::{MatchOp, Matcher};
    ///
    /// let matcher = Matcher::new(MatchOp::Regex, "instance", r"web-\d+:(80|443)")?;
    /// assert!(matcher.matches("web-17:443") && !matcher.matches("web-17:4430"));
    /// # Ok::<(), tsdb_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidMatcher`] when the pattern does not parse, or is longer than 1 MiB, nests deeper than 250
    /// levels or compiles to more than 10 MiB.
    pub fn new(op: MatchOp, name: &str, value: &str) -> Result<Self> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => Pattern::literal(value),
            MatchOp::Regex | MatchOp::NotRegex => Pattern::regex(value).map_err(|reason| {
                Error::InvalidMatcher { matcher: Written { op, name, value }.to_string(), reason }
            })?,
        };
        Ok(Self { inner: Arc::new(Inner { op, name: name.into(), value: value.into(), pattern }) })
    }

    /// The matcher `name="value"`.
    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        let pattern = Pattern::literal(value);
        Self {
            inner: Arc::new(Inner { op: MatchOp::Equal, name: name.into(), value: value.into(), pattern }),
        }
    }

    /// The name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The way of matching.
    #[must_use]
    pub fn op(&self) -> MatchOp {
        self.inner.op
    }

    /// The value or pattern.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.inner.value
    }

    /// Whether the matcher accepts `value`.
    #[must_use]
    #[inline]
    pub fn matches(&self, value: &str) -> bool {
        self.inner.pattern.is_match(value) != self.inner.op.is_negated()
    }

    /// Whether the matcher accepts a series without the label.
    #[must_use]
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// Whether the matcher accepts the label set.
    #[must_use]
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(self.name()).unwrap_or(""))
    }

    /// Whether every one of `matchers` accepts the label set.
    #[must_use]
    pub fn all_match(matchers: &[Self], labels: &Labels) -> bool {
        matchers.iter().all(|m| m.matches_labels(labels))
    }

    /// Whether the matcher accepts every value, so that an index need not look at any: `=~".*"`.
    #[must_use]
    pub fn matches_everything(&self) -> bool {
        self.inner.pattern.is_everything() && !self.op().is_negated()
    }

    /// What an index can do with the un-negated pattern.
    #[must_use]
    pub fn candidates(&self) -> Candidates<'_> {
        self.inner.pattern.candidates()
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op(), self.name(), self.value()) == (other.op(), other.name(), other.value())
    }
}

impl Eq for Matcher {}

/// As [`parse_selector`](crate::parse_selector) reads it: `name=~"value"`, the name quoted where it is no identifier.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Written { op: self.op(), name: self.name(), value: self.value() }.fmt(f)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({self})")
    }
}

/// A matcher's text.
struct Written<'a> {
    op: MatchOp,
    name: &'a str,
    value: &'a str,
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_label_identifier(self.name) {
            f.write_str(self.name)?;
        } else {
            write!(f, "{}", Quoted(self.name))?;
        }
        write!(f, "{}{}", self.op, Quoted(self.value))
    }
}
