//! Making a damaged log readable again, when someone asks for it.
//!
//! What cannot be read is made **void**: a record that covers it and that readers skip. It takes whole groups, so that no
//! batch comes back by half, and keeps the segment's length, so that the chain of segments holds. A group that names a
//! series whose labels lay in a void part is void, too. Headers that are damaged, or that name a segment which is
//! missing, are written anew. The damaged files are kept: each is linked into `wal/damaged/` before the repaired one is
//! renamed over it, so a repair that is interrupted can be run again.

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tsdb_vfs::Vfs;

use super::format::{
    HEADER_BYTES, Header, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, Record, RecordType, synced_after,
    void_record,
};
use super::replay::{Access, Segments, list};
use super::{SegmentEnd, SegmentId};
use crate::Result;

/// Where the damaged files are kept, in the log's directory.
const DAMAGED_DIR: &str = "damaged";
/// Ending of a repaired segment that is being written.
const TMP_SUFFIX: &str = ".repaired.tmp";

/// What a repair did to one segment of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairedSegment {
    /// The segment.
    pub path: PathBuf,
    /// The segment as it was.
    pub kept: PathBuf,
    /// Its header was damaged, or named a segment that is missing.
    pub new_header: bool,
    /// Bytes, of one or more batches each, that could not be read: from, to.
    pub unreadable: Vec<Range<u64>>,
    /// Batches that could be read and had to be given up, because they have samples of series whose labels could not be.
    pub batches_without_labels: u64,
}

/// Repairs the log in `dir`. Gives what was changed; nothing if the log is whole.
pub(crate) fn repair(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<RepairedSegment>> {
    let Segments { whole: ids, unborn, .. } = list(vfs, dir, Access::Own)?;
    let generations = ids.iter().map(|id| id.generation).collect();
    let mut walker = Walker { vfs, dir, generations, numbers: HashSet::new(), newest: None };
    let mut repaired = Vec::new();
    for (place, &id) in ids.iter().enumerate() {
        repaired.extend(walker.segment(id, place + 1 == ids.len() && unborn.is_none())?);
    }
    Ok(repaired)
}

/// Goes through the segments in the order in which they were written.
struct Walker<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
    generations: BTreeSet<u64>,
    /// The series numbers whose labels are known at this place.
    numbers: HashSet<u32>,
    newest: Option<SegmentEnd>,
}

/// What is wrong with a segment, and what to write instead.
#[derive(Default)]
struct Changes {
    header: Option<Header>,
    unreadable: Vec<Range<u64>>,
    without_labels: Vec<Range<u64>>,
}

