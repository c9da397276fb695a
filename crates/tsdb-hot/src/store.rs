//! The hot store: opening, the state that readers see, freezing and sealing.
//!
//! **State.** One lock holds the live generation, the frozen ones and the blocks. A snapshot reads it; only a freeze, a
//! publish and a removal write it, each for a moment. So no snapshot ever misses a generation that is between memory and
//! disk, or sees it in both.
//!
//! **The steps of a seal**, and what a crash after each leaves:
//!
//! 1. freeze: new batches queue for the next generation; when those in flight are in, it becomes the live one and lets
//!    them in. (Crash: both generations are replayed.)
//! 2. write each block as `.tmp`, fsync, rename to `.block`. (The log still has everything: opening removes these blocks.)
//! 3. fsync the blocks' directory. (The same.)
//! 4. drop the first segment of the generation, fsync the log's directory: **this one step is the seal**. A generation
//!    whose first segment is there is replayed and its blocks removed; once it is gone, the blocks count.
//! 5. publish in memory, remove the other segments, free the generation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tsdb_core::{BlockId, Matcher, TimeRange, Tombstone, Tombstones};
use tsdb_vfs::Vfs;

use crate::appender::Appender;
use crate::blocks::{BlockManager, SealedBlock};
use crate::head::{Generation, GenerationSize, View};
use crate::options::SEAL_BYTES_DIVISOR;
use crate::registry::{Registry, SeriesId};
use crate::seal::write_blocks;
use crate::snapshot::HotSnapshot;
use crate::stats::{BlockStats, HeadStats, HotStats, HotVerified, OlderSources, Recovery, WalStats};
use crate::wal::{self, Access, GroupWriter, IntervalSync, RepairedSegment, Replay, Wal, WalStart, replay};
use crate::{Error, HotOptions, Result, WalSync};

/// Directory of the write-ahead log in the data directory.
const WAL_DIR: &str = "wal";
/// A registry is kept, idle series or not, as long as no more than so many are idle.
const IDLE_MIN: u64 = 1024;
/// Directory of sealed blocks in the data directory.
const BLOCKS_DIR: &str = "blocks";
/// How often a check reads the log again because it changed meanwhile.
const VERIFY_TRIES: usize = 10;

/// Makes the write-ahead log of data directory `dir` readable again after [`Error::WalDamaged`](crate::Error::WalDamaged):
/// gives up the batches that cannot be read, and says which bytes of which segment those were. The damaged segments are
/// kept in `wal/damaged/`. Changes nothing, and gives nothing, if the log is whole. The store must not be open.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io), [`Error::UnsupportedVersion`](crate::Error::UnsupportedVersion). What was repaired
/// stays so; call it again.
pub fn repair_wal(vfs: &dyn Vfs, dir: &Path) -> Result<Vec<RepairedSegment>> {
    wal::repair(vfs, &dir.join(WAL_DIR))
}

