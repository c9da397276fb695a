//! Histogram chunks: the layout once, then groups of columns: timestamps, flags, sums, and one column for each
//! count, all buckets of one index together.
//!
//! Integer counts go to integer columns, float counts to float columns. A stale histogram is a flag; its row
//! repeats the row before it in the other columns, which costs nothing, and is not read back.

use std::sync::Arc;

use super::float::{check_ascending, make_room};
use super::floats::FloatColumn;
use super::ints::IntColumn;
use super::layout::{MAX_CHUNK_CELLS, bucket_count, cells, put_layout, read_layout};
use super::reader::Reader;
use super::sealed::{Chunk, Header};
use super::{Append, ChunkEncoding, MAX_CHUNK_SAMPLES};
use crate::{Buckets, Histogram, ResetHint, Result, SampleBuffer, TimeRange};

/// Samples of one group: fewer than of floats, since raw histograms are large.
pub(super) const HISTOGRAM_GROUP_LEN: usize = 16;
/// A chunk is cut when its compressed groups reach this size.
const CUT_BYTES: usize = 16 * 1024;
/// Flags: the reset hint in the two low bits, and this.
const STALE_FLAG: i64 = 4;

/// The columns' state between groups: the encoder's and the decoder's alike.
#[derive(Clone, Debug)]
pub(super) struct HistogramColumns {
    /// What all histograms of the chunk share; its counts mean nothing.
    template: Arc<Histogram>,
    timestamps: IntColumn,
    flags: IntColumn,
    sums: FloatColumn,
    counts: Counts,
}

/// A column for the count, the zero count, each positive and each negative bucket.
#[derive(Clone, Debug)]
enum Counts {
    Int(Vec<IntColumn>),
    Float(Vec<FloatColumn>),
}

impl HistogramColumns {
    fn new(template: Arc<Histogram>, first_ms: i64, is_float: bool) -> Self {
        let columns = 2 + bucket_count(&template.positive_spans) + bucket_count(&template.negative_spans);
        Self {
            timestamps: IntColumn { last: first_ms, step: 0 },
            flags: IntColumn::default(),
            sums: FloatColumn::default(),
            counts: if is_float {
                Counts::Float(vec![FloatColumn::default(); columns])
            } else {
                Counts::Int(vec![IntColumn::default(); columns])
            },
            template,
        }
    }

    /// Reads the layout of a chunk of `count` samples.
    pub(super) fn read(reader: &mut Reader<'_>, count: usize, first_ms: i64, is_float: bool) -> Result<Self> {
        let template = read_layout(reader)?;
        let columns = bucket_count(&template.positive_spans) + bucket_count(&template.negative_spans);
        // Every column has a byte in every group, so the input's length bounds the columns.
        if columns > reader.remaining() || cells(&template).saturating_mul(count) > MAX_CHUNK_CELLS {
            return Err(reader.corrupt(format!("{count} histograms of {columns} buckets are too many")));
        }
        Ok(Self::new(Arc::new(template), first_ms, is_float))
    }

    /// Appends a group. The first group of a chunk has its first row alone, then the others.
    fn encode(&mut self, mut rows: &[(i64, Arc<Histogram>)], is_first: bool, out: &mut Vec<u8>) {
        if is_first {
            let Some((first, others)) = rows.split_first() else { return };
            self.encode_values(std::slice::from_ref(first), out);
            rows = others;
        }
        if rows.is_empty() {
            return;
        }
        let mut timestamps = [0; HISTOGRAM_GROUP_LEN];
        for (slot, row) in timestamps.iter_mut().zip(rows) {
            *slot = row.0;
        }
        self.timestamps.encode(&timestamps[..rows.len()], true, out);
        self.encode_values(rows, out);
    }

    fn encode_values(&mut self, rows: &[(i64, Arc<Histogram>)], out: &mut Vec<u8>) {
        let mut flags = [0; HISTOGRAM_GROUP_LEN];
        let mut sums = [0.0; HISTOGRAM_GROUP_LEN];
        let mut before = self.sums.last();
        for (i, (_, histogram)) in rows.iter().enumerate() {
            if histogram.is_stale() {
                flags[i] = STALE_FLAG;
            } else {
                flags[i] = histogram.reset_hint as i64;
                before = histogram.sum;
            }
            sums[i] = before;
        }
        self.flags.encode(&flags[..rows.len()], false, out);
        self.sums.encode(&sums[..rows.len()], out);
        match &mut self.counts {
            Counts::Int(columns) => {
                for (at, column) in columns.iter_mut().enumerate() {
                    let mut numbers = [0; HISTOGRAM_GROUP_LEN];
                    fill_rows(rows, &mut numbers, column.last, |histogram| {
                        int_count(histogram, at).cast_signed()
                    });
                    column.encode(&numbers[..rows.len()], false, out);
                }
            }
            Counts::Float(columns) => {
                for (at, column) in columns.iter_mut().enumerate() {
                    let mut numbers = [0.0; HISTOGRAM_GROUP_LEN];
                    fill_rows(rows, &mut numbers, column.last(), |histogram| float_count(histogram, at));
                    column.encode(&numbers[..rows.len()], out);
                }
            }
        }
    }

