//! The messages of remote write, 1.0 and 2.0, read in place and told to a [`Sink`] as they come.
//!
//! A series is told before its samples, wherever its labels stand in the message, so each series is looked at twice: once for
//! its labels, once for the rest. In 1.0 its labels are, as a rule, one run of bytes that a sender repeats with each sample of
//! the series: the sink gets the run, and need not take it apart when it has seen it before. In 2.0 they are numbers of the
//! body's symbols.

use super::histogram::{self, Decoded};
use super::wire::{Fields, Malformed, Read, Value};

/// Most symbols of a body: a symbol takes more memory than its shortest form on the wire.
const SYMBOLS_MAX: usize = 1 << 20;

/// Most labels of a series. More are refused before they are put together: in 2.0 a reference is short, whatever it stands for.
pub(super) const LABELS_MAX: usize = 2048;
/// Bytes of the longest number in a list.
const VARINT_BYTES_MAX: usize = 10;

/// Takes what a body holds, in the order of the body.
pub(super) trait Sink {
    /// Why it takes no more.
    type Stop: From<Malformed>;
    /// A series: what follows is of it, until the next.
    fn series(&mut self, labels: RawLabels<'_>) -> Result<(), Self::Stop>;
    /// A float sample. `has_start` says that a start timestamp came with it.
    fn float(&mut self, timestamp_ms: i64, value: f64, has_start: bool) -> Result<(), Self::Stop>;
    /// A native histogram.
    fn histogram(&mut self, sample: Decoded) -> Result<(), Self::Stop>;
    /// An exemplar, of which nothing else is told.
    fn exemplar(&mut self);
    /// Something about a metric.
    fn metadata(&mut self, metadata: RawMetadata<'_>);
}

/// The labels of a series as they stand in the body.
#[derive(Clone, Copy, Debug)]
pub(super) enum RawLabels<'a> {
    /// Of 1.0: the fields that hold them, one after another.
    Encoded(&'a [u8]),
    /// Of 2.0: name, value, name, value, as numbers of symbols.
    Symbols { refs: &'a [u32], symbols: &'a [&'a str] },
}

/// Type, help and unit of a metric as they stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawMetadata<'a> {
    /// The metric family; of 2.0 the name of one of its series.
    pub(super) metric: &'a str,
    pub(super) is_of_series: bool,
    /// A number that is the same in 1.0 and 2.0.
    pub(super) kind: u32,
    pub(super) help: &'a str,
    pub(super) unit: &'a str,
}

impl<'a> RawLabels<'a> {
    /// Gives each pair to `with`. The outer error spoils the body, the inner one the series.
    pub(super) fn each_pair(&self, mut with: impl FnMut(&'a str, &'a str)) -> Read<Result<(), String>> {
        match *self {
            Self::Encoded(encoded) => {
                let mut fields = Fields::new(encoded);
                while let Some((_, value)) = fields.next()? {
                    let (name, value) = label(value.bytes()?)?;
                    with(name, value);
                }
                Ok(Ok(()))
            }
            Self::Symbols { refs, symbols } => {
                let (pairs, rest) = refs.as_chunks::<2>();
                if !rest.is_empty() {
                    return Ok(Err("a label name has no value: the number of references is odd".to_owned()));
                }
                for pair in pairs {
                    match pair.map(|number| symbol(symbols, number)) {
                        [Ok(name), Ok(value)] => with(name, value),
                        [Err(error), _] | [_, Err(error)] => return Ok(Err(error)),
                    }
                }
                Ok(Ok(()))
            }
        }
    }
}

/// Reads a body of remote write 1.0, `prometheus.WriteRequest`.
pub(super) fn v1<S: Sink>(body: &[u8], sink: &mut S) -> Result<(), S::Stop> {
    let mut scattered = Vec::new();
    let mut fields = Fields::new(body);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => series_v1(value.bytes()?, &mut scattered, sink)?,
            3 => metadata_v1(value.bytes()?, sink)?,
            _ => {}
        }
    }
    Ok(())
}

fn series_v1<S: Sink>(message: &[u8], scattered: &mut Vec<u8>, sink: &mut S) -> Result<(), S::Stop> {
    let (labels, rest) = labels_v1(message, scattered)?;
    sink.series(RawLabels::Encoded(labels))?;
    let mut fields = Fields::new(rest);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => sample(value.bytes()?, false, sink)?,
            3 => exemplar(value, sink)?,
            4 => sink.histogram(histogram::decode(value.bytes()?)?)?,
            _ => {}
        }
    }
    Ok(())
}

/// The fields with labels, as one run of bytes: of the message itself, or where they are scattered of `scattered`. Also what
/// holds all other fields: the message without the labels that it begins with, as a rule all of them.
fn labels_v1<'a>(message: &'a [u8], scattered: &'a mut Vec<u8>) -> Read<(&'a [u8], &'a [u8])> {
    let mut fields = Fields::new(message);
    let (mut run, mut is_run) = (0..0, true);
    scattered.clear();
    loop {
        let start = message.len() - fields.rest().len();
        let Some((number, _)) = fields.next()? else { break };
        if number != 1 {
            continue;
        }
        let end = message.len() - fields.rest().len();
        if run.is_empty() {
            run = start..start;
        }
        if is_run && run.end != start {
            is_run = false;
            scattered.extend_from_slice(&message[run.clone()]);
        }
        if is_run {
            run.end = end;
        } else {
            scattered.extend_from_slice(&message[start..end]);
        }
    }
    let rest = if run.start == 0 { &message[run.end..] } else { message };
    Ok((if is_run { &message[run] } else { scattered }, rest))
}

