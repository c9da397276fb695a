//! Patterns of literals with gaps between them: `.*`, `.+`, `foo.*`, `.*foo`, `.*foo.+bar.*`.
//!
//! A gap is any text of at least so many characters. With gaps open at the top, to take each literal at its first
//! place leaves the most text for what follows, so one pass decides; no automaton is needed.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// A pattern `prefix gap (literal gap)* suffix`.
pub(super) struct Glob {
    /// The text before the first gap.
    prefix: Box<str>,
    /// Each literal between two gaps, with the least number of characters before it.
    inner: Box<[(u32, Finder<'static>)]>,
    /// The least number of characters before the suffix.
    last_gap: u32,
    /// The text after the last gap.
    suffix: Box<str>,
}

/// A part of a pattern.
enum Piece<'a> {
    Literal(&'a str),
    /// At least so many characters; exactly so many where not `open`.
    Any {
        at_least: u32,
        open: bool,
    },
}

impl Glob {
    /// The glob that `hir` is, if it is one.
    pub(super) fn from_hir(hir: &Hir) -> Option<Self> {
        let parts = match hir.kind() {
            HirKind::Concat(parts) => parts.as_slice(),
            _ => std::slice::from_ref(hir),
        };
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        for part in parts {
            let piece = piece(part)?;
            match (pieces.last_mut(), &piece) {
                // Neighbouring gaps are one: `..*` is `.+`.
                (Some(Piece::Any { at_least, open }), Piece::Any { at_least: more, open: also_open }) => {
                    *at_least = at_least.checked_add(*more)?;
                    *open |= also_open;
                }
                _ => pieces.push(piece),
            }
        }
        Self::from_pieces(&pieces)
    }

    fn from_pieces(pieces: &[Piece<'_>]) -> Option<Self> {
        let mut gap = None;
        let mut prefix = "";
        let mut literal = None;
        let mut inner = Vec::new();
        for piece in pieces {
            match *piece {
                Piece::Any { open: false, .. } => return None,
                Piece::Any { at_least, open: true } => {
                    if let (Some(gap), Some(literal)) = (gap, literal.take()) {
                        inner.push((gap, Finder::new(literal).into_owned()));
                    }
                    gap = Some(at_least);
                }
                Piece::Literal(text) if gap.is_none() => prefix = text,
                Piece::Literal(text) => literal = Some(text),
            }
        }
        // Without a gap it would be a literal, which is not this module's business.
        Some(Self {
            prefix: prefix.into(),
            inner: inner.into(),
            last_gap: gap?,
            suffix: literal.unwrap_or("").into(),
        })
    }

    /// The text that every value starts with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it is `.*`.
    pub(super) fn is_everything(&self) -> bool {
        self.prefix.is_empty() && self.inner.is_empty() && self.last_gap == 0 && self.suffix.is_empty()
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        self.rest_after_literals(value).is_some_and(|rest| skip(rest, self.last_gap).is_some())
    }

    /// What is left for the last gap.
    #[inline]
    fn rest_after_literals<'v>(&self, value: &'v str) -> Option<&'v str> {
        let mut rest = value;
        // Empty ends are left out: comparing no bytes at an empty box's dangling address takes 80 ns with the masked
        // loads of glibc's `memcmp` on AVX-512 machines.
        if !self.prefix.is_empty() {
            rest = rest.strip_prefix(&*self.prefix)?;
        }
        if !self.suffix.is_empty() {
            rest = rest.strip_suffix(&*self.suffix)?;
        }
        for (gap, finder) in &self.inner {
            rest = skip(rest, *gap)?;
            rest = &rest[finder.find(rest.as_bytes())? + finder.needle().len()..];
        }
        Some(rest)
    }
}

/// The text after the first `count` characters.
#[inline]
fn skip(text: &str, count: u32) -> Option<&str> {
    let mut chars = text.chars();
    for _ in 0..count {
        chars.next()?;
    }
    Some(chars.as_str())
}

fn piece(hir: &Hir) -> Option<Piece<'_>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(Piece::Literal(std::str::from_utf8(&literal.0).ok()?)),
        HirKind::Repetition(repetition) if is_any_char(&repetition.sub) => {
            let open = repetition.max.is_none();
            let fixed = repetition.max == Some(repetition.min);
            (open || fixed).then_some(Piece::Any { at_least: repetition.min, open })
        }
        _ if is_any_char(hir) => Some(Piece::Any { at_least: 1, open: false }),
        _ => None,
    }
}

/// Whether it is one character of any kind.
fn is_any_char(hir: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { return false };
    matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
}
