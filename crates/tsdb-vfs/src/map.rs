//! Memory maps of immutable files as [`Bytes`]: the crate's only `unsafe`.
//!
//! Worth it by measurement (`examples/map_or_read.rs`, recorded in `docs/decisions/0005-mmap.md`): a look-up that
//! touches a few pages of a large sealed file pays for those pages, not for the file, and the memory is the
//! page cache's, which the system takes back under pressure.

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::Mmap;

/// Maps the whole of `file`. An empty file gives empty bytes.
#[allow(unsafe_code)] // The reason is the module's text.
pub(crate) fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: a map is sound as long as nobody changes or shortens the file under it. `Vfs::map` takes
    // immutable files only: the crates above publish a file (sync, rename) before anyone maps it, write no
    // published file again and shorten none; they only unlink it, which leaves the mapped pages alone. The
    // data directory is locked against other processes that follow the same rules. Somebody who edits the
    // files of a running store by hand breaks this contract, and checksums are what then notices.
    let map = unsafe { Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}
