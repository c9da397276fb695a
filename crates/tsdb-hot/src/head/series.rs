//! One series' samples in one generation: a row of chunks in time order, and a sorted buffer of what came late.
//!
//! A sample after the newest goes to the active chunk. Anything else is **late**: it is looked up (the same bits are a
//! duplicate and dropped; another value replaces) and goes to the late buffer, whose values win over the chunks'. A
//! buffer that has grown is folded into the chunks, so that an import in any order stays cheap: its limit grows with the
//! series, so each sample is encoded again only a few times.
//!
//! Invariants: chunks ascend and do not overlap, the active one is the last; late timestamps ascend strictly and lie at
//! or before the newest in-order one; at a timestamp that both have, the late value is the newer.

use tsdb_core::{Append, Chunk, ChunkBuilder, ChunkEncoding, Result, SampleBuffer, SampleValue, TimeRange};

/// Late samples that are always kept before a fold.
const LATE_MIN: usize = 128;
/// Late samples that always cause a fold: an insert moves half of them on average, which must stay small.
const LATE_MAX: usize = 4096;
/// Between the two, a fold happens when the chunks hold at most this many times the late samples.
const LATE_FOLD_RATIO: usize = 4;

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is new and the newest of its series.
    InOrder,
    /// It is new, at a timestamp before the newest.
    Late,
    /// The series had the same bits at this timestamp: dropped.
    Duplicate,
    /// The series had another value at this timestamp: replaced.
    Replaced,
}

/// The samples of one series.
#[derive(Debug, Default)]
pub(crate) struct SeriesData {
    active: Option<ChunkBuilder>,
    /// Most series of a store with many have neither: they pay one pointer.
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
struct Rest {
    chunks: Vec<Chunk>,
    late: Vec<(i64, SampleValue)>,
}

/// A consistent copy of a series, to be decoded outside the lock.
#[derive(Debug)]
pub(crate) struct SeriesCopy {
    chunks: Vec<Chunk>,
    late: Vec<(i64, SampleValue)>,
}

impl SeriesCopy {
    /// Where samples lie: each range begins and ends with one.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = TimeRange> + '_ {
        let late = self.late.iter().map(|&(timestamp_ms, _)| TimeRange::new(timestamp_ms, timestamp_ms));
        self.chunks.iter().map(Chunk::time_range).chain(late)
    }

    /// Handles of those in `range`.
    pub(crate) fn within(&self, range: TimeRange) -> Self {
        let overlaps = |chunk: &&Chunk| chunk.time_range().overlaps(range);
        let contains = |sample: &&(i64, SampleValue)| range.contains(sample.0);
        Self {
            chunks: self.chunks.iter().filter(overlaps).cloned().collect(),
            late: self.late.iter().filter(contains).cloned().collect(),
        }
    }

    /// The samples in `range`, late ones merged in.
    pub(crate) fn decode(self, range: TimeRange) -> Result<SampleBuffer> {
        let mut samples = SampleBuffer::default();
        for chunk in &self.chunks {
            chunk.decode_into(&mut samples)?;
        }
        if !self.late.is_empty() {
            let mut late = SampleBuffer::default();
            self.late.into_iter().for_each(|(timestamp_ms, value)| late.push(timestamp_ms, value));
            samples.merge_newer(late);
        }
        samples.clip(range);
        Ok(samples)
    }
}

impl SeriesData {
    /// Takes a sample. `heap_bytes` is kept at what the series holds on the heap (several series may share it).
    pub(crate) fn append(
        &mut self,
        timestamp_ms: i64,
        value: &SampleValue,
        heap_bytes: &mut usize,
    ) -> Applied {
        match self.newest_in_order() {
            Some(newest) if timestamp_ms <= newest => self.append_late(timestamp_ms, value, heap_bytes),
            _ => {
                self.push(timestamp_ms, value, heap_bytes);
                Applied::InOrder
            }
        }
    }

