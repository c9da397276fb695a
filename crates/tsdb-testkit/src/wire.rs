//! Protocol buffers by hand: fields of a message, and integers.

type Result<T> = std::result::Result<T, String>;

/// The value of a field.
#[derive(Debug)]
pub(crate) enum Field<'a> {
    Integer(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers. Ends at its first error.
pub(crate) fn fields(mut message: &[u8]) -> impl Iterator<Item = Result<(u64, Field<'_>)>> {
    std::iter::from_fn(move || {
        if message.is_empty() {
            return None;
        }
        let field = take_field(&mut message);
        if field.is_err() {
            message = &[];
        }
        Some(field)
    })
}

fn take_field<'a>(bytes: &mut &'a [u8]) -> Result<(u64, Field<'a>)> {
    let key = take_varint(bytes)?;
    let value = match key & 7 {
        0 => Field::Integer(take_varint(bytes)?),
        1 => Field::Fixed(u64::from_le_bytes(*take_array(bytes)?)),
        2 => {
            let length = take_varint(bytes)? as usize;
            let (value, rest) = bytes.split_at_checked(length).ok_or("a field ends after its message")?;
            *bytes = rest;
            Field::Bytes(value)
        }
        kind => return Err(format!("a field of wire type {kind}")),
    };
    Ok((key >> 3, value))
}

fn take_array<'a, const N: usize>(bytes: &mut &'a [u8]) -> Result<&'a [u8; N]> {
    let (array, rest) = bytes.split_first_chunk().ok_or("the end in the middle of a number")?;
    *bytes = rest;
    Ok(array)
}

pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = *take_array(bytes)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("an integer of more than ten bytes".into())
}

pub(crate) fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Packed integers.
pub(crate) fn integers(mut bytes: &[u8]) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(take_varint(&mut bytes)?);
    }
    Ok(numbers)
}

/// Packed floats.
pub(crate) fn floats(mut bytes: &[u8]) -> Result<Vec<f64>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(f64::from_le_bytes(*take_array(&mut bytes)?));
    }
    Ok(numbers)
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_integer(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3);
    put_varint(out, number);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}