impl Walker<'_> {
    fn segment(&mut self, id: SegmentId, newest: bool) -> Result<Option<RepairedSegment>> {
        let path = self.dir.join(id.file_name());
        let bytes = self.vfs.read(&path)?;
        let begins = self.newest.is_none_or(|before| before.id.generation != id.generation);
        let (mut header, found) = self.header(id, &bytes, &path)?;
        let before = self.numbers.clone();
        if begins || header.fresh_numbers {
            self.numbers.clear();
        }
        let mut changes = Changes::default();
        let mut end = self.groups(&bytes, newest, &mut changes);
        let follows = self.newest.is_some_and(|before| before.id.number + 1 == id.number);
        let readable = changes.unreadable.is_empty() && !changes.without_labels.is_empty();
        if found.is_none() && !begins && follows && readable {
            // All but the header can be read, and names series by the numbers of the segments before, of which none is
            // missing: it does not begin anew.
            header.fresh_numbers = false;
            self.numbers = before;
            changes = Changes::default();
            end = self.groups(&bytes, newest, &mut changes);
        }
        changes.header = (found != Some(header)).then_some(header);
        self.newest = Some(SegmentEnd { id, bytes: end as u64 });
        if changes.header.is_none() && changes.unreadable.is_empty() && changes.without_labels.is_empty() {
            return Ok(None);
        }
        let kept = self.replace(&path, id, &bytes, &changes)?;
        Ok(Some(RepairedSegment {
            path,
            kept,
            new_header: changes.header.is_some(),
            unreadable: changes.unreadable,
            batches_without_labels: changes.without_labels.len() as u64,
        }))
    }

    /// The header that the segment should have, and the one that it has, if that can be read.
    fn header(&self, id: SegmentId, bytes: &[u8], path: &Path) -> Result<(Header, Option<Header>)> {
        // A segment that follows an unknown one may number its series anew: taking it so can cost batches, taking it not so
        // could give samples to the wrong series.
        let anew = Header { id, fresh_numbers: true, previous: self.newest };
        let found = match Header::decode(bytes) {
            Ok(found) if found.id == id => found,
            Ok(_) => return Ok((anew, None)),
            Err(fault) => {
                fault.unsupported(path.to_owned())?;
                return Ok((anew, None));
            }
        };
        let first_of_all = self.newest.is_none();
        Ok(match found.previous {
            Some(before) if !self.generations.contains(&before.id.generation) && id.number == 0 => {
                (found, Some(found))
            }
            None if first_of_all => (found, Some(found)),
            before if before.is_some() && before == self.newest => (found, Some(found)),
            // The right one, but of another length: what is missing of it can be no beginning of new numbers.
            Some(before) if self.newest.is_some_and(|newest| newest.id == before.id) => {
                (Header { previous: self.newest, ..found }, Some(found))
            }
            _ => (anew, Some(found)),
        })
    }

    /// Goes through the groups. Gives where the segment ends, a torn tail left out.
    fn groups(&mut self, bytes: &[u8], newest: bool, changes: &mut Changes) -> usize {
        let (mut start, mut group, mut offset) = (HEADER_BYTES, Vec::new(), HEADER_BYTES);
        while offset < bytes.len() {
            let fault = match Record::decode(bytes, offset) {
                Ok((record, next)) => {
                    group.push(record);
                    offset = next;
                    if record.last_of_group {
                        if !self.knows(&group) {
                            changes.without_labels.push(start as u64..offset as u64);
                        }
                        group.clear();
                        start = offset;
                        continue;
                    }
                    // The segment may end inside of a group.
                    if offset < bytes.len() { continue } else { start }
                }
                Err(_) => offset,
            };
            if newest && synced_after(bytes, fault).unwrap_or(0) <= fault as u64 {
                return start;
            }
            group.clear();
            offset = next_group(bytes, fault);
            changes.unreadable.push(start as u64..offset as u64);
            start = offset;
        }
        start
    }

    /// Takes in the series of a group; whether all its samples are of series that are known then.
    fn knows(&mut self, group: &[Record<'_>]) -> bool {
        let named: Result<Vec<u32>, _> = group
            .iter()
            .filter(|record| record.kind == RecordType::Series)
            .flat_map(|record| record.series().map(|series| series.map(|(number, _)| number)))
            .collect();
        let Ok(named) = named else { return false };
        let samples = |record: &Record<'_>| {
            let mut samples = record.samples();
            samples.all(|sample| {
                sample.is_ok_and(|(number, ..)| self.numbers.contains(&number) || named.contains(&number))
            })
        };
        let known = group.iter().all(|record| match record.kind {
            RecordType::Floats | RecordType::Histograms => samples(record),
            RecordType::Delete => record.delete().is_ok(),
            RecordType::Series | RecordType::Synced | RecordType::Void => true,
        });
        if known {
            self.numbers.extend(named);
        }
        known
    }

    /// Writes the segment anew and puts it in the old one's place, of which it keeps a link.
    fn replace(&self, path: &Path, id: SegmentId, bytes: &[u8], changes: &Changes) -> Result<PathBuf> {
        let mut repaired = bytes.to_vec();
        if let Some(header) = changes.header {
            repaired.resize(repaired.len().max(HEADER_BYTES), 0);
            repaired[..HEADER_BYTES].copy_from_slice(&header.encode());
        }
        for range in changes.unreadable.iter().chain(&changes.without_labels) {
            void(&mut repaired[range.start as usize..range.end as usize]);
        }
        let damaged_dir = self.dir.join(DAMAGED_DIR);
        self.vfs.create_dir_all(&damaged_dir)?;
        let kept = self.keep(path, &damaged_dir, id)?;
        let tmp = self.dir.join(format!("{}{TMP_SUFFIX}", id.file_name()));
        if let Err(error) = self.vfs.remove_file(&tmp)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
        let file = self.vfs.create(&tmp)?;
        file.append(&repaired)?;
        file.sync()?;
        self.vfs.rename(&tmp, path)?;
        self.vfs.sync_dir(self.dir)?;
        Ok(kept)
    }

    /// Links a damaged file under the first free name, durably.
    fn keep(&self, path: &Path, damaged_dir: &Path, id: SegmentId) -> Result<PathBuf> {
        for number in 0.. {
            let kept = damaged_dir.join(format!("{}.{number}", id.file_name()));
            match self.vfs.hard_link(path, &kept) {
                Ok(()) => {
                    self.vfs.sync_dir(damaged_dir)?;
                    return Ok(kept);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        unreachable!("invariant: some number is free")
    }
}

/// Where the first group behind a fault begins for certain: behind the first record, after the fault, that ends a group.
fn next_group(bytes: &[u8], fault: usize) -> usize {
    // Most damage is inside of a record: the next one is where its length says.
    let by_length = bytes.get(fault..fault + 4).and_then(|length| {
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let next = fault.checked_add(RECORD_HEADER_BYTES)?.checked_add(length)?;
        Record::decode(bytes, next).is_ok().then_some(next)
    });
    let mut offset = by_length.unwrap_or(fault + 1);
    while offset < bytes.len() {
        match Record::decode(bytes, offset) {
            Ok((record, next)) if record.last_of_group => return next,
            Ok((_, next)) => offset = next,
            Err(_) => offset += 1,
        }
    }
    bytes.len()
}

/// Covers whole groups with records that readers skip. No group is shorter than a record's header.
fn void(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        // What is left for the next one must have room for its header.
        let length = match bytes.len() - RECORD_HEADER_BYTES {
            all if all <= PAYLOAD_BYTES_MAX => all,
            _ => PAYLOAD_BYTES_MAX - RECORD_HEADER_BYTES,
        };
        let (covered, rest) = bytes.split_at_mut(RECORD_HEADER_BYTES + length);
        void_record(covered);
        bytes = rest;
    }
}
