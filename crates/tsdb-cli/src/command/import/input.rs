//! Input files that are no text, found before anything is stored, with what to do instead.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// First bytes, and what a file is that begins with them.
const KINDS: &[(&[u8], &str)] = &[
    (
        b"PAR1",
        "it is a Parquet file, not text. `tsdb query --file` asks it as it is; to import it, print it first: \
         `tsdb query '{}' --file FILE --format jsonl | tsdb import -`",
    ),
    (&[0x1f, 0x8b], "it is compressed: `gzip -dc FILE | tsdb import -`"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "it is compressed: `zstd -dc FILE | tsdb import -`"),
];

/// Opens the file to see whether it can be read, and what it is. A pipe is left untouched.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory: name the files in it"));
    }
    if !metadata.is_file() {
        return Ok(());
    }
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start)?;
    match KINDS.iter().find(|(bytes, _)| start.starts_with(bytes)) {
        Some((_, what)) => Err(io::Error::other(*what)),
        None => Ok(()),
    }
}