    /// Appends the next `count` histograms to `samples`: 1 for the first of a chunk.
    pub(super) fn decode(
        &mut self,
        reader: &mut Reader<'_>,
        first: bool,
        count: usize,
        samples: &mut SampleBuffer,
    ) -> Result<()> {
        let mut timestamps = [self.timestamps.last; HISTOGRAM_GROUP_LEN];
        let timestamps = &mut timestamps[..count];
        if !first {
            let before = self.timestamps.last;
            self.timestamps.decode(reader, timestamps)?;
            check_ascending(before, timestamps, reader)?;
        }
        let mut flags = [0; HISTOGRAM_GROUP_LEN];
        let mut sums = [0.0; HISTOGRAM_GROUP_LEN];
        self.flags.decode(reader, &mut flags[..count])?;
        self.sums.decode(reader, &mut sums[..count])?;
        let mut rows = self.decode_counts(reader, count)?;
        for (i, buckets) in rows.iter_mut().enumerate() {
            let histogram = match flags[i] {
                STALE_FLAG => Histogram::stale(self.is_float()),
                flags @ 0..STALE_FLAG => Histogram {
                    reset_hint: ResetHint::try_from(flags as u8)?,
                    sum: sums[i],
                    buckets: std::mem::replace(
                        buckets,
                        Buckets::Int { count: 0, zero_count: 0, positive: Vec::new(), negative: Vec::new() },
                    ),
                    ..(*self.template).clone()
                },
                flags => return Err(reader.corrupt(format!("unknown flags {flags}"))),
            };
            samples.histograms.push((timestamps[i], Arc::new(histogram)));
        }
        Ok(())
    }

    fn is_float(&self) -> bool {
        matches!(self.counts, Counts::Float(_))
    }

    fn decode_counts(&mut self, reader: &mut Reader<'_>, rows: usize) -> Result<Vec<Buckets>> {
        let positive = bucket_count(&self.template.positive_spans);
        match &mut self.counts {
            Counts::Int(columns) => {
                let mut cells = vec![0; columns.len() * rows];
                for (column, cells) in columns.iter_mut().zip(cells.chunks_exact_mut(rows)) {
                    column.decode(reader, cells)?;
                }
                let row = |i: usize| {
                    let mut row = cells[i..].iter().step_by(rows).map(|&cell| cell.cast_unsigned());
                    let (count, zero_count) = (row.next().unwrap_or(0), row.next().unwrap_or(0));
                    Buckets::Int {
                        count,
                        zero_count,
                        positive: row.by_ref().take(positive).collect(),
                        negative: row.collect(),
                    }
                };
                Ok((0..rows).map(row).collect())
            }
            Counts::Float(columns) => {
                let mut cells = vec![0.0; columns.len() * rows];
                for (column, cells) in columns.iter_mut().zip(cells.chunks_exact_mut(rows)) {
                    column.decode(reader, cells)?;
                }
                let row = |i: usize| {
                    let mut row = cells[i..].iter().step_by(rows).copied();
                    let (count, zero_count) = (row.next().unwrap_or(0.0), row.next().unwrap_or(0.0));
                    Buckets::Float {
                        count,
                        zero_count,
                        positive: row.by_ref().take(positive).collect(),
                        negative: row.collect(),
                    }
                };
                Ok((0..rows).map(row).collect())
            }
        }
    }
}

/// Fills a column's numbers from the rows; a stale row repeats the number before it.
fn fill_rows<T: Copy>(
    rows: &[(i64, Arc<Histogram>)],
    numbers: &mut [T],
    mut before: T,
    of: impl Fn(&Histogram) -> T,
) {
    for ((_, histogram), number) in rows.iter().zip(numbers) {
        if !histogram.is_stale() {
            before = of(histogram);
        }
        *number = before;
    }
}

fn int_count(histogram: &Histogram, at: usize) -> u64 {
    match &histogram.buckets {
        Buckets::Int { count, zero_count, positive, negative } => {
            pick(at, *count, *zero_count, positive, negative)
        }
        Buckets::Float { .. } => unreachable!("invariant: append takes histograms of the chunk's kind"),
    }
}

fn float_count(histogram: &Histogram, at: usize) -> f64 {
    match &histogram.buckets {
        Buckets::Float { count, zero_count, positive, negative } => {
            pick(at, *count, *zero_count, positive, negative)
        }
        Buckets::Int { .. } => unreachable!("invariant: append takes histograms of the chunk's kind"),
    }
}

/// Number `at` of a row: count, zero count, positive buckets, negative buckets.
fn pick<T: Copy>(at: usize, count: T, zero_count: T, positive: &[T], negative: &[T]) -> T {
    match at {
        0 => count,
        1 => zero_count,
        _ if at - 2 < positive.len() => positive[at - 2],
        _ => negative[at - 2 - positive.len()],
    }
}

