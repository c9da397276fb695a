//! Names and values as text: when a name needs quotes, and how quotes are written.

use std::fmt;

/// Whether `name` can stand unquoted as a metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub(crate) fn is_metric_identifier(name: &str) -> bool {
    is_identifier(name, |b| b == b':')
}

/// Whether `name` can stand unquoted as a label name: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub(crate) fn is_label_identifier(name: &str) -> bool {
    is_identifier(name, |_| false)
}

fn is_identifier(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || extra(b);
    name.bytes().all(part) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Text in double quotes, with Go's escapes for quotes, backslashes and control characters.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut written = 0;
        for (at, c) in self.0.char_indices().filter(|&(_, c)| c == '"' || c == '\\' || c.is_control()) {
            f.write_str(&self.0[written..at])?;
            written = at + c.len_utf8();
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                // Every control character lies in the basic plane.
                _ => write!(f, "\\u{:04x}", u32::from(c))?,
            }
        }
        f.write_str(&self.0[written..])?;
        f.write_str("\"")
    }
}
