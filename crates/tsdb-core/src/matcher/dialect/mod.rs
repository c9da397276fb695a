//! Go's regular expressions, as Prometheus takes them, to the syntax tree of `regex-syntax`.
//!
//! Prometheus' patterns are those of Go's `regexp/syntax` with the flags `Perl | DotNL`: the dialect of RE2. The
//! parser of `regex-syntax` reads another language: Unicode `\d \w \s \b`, set operators and nested `[` in
//! classes, an error for a bare `{`, flags of its own, no `\Q..\E` and no octal escapes. Its *tree* is what we
//! want, so this parser reads the pattern as Go does, character for character, and builds [`Hir`] nodes. Nothing
//! rewrites pattern text.
//!
//! Only "does the whole value match" is ever asked. Therefore groups capture nothing, and greedy and lazy are
//! the same. Values are UTF-8, so a surrogate, which Go lets a pattern name, is a character that never occurs.
//!
//! Limits, each an error: [`PATTERN_BYTES_MAX`], [`REPEAT_MAX`] (Go's), [`HEIGHT_MAX`] (Go: 1000),
//! [`CLASS_RANGES_MAX`] (Go: 32 million characters) and [`COST_MAX`]. They bound the time that a pattern from
//! outside can take to compile: the worst found takes a second.

mod class;
mod escape;
mod unicode;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

/// The longest pattern, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 1 << 20;
/// The highest count in a repetition, and the highest product of nested ones.
const REPEAT_MAX: u32 = 1000;
/// The highest syntax tree: what walks the tree may recurse.
const HEIGHT_MAX: u32 = 250;
/// The most ranges in all character classes of a pattern; `\pL` has about 650.
const CLASS_RANGES_MAX: usize = 1 << 20;

/// The most that a pattern's parts may cost: each alternative [`ALTERNATIVE_COST`], each part that is more than a
/// literal character [`NODE_COST`]. It leaves room for 200,000 literal alternatives.
const COST_MAX: u32 = 200_000;
const ALTERNATIVE_COST: u32 = 1;
const NODE_COST: u32 = 10;

/// Why a pattern is refused: Go's words and the fragment that is at fault.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    reason: &'static str,
    fragment: String,
}

impl PatternError {
    fn new(reason: &'static str, fragment: &str) -> Self {
        Self { reason, fragment: fragment.into() }
    }
}

impl std::fmt::Display for PatternError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN_CHARS_MAX: usize = 60;
        match self.fragment.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((end, _)) => write!(f, "{}: `{}...`", self.reason, &self.fragment[..end]),
            None if self.fragment.is_empty() => f.write_str(self.reason),
            None => write!(f, "{}: `{}`", self.reason, self.fragment),
        }
    }
}

/// The tree of `pattern`, without anchors around it.
///
/// # Errors
/// What Go refuses, in Go's words, and a pattern past one of the limits.
pub(super) fn parse(pattern: &str) -> Result<Hir, PatternError> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(PatternError::new("pattern longer than 1 MiB", pattern));
    }
    let frames = vec![Frame::default()];
    Parser { pattern, rest: pattern, flags: Flags::default(), frames, class_ranges: 0, cost: 0 }.run()
}

/// The flags that bear on whether a value matches. (`U` swaps greedy and lazy, which does not.)
#[derive(Clone, Copy)]
struct Flags {
    /// `i`: characters match in any case.
    ignore_case: bool,
    /// `m`: `^` and `$` match at line ends, too.
    multi_line: bool,
    /// `s`: `.` matches a line feed.
    dot_all: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { ignore_case: false, multi_line: false, dot_all: true }
    }
}

/// What is open: the whole pattern at the bottom, a group above each `(`.
#[derive(Default)]
struct Frame {
    /// The flags to go back to at `)`.
    outer_flags: Flags,
    /// The alternatives that a `|` has ended.
    alternatives: Vec<Node>,
    /// The alternative being read.
    sequence: Vec<Atom>,
}

/// An element of a sequence. Characters stay bare until the sequence ends, to make one literal of a run.
enum Atom {
    Char(char),
    Node(Node),
}

/// A finished part of the tree with what the limits ask of it.
struct Node {
    hir: Hir,
    height: u32,
    /// The highest product of nested repetition counts inside.
    repeats: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, repeats: 1 }
    }

    /// A node above `parts`, whose trees `join` makes one.
    fn above(parts: Vec<Self>, join: fn(Vec<Hir>) -> Hir) -> Self {
        let height = 1 + parts.iter().map(|p| p.height).max().unwrap_or(0);
        let repeats = parts.iter().map(|p| p.repeats).max().unwrap_or(1);
        Self { hir: join(parts.into_iter().map(|p| p.hir).collect()), height, repeats }
    }
}

