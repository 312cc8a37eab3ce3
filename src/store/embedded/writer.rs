//! The one thread that writes: it takes what waits, writes it as a group, makes it durable, and only then answers.
//!
//! Why a commit is all or nothing, also through `kill -9` and a power cut: a group is one [`sled::Batch`] over one tree,
//! records, indexes, audit rows, changes, sequences and the state together. sled puts a manifest with the batch's last log
//! position in front of it, completes that manifest last, and recovers nothing of a batch that it does not find whole.
//! `flush` hands the log to the system but does not sync it, so `sync_data` follows before anyone is told. sled writes a
//! segment of its log anew once it takes what replaced the segment's pages for stable; it takes nothing for stable beyond
//! the manifest of a batch under way, so those pages are of earlier groups, which are synced. (What sled's own cleaning
//! moves is synced by sled, after each round.) Should any of that fail nevertheless, the digest in the state, written by the
//! same batch, makes the next start refuse the database.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc as std_mpsc};
use std::time::Duration;
use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use super::stage::{Group, Stage};
use super::{Durable, Shared, apply, import};
use crate::model::Millis;
use crate::store::codec::State;
use crate::store::room::Room;
use crate::store::rules::Prepared;
use crate::store::seal::Seal;
use crate::store::{Committed, Snapshot, StoreError, UsageRow};

/// A group ends once it would write this many bytes. sled's log grows by up to a dozen times as much, because every tenth
/// change of a page of 16 entries writes the page.
pub(super) const GROUP_BYTES: usize = 256 << 10;
/// And with this many requests.
const GROUP_JOBS: usize = 256;
/// How often it is asked whether sled has failed while it flushes: where its own write fails, it does not wake who waits.
const FLUSH_LOOK: Duration = Duration::from_millis(100);
/// A disk that takes longer than this is taken for dead: 60 s.
const FLUSH_LOOKS: u32 = 600;

/// Where the answer goes; nobody may be waiting any more, which changes nothing.
pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request to the writer.
pub(super) enum Job {
    Commit(Prepared, Answer<Committed>),
    Usage(Vec<UsageRow>, Answer<()>),
    Lease { name: String, holder: String, now: Millis, ttl: Duration, answer: Answer<bool> },
    Import(Box<Snapshot>, Answer<()>),
}

/// What is said once the group is durable, or has failed.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What the thread owns.
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub seal: Seal,
    pub state: State,
    pub log: VecDeque<Vec<u8>>,
    room: Room,
    flush: Flush,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, (seal, room): (Seal, Room), state: State, log: VecDeque<Vec<u8>>) -> Result<Self, StoreError> {
        let (flush, mut room) = (Flush::start(&shared)?, room);
        // Where there is none, the first group will say so.
        let _ = room.take(0);
        Ok(Self { shared, seal, state, log, room, flush })
    }

    /// Works until every sender is gone, or a write fails: then the receiver is dropped, and all who wait see that.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut replies = Vec::new();
            let done = match first {
                Job::Import(snapshot, answer) => {
                    let imported = import::import(&mut self, *snapshot);
                    split(imported, answer, &mut replies).map(Ok)
                }
                first => self.group(first, &mut jobs, &mut replies),
            };
            if let Err(error) = &done {
                self.shared.fail(error);
            }
            let failed = done.is_err();
            let answer = done.unwrap_or_else(|_| Err(self.shared.unavailable()));
            replies.into_iter().for_each(|reply| reply(answer.clone()));
            if failed {
                return;
            }
        }
        // All is on disk already; this only spares the next start an older seal.
        let _ = self.seal.sync();
    }

    /// Stages `first` and what else waits, then writes it. The inner error is that of a full disk, and changed nothing.
    fn group(
        &mut self,
        first: Job,
        jobs: &mut mpsc::Receiver<Job>,
        replies: &mut Vec<Reply>,
    ) -> Result<Result<(), StoreError>, StoreError> {
        let shared = self.shared.clone();
        let kept = self.log.len();
        let mut stage = Stage::new(&shared.entries, self.state);
        let mut next = Some(first);
        let mut import = None;
        while let Some(job) = next.take() {
            match job {
                Job::Commit(prepared, answer) => {
                    let outcome = apply::commit(&mut stage, &mut self.log, prepared);
                    settle(outcome.map(|committed| committed.map_err(StoreError::Conflict)), answer, replies)?;
                }
                Job::Usage(rows, answer) => {
                    let outcome = rows.iter().try_for_each(|row| apply::raise(&mut stage, row));
                    settle(outcome.map(Ok), answer, replies)?;
                }
                Job::Lease { name, holder, now, ttl, answer } => {
                    let outcome = apply::lease(&mut stage, &name, &holder, now, ttl);
                    settle(outcome.map(Ok), answer, replies)?;
                }
                // An import writes groups of its own, after this one.
                Job::Import(snapshot, answer) => {
                    import = Some((snapshot, answer));
                    break;
                }
            }
            if replies.len() < GROUP_JOBS && stage.bytes() < GROUP_BYTES {
                next = jobs.try_recv().ok();
            }
        }
        if stage.changed() {
            if let Err(error) = self.room.take(stage.bytes()) {
                stage.give_up(&mut self.log, kept);
                let full = shared.refuse(shared.entries.place.full(error));
                if let Some((_, answer)) = import {
                    settle(Ok(Err(full.clone())), answer, replies)?;
                }
                return Ok(Err(full));
            }
            self.write(stage.finish())?;
        }
        if let Some((snapshot, answer)) = import {
            let imported = import::import(self, *snapshot);
            return split(imported, answer, replies).map(Ok);
        }
        Ok(Ok(()))
    }

    /// Writes a group and makes it durable.
    pub(super) fn write(&mut self, group: Group) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let still = shared.gate.write().unwrap_or_else(PoisonError::into_inner);
        self.put(group.batch, group.state.version)?;
        drop(still);
        self.make_durable(group.state)
    }

    /// Gives a batch to sled, whose newest commit is `version`. Readers must be held back.
    pub(super) fn put(&self, batch: sled::Batch, version: u64) -> Result<(), StoreError> {
        let entries = &self.shared.entries;
        self.shared.applied.store(version, Ordering::Release);
        entries.sled.apply_batch(batch).map_err(|error| entries.place.of_sled("writing the database", &error))
    }

    /// Returns once everything given to sled is on disk and the seal says so.
    pub(super) fn make_durable(&mut self, state: State) -> Result<(), StoreError> {
        let place = &self.shared.entries.place;
        self.flush.run(&self.shared)?;
        place.io("writing the seal", self.seal.write(state))?;
        self.state = state;
        let before = self.shared.durable.send_replace(Durable { version: state.version, failed: None, full: None });
        if before.full.is_some() {
            tracing::info!("the store has room again and takes writes");
        }
        Ok(())
    }
}