/// The sealed blocks that lie in data directory `dir`, whether they can be read or not. The store need not be open.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io).
pub fn list_blocks(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Vec<BlockId>> {
    Ok(BlockManager::new(vfs, dir.join(BLOCKS_DIR)).list()?.blocks)
}

/// Reads everything that the hot tier has in data directory `dir`, as opening does, and every checksum, index and chunk of
/// the blocks besides; goes on after damage, to find all of it. Changes nothing. The store may be open: then bytes of a batch
/// on its way may look like a torn end, and what is removed meanwhile is passed over.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) when the directories cannot be listed.
pub fn verify(vfs: &Arc<dyn Vfs>, dir: &Path) -> Result<HotVerified> {
    let mut verified = HotVerified::default();
    let (wal_dir, blocks_dir) = (dir.join(WAL_DIR), dir.join(BLOCKS_DIR));
    let mut tries = 0;
    loop {
        let before = vfs.list(&wal_dir).ok();
        match replay(vfs.as_ref(), &wal_dir, &Arc::new(Registry::default()), Access::Read) {
            Ok(replayed) => {
                verified.segments = replayed.segments.len() as u64;
                verified.torn_bytes = replayed.torn_bytes;
                break;
            }
            // Segments that a writer dropped meanwhile, or wrote to, are no damage.
            Err(error)
                if tries < VERIFY_TRIES
                    && (matches!(error, Error::Changed) || vfs.list(&wal_dir).ok() != before) =>
            {
                tries += 1;
            }
            Err(error) => break verified.damaged.push(error),
        }
    }
    let manager = BlockManager::new(Arc::clone(vfs), blocks_dir);
    let listing = manager.list()?;
    let was_removed =
        |error: &Error| matches!(error, Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound);
    for id in &listing.blocks {
        match manager.open(id).and_then(|block| block.verify()) {
            Err(error) if was_removed(&error) => continue,
            read => verified.damaged.extend(read.err()),
        }
        verified.blocks += 1;
    }
    let tombstones = listing.tombstones.iter().filter_map(|number| manager.read_tombstone(*number).err());
    verified.damaged.extend(tombstones.filter(|error| !was_removed(error)));
    Ok(verified)
}

/// The hot tier of one data directory. Share it between threads; see the crate's documentation for an example.
///
/// Nothing keeps a second process out: hold a lock on the data directory.
#[derive(Debug)]
pub struct HotStore {
    options: HotOptions,
    access: Access,
    // Before the log: its thread holds on to the log.
    _interval: Option<IntervalSync>,
    wal: Arc<Wal>,
    blocks: BlockManager,
    state: RwLock<State>,
    /// Held by whoever ends the live generation, or must not have it ended. Taken after `sealing`.
    freezing: Mutex<()>,
    /// Held by whoever seals.
    sealing: Mutex<()>,
}

type OpenBlocks = BTreeMap<BlockId, Arc<SealedBlock>>;

#[derive(Debug)]
struct State {
    live: Arc<Generation>,
    live_since: Instant,
    /// By sequence.
    frozen: Vec<Arc<Generation>>,
    blocks: OpenBlocks,
    tombstones: Tombstones,
}

impl HotStore {
    /// Opens the store of data directory `dir` (its `wal` and `blocks` are created if they are missing), brings the
    /// write-ahead log's samples back into memory and removes what interrupted work left.
    ///
    /// `handed_over` tells which blocks the cold tier has: those are removed. The sequence of every generation to come is
    /// above all that is found here and at least `min_next_sequence`.
    ///
    /// # Errors
    /// [`Error::WalDamaged`](crate::Error::WalDamaged), [`Error::BlockDamaged`](crate::Error::BlockDamaged),
    /// [`Error::UnsupportedVersion`](crate::Error::UnsupportedVersion),
    /// [`Error::InvalidOption`](crate::Error::InvalidOption), [`Error::Io`](crate::Error::Io).
    pub fn open(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: HotOptions,
        handed_over: &dyn Fn(&BlockId) -> bool,
        min_next_sequence: u64,
    ) -> Result<(Self, Recovery)> {
        vfs.create_dir_all(&dir.join(WAL_DIR))?;
        vfs.create_dir_all(&dir.join(BLOCKS_DIR))?;
        let (store, recovery) =
            Self::open_as(Access::Own, vfs, dir, options, handed_over, min_next_sequence)?;
        store.retire_tombstones()?;
        Ok((store, recovery))
    }

    /// Opens the store of data directory `dir` to be read only: what it holds now, whether another process has it open or
    /// not. Nothing is locked, written or put in order; what [`open`](Self::open) would cut off or remove is passed over. What
    /// is written later is not seen. Every call that writes fails with [`Error::ReadOnly`](crate::Error::ReadOnly).
    ///
    /// A writer that drops a part of the log, or a block, while this reads makes it fail; then open again. (The log is read
    /// before the blocks are, so that a generation that is sealed in between is seen once; when more than one is, it is
    /// [`Error::Changed`](crate::Error::Changed).) `handed_over` and
    /// `min_next_sequence` are those of [`open`](Self::open).
    ///
    /// # Errors
    /// Those of [`open`](Self::open); also what is no damage but a change that came meanwhile.
    pub fn open_read_only(
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: HotOptions,
        handed_over: &dyn Fn(&BlockId) -> bool,
        min_next_sequence: u64,
    ) -> Result<(Self, Recovery)> {
        Self::open_as(Access::Read, vfs, dir, options, handed_over, min_next_sequence)
    }

    fn open_as(
        access: Access,
        vfs: Arc<dyn Vfs>,
        dir: &Path,
        options: HotOptions,
        handed_over: &dyn Fn(&BlockId) -> bool,
        min_next_sequence: u64,
    ) -> Result<(Self, Recovery)> {
        options.check()?;
        let (wal_dir, blocks_dir) = (dir.join(WAL_DIR), dir.join(BLOCKS_DIR));
        let registry = Arc::new(Registry::default());
        let replayed = replay(vfs.as_ref(), &wal_dir, &registry, access)?;
        let manager = BlockManager::new(Arc::clone(&vfs), blocks_dir);
        let mut recovery = Recovery {
            segments: replayed.segments.len() as u64,
            records: replayed.records,
            series: registry.len() as u64,
            samples: replayed.samples,
            torn_bytes: replayed.torn_bytes,
            ..Recovery::default()
        };
        let (blocks, tombstones, block_sequence_max) =
            open_blocks(&manager, &replayed, handed_over, access, &mut recovery)?;
        let sequence_max = replayed.sequence_max.max(block_sequence_max);
        // A generation that was frozen when a delete came must not go on below the tombstone.
        let min_next_sequence = min_next_sequence.max(tombstones.sequence_max());
        let (state, start) =
            State::recovered(replayed, registry, blocks, tombstones, sequence_max, min_next_sequence);
        let wal = Arc::new(Wal::new(vfs, wal_dir, options.wal_sync, options.wal_segment_bytes, start));
        let interval = match options.wal_sync {
            WalSync::Interval(every) if access == Access::Own => {
                Some(IntervalSync::start(Arc::clone(&wal), every)?)
            }
            _ => None,
        };
        let store = Self {
            options,
            access,
            _interval: interval,
            wal,
            blocks: manager,
            state: RwLock::new(state),
            freezing: Mutex::new(()),
            sealing: Mutex::new(()),
        };
        Ok((store, recovery))
    }

    /// Refuses what writes in a store that was opened to be read only.
    pub(crate) fn check_writable(&self) -> Result<()> {
        match self.access {
            Access::Own => Ok(()),
            Access::Read => Err(Error::ReadOnly),
        }
    }

    /// Begins a batch.
    pub fn appender(&self) -> Appender<'_> {
        Appender::new(self)
    }

    /// What the store holds now, to be read while writes and seals go on.
    #[must_use]
    pub fn snapshot(&self) -> HotSnapshot {
        let state = self.state.read();
        HotSnapshot {
            generations: state.generations().iter().map(View::new).collect(),
            blocks: state.blocks.values().cloned().collect(),
            tombstones: state.tombstones.clone(),
        }
    }

    /// Deletes the samples in `range`, both ends inclusive, of the series that satisfy all `matchers`: at once in the live
    /// generation, and behind a durable tombstone in everything older that this store holds. When this returns, the delete
    /// is durable and no select that begins shows the samples; one that is appended later is visible. A snapshot that was
    /// taken before still has them. After an error some of them may be deleted. Waits for a freeze, not for a seal.
    ///
    /// Gives the sequence below which sources elsewhere (those that blocks were handed over to) have to delete, too. The
    /// bytes of a block keep what is deleted: whoever takes a block over reads it through
    /// [`HotSource::select`](crate::HotSource::select), which leaves that out, or deletes it again.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for matchers that no selector can say;
    /// [`Error::StorageFull`](crate::Error::StorageFull), [`Error::WalPoisoned`](crate::Error::WalPoisoned),
    /// [`Error::Io`](crate::Error::Io).
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<u64> {
        self.check_writable()?;
        let _freezing = self.freezing.lock();
        let (live, mut tombstones) = {
            let state = self.state.read();
            (Arc::clone(&state.live), state.tombstones.clone())
        };
        let below_sequence = live.sequence();
        let tombstone = Tombstone { below_sequence, range, matchers: matchers.to_vec() };
        // What is written must be read again, also by a version of this that knows nothing of where it came from.
        Tombstone::decode(&tombstone.encode())?;
        let concerns = |&(sequence, time_range): &_| tombstone.concerns(sequence, time_range);
        let older = self.state.read().older_sources().iter().any(concerns);
        let mut record = GroupWriter::default();
        record.delete(matchers, range)?;
        let number = tombstones.next_number();
        // Before the live generation deletes: what a deleted sample had replaced must not show in between.
        let before = if older {
            self.blocks.write_tombstone(number, &tombstone)?;
            tombstones.insert(number, tombstone);
            Some(std::mem::replace(&mut self.state.write().tombstones, tombstones))
        } else {
            None
        };
        let deleted = self.delete_live(&live, matchers, range, &record.finish(true));
        if deleted.is_err()
            && let Some(before) = before
            && self.blocks.remove_tombstone(number).and_then(|()| self.blocks.sync()).is_ok()
        {
            self.state.write().tombstones = before;
        }
        deleted.map(|()| below_sequence)
    }

    /// Deletes in the live generation, durably, whatever [`HotOptions::wal_sync`] says of samples.
    fn delete_live(
        &self,
        live: &Generation,
        matchers: &[Matcher],
        range: TimeRange,
        record: &[u8],
    ) -> Result<()> {
        if !self.wal.has_tickets() && live.size().samples == 0 {
            return Ok(());
        }
        let ticket = self.wal.commit_group(record)?;
        let synced = self.wal.sync();
        ticket.delete(matchers, range);
        synced
    }

    /// Ends the live generation, unless it has nothing; writes go to the next one at once. Returns whether it did.
    /// [`HotStore::seal`] does this.
    ///
    /// # Errors
    /// [`Error::WalPoisoned`](crate::Error::WalPoisoned), [`Error::StorageFull`](crate::Error::StorageFull).
    pub fn freeze(&self) -> Result<bool> {
        self.check_writable()?;
        let _freezing = self.freezing.lock();
        let live = Arc::clone(&self.state.read().live);
        if !self.wal.has_live() && live.size().samples == 0 {
            return Ok(false);
        }
        // While commits go on: the fsync in the switch, for which they wait, then has little left to write.
        self.wal.sync()?;
        let next = Arc::new(Generation::closed(live.sequence() + 1, next_registry(&live)));
        let switched = self.wal.switch(Arc::clone(&next));
        if live.is_frozen() {
            // The next generation takes its first batch, and readers see it, when the last batch of this one is in.
            live.wait_until_still();
            {
                let mut state = self.state.write();
                let frozen = std::mem::replace(&mut state.live, Arc::clone(&next));
                state.frozen.push(frozen);
                state.live_since = Instant::now();
            }
            next.open();
        }
        switched.map(|()| true)
    }

    /// Freezes the head and writes all frozen generations as blocks; drops their part of the log and their memory. Returns
    /// the new blocks, by identity. Writers and readers go on meanwhile.
    ///
    /// # Errors
    /// Those of [`HotStore::freeze`] and of the file system. What was not sealed stays in the head and in the log, and the
    /// next seal tries again.
    pub fn seal(&self) -> Result<Vec<BlockId>> {
        self.check_writable()?;
        let _sealing = self.sealing.lock();
        // What is left of a seal that failed goes first: while that fails again, no more generations pile up.
        let mut sealed = self.seal_frozen()?;
        self.freeze()?;
        sealed.extend(self.seal_frozen()?);
        Ok(sealed)
    }

    fn seal_frozen(&self) -> Result<Vec<BlockId>> {
        let frozen = self.state.read().frozen.clone();
        let mut sealed = Vec::new();
        for generation in frozen {
            sealed.extend(self.seal_generation(&generation)?);
        }
        Ok(sealed)
    }

    /// Whether the head wants to be sealed: a generation waits, the head holds more than
    /// [`HotOptions::head_bytes_max`], or it spans one and a half windows and is old or large enough to be worth it.
    #[must_use]
    pub fn needs_seal(&self) -> bool {
        let state = self.state.read();
        if !state.frozen.is_empty() {
            return true;
        }
        let size = state.live.size();
        let span_ms = size.time_range.end_ms.saturating_sub(size.time_range.start_ms);
        let long = !size.time_range.is_empty() && span_ms >= self.options.window_ms / 2 * 3;
        // What a seal can free: the samples, and the busy series' share of the registry, which goes when they go idle.
        let registry = state.live.registry();
        let labels = registry.estimated_bytes() as u64 * size.series / (registry.len() as u64).max(1);
        let large = |bytes: u64| size.heap_bytes + labels >= bytes;
        let old = || state.live_since.elapsed().as_millis() as i64 >= self.options.window_ms / 2 * 3;
        let max = self.options.head_bytes_max;
        large(max) || (long && (large(max / SEAL_BYTES_DIVISOR) || old()))
    }

    /// The sequence that takes writes now, and what is older.
    #[must_use]
    pub fn older_sources(&self) -> OlderSources {
        let state = self.state.read();
        OlderSources { live_sequence: state.live.sequence(), sources: state.older_sources() }
    }

    /// The sealed blocks, by identity.
    #[must_use]
    pub fn blocks(&self) -> Vec<Arc<SealedBlock>> {
        self.state.read().blocks.values().cloned().collect()
    }

    /// Removes a block, durably, after its samples were handed over. Snapshots that hold it can still read it. A block that
    /// is not there is no error.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io): the block is gone from memory; its file may stay until the next opening.
    pub fn remove_block(&self, id: &BlockId) -> Result<()> {
        self.check_writable()?;
        self.state.write().blocks.remove(id);
        self.blocks.remove(id)?;
        self.blocks.sync()?;
        self.retire_tombstones()
    }

    /// Makes all that was committed durable now, whatever [`HotOptions::wal_sync`] says.
    ///
    /// # Errors
    /// [`Error::WalPoisoned`](crate::Error::WalPoisoned).
    pub fn sync(&self) -> Result<()> {
        self.wal.sync()
    }

    /// How much the store holds. Looks at every series of the head when generations wait for a seal.
    #[must_use]
    pub fn stats(&self) -> HotStats {
        let (generations, blocks) = {
            let state = self.state.read();
            (state.generations(), state.blocks.values().cloned().collect::<Vec<_>>())
        };
        let sizes: Vec<GenerationSize> = generations.iter().map(|generation| generation.size()).collect();
        let metas = || blocks.iter().map(|block| block.block().meta());
        let head = HeadStats {
            series: count_series(&generations, &sizes),
            samples: sizes.iter().map(|size| size.samples).sum(),
            bytes: sizes.iter().map(|size| size.heap_bytes).sum::<u64>() + registries_bytes(&generations),
        };
        let (segments, bytes) = self.wal.size();
        HotStats {
            head,
            blocks: BlockStats {
                count: blocks.len() as u64,
                series: metas().map(|meta| u64::from(meta.series)).sum(),
                samples: metas().map(|meta| meta.samples).sum(),
                bytes: blocks.iter().map(|block| block.bytes()).sum(),
            },
            wal: WalStats { segments, bytes },
            time_range: metas()
                .map(|meta| meta.time_range)
                .chain(sizes.iter().map(|size| size.time_range))
                .fold(TimeRange::EMPTY, TimeRange::hull),
        }
    }

    /// Makes everything durable and says so in the log, so that any damage to it is found by the next opening. To be called
    /// last. Dropping the store without it loses nothing that was acknowledged, as [`WalSync`] defines it; damage to the
    /// last write can then not be told from one that a crash tore.
    ///
    /// # Errors
    /// [`Error::WalPoisoned`](crate::Error::WalPoisoned), [`Error::StorageFull`](crate::Error::StorageFull).
    pub fn close(&self) -> Result<()> {
        self.wal.close()
    }

    pub(crate) fn options(&self) -> &HotOptions {
        &self.options
    }

    /// The registry that new batches number their series by.
    pub(crate) fn live_registry(&self) -> Arc<Registry> {
        Arc::clone(self.state.read().live.registry())
    }

    pub(crate) fn wal(&self) -> &Wal {
        &self.wal
    }

    /// The generations in memory, by sequence, and what is deleted in them.
    pub(crate) fn head(&self) -> (Vec<Arc<Generation>>, Tombstones) {
        let state = self.state.read();
        (state.generations(), state.tombstones.clone())
    }

    /// Removes the tombstones that have nothing left to delete, durably.
    fn retire_tombstones(&self) -> Result<()> {
        let _freezing = self.freezing.lock();
        let retired = {
            let mut state = self.state.write();
            let sources = state.older_sources();
            state.tombstones.retire(|_, tombstone| {
                sources.iter().any(|&(sequence, range)| tombstone.concerns(sequence, range))
            })
        };
        if retired.is_empty() {
            return Ok(());
        }
        retired.iter().try_for_each(|&number| self.blocks.remove_tombstone(number))?;
        self.blocks.sync()
    }

    fn seal_generation(&self, generation: &Arc<Generation>) -> Result<Vec<BlockId>> {
        let ids = write_blocks(generation, &self.blocks, &self.options)?;
        let opened = ids.iter().map(|id| self.blocks.open(id)).collect::<Result<Vec<_>>>()?;
        self.wal.drop_generation(generation.sequence())?;
        {
            let mut state = self.state.write();
            state.frozen.retain(|frozen| frozen.sequence() != generation.sequence());
            state.blocks.extend(opened.into_iter().map(|block| (*block.id(), Arc::new(block))));
        }
        self.retire_tombstones()?;
        Ok(ids)
    }
}

