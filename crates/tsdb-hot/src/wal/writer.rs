//! The group commit: many committers, one write, one fsync.
//!
//! A committer queues its group under a short lock (`queue`), which also gives it its generation and its place, and then
//! takes the `io` lock. Whoever gets that first writes and fsyncs all that is queued by then; the others find their work
//! done when their turn comes. So the number of fsyncs follows the disk, not the number of committers.
//!
//! Committers that come back as soon as they are done would fall into two groups that wait for each other's fsyncs. So
//! before it writes, a leader waits for as many as were there at the last fsync, for no longer than part of what that took.
//!
//! **Failure.** When the disk is full, the segment is cut back to its last good byte and everything queued is refused;
//! later commits try again. Any other failed write, and every failed fsync, poisons the log: nobody can know what is
//! durable, and a second fsync would not tell. Nothing that failed ever reaches the head, because memory is written after
//! the log.
//!
//! **Prepared segments.** Where commits wait for fsyncs, a segment that has got a few mebibytes has the next one prepared
//! ([`prepared`](super::prepared)). One that is not prepared itself ends as soon as that is ready.
//!
//! Lock order: `io`, then `queue`.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tsdb_vfs::{Vfs, VfsFile};

use super::format::{HEADER_BYTES, Header};
use super::prepared::Prepared;
use super::{GroupWriter, SegmentEnd, SegmentId, drop_generation};
use crate::batch::Batch;
use crate::error::is_full;
use crate::head::{Generation, Ticket};
use crate::registry::{Registry, SeriesId};
use crate::{Error, Result, WalSync};

/// A leader waits for other committers for at most this part of what the last fsync took,
const GATHER_DIVISOR: u32 = 4;
/// and no longer than this.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// Segments shorter than this are not prepared, in bytes.
const PREPARED_BYTES_MIN: u64 = 256 << 10;
/// A segment that was not prepared has the next one prepared when it has so many bytes, or half of what it may have.
const PREPARE_AFTER_BYTES: u64 = 4 << 20;
/// How many times as long as a segment is by then the next one is made: zeros in proportion to what is written.
const PREPARED_GROWTH: u64 = 4;

/// The writing end of the log.
#[derive(Debug)]
pub(crate) struct Wal {
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    sync: WalSync,
    segment_bytes: u64,
    queue: Mutex<Queue>,
    /// Told of each commit that is queued.
    queued: Condvar,
    io: Mutex<Io>,
}

/// Where an opened log goes on.
#[derive(Debug)]
pub(crate) struct WalStart {
    pub(crate) live: Arc<Generation>,
    /// The number of the live generation's next segment.
    pub(crate) next_number: u32,
    pub(crate) previous: Option<SegmentEnd>,
    /// The segments that are there.
    pub(crate) segments: BTreeMap<SegmentId, u64>,
}

/// Where a batch went.
#[derive(Debug)]
pub(crate) enum Bound {
    /// It is in the log; the ticket is its place in the memory of its generation.
    To(Ticket),
    /// Nowhere: the live generation numbers its series by this registry.
    Elsewhere(Arc<Registry>),
}

/// As [`Bound`], before it is written.
enum Queued {
    Here(Ticket, u64),
    Elsewhere(Arc<Registry>),
}

/// What waits to be written, all of one generation.
#[derive(Debug)]
struct Queue {
    live: Arc<Generation>,
    pending: Vec<u8>,
    /// Which series the live generation's segments have the labels of.
    logged: Vec<u64>,
    /// Tickets given for the live generation.
    tickets: u64,
    /// Commits queued, over all generations.
    queued: u64,
}

