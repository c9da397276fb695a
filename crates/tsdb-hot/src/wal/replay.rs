//! The way back: segments to generations, at opening.
//!
//! What can be wrong with a segment, and what is done:
//!
//! - The newest segment ends in a group that is not whole, and nothing says that those bytes were durable: a **torn
//!   tail**, never acknowledged. It is cut, durably, before anything new is written. So are the zeros of a segment that was
//!   prepared.
//! - The newest segment has no whole header and nothing after it: it was being created. It is removed.
//! - Anything else (a fault in an older segment or before bytes that the log itself calls durable, a segment that is
//!   missing or shorter than its successor says) is **damage**: an error that names file and offset. Nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use tsdb_vfs::Vfs;

use super::apply::Apply;
use super::format::{HEADER_BYTES, Header, HeaderFault, Record, RecordType, synced_after, without_zeros};
use super::prepared::PREPARED_NAME;
use super::{SegmentEnd, SegmentId, finish_drop};
use crate::head::Generation;
use crate::registry::{Registry, SeriesId};
use crate::{Error, Result};

/// What the log held.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// The generations that are not sealed, by sequence, with the number of each one's next segment.
    pub(crate) generations: Vec<(Arc<Generation>, u32)>,
    /// The highest sequence seen, sealed ones included.
    pub(crate) sequence_max: Option<u64>,
    pub(crate) newest: Option<SegmentEnd>,
    pub(crate) segments: BTreeMap<SegmentId, u64>,
    pub(crate) records: u64,
    pub(crate) samples: u64,
    pub(crate) torn_bytes: u64,
}

/// What a reader of the log may do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is the log's owner: it puts in order what it finds.
    Own,
    /// Someone else may be writing to it: it changes nothing, and what it would have cut off or removed it passes over.
    Read,
}

/// Reads the log in `dir` into memory and, if it may, puts its end in order.
pub(crate) fn replay(vfs: &dyn Vfs, dir: &Path, registry: &Arc<Registry>, access: Access) -> Result<Replay> {
    let Segments { whole: ids, unborn, sequence_max } = list(vfs, dir, access)?;
    let mut replay = Replay { sequence_max, ..Replay::default() };
    if !ids.is_empty() {
        let mut reader = Reader {
            vfs,
            dir,
            registry,
            apply: Apply::start(registry),
            access,
            replay: &mut replay,
            numbers: Vec::new(),
            generations: ids.iter().map(|id| id.generation).collect(),
        };
        let mut buffer = Vec::new();
        for (place, &id) in ids.iter().enumerate() {
            // Once a younger segment was begun, this one was whole.
            reader.segment(id, place + 1 == ids.len() && unborn.is_none(), &mut buffer)?;
        }
        reader.replay.samples = reader.apply.finish();
    }
    if access == Access::Read {
        // Perhaps a batch on its way, of a writer that is alive.
        return Ok(replay);
    }
    if replay.torn_bytes > 0 {
        let newest = replay.newest.map(|newest| newest.id.file_name());
        let bytes = replay.torn_bytes;
        tracing::warn!(
            segment = newest,
            bytes,
            "the end of the write-ahead log is no whole batch: it is cut off"
        );
    }
    if let Some(newest) = replay.newest {
        // Also when nothing is cut: what was read may not be durable yet, and a new segment will say that it is.
        vfs.truncate(&dir.join(newest.id.file_name()), newest.bytes)?;
    }
    if let Some(path) = unborn.map(|id| dir.join(id.file_name())) {
        replay.torn_bytes += vfs.file_len(&path)?;
        vfs.remove_file(&path)?;
        vfs.sync_dir(dir)?;
    }
    Ok(replay)
}

/// The segments of the generations that are not sealed.
pub(super) struct Segments {
    /// As they were written.
    pub(super) whole: Vec<SegmentId>,
    /// The one after these was never finished being created: what is before it was whole by then.
    pub(super) unborn: Option<SegmentId>,
    sequence_max: Option<u64>,
}

