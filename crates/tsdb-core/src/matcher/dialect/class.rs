//! Character classes: `[...]`, `\d`, `[:alpha:]`, `\pL`.
//!
//! Everything in brackets but `]`, `\`, `-` between two characters, a leading `^` and `[:name:]` is itself: `&&`,
//! `--`, `~~` and `[` as well.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::{CLASS_RANGES_MAX, Parser, PatternError, fold, unicode};

/// Closed ranges of ASCII characters.
type Ranges = &'static [(char, char)];

const DIGIT: Ranges = &[('0', '9')];
const PERL_SPACE: Ranges = &[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')];
const WORD: Ranges = &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')];

/// The names in `[:name:]`.
const POSIX: &[(&str, Ranges)] = &[
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("ascii", &[('\0', '\x7f')]),
    ("blank", &[('\t', '\t'), (' ', ' ')]),
    ("cntrl", &[('\0', '\x1f'), ('\x7f', '\x7f')]),
    ("digit", DIGIT),
    ("graph", &[('!', '~')]),
    ("lower", &[('a', 'z')]),
    ("print", &[(' ', '~')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
    ("space", &[('\t', '\r'), (' ', ' ')]),
    ("upper", &[('A', 'Z')]),
    ("word", WORD),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
];

impl<'a> Parser<'a> {
    /// Reads a class in brackets.
    pub(super) fn class(&mut self) -> Result<(), PatternError> {
        let start = self.rest;
        self.rest = &self.rest[1..];
        let negated = self.rest.starts_with('^');
        if negated {
            self.rest = &self.rest[1..];
        }
        // Collected first: a `ClassUnicode` sorts itself at every addition.
        let mut ranges: Vec<ClassUnicodeRange> = Vec::new();
        // A bracket that comes first is itself, so no class is empty.
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            let part = match self.named_class()? {
                Some(part) => part,
                None => match self.class_escape()? {
                    Some(part) => part,
                    None => self.class_range(start)?,
                },
            };
            ranges.extend_from_slice(part.ranges());
            if ranges.len() > CLASS_RANGES_MAX {
                return Err(PatternError::new("expression too large", self.pattern));
            }
        }
        self.rest = &self.rest[1..];
        let mut class = ClassUnicode::new(ranges);
        if negated {
            class.negate();
        }
        self.push_class(class)
    }

    /// Reads `x` or `x-y`; `start` is the rest where the class began.
    fn class_range(&mut self, start: &'a str) -> Result<ClassUnicode, PatternError> {
        let range = self.rest;
        let low = self.class_char(start)?;
        let mut high = low;
        // A bar before the closing bracket is itself.
        if self.rest.starts_with('-') && !self.rest[1..].starts_with(']') && self.rest.len() > 1 {
            self.rest = &self.rest[1..];
            high = self.class_char(start)?;
            if high < low {
                return Err(PatternError::new("invalid character class range", self.since(range)));
            }
        }
        Ok(self.finish(ClassUnicode::new(char_range(low, high)), false))
    }

    fn class_char(&mut self, start: &'a str) -> Result<u32, PatternError> {
        if self.rest.starts_with('\\') {
            return self.char_escape();
        }
        self.next_char().map(u32::from).ok_or_else(|| PatternError::new("missing closing ]", start))
    }

    /// Reads `[:name:]` or `[:^name:]`, if one is here.
    fn named_class(&mut self) -> Result<Option<ClassUnicode>, PatternError> {
        let start = self.rest;
        let Some((name, rest)) = start.strip_prefix("[:").and_then(|text| text.split_once(":]")) else {
            return Ok(None);
        };
        self.rest = rest;
        let (negated, plain) = name.strip_prefix('^').map_or((false, name), |plain| (true, plain));
        match POSIX.iter().find(|(known, _)| *known == plain) {
            Some((_, ranges)) => Ok(Some(self.ascii_class(ranges, negated))),
            None => Err(PatternError::new("invalid character class range", self.since(start))),
        }
    }

    /// Reads `\d`, `\pL` and their like, if one is here.
    pub(super) fn class_escape(&mut self) -> Result<Option<ClassUnicode>, PatternError> {
        let start = self.rest;
        let Some(kind) = start.strip_prefix('\\').and_then(|text| text.chars().next()) else {
            return Ok(None);
        };
        let ranges = match kind {
            'd' | 'D' => DIGIT,
            's' | 'S' => PERL_SPACE,
            'w' | 'W' => WORD,
            'p' | 'P' => return self.unicode_class(kind == 'P').map(Some),
            _ => return Ok(None),
        };
        self.rest = &self.rest[2..];
        Ok(Some(self.ascii_class(ranges, kind.is_ascii_uppercase())))
    }

    /// The class of `ranges`: case is folded before the negation, as Go does.
    fn ascii_class(&self, ranges: Ranges, negated: bool) -> ClassUnicode {
        self.finish(ClassUnicode::new(ranges.iter().map(|&(a, b)| ClassUnicodeRange::new(a, b))), negated)
    }

    fn finish(&self, mut class: ClassUnicode, negated: bool) -> ClassUnicode {
        if self.flags.ignore_case {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        class
    }

    /// Reads `\pN`, `\p{Name}`, `\p{^Name}` and the same with `P`.
    fn unicode_class(&mut self, mut negated: bool) -> Result<ClassUnicode, PatternError> {
        let start = self.rest;
        let text = &self.rest[2..];
        let (name, rest) = match text.chars().next() {
            Some('{') => text[1..].split_once('}').unwrap_or(("", text)),
            Some(c) => text.split_at(c.len_utf8()),
            None => ("", text),
        };
        let (caret, plain) = name.strip_prefix('^').map_or((false, name), |plain| (true, plain));
        negated ^= caret;
        match unicode::class(plain) {
            Some(class) => {
                self.rest = rest;
                Ok(self.finish(class, negated))
            }
            None => {
                self.rest = if name.is_empty() { "" } else { rest };
                Err(PatternError::new("invalid character class range", self.since(start)))
            }
        }
    }
}

/// The range of code points without the surrogates in it.
fn char_range(low: u32, high: u32) -> Option<ClassUnicodeRange> {
    let first = char::from_u32(low).unwrap_or('\u{e000}');
    let last = char::from_u32(high).unwrap_or('\u{d7ff}');
    (first <= last).then(|| ClassUnicodeRange::new(first, last))
}
