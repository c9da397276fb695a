//! Faults: what goes wrong, at which operation, and the counting of operations.
//!
//! Operations that change the disk and operations that only read it are counted apart. A power loss at a read
//! leaves what the next write would have met, so going through the writes alone is enough for crashes; errors
//! of reads are injected by their own count.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use tsdb_vfs::path_error;

/// Linux' number for an input/output error.
const EIO: i32 = 5;
/// Linux' number for a full disk.
const ENOSPC: i32 = 28;

/// What goes wrong at an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// EIO, and the operation does nothing. Of the sync of a file: what it should have made durable
    /// is lost at the next crash, whatever later syncs say.
    Io,
    /// An append writes the first half of its bytes, then EIO. Of anything else: as [`Fault::Io`].
    ShortWrite,
    /// ENOSPC: an append writes the first half of its bytes; anything else does nothing.
    NoSpace,
    /// The power goes away before the operation: it does nothing, and it and everything later fails.
    Crash,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Io | Self::ShortWrite => io::Error::from_raw_os_error(EIO),
            Self::NoSpace => io::Error::from_raw_os_error(ENOSPC),
            Self::Crash => io::Error::other("the simulated disk has no power"),
        }
    }

    /// How many bytes of an append of `len` reach the file.
    pub(super) fn bytes_written(self, len: usize) -> usize {
        match self {
            Self::ShortWrite | Self::NoSpace => len / 2,
            Self::Io | Self::Crash => 0,
        }
    }
}

/// A fault that struck, with the error to report.
#[derive(Debug)]
pub(super) struct Strike {
    pub(super) fault: Fault,
    pub(super) error: io::Error,
}

impl From<Strike> for io::Error {
    fn from(strike: Strike) -> Self {
        strike.error
    }
}

/// Counts the operations of one kind and knows which of them fail.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultPlan {
    count: u64,
    at: BTreeMap<u64, Fault>,
}

impl FaultPlan {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn add(&mut self, operation: u64, fault: Fault) {
        self.at.insert(operation, fault);
    }

    /// Counts one operation and returns the fault planned for it.
    fn next(&mut self) -> Option<Fault> {
        let fault = self.at.remove(&self.count);
        self.count += 1;
        fault
    }
}

/// Both counts, whether there is power, and what struck.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) writes: FaultPlan,
    pub(super) reads: FaultPlan,
    powerless: bool,
    struck: Vec<String>,
}

impl Faults {
    /// The power is gone: every operation fails from here.
    pub(super) fn cut_power(&mut self) {
        self.powerless = true;
    }

    /// Every fault that struck so far, as `fault at write N: operation path`.
    pub(super) fn struck(&self) -> &[String] {
        &self.struck
    }

    /// Counts an operation that changes the disk.
    pub(super) fn before_write(&mut self, operation: &str, path: &Path) -> Result<(), Strike> {
        self.before("write", operation, path)
    }

    /// Counts an operation that only reads.
    pub(super) fn before_read(&mut self, operation: &str, path: &Path) -> Result<(), Strike> {
        self.before("read", operation, path)
    }

    fn before(&mut self, kind: &str, operation: &str, path: &Path) -> Result<(), Strike> {
        let strike = |fault: Fault| Strike { fault, error: path_error(operation, path, fault.error()) };
        if self.powerless {
            return Err(strike(Fault::Crash));
        }
        let plan = if kind == "write" { &mut self.writes } else { &mut self.reads };
        let number = plan.count();
        let Some(fault) = plan.next() else { return Ok(()) };
        self.powerless = fault == Fault::Crash;
        self.struck.push(format!("{fault:?} at {kind} {number}: {operation} {}", path.display()));
        Err(strike(fault))
    }
}
