//! What the operating system says of this process.

use std::fs;

/// Memory of this process in bytes, as Linux counts it: pages of files that are mapped and touched included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resident {
    pub(super) now: u64,
    /// The most since the start, or since [`forget_peak`].
    pub(super) peak: u64,
    /// Of what is resident now, pages of files: the program itself, and maps.
    pub(super) mapped: u64,
}

/// The memory of this process; `None` where there is no `/proc` to ask.
pub(super) fn resident() -> Option<Resident> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Resident { now: bytes("VmRSS")?, peak: bytes("VmHWM")?, mapped: bytes("RssFile")? })
}

/// Lets the peak begin anew; whether that worked.
pub(super) fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_seen() {
        let Some(before) = resident() else { return };
        let bytes = vec![1_u8; 64 << 20];
        let with = resident().unwrap();
        assert!(with.now >= before.now + (60 << 20) && with.peak >= with.now, "{before:?} {with:?}");
        assert_eq!(bytes[1 << 20], 1);
    }
}
