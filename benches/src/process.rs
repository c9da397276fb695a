//! What the operating system says of a process: its memory, its CPU time, and the CPU time of its children.

use std::fs;

/// Where in `/proc/PID/stat`, counted from behind the name, the CPU times are: of the process, and of its children.
const OWN_CPU_FIELD: usize = 11;
const CHILDREN_CPU_FIELD: usize = 13;

/// Memory of a process in bytes, as Linux counts it: pages of files that are mapped and touched included.
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
    resident_of(std::process::id())
}

/// The memory of a process; `None` where there is no `/proc` to ask, or no such process.
#[must_use]
pub fn resident_of(pid: u32) -> Option<Resident> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
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
    cpu_seconds(std::process::id(), CHILDREN_CPU_FIELD)
}

/// CPU seconds, user and system, of a process so far, to a hundredth; `None` where there is no `/proc` to ask, or no such process.
#[must_use]
pub fn cpu_seconds_of(pid: u32) -> Option<f64> {
    cpu_seconds(pid, OWN_CPU_FIELD)
}

/// Two fields of a process's `stat`, user and system time, the first of which is so many behind its name.
fn cpu_seconds(pid: u32, field: usize) -> Option<f64> {
    /// The kernel's unit in this file, on every platform.
    const TICKS_PER_S: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold spaces. After it come the third field and those that follow.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(field);
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