struct Parser<'a> {
    pattern: &'a str,
    rest: &'a str,
    flags: Flags,
    /// Never empty: the bottom is the whole pattern.
    frames: Vec<Frame>,
    class_ranges: usize,
    cost: u32,
}

impl<'a> Parser<'a> {
    fn run(mut self) -> Result<Hir, PatternError> {
        // Go refuses a repetition directly after another one; anything between them, even a flag group, allows it.
        let mut after_repeat = None;
        while let Some(first) = self.rest.chars().next() {
            let start = self.rest;
            let repeat = match first {
                '*' | '+' | '?' => {
                    self.rest = &self.rest[1..];
                    let max = if first == '?' { Some(1) } else { None };
                    Some((u32::from(first == '+'), max))
                }
                '{' => self.counts()?,
                _ => None,
            };
            if let Some((min, max)) = repeat {
                self.rest = self.rest.strip_prefix('?').unwrap_or(self.rest);
                if let Some(previous) = after_repeat {
                    return Err(PatternError::new(
                        "invalid nested repetition operator",
                        self.since(previous),
                    ));
                }
                self.repeat(min, max, start)?;
                after_repeat = Some(start);
                continue;
            }
            after_repeat = None;
            self.element(first)?;
        }
        let root = self.close_frame()?;
        if !self.frames.is_empty() {
            return Err(PatternError::new("missing closing )", self.pattern));
        }
        Ok(root.hir)
    }

    /// Reads one thing that is not a repetition and starts with `first`.
    fn element(&mut self, first: char) -> Result<(), PatternError> {
        match first {
            '(' if self.rest.starts_with("(?") => return self.flags_or_group(),
            '[' => return self.class(),
            '\\' => return self.escape(),
            '(' => self.open_frame(self.flags),
            ')' => {
                if self.frames.len() == 1 {
                    return Err(PatternError::new("unexpected )", self.pattern));
                }
                let outer_flags = self.top().outer_flags;
                let group = self.close_frame()?;
                self.flags = outer_flags;
                self.push(group)?;
            }
            '|' => {
                self.spend(ALTERNATIVE_COST)?;
                let alternative = self.close_sequence()?;
                self.top().alternatives.push(alternative);
            }
            '^' => self.push_look(if self.flags.multi_line { Look::StartLF } else { Look::Start })?,
            '$' => self.push_look(if self.flags.multi_line { Look::EndLF } else { Look::End })?,
            '.' => {
                let dot = if self.flags.dot_all { Dot::AnyChar } else { Dot::AnyCharExceptLF };
                self.push(Node::leaf(Hir::dot(dot)))?;
            }
            literal => self.push_char(u32::from(literal))?,
        }
        self.rest = &self.rest[first.len_utf8()..];
        Ok(())
    }

