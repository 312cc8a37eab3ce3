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
pub(super) struct Room {
    log: File,
    /// It could not be had the last time.
    short: bool,
}

impl Room {
    /// Over the log, opened for writing.
    pub(super) fn of(log: File) -> Self {
        Self { log, short: false }
    }

    /// Makes sure that changes of so many bytes find room. The length of the file stays as it is.
    pub(super) fn take(&mut self, bytes: usize) -> io::Result<()> {
        let growth = GROWTH * bytes as u64;
        // Once short, a bit more is asked for: else small changes would go on to find room, and larger ones none, by turns.
        let taken = self.has(growth + if self.short { AHEAD } else { MARGIN }, growth + AHEAD);
        self.short = taken.is_err();
        taken
    }

    /// `need` beyond the end of the file, or `more` where it has to be taken.
    fn has(&self, need: u64, more: u64) -> io::Result<()> {
        let found = self.log.metadata()?;
        if found.blocks() * BLOCK >= found.len() + need {
            return Ok(());
        }
        // From the start of the file, so that nobody need know where it has holes.
        match retry_on_intr(|| fallocate(&self.log, FallocateFlags::KEEP_SIZE, 0, found.len() + more)) {
            // This file system cannot promise room; but it can say whether there is some.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                let disk = fstatvfs(&self.log)?;
                if disk.f_bavail.saturating_mul(disk.f_frsize) >= need { Ok(()) } else { Err(Errno::NOSPC.into()) }
            }
            taken => Ok(taken?),
        }
    }

    /// Gives back what was taken and is not used. Only while sled does not write.
    pub(super) fn give_back(&self) -> io::Result<()> {
        self.log.set_len(self.log.metadata()?.len())
    }
}