    /// Whether there is no sample.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_none() && self.rest.is_none()
    }

    /// Removes the samples in `range`, which the series reaches into; gives their number. What is in memory afterwards depends
    /// on nothing but the samples and the order of calls, so that a replay makes the same.
    pub(crate) fn delete(&mut self, range: TimeRange, heap_bytes: &mut usize) -> u64 {
        let before = self.heap_bytes();
        self.fold();
        let rest = self.rest.get_or_insert_default();
        let mut deleted = 0;
        for chunk in std::mem::take(&mut rest.chunks) {
            if !range.overlaps(chunk.time_range()) {
                rest.chunks.push(chunk);
            } else if range.covers(chunk.time_range()) {
                deleted += u64::from(chunk.count());
            } else {
                let mut samples = SampleBuffer::default();
                chunk.decode_into(&mut samples).expect("invariant: the head's own chunk decodes");
                samples.remove(range);
                deleted += u64::from(chunk.count()) - samples.len() as u64;
                rest.chunks.extend(encode(&samples));
            }
        }
        if rest.chunks.is_empty() {
            self.rest = None;
        }
        *heap_bytes = *heap_bytes + self.heap_bytes() - before;
        deleted
    }

    /// The value at a timestamp.
    pub(crate) fn get(&self, timestamp_ms: i64) -> Option<SampleValue> {
        let late = self.late();
        match late.binary_search_by_key(&timestamp_ms, |sample| sample.0) {
            Ok(found) => Some(late[found].1.clone()),
            Err(_) => self.get_in_order(timestamp_ms),
        }
    }

    /// From the first to the last timestamp.
    pub(crate) fn time_range(&self) -> TimeRange {
        let late = self.late();
        let mut range = match (late.first(), late.last()) {
            (Some(first), Some(last)) => TimeRange::new(first.0, last.0),
            _ => TimeRange::EMPTY,
        };
        if let (Some(first), Some(last)) = (self.chunks().first(), self.chunks().last()) {
            range = range.hull(TimeRange::new(first.time_range().start_ms, last.time_range().end_ms));
        }
        range.hull(self.active_range())
    }

    /// What is needed to decode `range`, in handles: chunks are shared, the active one is copied.
    pub(crate) fn copy(&self, range: TimeRange) -> SeriesCopy {
        let from = self.chunks().partition_point(|chunk| chunk.time_range().end_ms < range.start_ms);
        let to = self.chunks().partition_point(|chunk| chunk.time_range().start_ms <= range.end_ms);
        let mut chunks = self.chunks()[from..to.max(from)].to_vec();
        if self.active_range().overlaps(range) {
            chunks.extend(self.active.as_ref().map(ChunkBuilder::snapshot));
        }
        SeriesCopy { chunks, late: self.late_in(range).to_vec() }
    }

    /// The samples in `range` as chunks that do not reach outside it; those that need no change are shared.
    pub(crate) fn cut(&self, range: TimeRange) -> Result<Vec<Chunk>> {
        let copy = self.copy(range);
        if copy.late.is_empty() && copy.chunks.iter().all(|chunk| range.covers(chunk.time_range())) {
            return Ok(copy.chunks);
        }
        Ok(encode(&copy.decode(range)?))
    }

    /// Where samples lie: a range for each chunk, which begins and ends with a sample, and one for each late sample. `long`
    /// tells of which ranges the timestamps between the ends are wanted, too: each is then a range of its own.
    pub(crate) fn for_each_range(
        &self,
        long: impl Fn(TimeRange) -> bool,
        mut with: impl FnMut(TimeRange),
    ) -> Result<()> {
        let mut chunk = |range: TimeRange, chunk: &dyn Fn() -> Chunk| {
            if !long(range) {
                with(range);
                return Ok::<_, tsdb_core::Error>(());
            }
            chunk().iter().try_for_each(|sample| {
                let (timestamp_ms, _) = sample?;
                with(TimeRange::new(timestamp_ms, timestamp_ms));
                Ok(())
            })
        };
        self.chunks().iter().try_for_each(|full| chunk(full.time_range(), &|| full.clone()))?;
        if let Some(active) = &self.active {
            chunk(self.active_range(), &|| active.snapshot())?;
        }
        self.late().iter().for_each(|sample| with(TimeRange::new(sample.0, sample.0)));
        Ok(())
    }

    /// Bytes on the heap, counted from nothing. (A histogram in the late buffer counts as its pointer.)
    fn heap_bytes(&self) -> usize {
        let data: usize = self.chunks().iter().map(|chunk| chunk.data().len()).sum();
        data + self.frame_bytes() + self.active.as_ref().map_or(0, ChunkBuilder::heap_bytes)
    }

    /// Bytes of the lists alone.
    fn frame_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| {
            size_of::<Rest>()
                + rest.chunks.capacity() * size_of::<Chunk>()
                + rest.late.capacity() * size_of::<(i64, SampleValue)>()
        })
    }

    fn chunks(&self) -> &[Chunk] {
        self.rest.as_ref().map_or(&[], |rest| &rest.chunks)
    }

    fn late(&self) -> &[(i64, SampleValue)] {
        self.rest.as_ref().map_or(&[], |rest| &rest.late)
    }

    fn late_in(&self, range: TimeRange) -> &[(i64, SampleValue)] {
        let late = self.late();
        let from = late.partition_point(|sample| sample.0 < range.start_ms);
        let to = late.partition_point(|sample| sample.0 <= range.end_ms);
        &late[from..to.max(from)]
    }

    fn active_range(&self) -> TimeRange {
        let active = self.active.as_ref();
        match active.and_then(|a| a.first_timestamp_ms().zip(a.last_timestamp_ms())) {
            Some((first, last)) => TimeRange::new(first, last),
            None => TimeRange::EMPTY,
        }
    }

    fn newest_in_order(&self) -> Option<i64> {
        let active = self.active.as_ref().and_then(ChunkBuilder::last_timestamp_ms);
        active.or_else(|| self.chunks().last().map(|chunk| chunk.time_range().end_ms))
    }

    fn get_in_order(&self, timestamp_ms: i64) -> Option<SampleValue> {
        let active = self.active.as_ref().filter(|_| self.active_range().contains(timestamp_ms));
        if let Some(last) = active.and_then(ChunkBuilder::last).filter(|last| last.0 == timestamp_ms) {
            return Some(last.1);
        }
        let chunk = active.map(ChunkBuilder::snapshot).or_else(|| {
            let after = self.chunks().partition_point(|chunk| chunk.time_range().end_ms < timestamp_ms);
            self.chunks().get(after).filter(|chunk| chunk.time_range().contains(timestamp_ms)).cloned()
        })?;
        let mut samples = chunk.iter();
        samples.seek(timestamp_ms);
        let found = samples.next()?.expect("invariant: the head's own chunk decodes");
        (found.0 == timestamp_ms).then_some(found.1)
    }

    fn push(&mut self, timestamp_ms: i64, value: &SampleValue, heap_bytes: &mut usize) {
        if let Some(active) = &mut self.active {
            let before = active.heap_bytes();
            if active.append(timestamp_ms, value) == Append::Appended {
                *heap_bytes = *heap_bytes + active.heap_bytes() - before;
                return;
            }
            self.finish_active(heap_bytes);
        }
        let mut active = ChunkBuilder::new(ChunkEncoding::of(value));
        let appended = active.append(timestamp_ms, value);
        debug_assert_eq!(
            appended,
            Append::Appended,
            "invariant: an empty chunk of its encoding takes any value"
        );
        *heap_bytes += active.heap_bytes();
        self.active = Some(active);
    }

    fn finish_active(&mut self, heap_bytes: &mut usize) {
        if let Some(active) = self.active.take() {
            let before = self.frame_bytes() + active.heap_bytes();
            let chunk = active.finish();
            let data = chunk.data().len();
            self.rest.get_or_insert_default().chunks.push(chunk);
            *heap_bytes = *heap_bytes + self.frame_bytes() + data - before;
        }
    }

    fn append_late(&mut self, timestamp_ms: i64, value: &SampleValue, heap_bytes: &mut usize) -> Applied {
        let place = self.late().binary_search_by_key(&timestamp_ms, |sample| sample.0);
        let existing = match place {
            Ok(found) => Some(self.late()[found].1.clone()),
            Err(_) => self.get_in_order(timestamp_ms),
        };
        if existing.as_ref().is_some_and(|existing| existing.bits_eq(value)) {
            return Applied::Duplicate;
        }
        let before = self.frame_bytes();
        let late = &mut self.rest.get_or_insert_default().late;
        match place {
            Ok(found) => late[found].1 = value.clone(),
            Err(place) => late.insert(place, (timestamp_ms, value.clone())),
        }
        *heap_bytes = *heap_bytes + self.frame_bytes() - before;
        if place.is_err() && self.fold_is_due() {
            let before = self.heap_bytes();
            self.fold();
            *heap_bytes = *heap_bytes + self.heap_bytes() - before;
        }
        if existing.is_some() { Applied::Replaced } else { Applied::Late }
    }

    /// Looks at powers of two only, so that the chunks are not counted for each late sample.
    fn fold_is_due(&self) -> bool {
        let late = self.late().len();
        if late < LATE_MIN || !late.is_power_of_two() {
            return false;
        }
        let in_order: usize = self.chunks().iter().map(|chunk| chunk.count() as usize).sum();
        late >= LATE_MAX || late * LATE_FOLD_RATIO >= in_order
    }

    /// Merges the late samples into the chunks. A chunk owns the time from its first sample to the next chunk's; the
    /// first one also owns what lies before it. Chunks without late samples stay as they are.
    fn fold(&mut self) {
        let mut counted_by_the_caller = self.heap_bytes();
        self.finish_active(&mut counted_by_the_caller);
        let rest = self.rest.get_or_insert_default();
        let old = std::mem::take(&mut rest.chunks);
        let mut late = std::mem::take(&mut rest.late).into_iter().peekable();
        for (place, chunk) in old.iter().enumerate() {
            let end_ms = old.get(place + 1).map_or(i64::MAX, |next| next.time_range().start_ms - 1);
            let mut owned = SampleBuffer::default();
            while let Some((timestamp_ms, value)) = late.next_if(|sample| sample.0 <= end_ms) {
                owned.push(timestamp_ms, value);
            }
            if owned.is_empty() {
                rest.chunks.push(chunk.clone());
                continue;
            }
            let mut samples = SampleBuffer::default();
            chunk.decode_into(&mut samples).expect("invariant: the head's own chunk decodes");
            samples.merge_newer(owned);
            rest.chunks.extend(encode(&samples));
        }
    }
}

