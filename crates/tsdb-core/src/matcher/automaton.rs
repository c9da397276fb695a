//! Patterns in general: a table-driven automaton over the bytes of a value.
//!
//! A value is matched whole, so one walk from its first byte to its last decides: no search, no prefilter, no
//! captures. A small **dense DFA** does that with one load a byte and, unlike a lazy one, without a cache that
//! threads have to share. Patterns whose DFA would be large (long counted repetitions, big Unicode classes) go to
//! the meta engine of `regex-automata`, which builds what it needs as it goes; its memory is bounded as well.
//!
//! Values are UTF-8. That allows one simplification of the tree: see [`widen`].

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input, MatchKind, meta};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, Hir, HirKind, Look, Repetition};

/// The largest NFA, in bytes. It bounds time and memory of compiling; `[a-z]{1000}` needs a tenth of it.
const NFA_BYTES_MAX: usize = 10 << 20;
/// The largest DFA, in bytes: what fits the caches beside the values and takes about a millisecond to build.
const DFA_BYTES_MAX: usize = 64 << 10;

/// A compiled pattern.
pub(super) enum Automaton {
    Dense { dfa: Box<dense::DFA<Vec<u32>>>, start: StateID },
    Meta(Box<meta::Regex>),
}

impl Automaton {
    /// Compiles `hir`, to match whole values.
    ///
    /// # Errors
    /// Says why when the pattern compiles to more than [`NFA_BYTES_MAX`].
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        match Self::dense(hir) {
            Some(dense) => Ok(dense),
            None => Self::meta(hir).map(Self::Meta),
        }
    }

    /// The dense form, if it stays small.
    fn dense(hir: &Hir) -> Option<Self> {
        let nfa = thompson::Compiler::new().configure(nfa_config()).build_from_hir(&widen(hir)).ok()?;
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            // Every way to go on is kept alive, not only the preferred one: the match must reach the end.
            .match_kind(MatchKind::All)
            .accelerate(false)
            .dfa_size_limit(Some(DFA_BYTES_MAX))
            .determinize_size_limit(Some(4 * DFA_BYTES_MAX));
        let dfa = dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()?;
        let start = dfa.start_state_forward(&Input::new("").anchored(Anchored::Yes)).ok()?;
        Some(Self::Dense { dfa: Box::new(dfa), start })
    }

    fn meta(hir: &Hir) -> Result<Box<meta::Regex>, String> {
        let anchored = Hir::concat(vec![Hir::look(Look::Start), hir.clone(), Hir::look(Look::End)]);
        let config =
            meta::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_BYTES_MAX));
        let regex = meta::Builder::new().configure(config).build_from_hir(&anchored).map_err(|error| {
            if error.size_limit().is_some() {
                format!("expression too large: it compiles to more than {} MiB", NFA_BYTES_MAX >> 20)
            } else {
                error.to_string()
            }
        })?;
        Ok(Box::new(regex))
    }

    #[inline]
    pub(super) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Dense { dfa, start } => {
                let mut state = *start;
                for &byte in value.as_bytes() {
                    state = dfa.next_state(state, byte);
                    if dfa.is_dead_state(state) {
                        return false;
                    }
                }
                dfa.is_match_state(dfa.next_eoi_state(state))
            }
            Self::Meta(regex) => regex.is_match(value),
        }
    }
}

fn nfa_config() -> thompson::Config {
    thompson::Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_BYTES_MAX))
}

/// The same pattern for UTF-8 values with a smaller automaton: an open repetition of a class with *all* characters
/// above ASCII becomes one of bytes.
///
/// `.*` over characters needs states for the inside of a character; over bytes it is one state. On UTF-8 text the
/// byte form may also stop inside a character, but nothing can go on from there: every other part of a pattern
/// starts at a first byte, and the value does not end there. The one exception is `\B`, which holds between any two
/// bytes of a character; a pattern with it stays as it is.
fn widen(hir: &Hir) -> Hir {
    if hir.properties().look_set().contains(Look::WordAsciiNegate) {
        return hir.clone();
    }
    widen_part(hir)
}

fn widen_part(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(widen_part).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(widen_part).collect()),
        HirKind::Repetition(repetition) => match widened_class(repetition) {
            Some(bytes) => {
                let open = repeat(0, None, Hir::class(Class::Bytes(bytes)));
                Hir::concat(vec![
                    repeat(repetition.min, Some(repetition.min), (*repetition.sub).clone()),
                    open,
                ])
            }
            None => repeat(repetition.min, repetition.max, widen_part(&repetition.sub)),
        },
        _ => hir.clone(),
    }
}

fn repeat(min: u32, max: Option<u32>, sub: Hir) -> Hir {
    Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(sub) })
}

/// The class of bytes for an open repetition of a class with all characters above ASCII.
fn widened_class(repetition: &Repetition) -> Option<ClassBytes> {
    let (None, HirKind::Class(Class::Unicode(class))) = (repetition.max, repetition.sub.kind()) else {
        return None;
    };
    let above_ascii = class.ranges().last().is_some_and(|r| r.start() <= '\u{80}' && r.end() == char::MAX);
    above_ascii.then(|| byte_class(class))
}

/// The bytes of the ASCII characters in `class` and all bytes above.
fn byte_class(class: &ClassUnicode) -> ClassBytes {
    let ascii = class.ranges().iter().filter(|r| r.start().is_ascii());
    let ranges =
        ascii.map(|r| ClassBytesRange::new(r.start() as u8, u8::try_from(r.end()).unwrap_or(0x7f).min(0x7f)));
    ClassBytes::new(ranges.chain([ClassBytesRange::new(0x80, 0xff)]))
}
