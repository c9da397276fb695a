//! The series part of a line: a metric name and labels.
//!
//! [`scan`] only finds where it ends, which is all that a series seen before needs; [`read`] takes it apart.

use tsdb_core::{LabelsBuilder, METRIC_NAME};

use super::cursor::{Cursor, Fault};

/// The text of the series at the cursor, which moves behind it. Checks no more than it must to find the end.
pub(super) fn scan<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let start = cursor.at;
    let name = cursor.take_while(is_metric_byte);
    let end_of_name = cursor.at;
    cursor.skip_blanks();
    if cursor.peek() != Some(b'{') {
        if name.is_empty() {
            return Err(Fault::new(start, "expected a metric name"));
        }
        refuse_digit(start, name, "metric name")?;
        cursor.at = end_of_name;
        return match cursor.rest().chars().next() {
            None | Some(' ' | '\t') => Ok(name),
            Some(c) => Err(Fault::new(
                end_of_name,
                format!("{c:?} cannot stand in a metric name; write the name in quotes, as {{\"a.name\"}}"),
            )),
        };
    }
    let open = cursor.at;
    cursor.at += 1;
    loop {
        cursor.take_while(|byte| byte != b'"' && byte != b'}');
        match cursor.peek() {
            Some(b'}') => {
                cursor.at += 1;
                return Ok(&cursor.line[start..cursor.at]);
            }
            Some(_) => quoted(cursor).map(|_| ())?,
            None => return Err(Fault::new(open, "this { is not closed")),
        }
    }
}

/// Pushes name and labels of the series at the cursor, which ends with the line.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    labels: &mut LabelsBuilder,
    unescaped: &mut String,
) -> Result<(), Fault> {
    let start = cursor.at;
    let name = cursor.take_while(is_metric_byte);
    refuse_digit(start, name, "metric name")?;
    let mut named = !name.is_empty();
    if named {
        labels.push(METRIC_NAME, name);
    }
    cursor.skip_blanks();
    if cursor.take(b'{') {
        read_labels(cursor, labels, unescaped, &mut named)?;
    }
    if !named {
        return Err(Fault::new(start, "the series has no metric name"));
    }
    Ok(())
}

/// Checks the labels of an exemplar, from the `{`.
pub(super) fn read_exemplar_labels(
    cursor: &mut Cursor<'_>,
    labels: &mut LabelsBuilder,
    unescaped: &mut String,
) -> Result<(), Fault> {
    if !cursor.take(b'{') {
        return Err(Fault::new(cursor.at, "expected { and the exemplar's labels after #"));
    }
    read_labels(cursor, labels, unescaped, &mut true)
}

/// The name of a metric family after `# TYPE` and its like, plain or in quotes.
pub(super) fn read_family_name(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.expect_blanks("a metric name")?;
    let at = cursor.at;
    if cursor.peek() == Some(b'"') {
        return quoted(cursor).map(|_| ());
    }
    let name = cursor.take_while(is_metric_byte);
    if name.is_empty() || !matches!(cursor.peek(), None | Some(b' ' | b'\t')) {
        return Err(Fault::new(cursor.at, "expected a metric name"));
    }
    refuse_digit(at, name, "metric name")
}

/// Labels up to and with the `}`. A quoted name without a value is the metric's name; `named` tells whether there
/// is one already, and is set.
fn read_labels(
    cursor: &mut Cursor<'_>,
    labels: &mut LabelsBuilder,
    unescaped: &mut String,
    named: &mut bool,
) -> Result<(), Fault> {
    let mut name_buffer = String::new();
    loop {
        cursor.skip_blanks();
        if cursor.take(b'}') {
            return Ok(());
        }
        let at = cursor.at;
        let name = match cursor.peek() {
            Some(b'"') => unescape(quoted(cursor)?, &mut name_buffer),
            _ => bare_label_name(cursor)?,
        };
        if name.is_empty() {
            return Err(Fault::new(at, "the name in quotes is empty"));
        }
        let was_quoted = cursor.line.as_bytes()[at] == b'"';
        cursor.skip_blanks();
        if cursor.take(b'=') {
            cursor.skip_blanks();
            if cursor.peek() != Some(b'"') {
                return Err(Fault::new(cursor.at, "expected a label value in double quotes"));
            }
            let value = unescape(quoted(cursor)?, unescaped);
            *named |= name == METRIC_NAME && !value.is_empty();
            labels.push(name, value);
        } else if !was_quoted {
            return Err(Fault::new(cursor.at, "expected '=' after the label name"));
        } else if *named {
            return Err(Fault::new(at, "expected '=' after the label name (the metric has a name already)"));
        } else {
            labels.push(METRIC_NAME, name);
            *named = true;
        }
        cursor.skip_blanks();
        if !cursor.take(b',') && cursor.peek() != Some(b'}') {
            return Err(Fault::new(cursor.at, "expected ',' or '}' after the label"));
        }
    }
}

fn bare_label_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let at = cursor.at;
    let name = cursor.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() {
        return Err(Fault::new(at, "expected a label name (write unusual ones in double quotes)"));
    }
    refuse_digit(at, name, "label name")?;
    Ok(name)
}

/// The text between the quote at the cursor and the next that no backslash precedes; escapes are still in it.
fn quoted<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let open = cursor.at;
    cursor.at += 1;
    loop {
        cursor.take_while(|byte| byte != b'"' && byte != b'\\');
        match cursor.peek() {
            Some(b'"') => {
                cursor.at += 1;
                return Ok(&cursor.line[open + 1..cursor.at - 1]);
            }
            Some(_) => {
                cursor.at += 1;
                // The escaped character, whole.
                cursor.at += cursor.rest().chars().next().map_or(0, char::len_utf8);
            }
            None => return Err(Fault::new(open, "this quote is not closed")),
        }
    }
}

/// `text` with `\\`, `\"` and `\n` replaced, in `buffer` if there is anything to replace.
fn unescape<'a>(text: &'a str, buffer: &'a mut String) -> &'a str {
    let Some(first) = text.find('\\') else { return text };
    buffer.clear();
    buffer.push_str(&text[..first]);
    let mut characters = text[first..].chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            buffer.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => buffer.push('\n'),
            Some(escaped @ ('\\' | '"')) => buffer.push(escaped),
            Some(other) => buffer.extend(['\\', other]),
            None => buffer.push('\\'),
        }
    }
    buffer
}

fn refuse_digit(at: usize, name: &str, what: &str) -> Result<(), Fault> {
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Fault::new(at, format!("a {what} cannot begin with a digit")));
    }
    Ok(())
}

fn is_metric_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':'
}
