//! The embedded store: sled, with a writer of our own in front that makes "committed" mean "on disk".
//!
//! All writes go through one thread (`embedded/writer.rs`); reads run beside it and wait, where they saw a commit that is not on
//! disk yet, until it is. So nobody ever acts on something that a power cut could take back. Usage makes nobody wait: it comes each
//! second, reads add to it what no disk has yet, and a disk that stalls would hold up every read. What a caller asked for is done or
//! refused as a whole even where the caller has gone: once it is in the channel, nobody but the writer decides.

mod apply;
mod entries;
mod import;
mod read;
mod stage;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot, watch};

use self::entries::Entries;
pub(super) use self::entries::LongWalk;
use self::writer::{Answer, Job, Writer};
use super::place::Place;
use super::{Changed, Committed, Key, Record, Scan, Snapshot, Store, StoreError, Tx, UsageRow, Version, migrate, rules};
use crate::model::{Day, Millis, TenantId};

/// Requests that may wait for the writer before callers wait for a place.
const WAITING: usize = 1_024;
/// Usage rows of one request to the writer; rows are independent, so that many of them are several groups.
const USAGE_ROWS: usize = 500;

/// A store in a directory of this machine, open in one process.
pub struct Embedded {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

/// What readers and the writer share.
#[derive(Debug)]
struct Shared {
    entries: Entries,
    /// Held by readers while they read, and by the writer while it changes what they would see.
    gate: RwLock<()>,
    /// The newest commit that readers may see.
    applied: AtomicU64,
    durable: watch::Sender<Durable>,
    /// Last, so that it is given up after sled is closed.
    _lock: File,
}

/// How far the disk is.
#[derive(Debug, Clone)]
struct Durable {
    version: u64,
    /// Why nothing will be written any more.
    failed: Option<String>,
    /// Why nothing can be written at the moment.
    full: Option<StoreError>,
}

impl Embedded {
    /// Opens the store in `path`, or makes one where the directory is missing or empty. Reads it once from end to end, so this
    /// blocks for about a second for each few hundred thousand records.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let place = Place::new(path);
        let opened = migrate::open(&place)?;
        let state = opened.state;
        let durable = Durable { version: state.version, failed: None, full: None };
        let shared = Arc::new(Shared {
            entries: Entries { sled: opened.sled, place },
            gate: RwLock::new(()),
            applied: AtomicU64::new(state.version),
            durable: watch::Sender::new(durable),
            _lock: opened.lock,
        });
        let mut writer = Writer::new(shared.clone(), (opened.seal, opened.room), state, opened.changes)?;
        if state.importing {
            import::undo(&mut writer)?;
        }
        let (jobs, waiting) = mpsc::channel(WAITING);
        let of_thread = shared.clone();
        let work = move || {
            // What cannot happen must still not leave callers waiting without a word.
            if catch_unwind(AssertUnwindSafe(|| writer.run(waiting))).is_err() {
                of_thread.fail(&of_thread.entries.place.failed("writing", "the writer panicked"));
            }
        };
        let started = Builder::new().name("store".to_owned()).spawn(work);
        let writer = shared.entries.place.io("starting a thread", started)?;
        Ok(Self { jobs: Some(jobs), writer: Some(writer), shared })
    }

    /// Gives the writer a job and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        self.give(job).await?.await.unwrap_or_else(|_| Err(self.shared.unavailable()))
    }

    /// Gives the writer a job.
    async fn give<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let Some(jobs) = &self.jobs else { return Err(self.shared.unavailable()) };
        jobs.send(job(answer)).await.map_err(|_| self.shared.unavailable())?;
        Ok(answered)
    }

    /// Runs `read` on a thread that may block, and answers once all commits that it can have seen are on disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Entries) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _still = shared.gate.read().unwrap_or_else(PoisonError::into_inner);
            (read(&shared.entries), shared.applied.load(Ordering::Acquire))
        });
        let place = &self.shared.entries.place;
        // sled checks some of what it reads by panicking.
        let (found, seen) = reading.await.map_err(|error| place.damaged(&place.data(), format_args!("it cannot be read: {error}")))?;
        let mut durable = self.shared.durable.subscribe();
        let settled = durable.wait_for(|durable| durable.version >= seen || durable.failed.is_some()).await;
        match settled {
            Ok(durable) if durable.version >= seen => found.inspect_err(|error| {
                if matches!(error, StoreError::Unavailable(_)) {
                    tracing::error!(%error, "the store cannot be read");
                }
            }),
            _ => Err(self.shared.unavailable()),
        }
    }
}

impl Shared {
    /// Notes why nothing will be written any more.
    fn fail(&self, error: &StoreError) {
        let text = match error {
            StoreError::Unavailable(text) => text.clone(),
            other => other.to_string(),
        };
        tracing::error!(cause = %text, "the store takes no more writes until gatehouse is restarted");
        self.durable.send_modify(|durable| durable.failed = Some(text));
    }

    /// Notes why a group was refused that may be taken later, and says it once; the error again.
    fn refuse(&self, error: StoreError) -> StoreError {
        self.durable.send_if_modified(|durable| {
            if durable.full.is_none() {
                tracing::error!(%error, "the store takes no writes until there is room");
            }
            durable.full = Some(error.clone());
            // No reader waits for this.
            false
        });
        error
    }

    /// The error of everything after that.
    fn unavailable(&self) -> StoreError {
        let failed = self.durable.borrow().failed.clone();
        StoreError::Unavailable(failed.unwrap_or_else(|| "its writer has ended; restart gatehouse".to_owned()))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // The writer does what it has been given, then ends.
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // It catches its own panics.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("path", &self.shared.entries.place.root()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Embedded {
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError> {
        let prepared = rules::prepare(tx)?;
        self.ask(|answer| Job::Commit(prepared, answer)).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.read(move |entries| entries.record(&key)).await
    }

    async fn get_all(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |entries| keys.iter().map(|key| entries.record(key)).collect()).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError> {
        self.read(move |entries| read::scan(entries, &scan)).await
    }

    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        let mut answers = Vec::new();
        for rows in rows.chunks(USAGE_ROWS) {
            let rows = rows.to_vec();
            answers.push(self.give(|answer| Job::Usage(rows, answer)).await?);
        }
        for answered in answers {
            answered.await.unwrap_or_else(|_| Err(self.shared.unavailable()))?;
        }
        Ok(())
    }

    async fn usage(&self, tenant: TenantId, days: Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
        self.read(move |entries| read::usage(entries, tenant, &days)).await
    }

    async fn usage_since(&self, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
        self.read(move |entries| read::usage_since(entries, from, after, limit)).await
    }

    async fn lease(&self, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError> {
        rules::id(name)?;
        rules::id(holder)?;
        let (name, holder) = (name.to_owned(), holder.to_owned());
        self.ask(|answer| Job::Lease { name, holder, now, ttl, answer }).await
    }

    async fn changes(&self, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError> {
        self.read(move |entries| read::changes(entries, since, limit)).await
    }

    async fn version(&self) -> Result<Version, StoreError> {
        let durable = self.shared.durable.borrow().clone();
        match (durable.failed, durable.full) {
            (None, None) => Ok(Version(durable.version)),
            (None, Some(full)) => Err(full),
            (Some(text), _) => Err(StoreError::Unavailable(text)),
        }
    }

    async fn export(&self) -> Result<Snapshot, StoreError> {
        self.read(read::export).await
    }

    async fn import(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        rules::snapshot(&snapshot)?;
        self.ask(|answer| Job::Import(Box::new(snapshot), answer)).await
    }
}
