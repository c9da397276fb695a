//! The selector parser: `name{a="b",c=~"d|e"}` to matchers, with errors that point.
//!
//! The language is PromQL's vector selector without modifiers:
//!
//! ```text
//! selector := name braces? | braces
//! braces   := "{" (part ("," part)* ","?)? "}"
//! part     := label op string | string op string | string      the last one is the metric name
//! op       := "=" | "!=" | "=~" | "!~"
//! name     := [a-zA-Z_:][a-zA-Z0-9_:]*          label := [a-zA-Z_][a-zA-Z0-9_]*
//! string   := "..." | '...' with Go's escapes | `...` without escapes
//! ```
//!
//! Blanks, line ends and comments (`# ...`) may stand between any two of these. Unlike the query language this
//! accepts selectors that match the empty label set (`{}` is everything: a store is allowed to say so), and any
//! word as a metric name, `on` and `nan` too.

mod error;
mod string;

pub use error::SelectorError;

use crate::label::{is_label_identifier, is_metric_identifier};
use crate::{Error, METRIC_NAME, MatchOp, Matcher};

/// The matchers of a selector, the metric name's first, the others as written. `{}` gives none, which selects
/// everything.
///
/// ```
/// let matchers = tsdb_core::parse_selector(r#"http_requests_total{job="api", code=~"5.."}"#)?;
/// assert_eq!(matchers.len(), 3);
/// assert_eq!(matchers[2].to_string(), r#"code=~"5..""#);
///
/// let error = tsdb_core::parse_selector("up{job 'api'}").unwrap_err();
/// assert_eq!(error.offset(), 7);
/// # Ok::<(), tsdb_core::SelectorError>(())
/// ```
///
/// # Errors
/// [`SelectorError`], which says what was expected and points at the place: a selector that does not parse, a
/// metric name before the braces and another one in them, an invalid pattern.
pub fn parse_selector(input: &str) -> Result<Vec<Matcher>, SelectorError> {
    Parser { input, at: 0 }.selector()
}

/// The selector that [`parse_selector`] reads as these matchers.
#[must_use]
pub fn write_selector(matchers: &[Matcher]) -> String {
    let matchers: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
    format!("{{{}}}", matchers.join(","))
}

struct Parser<'a> {
    input: &'a str,
    /// The next byte to read; always at the start of a character.
    at: usize,
}

impl Parser<'_> {
    fn selector(mut self) -> Result<Vec<Matcher>, SelectorError> {
        self.skip_blanks();
        let name = self.word(|b| b == b':');
        let mut matchers = Vec::new();
        if let Some(name) = name {
            if !is_metric_identifier(name) {
                return Err(
                    self.error_at(self.at - name.len(), "a metric name starts with a letter, '_' or ':'")
                );
            }
            matchers.push(Matcher::equal(METRIC_NAME, name));
        }
        self.skip_blanks();
        if self.eat("{") {
            self.parts(name.is_some(), &mut matchers)?;
            self.skip_blanks();
        } else if name.is_none() {
            return Err(self.unexpected("a metric name or '{'"));
        }
        if self.at < self.input.len() {
            let braces = self.input[..self.at].contains('{');
            return Err(self.unexpected(if braces {
                "the end (a selector has no range, offset or function)"
            } else {
                "'{' or the end (other names than identifiers are quoted: {\"my.name\"})"
            }));
        }
        Ok(matchers)
    }

    /// What stands in the braces, the closing one included.
    fn parts(&mut self, named: bool, matchers: &mut Vec<Matcher>) -> Result<(), SelectorError> {
        let mut first = true;
        loop {
            self.skip_blanks();
            if self.eat("}") {
                return Ok(());
            }
            if !first {
                if !self.eat(",") {
                    return Err(self.unexpected("',' or '}'"));
                }
                self.skip_blanks();
                // One comma may come last.
                if self.eat("}") {
                    return Ok(());
                }
            }
            first = false;
            let start = self.at;
            let matcher = self.part()?;
            if named && matcher.name() == METRIC_NAME {
                return Err(
                    self.error_at(start, "the metric name is given twice: before the braces and here")
                );
            }
            matchers.push(matcher);
        }
    }

    /// One matcher, or a quoted metric name.
    fn part(&mut self) -> Result<Matcher, SelectorError> {
        let start = self.at;
        let quoted = self.quoted()?;
        let name = match quoted {
            Some(ref name) => name.as_str(),
            None => match self.word(|_| false) {
                Some(word) if is_label_identifier(word) => word,
                Some(_) => return Err(self.error_at(start, "a label name starts with a letter or '_'")),
                None => return Err(self.unexpected("a label name, a quoted name or '}'")),
            },
        };
        self.skip_blanks();
        let Some(op) = self.op() else {
            if quoted.is_some() && (self.rest().is_empty() || self.rest().starts_with([',', '}'])) {
                return Ok(Matcher::equal(METRIC_NAME, name));
            }
            return Err(self.unexpected("'=', '!=', '=~' or '!~'"));
        };
        if name.is_empty() {
            return Err(self.error_at(start, "a label name is empty"));
        }
        self.skip_blanks();
        let value_start = self.at;
        let Some(value) = self.quoted()? else { return Err(self.unexpected("a quoted value")) };
        Matcher::new(op, name, &value).map_err(|error| {
            let reason = match error {
                Error::InvalidMatcher { reason, .. } => format!("invalid pattern: {reason}"),
                other => other.to_string(),
            };
            self.error_at(value_start, &reason)
        })
    }

    fn op(&mut self) -> Option<MatchOp> {
        let ops = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal];
        ops.into_iter().find(|op| self.eat(op.as_str()))
    }

    fn rest(&self) -> &str {
        &self.input[self.at..]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Skips blanks and comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let text = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let comment =
                if text.starts_with('#') { text.find(['\n', '\r']).unwrap_or(text.len()) } else { 0 };
            self.at += rest.len() - text.len() + comment;
            if comment == 0 {
                return;
            }
        }
    }
}

impl<'a> Parser<'a> {
    /// A run of ASCII letters, digits, `_` and what `extra` allows.
    fn word(&mut self, extra: impl Fn(u8) -> bool) -> Option<&'a str> {
        let rest = &self.input[self.at..];
        let part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || extra(*b);
        let length = rest.bytes().take_while(|b| part(b)).count();
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    /// A quoted string without its quotes, if one is here.
    fn quoted(&mut self) -> Result<Option<String>, SelectorError> {
        match string::unquote(&self.input[self.at..]) {
            Ok(None) => Ok(None),
            Ok(Some((text, length))) => {
                self.at += length;
                Ok(Some(text))
            }
            Err((offset, reason)) => Err(self.error_at(self.at + offset, reason)),
        }
    }

    /// What is here is not what was expected.
    fn unexpected(&self, expected: &str) -> SelectorError {
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(c) if c.is_control() => format!("{c:?}"),
            Some(c) => format!("'{c}'"),
        };
        self.error_at(self.at, &format!("expected {expected}, found {found}"))
    }

    fn error_at(&self, offset: usize, reason: &str) -> SelectorError {
        SelectorError::new(self.input, offset, reason)
    }
}
