//! Quoted strings, with the quotes and escapes of PromQL, which are Go's.

/// The text of the quoted string that `input` starts with and the bytes it takes, quotes included; `None` when
/// `input` starts with no quote.
///
/// # Errors
/// The offset of the fault and what is wrong there.
pub(super) fn unquote(input: &str) -> Result<Option<(String, usize)>, (usize, &'static str)> {
    let quote = match input.as_bytes().first() {
        Some(b'`') => {
            let Some(length) = input[1..].find('`') else { return Err((0, "the string is not closed")) };
            return Ok(Some((input[1..=length].to_owned(), length + 2)));
        }
        Some(&quote @ (b'"' | b'\'')) => quote,
        _ => return Ok(None),
    };
    // Escapes give bytes, so that "\xc3\xa9" is an e with an accent; the whole has to be UTF-8.
    let mut text = Vec::new();
    let mut at = 1;
    loop {
        let rest = &input.as_bytes()[at..];
        let plain = rest.iter().position(|&b| b == quote || b == b'\\' || b == b'\n').unwrap_or(rest.len());
        text.extend_from_slice(&rest[..plain]);
        at += plain;
        match input.as_bytes().get(at) {
            Some(&b) if b == quote => break,
            Some(b'\\') => at += escape(&input[at..], quote, &mut text).map_err(|reason| (at, reason))?,
            Some(_) => return Err((at, "the string is not closed in its line: write a line end as \\n")),
            None => return Err((0, "the string is not closed")),
        }
    }
    match String::from_utf8(text) {
        Ok(text) => Ok(Some((text, at + 1))),
        Err(_) => Err((0, "the escapes in the string do not make UTF-8")),
    }
}

/// Appends what the escape at the start of `input` means; gives the bytes it takes.
fn escape(input: &str, quote: u8, text: &mut Vec<u8>) -> Result<usize, &'static str> {
    const UNKNOWN: &str = "unknown escape in the string: write a backslash as \\\\, or use backquotes";
    let kind = *input.as_bytes().get(1).ok_or("the string is not closed")?;
    let simple = match kind {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b'\\' => b'\\',
        kind if kind == quote => quote,
        b'x' | b'u' | b'U' | b'0'..=b'7' => return numeric_escape(input, kind, text),
        _ => return Err(UNKNOWN),
    };
    text.push(simple);
    Ok(2)
}

/// `\ooo` and `\xhh` give a byte, `\uhhhh` and `\Uhhhhhhhh` a character.
fn numeric_escape(input: &str, kind: u8, text: &mut Vec<u8>) -> Result<usize, &'static str> {
    let (start, digits, radix) = match kind {
        b'x' => (2, 2, 16),
        b'u' => (2, 4, 16),
        b'U' => (2, 8, 16),
        _ => (1, 3, 8),
    };
    let number =
        input.get(start..start + digits).filter(|n| n.bytes().all(|b| char::from(b).is_digit(radix)));
    let value =
        number.and_then(|n| u32::from_str_radix(n, radix).ok()).ok_or("the escape has too few digits")?;
    if matches!(kind, b'u' | b'U') {
        let c = char::from_u32(value).ok_or("the escape is no Unicode character")?;
        text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        text.push(u8::try_from(value).map_err(|_| "an octal escape ends at \\377")?);
    }
    Ok(start + digits)
}
