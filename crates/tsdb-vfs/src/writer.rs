//! A [`VfsFile`] as [`std::io::Write`], for encoders that stream.

use std::io;
use std::sync::Arc;

use crate::VfsFile;

/// Appends what is written to it. Unbuffered: wrap it in a [`BufWriter`](io::BufWriter).
///
/// `flush` has nothing to do and is **not** a sync: call [`VfsFile::sync`] when the last byte is written.
#[derive(Clone, Debug)]
pub struct FileWriter {
    file: Arc<dyn VfsFile>,
}

impl FileWriter {
    /// Writes to the end of `file`.
    #[must_use]
    pub fn new(file: Arc<dyn VfsFile>) -> Self {
        Self { file }
    }

    /// The file that is written to.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn VfsFile> {
        &self.file
    }
}

impl io::Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