/// Lists the segments. What is left of sealed generations is none, and is removed by the log's owner.
pub(super) fn list(vfs: &dyn Vfs, dir: &Path, access: Access) -> io::Result<Segments> {
    let (mut segments, mut sealed) = (BTreeSet::new(), BTreeSet::new());
    let entries = match vfs.list(dir) {
        Err(error) if access == Access::Read && error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries?,
    };
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        match SegmentId::parse(&entry.name) {
            Some((id, false)) => drop(segments.insert(id)),
            Some((id, true)) => drop(sealed.insert(id)),
            None if entry.name == PREPARED_NAME => {
                if access == Access::Own {
                    vfs.remove_file(&dir.join(PREPARED_NAME))?;
                }
            }
            None => tracing::warn!(
                name = entry.name,
                "a file in the log's directory is not a segment; it is left alone"
            ),
        }
    }
    let sequence_max = segments.iter().chain(&sealed).map(|id| id.generation).max();
    for marker in sealed {
        let others: Vec<SegmentId> =
            segments.iter().filter(|id| id.generation == marker.generation).copied().collect();
        if access == Access::Own {
            finish_drop(vfs, dir, marker, &others)?;
        }
        segments.retain(|id| id.generation != marker.generation);
    }
    let mut whole: Vec<SegmentId> = segments.into_iter().collect();
    let unborn = match whole.last() {
        Some(&newest) if is_unborn(vfs, dir, newest)? => whole.pop(),
        _ => None,
    };
    Ok(Segments { whole, unborn, sequence_max })
}

/// Whether a segment was never finished being created: no record follows its header, and that is not whole.
fn is_unborn(vfs: &dyn Vfs, dir: &Path, id: SegmentId) -> io::Result<bool> {
    let path = dir.join(id.file_name());
    if vfs.file_len(&path)? > HEADER_BYTES as u64 {
        return Ok(false);
    }
    Ok(matches!(Header::decode(&vfs.read(&path)?), Err(HeaderFault::Damaged(_))))
}

/// Reads segments in the order in which they were written.
struct Reader<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
    registry: &'a Arc<Registry>,
    apply: Apply<'a>,
    access: Access,
    replay: &'a mut Replay,
    /// The generations that have segments.
    generations: BTreeSet<u64>,
    /// For each series number of the log, the series.
    numbers: Vec<Option<SeriesId>>,
}

/// Where a segment stops making sense.
struct Fault {
    offset: usize,
    /// Start of the group that the fault is in.
    group: usize,
    detail: &'static str,
}

