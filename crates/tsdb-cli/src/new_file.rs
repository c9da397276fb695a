//! A file that a command writes: under its own name it is whole, or it is not there.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Result};

/// A file under way, beside the one that it is to become. Dropped, it is gone.
pub(crate) struct NewFile {
    output: PathBuf,
    part: PathBuf,
    file: File,
}

impl NewFile {
    /// A new file beside `output`, which must not exist.
    pub(crate) fn beside(output: &Path) -> Result<Self> {
        let failed = |source| Failure::Create { path: output.to_owned(), source };
        if output.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let mut part = output.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        match File::create_new(&part) {
            Ok(file) => Ok(Self { output: output.to_owned(), part, file }),
            Err(source) => Err(Failure::Create { path: part, source }),
        }
    }

    /// Where to write.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn publish(self) -> Result<()> {
        let finish = self.file.sync_all().and_then(|()| std::fs::hard_link(&self.part, &self.output));
        finish.map_err(|source| Failure::Create { path: self.output.clone(), source })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // What stays is in nobody's way but that of the same command.
        let _ = std::fs::remove_file(&self.part);
    }
}