/// The files. Commits are numbered as in [`Queue::queued`].
#[derive(Debug)]
struct Io {
    segment: Option<Segment>,
    generation: u64,
    next_number: u32,
    /// The next segment is the first that this process writes for its generation.
    fresh_numbers: bool,
    previous: Option<SegmentEnd>,
    /// Segments in the directory with their bytes.
    segments: BTreeMap<SegmentId, u64>,
    /// The next one.
    prepared: Option<Prepared>,
    /// Commits up to this one were written, or failed.
    done: u64,
    /// Commits that failed, as closed ranges. Neighbours are joined, so that a full disk does not fill memory.
    failed: Vec<(u64, u64, Failure)>,
    poisoned: Option<Arc<str>>,
    spare: Vec<u8>,
    /// A write is under way, or was when a panic ended it.
    writing: bool,
    /// How many committers there were at the last fsync: those that it was for, and those that had queued meanwhile.
    committers: u64,
    /// How long it took.
    sync_took: Duration,
}

/// The segment being written.
#[derive(Debug)]
struct Segment {
    file: Arc<dyn VfsFile>,
    id: SegmentId,
    /// Bytes that belong to it: all written, each group whole.
    bytes: u64,
    /// Of those, how many an fsync has covered.
    synced: u64,
    /// What the last record of durable bytes in it says.
    marked: u64,
    /// Zeros lie behind its bytes.
    prepared: bool,
    /// What lay behind its bytes was cut off, and no fsync has covered that.
    cut: bool,
    /// It ends before it has more than so many bytes.
    bytes_max: u64,
}

impl Segment {
    /// Makes its bytes durable, and that nothing lies behind them.
    fn end(&mut self) -> io::Result<()> {
        if self.prepared {
            self.file.truncate(self.bytes)?;
        } else if self.synced == self.bytes && !self.cut {
            return Ok(());
        }
        self.file.sync()?;
        (self.synced, self.prepared, self.cut) = (self.bytes, false, false);
        Ok(())
    }

    /// An error of its file, with its name: a prepared one had another when it was made.
    fn said(&self, error: &io::Error) -> Arc<str> {
        format!("{}: {error}", self.id.file_name()).into()
    }

    /// Writes behind what is there. A write that failed for want of space is undone.
    fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self.file.append(bytes) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // That takes what is prepared, too.
                (self.prepared, self.cut) = (false, true);
                Err(match self.file.truncate(self.bytes) {
                    Ok(()) if is_full(&error) => Failure::Full(self.said(&error)),
                    _ => Failure::Poisoned(self.said(&error)),
                })
            }
        }
    }
}

/// Why commits failed, for each of their callers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Failure {
    Full(Arc<str>),
    Refused(io::ErrorKind, Arc<str>),
    Poisoned(Arc<str>),
}

impl Failure {
    /// An error before any byte of a batch was written: the next commit may try again.
    fn refused(error: &io::Error) -> Self {
        let message = error.to_string().into();
        if is_full(error) { Self::Full(message) } else { Self::Refused(error.kind(), message) }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Full(message) => Self::StorageFull(message.to_string()),
            Failure::Refused(kind, message) => Self::Io(io::Error::new(kind, message.to_string())),
            Failure::Poisoned(message) => Self::WalPoisoned(message.to_string()),
        }
    }
}

impl Queue {
    /// Queues the end of a group. Gives its place in the live generation and among all commits.
    fn push(&mut self, records: &[u8]) -> (Ticket, u64) {
        self.pending.extend_from_slice(records);
        let ticket = Ticket::new(Arc::clone(&self.live), self.tickets);
        self.tickets += 1;
        self.queued += 1;
        (ticket, self.queued)
    }

    /// Marks a series as logged; whether it was not.
    fn log(&mut self, series: SeriesId) -> bool {
        let (word, bit) = (series.0 as usize / 64, 1u64 << (series.0 % 64));
        if self.logged.len() <= word {
            self.logged.resize(word + 1, 0);
        }
        let new = self.logged[word] & bit == 0;
        self.logged[word] |= bit;
        new
    }
}

