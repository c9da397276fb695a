//! What the operating system says of this process: its memory, and the CPU time of its children.

use std::fs;

/// Memory of this process in bytes, as Linux counts it: pages of files that are mapped and touched included.
#[derive(Clone, Copy, Debug)]
pub struct Resident {
    /// Bytes now.
    pub now: u64,
    /// The most since the start, or since [`forget_peak`].
    pub peak: u64,
    /// Of what is resident now, pages of files: the program itself, and maps.
    pub mapped: u64,
}

/// The memory of this process; `None` where there is no `/proc` to ask.
#[must_use]
pub fn resident() -> Option<Resident> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Resident { now: bytes("VmRSS")?, peak: bytes("VmHWM")?, mapped: bytes("RssFile")? })
}

/// Lets the peak begin anew; whether that worked.
#[must_use]
pub fn forget_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// CPU seconds, user and system, of all children that have ended and were waited for, to a hundredth; `None` where
/// there is no `/proc` to ask.
#[must_use]
pub fn children_cpu_seconds() -> Option<f64> {
    /// The kernel's unit in this file, on every platform.
    const TICKS_PER_S: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may hold spaces. After it come the third field and those that follow.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_S)
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