impl Reader<'_> {
    fn segment(&mut self, id: SegmentId, newest: bool, buffer: &mut Vec<u8>) -> Result<()> {
        self.vfs.read_into(&self.dir.join(id.file_name()), buffer)?;
        let bytes: &[u8] = buffer;
        let header = self.header(id, bytes)?;
        let begins = self.replay.generations.last().is_none_or(|last| last.0.sequence() != id.generation);
        if begins {
            let generation = Arc::new(Generation::new(id.generation, Arc::clone(self.registry)));
            self.apply.begin(&generation);
            self.replay.generations.push((generation, 0));
        }
        if begins || header.fresh_numbers {
            self.numbers.clear();
        }
        let end = match self.groups(id, bytes)? {
            None => bytes.len(),
            Some(fault) => {
                let durable = synced_after(bytes, fault.offset).unwrap_or(0);
                if !newest || durable > fault.offset as u64 {
                    if newest && self.access == Access::Read && self.has_changed(id, bytes)? {
                        return Err(Error::Changed);
                    }
                    return Err(self.damaged(id, fault.offset, fault.detail));
                }
                fault.group
            }
        };
        self.replay.torn_bytes += without_zeros(bytes).len().saturating_sub(end) as u64;
        self.replay.newest = Some(SegmentEnd { id, bytes: end as u64 });
        self.replay.segments.insert(id, end as u64);
        self.replay.generations.last_mut().expect("invariant: a generation was just made").1 = id.number + 1;
        Ok(())
    }

    /// Whether a writer has been at a segment since it was read: what it wrote over zeros then may be there in part.
    fn has_changed(&self, id: SegmentId, bytes: &[u8]) -> Result<bool> {
        Ok(self.vfs.read(&self.dir.join(id.file_name()))? != bytes)
    }

    /// The header, after its place in the chain of segments was checked.
    fn header(&self, id: SegmentId, bytes: &[u8]) -> Result<Header> {
        let fault = |fault: HeaderFault| match fault.unsupported(self.dir.join(id.file_name())) {
            Ok(detail) => self.damaged(id, 0, detail),
            Err(unsupported) => unsupported,
        };
        let header = Header::decode(bytes).map_err(fault)?;
        if header.id != id {
            return Err(self.damaged(id, 0, "its header is that of another segment"));
        }
        match header.previous {
            // The generation before is gone: it was sealed.
            Some(previous) if !self.generations.contains(&previous.id.generation) && id.number == 0 => {}
            Some(previous) if self.replay.newest == Some(previous) => {}
            Some(previous) => {
                let detail = format!(
                    "it follows the {} bytes of {}, which is missing, or not that long",
                    previous.bytes,
                    previous.id.file_name()
                );
                return Err(self.damaged(id, 0, detail));
            }
            None if self.replay.newest.is_none() => {}
            None => {
                return Err(self.damaged(id, 0, "it follows no segment, and it is not the first one here"));
            }
        }
        Ok(header)
    }

    /// Applies the groups of a segment, up to the first fault.
    fn groups(&mut self, id: SegmentId, bytes: &[u8]) -> Result<Option<Fault>> {
        let (mut offset, mut group_start, mut group) = (HEADER_BYTES, HEADER_BYTES, Vec::new());
        while offset < bytes.len() {
            let (record, next) = match Record::decode(bytes, offset) {
                Ok(decoded) => decoded,
                Err(detail) => return Ok(Some(Fault { offset, group: group_start, detail })),
            };
            group.push((offset, record));
            offset = next;
            if record.last_of_group {
                for (at, record) in group.drain(..) {
                    self.record(&record).map_err(|error| self.damaged(id, at, error))?;
                }
                group_start = offset;
            }
        }
        let detail = "the last batch is not complete";
        Ok((group_start < offset).then_some(Fault { offset, group: group_start, detail }))
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), String> {
        self.replay.records += 1;
        match record.kind {
            RecordType::Series => {
                for series in record.series() {
                    let (number, labels) = series.map_err(|error| error.to_string())?;
                    let id = self.apply.series(&labels).map_err(|error| error.to_string())?;
                    let number = number as usize;
                    if self.numbers.len() <= number {
                        self.numbers.resize(number + 1, None);
                    }
                    self.numbers[number] = Some(id);
                }
            }
            RecordType::Floats | RecordType::Histograms => {
                for sample in record.samples() {
                    let (number, timestamp_ms, value) = sample.map_err(|error| error.to_string())?;
                    let series = self.numbers.get(number as usize).copied().flatten();
                    let series = series.ok_or("a sample is of a series whose labels were not logged")?;
                    self.apply.sample(series, timestamp_ms, value);
                }
            }
            RecordType::Delete => {
                let (matchers, range) = record.delete().map_err(|error| error.to_string())?;
                self.apply.delete(&matchers, range);
            }
            RecordType::Synced | RecordType::Void => {}
        }
        Ok(())
    }

    fn damaged(&self, id: SegmentId, offset: usize, detail: impl Into<String>) -> Error {
        Error::WalDamaged {
            path: self.dir.join(id.file_name()),
            offset: offset as u64,
            detail: detail.into(),
        }
    }
}