impl State {
    /// The state after a replay. The newest generation goes on being live if its sequence allows; others wait for a seal.
    fn recovered(
        replayed: Replay,
        registry: Arc<Registry>,
        blocks: OpenBlocks,
        tombstones: Tombstones,
        sequence_max: Option<u64>,
        min_next_sequence: u64,
    ) -> (Self, WalStart) {
        let mut frozen = replayed.generations;
        let goes_on = frozen.last().is_some_and(|(newest, _)| {
            Some(newest.sequence()) == sequence_max && newest.sequence() >= min_next_sequence
        });
        let (live, next_number) = match frozen.pop_if(|_| goes_on) {
            Some(newest) => newest,
            None => {
                let next = sequence_max.map_or(0, |max| max + 1).max(min_next_sequence);
                (Arc::new(Generation::new(next, registry)), 0)
            }
        };
        let frozen: Vec<Arc<Generation>> = frozen.into_iter().map(|(generation, _)| generation).collect();
        frozen.iter().for_each(|generation| generation.freeze(0));
        let start = WalStart {
            live: Arc::clone(&live),
            next_number,
            previous: replayed.newest,
            segments: replayed.segments,
        };
        (Self { live, live_since: Instant::now(), frozen, blocks, tombstones }, start)
    }

    /// Sequence and time range of everything that is older than the live generation.
    fn older_sources(&self) -> Vec<(u64, TimeRange)> {
        let frozen = self.frozen.iter().map(|frozen| (frozen.sequence(), frozen.size().time_range));
        let blocks = self.blocks.values().map(|block| (block.id().sequence, block.block().meta().time_range));
        frozen.chain(blocks).collect()
    }

