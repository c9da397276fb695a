//! A place in a line, and what is wrong there.

use std::borrow::Cow;

/// What is wrong and where, in bytes from the start of the line.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) reason: Cow<'static, str>,
}

impl Fault {
    pub(super) fn new(at: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { at, reason: reason.into() }
    }
}

/// A reader of one line. `at` is always at a character's start.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    pub(super) line: &'a str,
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a str) -> Self {
        Self { line, at: 0 }
    }

    /// The next byte; `None` at the end of the line.
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.as_bytes().get(self.at).copied()
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    /// Steps over `byte`, which is ASCII, if it is next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Steps over spaces and tabs; says whether there were any.
    pub(super) fn skip_blanks(&mut self) -> bool {
        !self.take_while(is_blank).is_empty()
    }

    /// Everything up to the next blank or the end.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_while(|byte| !is_blank(byte))
    }

    /// The bytes that pass. `pass` must accept all bytes above 127 or none, so that characters stay whole.
    pub(super) fn take_while(&mut self, pass: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !pass(byte)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Steps over blanks that must be there, with something behind them.
    pub(super) fn expect_blanks(&mut self, before: &str) -> Result<(), Fault> {
        let at = self.at;
        if !self.skip_blanks() || self.peek().is_none() {
            let found = if self.peek().is_none() { "the end of the line" } else { "other text" };
            return Err(Fault::new(at, format!("expected a space and {before}, found {found}")));
        }
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}
