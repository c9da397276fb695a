//! The write-ahead log: what makes a commit durable before it returns.
//!
//! ```text
//! wal/<generation, 20 digits>-<number, 10 digits>.wal        a segment; each belongs to one head generation
//! wal/<generation, 20 digits>-0000000000.sealed              the generation is in blocks; its segments are to be removed
//! wal/next.prepared                                          zeros, to become the next segment
//! ```
//!
//! - [`format`](self::format) is the bytes, [`writer`](self::writer) the group commit, [`replay`](self::replay) the way back,
//!   [`repair`](self::repair) what can be done when that fails, [`interval`](self::interval) the thread behind
//!   `WalSync::Interval`, [`prepared`](self::prepared) the one that fills the next segment with zeros.
//! - A batch is one group of records: after a crash all of it is there or none. So is a delete.
//! - A generation's segments are self-contained (the first use of a series in it logs the labels), so they are dropped as a
//!   whole once the generation is sealed, and no checkpoint is needed.
//! - Only the newest segment can have a torn tail, or zeros behind its end: a segment is fsynced before the next one is
//!   created, and each names its predecessor with its length. Any other fault is damage, and an error.

mod apply;
mod format;
mod interval;
mod prepared;
mod repair;
mod replay;
mod varint;
mod writer;

pub(crate) use format::{GroupWriter, SegmentEnd, SegmentId};
pub(crate) use interval::IntervalSync;
pub use repair::RepairedSegment;
pub(crate) use repair::repair;
pub(crate) use replay::{Access, Replay, replay};
pub(crate) use writer::{Bound, Wal, WalStart};

use std::io;
use std::path::Path;

use tsdb_vfs::Vfs;

/// Removes a generation's segments after all of it is durable in blocks. `segments` ascend. What a failed call removed
/// already is no error for the next one.
///
/// The first segment's change of name makes the seal a fact in one step: after it, the segments are garbage, however many
/// are still there. With one segment, its removal is that step.
pub(crate) fn drop_generation(vfs: &dyn Vfs, dir: &Path, segments: &[SegmentId]) -> io::Result<()> {
    let Some((first, others)) = segments.split_first() else { return Ok(()) };
    if others.is_empty() {
        missing_is_ok(vfs.remove_file(&dir.join(first.file_name())))?;
        return vfs.sync_dir(dir);
    }
    missing_is_ok(vfs.rename(&dir.join(first.file_name()), &dir.join(first.sealed_name())))?;
    vfs.sync_dir(dir)?;
    finish_drop(vfs, dir, *first, others)
}

/// Removes what is left of a generation that is known to be sealed: the marker goes last.
pub(crate) fn finish_drop(
    vfs: &dyn Vfs,
    dir: &Path,
    marker: SegmentId,
    others: &[SegmentId],
) -> io::Result<()> {
    for id in others {
        missing_is_ok(vfs.remove_file(&dir.join(id.file_name())))?;
    }
    vfs.sync_dir(dir)?;
    missing_is_ok(vfs.remove_file(&dir.join(marker.sealed_name())))?;
    vfs.sync_dir(dir)
}

fn missing_is_ok(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