    fn generations(&self) -> Vec<Arc<Generation>> {
        self.frozen.iter().chain([&self.live]).cloned().collect()
    }
}

/// The registry of the generation after `live`: the same, or a fresh one when most of its series are idle. Those go when
/// the last generation that numbers by the old one is sealed; the others are registered anew as they come.
fn next_registry(live: &Generation) -> Arc<Registry> {
    let (registered, busy) = (live.registry().len() as u64, live.size().series);
    if registered > IDLE_MIN + 2 * busy { Arc::default() } else { Arc::clone(live.registry()) }
}

/// The generations by registry.
fn by_registry(generations: &[Arc<Generation>]) -> impl Iterator<Item = &[Arc<Generation>]> {
    generations.chunk_by(|a, b| Arc::ptr_eq(a.registry(), b.registry()))
}

fn registries_bytes(generations: &[Arc<Generation>]) -> u64 {
    by_registry(generations).map(|same| same[0].registry().heap_bytes() as u64).sum()
}

/// The number of different series in `generations`.
fn count_series(generations: &[Arc<Generation>], sizes: &[GenerationSize]) -> u64 {
    let mut with_series = generations.iter().zip(sizes).filter(|(_, size)| size.series > 0);
    match (with_series.next(), with_series.next()) {
        (None, _) => return 0,
        (Some((_, size)), None) => return size.series,
        _ => {}
    }
    let (mut count, mut newer): (u64, Vec<(&Registry, Vec<bool>)>) = (0, Vec::new());
    for same in by_registry(generations).collect::<Vec<_>>().into_iter().rev() {
        let registry = same[0].registry();
        let mut seen = vec![false; registry.len()];
        for series in same.iter().flat_map(|generation| generation.series()) {
            // One that was registered after the table was made is counted the next time.
            if let Some(seen) = seen.get_mut(series.0 as usize) {
                *seen = true;
            }
        }
        let in_newer = |series: usize| {
            newer.iter().any(|(other, seen)| {
                let id = other.get(&registry.labels(SeriesId(series as u32)));
                id.and_then(|id| seen.get(id.0 as usize)).is_some_and(|seen| *seen)
            })
        };
        count += (0..seen.len()).filter(|&series| seen[series] && !in_newer(series)).count() as u64;
        newer.push((registry, seen));
    }
    count
}

