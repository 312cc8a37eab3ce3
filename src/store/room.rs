//! Room: blocks of the disk that sled's log will grow into, taken before anything is written.
//!
//! sled does not get over a write that fails: it then takes no more, and shows readers what never reached the disk. So a group of
//! commits is refused, before sled sees it, where its room cannot be had. What sled writes beside that, when it cleans its log or
//! splits a page that is read, finds a margin. A start gives the room back first: the snapshot that sled then writes needs some,
//! and may find none on a disk that is full.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::{Errno, retry_on_intr};

/// What is taken beyond the need of the group at hand, so that not each group takes anew: 2 MiB.
const AHEAD: u64 = 2 << 20;
/// What always stays for sled's own use: two segments of its log.
const MARGIN: u64 = 1 << 20;
/// sled's log grows by up to so many times what is changed.
const GROWTH: u64 = 12;
/// The unit in which the system counts the blocks of a file, whatever the disk's are.
const BLOCK: u64 = 512;

/// The room of one database.
#[derive(Debug)]
pub(super) struct Room(File);

impl Room {
    /// Over the log, opened for writing.
    pub(super) fn of(log: File) -> Self {
        Self(log)
    }

    /// Makes sure that changes of so many bytes find room. The length of the file stays as it is.
    pub(super) fn take(&self, bytes: usize) -> io::Result<()> {
        let found = self.0.metadata()?;
        let growth = GROWTH * bytes as u64;
        if found.blocks() * BLOCK >= found.len() + growth + MARGIN {
            return Ok(());
        }
        // From the start of the file, so that nobody need know where it has holes.
        match retry_on_intr(|| fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, found.len() + growth + AHEAD)) {
            // This file system cannot promise room; but it can say whether there is some.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                let disk = fstatvfs(&self.0)?;
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                if free >= growth + MARGIN { Ok(()) } else { Err(Errno::NOSPC.into()) }
            }
            taken => Ok(taken?),
        }
    }

    /// Gives back what was taken and is not used. Only while sled does not write.
    pub(super) fn give_back(&self) -> io::Result<()> {
        self.0.set_len(self.0.metadata()?.len())
    }
}
