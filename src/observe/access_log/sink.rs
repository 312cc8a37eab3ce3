//! The thread that writes: standard output or a file, which may be moved away at any time.
//!
//! What it promises: a destination that fails stops nothing; it is logged when it begins and when it ends, the lines that
//! were lost become a line of the log, and no line is torn in the middle.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use super::line;
use crate::clock::{Clock, SystemClock};
use crate::config::AccessLog;

/// A worker's buffer is handed over at this size.
const BUFFER: usize = 32 * 1024;

/// How often the thread looks while lines come in. It looks, and is not woken: waking it would be a system call of the worker.
const BUSY: Duration = Duration::from_millis(20);

/// How often it looks while none do.
const IDLE: Duration = Duration::from_millis(200);

/// Lines of one worker.
#[derive(Default)]
pub(super) struct Batch {
    text: Vec<u8>,
    lines: u64,
    /// Lines that found no room before this batch did.
    dropped: u64,
}

impl Batch {
    /// Where one line is added.
    pub(super) fn line(&mut self) -> &mut Vec<u8> {
        if self.text.capacity() == 0 {
            self.text.reserve_exact(BUFFER + BUFFER / 8);
        }
        self.lines += 1;
        &mut self.text
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= BUFFER
    }

    /// How many lines are told of, in full or as a number.
    pub(super) fn stands_for(&self) -> u64 {
        self.lines + self.dropped
    }

    /// Forgets the lines (the buffer is used again) but not how many there were.
    pub(super) fn into_a_number(mut self) -> Self {
        self.text.clear();
        self.dropped += std::mem::take(&mut self.lines);
        self
    }
}

/// Where lines end up.
pub(super) struct Sink {
    file: File,
    /// `None` for standard output.
    path: Option<PathBuf>,
    failing: bool,
    /// The last write ended inside a line.
    torn: bool,
    /// Lines that are missing and not yet told of.
    lost: u64,
}

impl Sink {
    /// Opens the destination; `None` where there is none.
    pub(super) fn open(to: &AccessLog) -> io::Result<Option<Self>> {
        let (file, path) = match to {
            AccessLog::Off => return Ok(None),
            AccessLog::Stdout => (File::from(io::stdout().as_fd().try_clone_to_owned()?), None),
            AccessLog::File(path) => (append_to(path)?, Some(path.clone())),
        };
        Ok(Some(Self { file, path, failing: false, torn: false, lost: 0 }))
    }

    /// Writes until it is told to stop or nobody is left; what is in the queue by then is written.
    pub(super) fn run(mut self, batches: &Receiver<Batch>, closing: &AtomicBool) {
        loop {
            // Asked before the queue is emptied, so that nothing handed over before `close` stays in it.
            let last_round = closing.load(Ordering::SeqCst);
            let mut pause = IDLE;
            loop {
                match batches.try_recv() {
                    Ok(batch) => {
                        self.write(&batch);
                        pause = BUSY;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if last_round {
                return;
            }
            std::thread::park_timeout(pause);
        }
    }

    /// Writes a batch; a failure is told of here, once.
    pub(super) fn write(&mut self, batch: &Batch) {
        self.lost += batch.dropped;
        let mut written = 0;
        let result = self.reopen_if_moved().and_then(|()| self.mend()).and_then(|()| put(&mut self.file, &batch.text, &mut written));
        match result {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!(to = %self.name(), "the access log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.torn |= ends_inside_a_line(&batch.text, written);
                // A torn line is lost as well: its newline is in the rest.
                self.lost += batch.text.iter().skip(written).filter(|octet| **octet == b'\n').count() as u64;
                if !self.failing {
                    self.failing = true;
                    tracing::error!(%error, to = %self.name(), "the access log cannot be written; requests are served without it");
                }
            }
        }
    }

    /// Ends the line that was torn, and says how many are missing.
    fn mend(&mut self) -> io::Result<()> {
        if self.lost == 0 && !self.torn {
            return Ok(());
        }
        let mut text = if self.torn { b"\n".to_vec() } else { Vec::new() };
        line::dropped(&mut text, SystemClock.now(), self.lost);
        let mut written = 0;
        let result = put(&mut self.file, &text, &mut written);
        // A part of it has ended the torn line, and may be torn itself.
        if written > 0 {
            self.torn = ends_inside_a_line(&text, written);
        }
        if result.is_ok() {
            self.lost = 0;
        }
        result
    }

    /// Log rotation moves the file away; a new one is begun under its name then.
    fn reopen_if_moved(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let open = self.file.metadata()?;
        let stays = std::fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino()));
        if !stays {
            self.file = append_to(path)?;
            self.torn = false;
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
    }
}

/// Writes all of `text`; `written` tells how much of it, also where it fails.
fn put(file: &mut File, text: &[u8], written: &mut usize) -> io::Result<()> {
    while let Some(rest) = text.get(*written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn ends_inside_a_line(text: &[u8], written: usize) -> bool {
    text.get(..written).and_then(<[u8]>::last).is_some_and(|last| *last != b'\n')
}

fn append_to(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(0o640).open(path);
    opened.map_err(|error| io::Error::new(error.kind(), format!("the access log `{}` cannot be opened: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_write_that_fails_half_way_leaves_one_torn_line_and_an_exact_count() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        reader.set_nonblocking(true).unwrap();
        let mut sink = Sink { file: File::from(OwnedFd::from(writer)), path: None, failing: false, torn: false, lost: 0 };
        const LINES: u64 = 200_000;
        let mut batch = Batch::default();
        for number in 0..LINES {
            writeln!(batch.line(), "{{\"number\":{number}}}").unwrap();
        }
        sink.write(&batch);
        assert!(sink.failing && sink.lost > 0);
        let mut text = Vec::new();
        let _ = reader.read_to_end(&mut text);
        let mut after = Batch::default();
        writeln!(after.line(), "{{\"number\":{LINES}}}").unwrap();
        sink.write(&after);
        assert!(!sink.failing);
        let _ = reader.read_to_end(&mut text);

        let text = String::from_utf8(text).unwrap();
        let read: Vec<Option<serde_json::Value>> = text.lines().map(|line| serde_json::from_str(line).ok()).collect();
        assert!(read.iter().filter(|line| line.is_none()).count() <= 1, "one torn line at most");
        let whole = read.iter().flatten().filter(|line| line.get("number").is_some()).count() as u64;
        let told: u64 = read.iter().flatten().filter_map(|line| line["dropped"].as_u64()).sum();
        assert_eq!(whole + told, LINES + 1);
        assert!(whole > 1 && told > 0);
    }
}
