//! Is the crate's one `unsafe`, the memory map, worth it? Sparse access to a large immutable file, three ways.
//!
//! Writes a file of 256 MiB (or as many as the first argument says), then opens it and reads 10,000 pieces of 256
//! bytes (about a chunk) at random places, twice, through `Vfs::read`, `Vfs::open` and `Vfs::map`. Each way runs in
//! a process of its own, so that the memory shown is its own; the file is in the page cache.
//! `docs/decisions/0005-mmap.md` keeps the figures.
//!
//! ```sh
//! cargo run --release -p tsdb-vfs --example map_or_read
//! ```

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use tsdb_vfs::{RealFs, Vfs};

const PIECE_BYTES: usize = 256;
const PIECES: u64 = 10_000;
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [way, path] = &arguments[..] {
        return measure(way, Path::new(path));
    }
    let mebibytes: usize = arguments.first().map_or(Ok(256), |argument| argument.parse())?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("large");
    let file = RealFs.create(&path)?;
    let block: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for _ in 0..mebibytes {
        file.append(&block)?;
    }
    file.sync()?;
    println!("{mebibytes} MiB, {PIECES} pieces of {PIECE_BYTES} B, best of {ROUNDS} rounds");
    println!("way       open ms    first ms    again ms   own memory MiB   page cache MiB");
    for way in ["read", "open", "map"] {
        let status = Command::new(std::env::current_exe()?).arg(way).arg(&path).status()?;
        assert!(status.success(), "the measurement of {way} failed");
    }
    Ok(())
}

/// Measures one way and prints its line.
fn measure(way: &str, path: &Path) -> Result<(), Box<dyn Error>> {
    let mut best = [f64::MAX; 3];
    let mut memory = (0, 0);
    let mut checksums = Vec::new();
    for _ in 0..ROUNDS {
        let before = resident_kib()?;
        let start = Instant::now();
        let piece = open(way, path)?;
        best[0] = best[0].min(start.elapsed().as_secs_f64() * 1e3);
        let len = RealFs.file_len(path)? - PIECE_BYTES as u64;
        for best in &mut best[1..] {
            let start = Instant::now();
            let mut checksum = 0_u64;
            for i in 0..PIECES {
                // An odd multiplier spreads the pieces over the file.
                checksum += piece(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % len)?;
            }
            *best = best.min(start.elapsed().as_secs_f64() * 1e3);
            checksums.push(checksum);
        }
        let after = resident_kib()?;
        memory = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    }
    checksums.dedup();
    assert_eq!(checksums.len(), 1, "every pass must read the same bytes");
    let mebibytes = |kib: u64| kib as f64 / 1024.0;
    let [open, first, again] = best;
    let (own, cache) = (mebibytes(memory.0), mebibytes(memory.1));
    println!("{way:5} {open:11.3} {first:11.3} {again:11.3} {own:16.1} {cache:16.1}");
    Ok(())
}

/// Touches every cache line of one piece of the file.
type Piece = Box<dyn Fn(u64) -> std::io::Result<u64>>;

fn open(way: &str, path: &Path) -> std::io::Result<Piece> {
    let sum = |bytes: &[u8]| bytes.iter().step_by(64).map(|b| u64::from(*b)).sum();
    Ok(match way {
        "read" => {
            let bytes = RealFs.read(path)?;
            Box::new(move |at| Ok(sum(&bytes[at as usize..at as usize + PIECE_BYTES])))
        }
        "open" => {
            let file = RealFs.open(path)?;
            Box::new(move |at| Ok(sum(&file.read_at(at, PIECE_BYTES)?)))
        }
        _ => {
            let bytes = RealFs.map(path)?;
            Box::new(move |at| Ok(sum(&bytes[at as usize..at as usize + PIECE_BYTES])))
        }
    })
}

/// Resident memory of this process in KiB: its own, and the page cache's that it has mapped. Linux; else zeros.
fn resident_kib() -> Result<(u64, u64), Box<dyn Error>> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok((0, 0)) };
    let field = |name: &str| -> Result<u64, Box<dyn Error>> {
        let line = status.lines().find(|line| line.starts_with(name)).ok_or("no such line")?;
        Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
    };
    Ok((field("RssAnon:")?, field("RssFile:")?))
}