impl Wal {
    pub(crate) fn new(
        vfs: Arc<dyn Vfs>,
        dir: PathBuf,
        sync: WalSync,
        segment_bytes: u64,
        start: WalStart,
    ) -> Self {
        let generation = start.live.sequence();
        let queue =
            Queue { live: start.live, pending: Vec::new(), logged: Vec::new(), tickets: 0, queued: 0 };
        let io = Io {
            segment: None,
            generation,
            next_number: start.next_number,
            fresh_numbers: true,
            previous: start.previous,
            segments: start.segments,
            prepared: None,
            done: 0,
            failed: Vec::new(),
            poisoned: None,
            spare: Vec::new(),
            writing: false,
            committers: 1,
            sync_took: Duration::ZERO,
        };
        let (queue, io) = (Mutex::new(queue), Mutex::new(io));
        Self { vfs, dir, sync, segment_bytes, queue, queued: Condvar::new(), io }
    }

    /// Makes a batch durable as the log's setting says. `samples` is its samples as the end of a group.
    pub(crate) fn commit(&self, batch: &Batch, samples: &[u8]) -> Result<Bound> {
        match self.enqueue(batch, samples)? {
            Queued::Here(ticket, place) => self.wait(ticket, place).map(Bound::To),
            Queued::Elsewhere(registry) => Ok(Bound::Elsewhere(registry)),
        }
    }

    /// Makes a group that names no series by number durable as the log's setting says.
    pub(crate) fn commit_group(&self, group: &[u8]) -> Result<Ticket> {
        let (ticket, place) = self.queue.lock().push(group);
        self.queued.notify_one();
        self.wait(ticket, place)
    }

    /// Has what is queued written, and fsynced if the setting says so, up to `place`.
    fn wait(&self, ticket: Ticket, place: u64) -> Result<Ticket> {
        let mut io = self.io.lock();
        if io.done < place {
            self.flush(&mut io);
        }
        match io.failed.iter().rev().find(|(from, to, _)| (*from..=*to).contains(&place)) {
            None => Ok(ticket),
            Some((_, _, failure)) => {
                let error = failure.clone().into();
                // The ticket waits for those before it, whose owners may want the lock.
                drop(io);
                Err(error)
            }
        }
    }

    fn enqueue(&self, batch: &Batch, samples: &[u8]) -> Result<Queued> {
        let mut queue = self.queue.lock();
        if !Arc::ptr_eq(batch.registry(), queue.live.registry()) {
            return Ok(Queued::Elsewhere(Arc::clone(queue.live.registry())));
        }
        let new: Vec<SeriesId> =
            batch.samples().iter().map(|sample| sample.series).filter(|&series| queue.log(series)).collect();
        if !new.is_empty() {
            match series_records(&new, batch.registry()) {
                Ok(records) => queue.pending.extend_from_slice(&records),
                Err(error) => {
                    new.iter()
                        .for_each(|series| queue.logged[series.0 as usize / 64] &= !(1 << (series.0 % 64)));
                    return Err(error);
                }
            }
        }
        let (ticket, place) = queue.push(samples);
        drop(queue);
        self.queued.notify_one();
        Ok(Queued::Here(ticket, place))
    }

    /// Writes what is queued, and fsyncs it if commits wait for that.
    fn flush(&self, io: &mut Io) {
        let sync = self.sync == WalSync::Always;
        let (bytes, queued) = {
            let mut queue = self.queue.lock();
            if sync {
                let until = Instant::now() + (io.sync_took / GATHER_DIVISOR).min(GATHER_MAX);
                let missing = |queue: &mut Queue| queue.queued - io.done < io.committers;
                self.queued.wait_while_until(&mut queue, missing, until);
            }
            (std::mem::replace(&mut queue.pending, std::mem::take(&mut io.spare)), queue.queued)
        };
        let group = queued - io.done;
        let start = Instant::now();
        self.write_group(io, bytes, queued, sync);
        io.sync_took = start.elapsed();
        io.committers = group + (self.queue.lock().queued - io.done);
    }