/// The active histogram chunk: the newest samples as they came, the others compressed.
#[derive(Clone, Debug)]
pub(super) struct HistogramBuilder {
    is_float: bool,
    /// The layout, once there is a sample.
    template: Option<Arc<Histogram>>,
    /// 1 to [`HISTOGRAM_GROUP_LEN`] samples, unless the chunk is empty.
    recent: Vec<(i64, Arc<Histogram>)>,
    packed: Option<Packed>,
}

/// The compressed groups of an active chunk.
#[derive(Clone, Debug)]
struct Packed {
    first_ms: i64,
    count: u32,
    columns: HistogramColumns,
    bytes: Vec<u8>,
}

impl HistogramBuilder {
    pub(super) fn new(is_float: bool) -> Self {
        Self { is_float, template: None, recent: Vec::new(), packed: None }
    }

    pub(super) fn append(&mut self, timestamp_ms: i64, histogram: &Arc<Histogram>) -> Append {
        debug_assert!(self.last().is_none_or(|last| last.0 < timestamp_ms), "timestamps must ascend");
        debug_assert!(histogram.validate().is_ok(), "the door lets in valid histograms only");
        if histogram.is_float() != self.is_float {
            return Append::CutFirst;
        }
        match &self.template {
            None => self.template = Some(template_of(histogram, self.is_float)),
            Some(template) if histogram.is_stale() || histogram.same_layout(template) => {
                if (self.count() as usize + 1) * cells(template) > MAX_CHUNK_CELLS {
                    return Append::CutFirst;
                }
            }
            Some(_) => return Append::CutFirst,
        }
        if self.recent.len() == HISTOGRAM_GROUP_LEN {
            let bytes = self.packed.as_ref().map_or(0, |packed| packed.bytes.len());
            if self.count() >= MAX_CHUNK_SAMPLES || bytes >= CUT_BYTES {
                return Append::CutFirst;
            }
            self.pack_recent();
        }
        self.recent.push((timestamp_ms, Arc::clone(histogram)));
        Append::Appended
    }

    fn pack_recent(&mut self) {
        let Some(template) = &self.template else { return };
        let is_first = self.packed.is_none();
        let first_ms = self.recent[0].0;
        let packed = self.packed.get_or_insert_with(|| Packed {
            first_ms,
            count: 0,
            columns: HistogramColumns::new(Arc::clone(template), first_ms, self.is_float),
            bytes: Vec::new(),
        });
        make_room(&mut packed.bytes);
        packed.columns.encode(&self.recent, is_first, &mut packed.bytes);
        packed.count += self.recent.len() as u32;
        self.recent.clear();
    }

    pub(super) fn encoding(&self) -> ChunkEncoding {
        if self.is_float { ChunkEncoding::FloatHistogram } else { ChunkEncoding::IntHistogram }
    }

    pub(super) fn count(&self) -> u32 {
        self.packed.as_ref().map_or(0, |packed| packed.count) + self.recent.len() as u32
    }

    pub(super) fn first_ms(&self) -> Option<i64> {
        self.packed
            .as_ref()
            .map(|packed| packed.first_ms)
            .or_else(|| self.recent.first().map(|sample| sample.0))
    }

    pub(super) fn last(&self) -> Option<&(i64, Arc<Histogram>)> {
        self.recent.last()
    }

    pub(super) fn snapshot(&self) -> Option<Chunk> {
        let time_range = TimeRange::new(self.first_ms()?, self.last()?.0);
        let template = self.template.as_ref()?;
        let mut out = Vec::new();
        Header::put(self.count(), time_range, &mut out);
        put_layout(template, &mut out);
        let mut columns = match &self.packed {
            Some(packed) => {
                out.extend_from_slice(&packed.bytes);
                packed.columns.clone()
            }
            None => HistogramColumns::new(Arc::clone(template), time_range.start_ms, self.is_float),
        };
        columns.encode(&self.recent, self.packed.is_none(), &mut out);
        Some(Chunk::written(self.encoding(), self.count(), time_range, out))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let sizes = |histogram: &Histogram| size_of::<Histogram>() + 8 * cells(histogram);
        let recent: usize = self.recent.iter().map(|(_, histogram)| sizes(histogram)).sum();
        let packed = self.packed.as_ref().map_or(0, |packed| {
            let columns = match &packed.columns.counts {
                Counts::Int(columns) => columns.capacity() * size_of::<IntColumn>(),
                Counts::Float(columns) => columns.capacity() * size_of::<FloatColumn>(),
            };
            packed.bytes.capacity() + columns
        });
        self.recent.capacity() * size_of::<(i64, Arc<Histogram>)>() + recent + packed
    }
}

/// The layout of a chunk that starts with `histogram`.
fn template_of(histogram: &Arc<Histogram>, is_float: bool) -> Arc<Histogram> {
    if histogram.is_stale() { Arc::new(Histogram::stale(is_float)) } else { Arc::clone(histogram) }
}
