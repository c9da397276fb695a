//! A pattern with the cheapest way to test it: a set of values, literals with gaps, or an automaton.

use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::Extractor;

use super::automaton::Automaton;
use super::glob::Glob;
use super::literals::{all_matches, trim_anchors};
use super::{Candidates, dialect};

/// A compiled pattern, or the one value of an equality.
pub(super) enum Pattern {
    /// Exactly these values, sorted and unique.
    Literals(Box<[Box<str>]>),
    /// Literals with gaps.
    Glob(Glob),
    /// Everything else; every match starts with `prefix`.
    Automaton { prefix: Box<str>, automaton: Automaton },
}

impl Pattern {
    /// The pattern that only `value` matches.
    pub(super) fn literal(value: &str) -> Self {
        Self::Literals([value.into()].into())
    }

    /// Compiles a regular expression in Go's dialect.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn regex(pattern: &str) -> Result<Self, String> {
        let hir = trim_anchors(&dialect::parse(pattern).map_err(|e| e.to_string())?);
        if let Some(literals) = all_matches(&hir) {
            return Ok(Self::Literals(literals));
        }
        if let Some(glob) = Glob::from_hir(&hir) {
            return Ok(Self::Glob(glob));
        }
        Ok(Self::Automaton { prefix: common_prefix(&hir), automaton: Automaton::new(&hir)? })
    }

    /// Whether the whole of `value` matches.
    #[inline]
    pub(super) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Literals(values) => match &**values {
                // For the comparison of nothing with nothing see the glob's.
                [only] => only.len() == value.len() && (value.is_empty() || **only == *value),
                values => values.binary_search_by(|v| (**v).cmp(value)).is_ok(),
            },
            Self::Glob(glob) => glob.is_match(value),
            Self::Automaton { automaton, .. } => automaton.is_match(value),
        }
    }

    /// Whether every value matches.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self, Self::Glob(glob) if glob.is_everything())
    }

    pub(super) fn candidates(&self) -> Candidates<'_> {
        let prefix = match self {
            Self::Literals(values) => return Candidates::Literals(values),
            Self::Glob(glob) => glob.prefix(),
            Self::Automaton { prefix, .. } => prefix,
        };
        if prefix.is_empty() { Candidates::Any } else { Candidates::Prefix(prefix) }
    }
}

/// The text that every match starts with; empty where none is known.
fn common_prefix(hir: &Hir) -> Box<str> {
    let prefixes = Extractor::new().extract(hir);
    let bytes = prefixes.longest_common_prefix().unwrap_or_default();
    // Alternatives may part inside a character.
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form that a pattern takes, and what an index is told.
    fn form(pattern: &str) -> String {
        let pattern = Pattern::regex(pattern).unwrap();
        let kind = match &pattern {
            Pattern::Literals(_) => "",
            Pattern::Glob(_) => "glob ",
            Pattern::Automaton { automaton: Automaton::Dense { .. }, .. } => "dense ",
            Pattern::Automaton { automaton: Automaton::Meta(_), .. } => "meta ",
        };
        match pattern.candidates() {
            Candidates::Literals(values) => format!("{kind}{values:?}"),
            Candidates::Prefix(prefix) => format!("{kind}prefix {prefix:?}"),
            Candidates::Any => format!("{kind}any"),
        }
    }

    #[test]
    fn every_pattern_takes_its_cheapest_form() {
        let long = format!("[{:?}]", "a".repeat(1000));
        let cases = [
            ("", r#"[""]"#),
            ("foo", r#"["foo"]"#),
            ("^foo$", r#"["foo"]"#),
            ("^(?:^foo|^bar$)$", r#"["bar", "foo"]"#),
            ("(?m)^foo$", r#"["foo"]"#),
            ("foo|bar|foo", r#"["bar", "foo"]"#),
            ("foo|", r#"["", "foo"]"#),
            ("(?:)", r#"[""]"#),
            ("x(a|b(c|d))y", r#"["xay", "xbcy", "xbdy"]"#),
            ("host-[1-3]", r#"["host-1", "host-2", "host-3"]"#),
            ("(a|b){2}", r#"["aa", "ab", "ba", "bb"]"#),
            ("ab?", r#"["a", "ab"]"#),
            ("(?i)ab", r#"["AB", "Ab", "aB", "ab"]"#),
            ("(?i)k", "[\"K\", \"k\", \"\u{212a}\"]"),
            (r"\Qa.b|c\E", r#"["a.b|c"]"#),
            (r"\x{D800}", "[]"),
            ("a{1000}", &long),
            (".*", "glob any"),
            (".+", "glob any"),
            ("..*", "glob any"),
            ("^.*$", "glob any"),
            ("foo.*", r#"glob prefix "foo""#),
            ("^foo.+", r#"glob prefix "foo""#),
            (".*foo", "glob any"),
            (".*foo.*", "glob any"),
            ("fo.*ba.+r", r#"glob prefix "fo""#),
            (r"[\s\S]*x", "glob any"),
            ("(?-s)foo.*", r#"dense prefix "foo""#),
            ("foo.", r#"dense prefix "foo""#),
            ("foo.{2,3}", r#"dense prefix "foo""#),
            (r"foo(a+|b)\d", r#"dense prefix "foo""#),
            ("a+|ab+", r#"dense prefix "a""#),
            ("foo.*|bar.*", "dense any"),
            // Characters of two bytes that share the first: no common text.
            ("é+|è+", "dense any"),
            ("[0-9]{4}", "dense any"),
            (r"\pL+", "meta any"),
            ("[a-z]{1000}", "dense any"),
            ("[a-z]{900}.{20}|.{1000}", "meta any"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(form(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn sets_stay_within_their_limits() {
        let many: Vec<String> = (0..50_000).map(|i| format!("value-{i}")).collect();
        let pattern = Pattern::regex(&many.join("|")).unwrap();
        assert!(matches!(&pattern, Pattern::Literals(values) if values.len() == many.len()));
        assert!(pattern.is_match("value-49999") && !pattern.is_match("value-50000"));
        // 3 * 2^11 cases are more than a set may have; so are 120 values of 1 MB.
        for wide in ["(?i)abcdefghijl", &format!("{}(a|b|c){{1,4}}", "x".repeat(1_000_000))] {
            assert!(!matches!(Pattern::regex(wide), Ok(Pattern::Literals(_))), "{}", &wide[..10]);
        }
    }
}