/// Samples as chunks.
fn encode(samples: &SampleBuffer) -> Vec<Chunk> {
    let (mut data, mut heap_bytes) = (SeriesData::default(), 0);
    samples.iter().for_each(|(timestamp_ms, value)| data.push(timestamp_ms, &value, &mut heap_bytes));
    data.finish_active(&mut heap_bytes);
    data.rest.map(|rest| rest.chunks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn float(value: f64) -> SampleValue {
        SampleValue::Float(value)
    }

    /// A deterministic shuffle of `0..n`.
    fn shuffled(n: i64) -> impl Iterator<Item = i64> {
        (0..n).map(move |i| i * 7_919 % n)
    }

    /// A series whose heap bytes are checked at every sample that is asked about.
    #[derive(Default)]
    struct Counted {
        data: SeriesData,
        heap_bytes: usize,
    }

    impl Counted {
        fn append(&mut self, timestamp_ms: i64, value: f64) -> Applied {
            self.data.append(timestamp_ms, &float(value), &mut self.heap_bytes)
        }
    }

    fn check(counted: &Counted, want: &BTreeMap<i64, f64>) {
        let data = &counted.data;
        assert_eq!(counted.heap_bytes, data.heap_bytes());
        let got: Vec<(i64, u64)> = data
            .copy(TimeRange::ALL)
            .decode(TimeRange::ALL)
            .unwrap()
            .iter()
            .map(|(t, v)| match v {
                SampleValue::Float(v) => (t, v.to_bits()),
                SampleValue::Histogram(_) => panic!("no histogram was appended"),
            })
            .collect();
        assert_eq!(got, want.iter().map(|(&t, &v)| (t, v.to_bits())).collect::<Vec<_>>());
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_series() {
        let n = 20_011; // Prime, so that the shuffle is a permutation.
        for order in [shuffled(n).collect::<Vec<_>>(), (0..n).rev().collect(), (0..n).collect()] {
            let (mut data, mut want) = (Counted::default(), BTreeMap::new());
            for t in order {
                assert!(matches!(data.append(t, t as f64), Applied::InOrder | Applied::Late));
                want.insert(t, t as f64);
            }
            check(&data, &want);
            assert_eq!(data.data.time_range(), TimeRange::new(0, n - 1));
            for t in shuffled(n).step_by(97) {
                assert_eq!(data.append(t, t as f64), Applied::Duplicate);
                assert!(data.data.get(t).is_some_and(|v| v.bits_eq(&float(t as f64))));
            }
            assert!(data.data.get(n).is_none() && data.data.get(-1).is_none());
        }
    }

    #[test]
    fn the_later_value_wins_also_after_a_fold() {
        let (mut data, mut want) = (Counted::default(), BTreeMap::new());
        for round in 0..4 {
            for t in shuffled(1_009) {
                let value = f64::from(round) * 0.5 - t as f64;
                let applied = data.append(t, value);
                assert_eq!(applied == Applied::Replaced, round > 0, "{round} {t}");
                want.insert(t, value);
            }
            check(&data, &want);
        }
    }

    #[test]
    fn zero_and_minus_zero_are_two_values_and_a_nan_is_one() {
        let mut data = Counted::default();
        assert_eq!(data.append(1, 0.0), Applied::InOrder);
        assert_eq!(data.append(1, -0.0), Applied::Replaced);
        assert_eq!(data.append(2, f64::NAN), Applied::InOrder);
        assert_eq!(data.append(2, f64::NAN), Applied::Duplicate);
    }

    #[test]
    fn a_cut_has_just_the_range() {
        let mut data = Counted::default();
        (0..1_000).for_each(|t| assert_eq!(data.append(t * 10, t as f64), Applied::InOrder));
        (0..50).for_each(|t| assert_eq!(data.append(t * 10 + 5, -1.0), Applied::Late));
        for (start, end) in [(0, 99), (100, 7_000), (9_990, 20_000), (20_000, 30_000), (3, 4)] {
            let range = TimeRange::new(start, end);
            let chunks = data.data.cut(range).unwrap();
            let count: usize = chunks.iter().map(|chunk| chunk.count() as usize).sum();
            let want = data.data.copy(TimeRange::ALL).decode(range).unwrap().len();
            assert_eq!(count, want, "{range:?}");
            assert!(chunks.iter().all(|chunk| range.covers(chunk.time_range())));
            assert!(chunks.windows(2).all(|two| two[0].time_range().end_ms < two[1].time_range().start_ms));
        }
    }
}