/// Keeps what will be answered once the group is durable. An error is the group's.
fn settle<T: Send + 'static>(
    outcome: Result<Result<T, StoreError>, StoreError>,
    answer: Answer<T>,
    replies: &mut Vec<Reply>,
) -> Result<(), StoreError> {
    let (answered, failed) = match outcome {
        Ok(answered) => (Some(answered), Ok(())),
        Err(error) => (None, Err(error)),
    };
    replies.push(Box::new(move |written| {
        // Where nothing was answered, `written` is the error.
        let said = match (written, answered) {
            (Ok(()), Some(answered)) => answered,
            (Ok(()), None) => return,
            (Err(error), _) => Err(error),
        };
        // Who has gone away does not need the answer.
        let _ = answer.send(said);
    }));
    failed
}

/// The same for an import, which may be refused without harm.
fn split(imported: Result<(), StoreError>, answer: Answer<()>, replies: &mut Vec<Reply>) -> Result<(), StoreError> {
    match imported {
        Err(error @ StoreError::Refused(_)) => settle(Ok(Err(error)), answer, replies),
        other => settle(other.map(Ok), answer, replies),
    }
}

/// Flushes and syncs on a thread of its own, so that the writer can notice when that never returns.
struct Flush {
    ask: Option<std_mpsc::Sender<()>>,
    done: std_mpsc::Receiver<Result<(), StoreError>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Flush {
    fn start(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let place = shared.entries.place.clone();
        let file = place.io("opening the database", File::open(place.data()))?;
        let sled = shared.entries.sled.clone();
        let (ask, asked) = std_mpsc::channel();
        let (tell, done) = std_mpsc::channel();
        let work = move || {
            while asked.recv().is_ok() {
                let flushed = sled.flush().map_err(|error| place.of_sled("writing the database", &error));
                let synced = flushed.and_then(|_| place.io("syncing the database", file.sync_data()));
                if tell.send(synced).is_err() {
                    return;
                }
            }
        };
        let started = thread::Builder::new().name("store-sync".to_owned()).spawn(work);
        let thread = shared.entries.place.io("starting a thread", started)?;
        Ok(Self { ask: Some(ask), done, thread: Some(thread) })
    }

    fn run(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let done = self.wait(shared);
        if done.is_err() {
            // It may never return: nobody is to wait for it.
            self.thread = None;
        }
        done
    }

    fn wait(&self, shared: &Shared) -> Result<(), StoreError> {
        let entries = &shared.entries;
        let died = || entries.place.failed("syncing the database", "its thread ended");
        self.ask.as_ref().and_then(|ask| ask.send(()).ok()).ok_or_else(died)?;
        for _ in 0..FLUSH_LOOKS {
            match self.done.recv_timeout(FLUSH_LOOK) {
                Ok(done) => return done,
                Err(std_mpsc::RecvTimeoutError::Disconnected) => return Err(died()),
                Err(std_mpsc::RecvTimeoutError::Timeout) => {}
            }
            entries.sled.context.global_error().map_err(|error| entries.place.of_sled("writing the database", &error))?;
        }
        Err(entries.place.failed("syncing the database", io::Error::from(io::ErrorKind::TimedOut)))
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        // Its hold on the database ends before the writer does, so that the store can be opened again.
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
