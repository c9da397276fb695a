//! What follows a backslash.

use regex_syntax::hir::Look;

use super::{Parser, PatternError};

impl<'a> Parser<'a> {
    /// Reads an escape outside of classes.
    pub(super) fn escape(&mut self) -> Result<(), PatternError> {
        let look = match self.rest.as_bytes().get(1) {
            Some(b'A') => Some(Look::Start),
            Some(b'z') => Some(Look::End),
            Some(b'b') => Some(Look::WordAscii),
            Some(b'B') => Some(Look::WordAsciiNegate),
            Some(b'Q') => return self.quoted(),
            _ => None,
        };
        if let Some(look) = look {
            self.rest = &self.rest[2..];
            return self.push_look(look);
        }
        if let Some(class) = self.class_escape()? {
            return self.push_class(class);
        }
        let code_point = self.char_escape()?;
        self.push_char(code_point)
    }

    /// `\Q...\E`: every character between is itself; the end of the pattern ends it, too.
    fn quoted(&mut self) -> Result<(), PatternError> {
        let text = &self.rest[2..];
        let (literal, rest) = text.split_once(r"\E").unwrap_or((text, ""));
        self.rest = rest;
        literal.chars().try_for_each(|c| self.push_char(u32::from(c)))
    }

    /// Reads an escape that stands for one code point, which may be a surrogate.
    pub(super) fn char_escape(&mut self) -> Result<u32, PatternError> {
        let start = self.rest;
        self.rest = &self.rest[1..];
        let c = self
            .next_char()
            .ok_or_else(|| PatternError::new("trailing backslash at end of expression", ""))?;
        let code_point = match c {
            '0' => Some(self.octal(0)),
            // One digit alone would be a back reference, which this family of engines does not have.
            '1'..='7' if self.rest.starts_with(|c| matches!(c, '0'..='7')) => {
                Some(self.octal(u32::from(c) - u32::from('0')))
            }
            'x' => self.hex(),
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        code_point.ok_or_else(|| PatternError::new("invalid escape sequence", self.since(start)))
    }

    pub(super) fn next_char(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Up to two octal digits after the first, whose value is given.
    fn octal(&mut self, first: u32) -> u32 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.rest = &self.rest[1..];
        }
        value
    }

    /// Two hexadecimal digits, or any number of them in braces, up to the last code point.
    fn hex(&mut self) -> Option<u32> {
        let first = self.next_char()?;
        if first != '{' {
            let second = self.next_char()?;
            return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
        }
        let mut value = 0;
        let mut digits = 0;
        loop {
            match self.next_char()? {
                '}' => return (digits > 0).then_some(value),
                c => value = value * 16 + c.to_digit(16)?,
            }
            digits += 1;
            if value > u32::from(char::MAX) {
                return None;
            }
        }
    }
}
