//! A simulated disk: [`Vfs`] in memory that tells what is durable from what only seems to be.
//!
//! It is at most as kind as the contract of [`Vfs`] demands, because a test proves nothing about a disk that is
//! kinder. Bytes and directory entries have two states each, as a running system sees them and as a power loss
//! leaves them:
//!
//! - **bytes** (`file.rs`): unsynced ones are lost, kept, or torn: a part of the tail survives, the rest reads as
//!   zeros or garbage, or is gone. What a failed sync covered is lost although later syncs succeed;
//! - **directory entries** (`tree.rs`): unsynced changes of a directory are lost from some point on;
//! - **operations** are counted, and each can fail (`fault.rs`): so a test can go through all of them (`crash.rs`).
//!
//! Everything random comes from a seed, so every failure can be had again.
//!
//! Not modelled: unsynced sectors reaching the disk out of order with holes *before* bytes that survived, bit
//! rot, and a device that lies about a sync.

mod crash;
mod fault;
mod file;
mod sim;
mod tree;

pub use crash::{SEEDS, crash_at_every_operation, fault_at_every_operation};
pub use fault::Fault;
pub use sim::SimDisk;

#[cfg(doc)]
use tsdb_vfs::Vfs;
