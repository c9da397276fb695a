//! Patterns that match a finite, small set of values: which values those are.
//!
//! An index answers such a pattern with look-ups instead of a walk over all values. The set comes from the syntax
//! tree, so it is exact whatever the pattern looked like: nested alternations, factored prefixes, small classes
//! and, with `(?i)`, every case of a short word.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};

/// The most values that a product of sets may have. A product with a single value is as large as the other factor
/// and always taken: alternations cost no more than their own text.
const PRODUCT_MAX: usize = 1024;
/// The most bytes that building the set may write, intermediate values included: a bound on memory and on time.
const WORK_BYTES_MAX: usize = 64 << 20;
/// What a value costs beyond its text.
const VALUE_BYTES: usize = size_of::<String>();

/// The tree without anchors that hold anyway because the whole value has to match: `^` at its start, `$` at its end.
pub(super) fn trim_anchors(hir: &Hir) -> Hir {
    trim(&trim(hir, End::Start), End::End)
}

/// The end of a tree to trim.
#[derive(Clone, Copy)]
enum End {
    Start,
    End,
}

fn trim(hir: &Hir, end: End) -> Hir {
    match (hir.kind(), end) {
        (HirKind::Look(Look::Start | Look::StartLF), End::Start) => Hir::empty(),
        (HirKind::Look(Look::End | Look::EndLF), End::End) => Hir::empty(),
        (HirKind::Alternation(parts), _) => Hir::alternation(parts.iter().map(|p| trim(p, end)).collect()),
        (HirKind::Concat(parts), _) => trim_concat(parts, end),
        _ => hir.clone(),
    }
}

/// Trims the outermost part, and the next one where nothing is left of it.
fn trim_concat(mut parts: &[Hir], end: End) -> Hir {
    loop {
        let (outermost, others) = match (parts, end) {
            ([first, others @ ..], End::Start) => (first, others),
            ([others @ .., last], End::End) => (last, others),
            ([], _) => return Hir::empty(),
        };
        let trimmed = trim(outermost, end);
        parts = others;
        if !matches!(trimmed.kind(), HirKind::Empty) {
            let others = others.iter().cloned();
            return match end {
                End::Start => Hir::concat(std::iter::once(trimmed).chain(others).collect()),
                End::End => Hir::concat(others.chain([trimmed]).collect()),
            };
        }
    }
}

/// The values that match, sorted and unique, or `None` where they are not finite or too many.
pub(super) fn all_matches(hir: &Hir) -> Option<Box<[Box<str>]>> {
    let mut values = Expansion { bytes_left: WORK_BYTES_MAX }.expand(hir)?;
    values.sort_unstable();
    values.dedup();
    Some(values.into_iter().map(String::into_boxed_str).collect())
}

struct Expansion {
    bytes_left: usize,
}

impl Expansion {
    fn expand(&mut self, hir: &Hir) -> Option<Vec<String>> {
        match hir.kind() {
            HirKind::Empty => self.single(""),
            HirKind::Literal(literal) => self.single(std::str::from_utf8(&literal.0).ok()?),
            HirKind::Class(Class::Unicode(class)) => self.class(class),
            HirKind::Concat(parts) => {
                let mut values = self.single("")?;
                for part in parts {
                    let tails = self.expand(part)?;
                    values = self.product(&values, &tails)?;
                }
                Some(values)
            }
            HirKind::Alternation(parts) => {
                let mut values = Vec::with_capacity(parts.len());
                for part in parts {
                    values.append(&mut self.expand(part)?);
                }
                Some(values)
            }
            HirKind::Repetition(repetition) => self.repetition(repetition),
            // What never matches is an empty class of bytes in `regex-syntax`.
            HirKind::Class(Class::Bytes(class)) => class.ranges().is_empty().then(Vec::new),
            HirKind::Look(_) | HirKind::Capture(_) => None,
        }
    }

    /// Takes the cost of values off the budget before they are made.
    fn charge(&mut self, count: usize, text_bytes: usize) -> Option<()> {
        let cost = count.checked_mul(VALUE_BYTES)?.checked_add(text_bytes)?;
        self.bytes_left = self.bytes_left.checked_sub(cost)?;
        Some(())
    }

    fn single(&mut self, text: &str) -> Option<Vec<String>> {
        self.charge(1, text.len())?;
        Some(vec![text.to_owned()])
    }

    fn class(&mut self, class: &ClassUnicode) -> Option<Vec<String>> {
        let count: usize = class.ranges().iter().map(ClassUnicodeRange::len).sum();
        if count > PRODUCT_MAX {
            return None;
        }
        self.charge(count, count * char::MAX.len_utf8())?;
        Some(class.ranges().iter().flat_map(|r| r.start()..=r.end()).map(String::from).collect())
    }

    fn repetition(&mut self, repetition: &Repetition) -> Option<Vec<String>> {
        let max = repetition.max?;
        let sub = self.expand(&repetition.sub)?;
        let mut power = self.single("")?;
        let mut values = Vec::new();
        for count in 0..=max {
            if count >= repetition.min {
                self.charge(power.len(), text_bytes(&power))?;
                values.extend_from_slice(&power);
            }
            if count < max {
                power = self.product(&power, &sub)?;
            }
            if values.len() > PRODUCT_MAX.max(sub.len() + 1) {
                return None;
            }
        }
        Some(values)
    }

    /// Every value of `heads` followed by every value of `tails`.
    fn product(&mut self, heads: &[String], tails: &[String]) -> Option<Vec<String>> {
        let count = heads.len().checked_mul(tails.len())?;
        if heads.len() > 1 && tails.len() > 1 && count > PRODUCT_MAX {
            return None;
        }
        let head_bytes = text_bytes(heads).checked_mul(tails.len())?;
        let tail_bytes = text_bytes(tails).checked_mul(heads.len())?;
        self.charge(count, head_bytes.checked_add(tail_bytes)?)?;
        Some(heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect())
    }
}

fn text_bytes(values: &[String]) -> usize {
    values.iter().map(String::len).sum()
}