    /// Writes `bytes`, the commits up to `queued`, and records what became of them.
    fn write_group(&self, io: &mut Io, mut bytes: Vec<u8>, queued: u64, sync: bool) {
        if std::mem::replace(&mut io.writing, true) {
            // A panic took the bytes of others' commits along.
            io.poisoned.get_or_insert_with(|| "a write of the log was broken off by a panic".into());
        }
        let failure = match self.write(io, &mut bytes) {
            Ok(()) if sync => self.sync_segment(io).err(),
            written => written.err(),
        };
        let from = io.done + 1;
        io.done = queued;
        if let Some(failure) = failure {
            self.fail(io, from, failure);
        }
        bytes.clear();
        io.spare = bytes;
        io.writing = false;
    }

    /// Fails the commits from `from` on, those queued meanwhile included: they may use series whose labels were in what
    /// was not written.
    fn fail(&self, io: &mut Io, from: u64, failure: Failure) {
        tracing::error!(?failure, "the write-ahead log could not be written");
        if matches!(failure, Failure::Full(_)) {
            // Its space is for what has to be written now.
            io.prepared = None;
        }
        if let Failure::Poisoned(message) = &failure {
            io.poisoned.get_or_insert_with(|| Arc::clone(message));
        }
        let mut queue = self.queue.lock();
        if queue.live.sequence() == io.generation {
            queue.pending.clear();
            queue.logged.clear();
            io.done = queue.queued;
        }
        match io.failed.last_mut() {
            Some((_, to, last)) if *to + 1 == from && *last == failure => *to = io.done,
            _ if from <= io.done => io.failed.push((from, io.done, failure)),
            _ => {}
        }
    }