    /// The text from `start`, a former rest, to the current place.
    fn since(&self, start: &'a str) -> &'a str {
        &start[..start.len() - self.rest.len()]
    }

    fn top(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("invariant: the frame of the whole pattern is closed last")
    }

    fn spend(&mut self, cost: u32) -> Result<(), PatternError> {
        self.cost += cost;
        if self.cost > COST_MAX {
            return Err(PatternError::new("expression too large", self.pattern));
        }
        Ok(())
    }

    fn push(&mut self, node: Node) -> Result<(), PatternError> {
        self.spend(NODE_COST)?;
        self.top().sequence.push(Atom::Node(node));
        Ok(())
    }

    fn push_look(&mut self, look: Look) -> Result<(), PatternError> {
        self.push(Node::leaf(Hir::look(look)))
    }

    /// Appends a character as the flags say.
    fn push_char(&mut self, code_point: u32) -> Result<(), PatternError> {
        let Some(c) = char::from_u32(code_point) else {
            return self.push(Node::leaf(Hir::fail())); // A surrogate: no value holds one.
        };
        if self.flags.ignore_case {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            fold(&mut class);
            self.push_class(class)?;
        } else {
            self.top().sequence.push(Atom::Char(c));
        }
        Ok(())
    }

    fn push_class(&mut self, class: ClassUnicode) -> Result<(), PatternError> {
        self.class_ranges += class.ranges().len();
        if self.class_ranges > CLASS_RANGES_MAX {
            return Err(PatternError::new("expression too large", self.pattern));
        }
        self.push(Node::leaf(Hir::class(Class::Unicode(class))))
    }

    fn open_frame(&mut self, outer_flags: Flags) {
        self.frames.push(Frame { outer_flags, ..Frame::default() });
    }

    /// Ends the alternative being read.
    fn close_sequence(&mut self) -> Result<Node, PatternError> {
        let mut parts = Vec::new();
        let mut run = String::new();
        for atom in std::mem::take(&mut self.top().sequence) {
            match atom {
                Atom::Char(c) => run.push(c),
                Atom::Node(node) => {
                    if !run.is_empty() {
                        parts.push(Node::leaf(Hir::literal(std::mem::take(&mut run).into_bytes())));
                    }
                    parts.push(node);
                }
            }
        }
        if !run.is_empty() {
            parts.push(Node::leaf(Hir::literal(run.into_bytes())));
        }
        self.join(parts, Hir::concat)
    }

    /// Ends the innermost group, or the pattern.
    fn close_frame(&mut self) -> Result<Node, PatternError> {
        let last = self.close_sequence()?;
        let mut alternatives = std::mem::take(&mut self.top().alternatives);
        self.frames.pop();
        alternatives.push(last);
        self.join(alternatives, Hir::alternation)
    }

    fn join(&self, mut parts: Vec<Node>, join: fn(Vec<Hir>) -> Hir) -> Result<Node, PatternError> {
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        self.check_height(Node::above(parts, join))
    }

    fn check_height(&self, node: Node) -> Result<Node, PatternError> {
        if node.height > HEIGHT_MAX {
            return Err(PatternError::new("expression nests too deeply", self.pattern));
        }
        Ok(node)
    }

    /// Repeats the last element; `start` is the rest at the operator.
    fn repeat(&mut self, min: u32, max: Option<u32>, start: &'a str) -> Result<(), PatternError> {
        let Some(atom) = self.top().sequence.pop() else {
            return Err(PatternError::new("missing argument to repetition operator", self.since(start)));
        };
        let sub = match atom {
            Atom::Char(c) => Node::leaf(Hir::literal(c.to_string().into_bytes())),
            Atom::Node(node) => node,
        };
        let repeats = match max {
            Some(0) => 1,
            _ => sub.repeats * max.unwrap_or(min).max(1),
        };
        if repeats > REPEAT_MAX {
            return Err(PatternError::new("invalid repeat count", self.since(start)));
        }
        let hir = Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(sub.hir) });
        let node = self.check_height(Node { hir, height: sub.height + 1, repeats })?;
        self.push(node)
    }

    /// `{min}`, `{min,}` or `{min,max}`; anything else that starts with a brace is a literal brace and `None`.
    fn counts(&mut self) -> Result<Option<(u32, Option<u32>)>, PatternError> {
        let start = self.rest;
        let Some((counts, rest)) = parse_counts(start) else { return Ok(None) };
        self.rest = rest;
        let valid = |&(min, max): &(u32, Option<u32>)| {
            min <= REPEAT_MAX && max.is_none_or(|max| min <= max && max <= REPEAT_MAX)
        };
        match counts.filter(valid) {
            Some(counts) => Ok(Some(counts)),
            None => Err(PatternError::new("invalid repeat count", self.since(start))),
        }
    }

    /// `(?P<name>`, `(?<name>`, `(?flags:` or `(?flags)`.
    fn flags_or_group(&mut self) -> Result<(), PatternError> {
        let start = self.rest;
        if let Some(named) = start.strip_prefix("(?P<").or_else(|| start.strip_prefix("(?<")) {
            let Some((name, rest)) = named.split_once('>') else {
                return Err(PatternError::new("invalid named capture", start));
            };
            self.rest = rest;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(PatternError::new("invalid named capture", self.since(start)));
            }
            self.open_frame(self.flags);
            return Ok(());
        }
        let mut flags = self.flags;
        let (mut on, mut seen) = (true, false);
        let mut chars = start[2..].chars();
        while let Some(c) = chars.next() {
            self.rest = chars.as_str();
            match c {
                'i' => (flags.ignore_case, seen) = (on, true),
                'm' => (flags.multi_line, seen) = (on, true),
                's' => (flags.dot_all, seen) = (on, true),
                'U' => seen = true,
                '-' if on => (on, seen) = (false, false),
                ':' | ')' if on || seen => {
                    if c == ':' {
                        self.open_frame(self.flags);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(PatternError::new("invalid or unsupported Perl syntax", self.since(start)))
    }
}

/// Adds the characters that are the same in another case.
fn fold(class: &mut ClassUnicode) {
    class.try_case_fold_simple().expect("invariant: the tables for case folding are compiled in");
}

/// The counts in braces, `None` inside where a number is beyond all bounds, and the text after them.
#[expect(clippy::type_complexity, reason = "one caller, right above")]
fn parse_counts(text: &str) -> Option<(Option<(u32, Option<u32>)>, &str)> {
    let (min, rest) = parse_count(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (min.map(Some), rest),
        Some(rest) if rest.starts_with('}') => (Some(None), rest),
        Some(rest) => {
            let (max, rest) = parse_count(rest)?;
            (max.map(Some), rest)
        }
    };
    Some((min.zip(max), rest.strip_prefix('}')?))
}

/// A decimal number without leading zeros; its value is `None` where it is beyond all bounds.
fn parse_count(text: &str) -> Option<(Option<u32>, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if number.is_empty() || (number.len() > 1 && number.starts_with('0')) {
        return None;
    }
    Some((number.parse().ok(), rest))
}