fn label(message: &[u8]) -> Read<(&str, &str)> {
    if let Some(label) = short_label(message) {
        return Ok(label);
    }
    let (mut name, mut text) = ("", "");
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// A label as nearly all are: a name and a value, in this order, each with a length of one byte. Such lengths are text, too, so
/// that one look tells whether all of it is.
fn short_label(message: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(message).ok()?;
    let &[0x0a, name_len @ 0..0x80, ..] = message else { return None };
    let (name, rest) = text[2..].split_at_checked(usize::from(name_len))?;
    let &[0x12, value_len @ 0..0x80, ..] = rest.as_bytes() else { return None };
    let value = &rest[2..];
    (value.len() == usize::from(value_len)).then_some((name, value))
}

fn metadata_v1<S: Sink>(message: &[u8], sink: &mut S) -> Result<(), S::Stop> {
    let mut metadata = RawMetadata { metric: "", is_of_series: false, kind: 0, help: "", unit: "" };
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => metadata.kind = value.uint32()?,
            2 => metadata.metric = value.text()?,
            4 => metadata.help = value.text()?,
            5 => metadata.unit = value.text()?,
            _ => {}
        }
    }
    sink.metadata(metadata);
    Ok(())
}

/// Reads a body of remote write 2.0, `io.prometheus.write.v2.Request`.
pub(super) fn v2<S: Sink>(body: &[u8], sink: &mut S) -> Result<(), S::Stop> {
    let symbols = symbols(body)?;
    let mut refs = Vec::new();
    let mut fields = Fields::new(body);
    while let Some((number, value)) = fields.next()? {
        if number == 5 {
            series_v2(value.bytes()?, &symbols, &mut refs, sink)?;
        }
    }
    Ok(())
}

fn symbols(body: &[u8]) -> Read<Vec<&str>> {
    let mut symbols = Vec::new();
    let mut fields = Fields::new(body);
    while let Some((number, value)) = fields.next()? {
        if number == 4 {
            if symbols.len() == SYMBOLS_MAX {
                return Err(Malformed::new("a body has more than 1048576 symbols: send it in parts"));
            }
            symbols.push(value.text()?);
        }
    }
    Ok(symbols)
}

fn symbol<'a>(symbols: &[&'a str], number: u32) -> Result<&'a str, String> {
    let found = usize::try_from(number).ok().and_then(|number| symbols.get(number)).copied();
    found.ok_or_else(|| format!("there is no symbol {number}: the body has {}", symbols.len()))
}

fn series_v2<S: Sink>(
    message: &[u8],
    symbols: &[&str],
    refs: &mut Vec<u32>,
    sink: &mut S,
) -> Result<(), S::Stop> {
    refs.clear();
    let mut about = Vec::new();
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => add_refs(value, refs)?,
            // More than one are one message in parts.
            5 => about.push(value.bytes()?),
            _ => {}
        }
    }
    let labels = RawLabels::Symbols { refs, symbols };
    sink.series(labels)?;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            2 => sample(value.bytes()?, true, sink)?,
            3 => sink.histogram(histogram::decode(value.bytes()?)?)?,
            4 => exemplar(value, sink)?,
            _ => {}
        }
    }
    metadata_v2(&about, symbols, refs, sink)
}

/// A list that is far too long spoils the body, before it takes memory; one that is too long, its series, later.
fn add_refs(value: Value<'_>, refs: &mut Vec<u32>) -> Read<()> {
    const REFS_MAX: usize = 2 * LABELS_MAX;
    let is_long = matches!(value, Value::Bytes(packed) if packed.len() > REFS_MAX * VARINT_BYTES_MAX);
    if is_long || refs.len() > REFS_MAX {
        return Err(Malformed::new("a series has more labels than any may have"));
    }
    value.each_varint(|number| refs.push(number as u32))
}

/// What a series' message says about its metric. References to nowhere are left out: they are no reason to refuse samples.
fn metadata_v2<S: Sink>(
    parts: &[&[u8]],
    symbols: &[&str],
    refs: &[u32],
    sink: &mut S,
) -> Result<(), S::Stop> {
    let (mut kind, mut help, mut unit) = (0, 0, 0);
    for part in parts {
        let mut fields = Fields::new(part);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => kind = value.uint32()?,
                3 => help = value.uint32()?,
                4 => unit = value.uint32()?,
                _ => {}
            }
        }
    }
    if (kind, help, unit) == (0, 0, 0) {
        return Ok(());
    }
    let text = |number| symbol(symbols, number).unwrap_or_default();
    let name = refs.as_chunks::<2>().0.iter().find(|pair| text(pair[0]) == tsdb_core::METRIC_NAME);
    if let Some(&[_, metric]) = name {
        let (metric, help, unit) = (text(metric), text(help), text(unit));
        sink.metadata(RawMetadata { metric, is_of_series: true, kind, help, unit });
    }
    Ok(())
}

fn sample<S: Sink>(message: &[u8], may_have_start: bool, sink: &mut S) -> Result<(), S::Stop> {
    let (mut sample_value, mut timestamp_ms, mut start_ms) = (0.0, 0, 0);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => sample_value = value.double()?,
            2 => timestamp_ms = value.int64()?,
            3 if may_have_start => start_ms = value.int64()?,
            _ => {}
        }
    }
    sink.float(timestamp_ms, sample_value, start_ms != 0)
}

/// Exemplars are not stored, so their fields are not looked at.
fn exemplar<S: Sink>(value: Value<'_>, sink: &mut S) -> Result<(), S::Stop> {
    value.bytes()?;
    sink.exemplar();
    Ok(())
}