/// Opens the blocks that count and reads the tombstones; removes other blocks and what interrupted seals left. Also gives
/// the highest sequence.
fn open_blocks(
    manager: &BlockManager,
    replayed: &Replay,
    handed_over: &dyn Fn(&BlockId) -> bool,
    access: Access,
    recovery: &mut Recovery,
) -> Result<(OpenBlocks, Tombstones, Option<u64>)> {
    let listing = manager.list()?;
    let lowest = replayed.generations.first().map(|(generation, _)| generation.sequence());
    if access == Access::Read
        && listing.blocks.iter().any(|id| lowest.is_some_and(|lowest| id.sequence > lowest))
    {
        // Generations are sealed in their order: this one was after its log was read, which then lacks the end of an earlier one.
        return Err(Error::Changed);
    }
    let remove = |id| if access == Access::Own { manager.remove(id) } else { Ok(()) };
    let mut open = OpenBlocks::new();
    for id in &listing.blocks {
        if handed_over(id) {
            remove(id)?;
            recovery.blocks_handed_over += 1;
        } else if replayed.generations.iter().any(|(generation, _)| generation.sequence() == id.sequence) {
            // The log still has the generation: its seal did not get to the step that counts.
            remove(id)?;
            recovery.unfinished_files += 1;
        } else {
            open.insert(*id, Arc::new(manager.open(id)?));
            recovery.blocks += 1;
        }
    }
    recovery.unfinished_files += listing.leftovers.len() as u64;
    if access == Access::Own {
        listing.leftovers.iter().try_for_each(|path| manager.remove_path(path))?;
        if recovery.blocks_handed_over + recovery.unfinished_files > 0 {
            manager.sync()?;
        }
    }
    let mut tombstones = Tombstones::default();
    for number in listing.tombstones {
        tombstones.insert(number, manager.read_tombstone(number)?);
    }
    Ok((open, tombstones, listing.blocks.iter().map(|id| id.sequence).max()))
}