    fn write(&self, io: &mut Io, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        if let Some(message) = &io.poisoned {
            return Err(Failure::Poisoned(Arc::clone(message)));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let next_is_ready = io.prepared.as_mut().is_some_and(Prepared::is_ready);
        let ends = |segment: &Segment| {
            let is_full = segment.bytes + bytes.len() as u64 > segment.bytes_max;
            segment.bytes > HEADER_BYTES as u64 && (is_full || (next_is_ready && !segment.prepared))
        };
        if io.segment.as_ref().is_some_and(ends) {
            self.close_segment(io)?;
        }
        if io.segment.is_none() {
            io.segment = Some(self.create_segment(io).map_err(|error| Failure::refused(&error))?);
        }
        let segment = io.segment.as_mut().expect("invariant: a segment was just made");
        if segment.marked != segment.synced {
            let mut mark = GroupWriter::default();
            mark.synced(segment.synced);
            bytes.extend_from_slice(&mark.finish(true));
        }
        segment.append(bytes)?;
        segment.marked = segment.synced;
        io.segments.insert(segment.id, segment.bytes);
        if io.prepared.is_none() && self.wants_next(segment) {
            let bytes = self.segment_bytes.min(segment.bytes * PREPARED_GROWTH);
            match Prepared::start(&self.vfs, &self.dir, bytes) {
                Ok(prepared) => io.prepared = Some(prepared),
                Err(error) => tracing::debug!(%error, "the next segment of the log is not prepared"),
            }
        }
        Ok(())
    }

    /// Whether it is time to prepare the segment after this one.
    fn wants_next(&self, segment: &Segment) -> bool {
        let half = segment.bytes_max / 2;
        let enough = if segment.prepared { half } else { half.min(PREPARE_AFTER_BYTES) };
        self.sync == WalSync::Always && self.segment_bytes >= PREPARED_BYTES_MIN && segment.bytes >= enough
    }

    fn create_segment(&self, io: &mut Io) -> io::Result<Segment> {
        let id = SegmentId { generation: io.generation, number: io.next_number };
        let path = self.dir.join(id.file_name());
        let header = Header { id, fresh_numbers: io.fresh_numbers, previous: io.previous }.encode();
        let prepared = io.prepared.take_if(Prepared::has_ended).and_then(|prepared| {
            let bytes_max = prepared.bytes();
            let placed = prepared.place(&header, &path);
            let failed = |error: &io::Error| {
                tracing::debug!(%error, "the log goes on without a prepared segment");
            };
            placed.inspect_err(failed).ok().map(|file| (file, bytes_max))
        });
        let (prepared, bytes_max) = prepared.unzip();
        let is_prepared = prepared.is_some();
        let create = || {
            let file = self.vfs.create(&path)?;
            file.append(&header)?;
            file.sync()?;
            self.vfs.sync_dir(&self.dir)?;
            Ok(file)
        };
        let file = prepared.map_or_else(create, Ok).or_else(|error: io::Error| {
            // What is there has no group in it: no commit came this far. Do not let it stand in the way of the next try.
            let removed = self.vfs.remove_file(&path);
            if error.kind() == io::ErrorKind::AlreadyExists && removed.is_ok() {
                create()
            } else {
                Err(error)
            }
        })?;
        io.next_number += 1;
        io.fresh_numbers = false;
        let bytes = header.len() as u64;
        io.segments.insert(id, bytes);
        let bytes_max = bytes_max.unwrap_or(self.segment_bytes);
        Ok(Segment {
            file,
            id,
            bytes,
            synced: bytes,
            marked: bytes,
            prepared: is_prepared,
            cut: false,
            bytes_max,
        })
    }

    /// Makes the segment durable; a failure poisons.
    fn sync_segment(&self, io: &mut Io) -> Result<(), Failure> {
        if let Some(message) = &io.poisoned {
            return Err(Failure::Poisoned(Arc::clone(message)));
        }
        let Some(segment) = io.segment.as_mut().filter(|segment| segment.synced < segment.bytes) else {
            return Ok(());
        };
        segment.file.sync().map_err(|error| Failure::Poisoned(segment.said(&error)))?;
        (segment.synced, segment.cut) = (segment.bytes, false);
        Ok(())
    }

    /// Makes the segment durable and ends it. The next write begins another. A failure poisons.
    fn close_segment(&self, io: &mut Io) -> Result<(), Failure> {
        self.end_segment(io)?;
        if let Some(segment) = io.segment.take() {
            io.previous = Some(SegmentEnd { id: segment.id, bytes: segment.bytes });
        }
        Ok(())
    }

    /// Makes the segment durable, and that nothing lies behind it; a failure poisons.
    fn end_segment(&self, io: &mut Io) -> Result<(), Failure> {
        if let Some(message) = &io.poisoned {
            return Err(Failure::Poisoned(Arc::clone(message)));
        }
        let Some(segment) = &mut io.segment else { return Ok(()) };
        segment.end().map_err(|error| Failure::Poisoned(segment.said(&error)))
    }

    /// Freezes the live generation, all of which is durable afterwards, and begins `next`. After an error the generation
    /// may be frozen nevertheless: it tells.
    pub(crate) fn switch(&self, next: Arc<Generation>) -> Result<()> {
        let mut io = self.io.lock();
        if let Some(message) = &io.poisoned {
            return Err(Error::WalPoisoned(message.to_string()));
        }
        let sequence = next.sequence();
        let (bytes, queued) = {
            let mut queue = self.queue.lock();
            queue.live.freeze(queue.tickets);
            queue.live = next;
            queue.logged.clear();
            queue.tickets = 0;
            (std::mem::take(&mut queue.pending), queue.queued)
        };
        // From here on batches queue for the next generation. They wait for this lock, one write and one fsync long.
        if !bytes.is_empty() {
            self.write_group(&mut io, bytes, queued, true);
        }
        let closed = self.close_segment(&mut io);
        if let Err(failure) = closed.clone() {
            let from = io.done + 1;
            io.generation = sequence;
            self.fail(&mut io, from, failure);
        }
        io.generation = sequence;
        io.next_number = 0;
        io.fresh_numbers = true;
        closed.map_err(Error::from)
    }

    /// Whether the live generation has taken, or is about to take, a batch.
    pub(crate) fn has_tickets(&self) -> bool {
        self.queue.lock().tickets > 0
    }

    /// Whether the log has anything of the live generation, or is about to. Waits for a write that is going on.
    pub(crate) fn has_live(&self) -> bool {
        let io = self.io.lock();
        let sequence = {
            let queue = self.queue.lock();
            if queue.tickets > 0 {
                return true;
            }
            queue.live.sequence()
        };
        io.segments.range(segments_of(sequence)).next().is_some()
    }

    /// Makes everything that was committed durable, whatever the setting.
    pub(crate) fn sync(&self) -> Result<()> {
        let (file, id, bytes) = {
            let io = self.io.lock();
            if let Some(message) = &io.poisoned {
                return Err(Error::WalPoisoned(message.to_string()));
            }
            match io.segment.as_ref().filter(|segment| segment.synced < segment.bytes) {
                Some(segment) => (Arc::clone(&segment.file), segment.id, segment.bytes),
                None => return Ok(()),
            }
        };
        // Without the lock: commits go on meanwhile. A segment that is closed meanwhile was fsynced by that.
        let synced = file.sync();
        let mut io = self.io.lock();
        match synced {
            Ok(()) => {
                if let Some(segment) = io.segment.as_mut().filter(|segment| segment.id == id) {
                    segment.synced = segment.synced.max(bytes);
                }
                Ok(())
            }
            Err(error) => {
                let message: Arc<str> = error.to_string().into();
                let from = io.done + 1;
                self.fail(&mut io, from, Failure::Poisoned(Arc::clone(&message)));
                Err(Error::WalPoisoned(message.to_string()))
            }
        }
    }

    /// Makes everything durable and says so in the log, so that a later fault in it is told from a torn tail.
    pub(crate) fn close(&self) -> Result<()> {
        let mut io = self.io.lock();
        let closed = self.mark_the_end(&mut io);
        if let Err(failure) = closed.clone() {
            let from = io.done + 1;
            self.fail(&mut io, from, failure);
        }
        closed.map_err(Error::from)
    }

    fn mark_the_end(&self, io: &mut Io) -> Result<(), Failure> {
        io.prepared = None;
        self.sync_segment(io)?;
        let Some(segment) = io.segment.as_mut().filter(|segment| segment.marked != segment.synced) else {
            return self.end_segment(io);
        };
        let (mut mark, durable) = (GroupWriter::default(), segment.synced);
        mark.synced(durable);
        match segment.append(&mark.finish(true)) {
            Ok(()) => segment.marked = durable,
            // All is durable, and only the mark is missing.
            Err(Failure::Full(_)) => return Ok(()),
            Err(failure) => return Err(failure),
        }
        let (id, bytes) = (segment.id, segment.bytes);
        io.segments.insert(id, bytes);
        self.end_segment(io)
    }

    /// Removes a generation's segments: all of it is durable in blocks.
    pub(crate) fn drop_generation(&self, sequence: u64) -> Result<()> {
        let segments: Vec<SegmentId> =
            self.io.lock().segments.range(segments_of(sequence)).map(|(id, _)| *id).collect();
        drop_generation(self.vfs.as_ref(), &self.dir, &segments)?;
        let mut io = self.io.lock();
        io.segments.retain(|id, _| id.generation != sequence);
        Ok(())
    }

    /// Number of segments and their bytes.
    pub(crate) fn size(&self) -> (u64, u64) {
        let io = self.io.lock();
        (io.segments.len() as u64, io.segments.values().sum())
    }
}

/// All segments that a generation can have.
fn segments_of(generation: u64) -> RangeInclusive<SegmentId> {
    SegmentId { generation, number: 0 }..=SegmentId { generation, number: u32::MAX }
}

/// Records with the labels of `series`, as the beginning of a group.
fn series_records(series: &[SeriesId], registry: &Registry) -> Result<Vec<u8>> {
    let mut records = GroupWriter::default();
    let mut builder = tsdb_core::LabelsBuilder::new();
    let mut failed = Ok(());
    registry.for_each(series, |id, symbols, pairs| {
        if failed.is_ok() {
            failed = records.series(id.0, symbols.encode(pairs, &mut builder));
        }
    });
    failed.map(|()| records.finish(false))
}
