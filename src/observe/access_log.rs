//! The access log: one JSON line for each request, written by one thread.
//!
//! What it promises: a worker that adds a line never waits and makes no system call; what is left out (a refusal flood, a
//! destination that is too slow or full) is counted, and the count is a line of the log.

mod line;
mod sink;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::Owner;
use crate::model::Millis;

use line::Flood;
use sink::{Batch, Sink};

/// Buffers between the workers and the thread: 8 MiB of lines. More is dropped and counted.
const QUEUE: usize = 256;

/// How long [`AccessLog::close`] waits for a destination that takes nothing, such as a pipe without a reader.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What is known of a request when it ends.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// When the request's head had arrived.
    pub time: Millis,
    /// `X-Request-Id`.
    pub request_id: &'a str,
    /// Tenant id (`tenant_…`), where it was resolved.
    pub tenant: Option<&'a str>,
    /// Tenant slug.
    pub slug: Option<&'a str>,
    /// The peer, or what a trusted proxy says of it.
    pub client: IpAddr,
    /// `HTTP/1.1`, `HTTP/2.0`, …
    pub protocol: &'static str,
    /// Request method.
    pub method: &'a str,
    /// Normalised host, as far as there is one.
    pub host: &'a str,
    /// Path without the query (queries carry secrets).
    pub path: &'a str,
    /// Status sent to the client.
    pub status: u16,
    /// The refusal's code, where gatehouse made the answer.
    pub code: Option<&'static str>,
    /// Who caused the outcome.
    pub owner: Owner,
    /// Body octets from the client.
    pub bytes_in: u64,
    /// Body octets handed to the client.
    pub bytes_out: u64,
    /// From the head's arrival to the end of the body.
    pub duration: Duration,
    /// From the request sent upstream to the response head.
    pub upstream: Option<Duration>,
    /// The body ended before its end.
    pub aborted: bool,
}

/// The access log. Each worker has an end of it through [`AccessLog::writer`].
pub struct AccessLog(Option<Running>);

struct Running {
    /// `None` once closed.
    queue: Mutex<Option<SyncSender<Batch>>>,
    closing: Arc<AtomicBool>,
    thread: Thread,
    ended: Mutex<Receiver<()>>,
}

/// One worker's end: a buffer that is handed over when it is full or flushed. Not `Sync`.
pub struct AccessWriter(Option<RefCell<Local>>);

struct Local {
    queue: SyncSender<Batch>,
    batch: Batch,
    flood: Flood,
    /// When the last request ended.
    last: Millis,
}

impl AccessLog {
    /// Opens the destination (a file is appended to, or created for its owner and group) and starts the thread.
    pub fn open(to: &crate::config::AccessLog) -> io::Result<Self> {
        let Some(sink) = Sink::open(to)? else { return Ok(Self(None)) };
        let (queue, batches) = sync_channel(QUEUE);
        let closing = Arc::new(AtomicBool::new(false));
        let told_to_close = closing.clone();
        let (end, ended) = sync_channel(1);
        let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            sink.run(&batches, &told_to_close);
            // Nobody may be waiting any more.
            let _ = end.send(());
        })?;
        let thread = thread.thread().clone();
        Ok(Self(Some(Running { queue: Mutex::new(Some(queue)), closing, thread, ended: Mutex::new(ended) })))
    }

    /// A worker's end. After [`close`](Self::close), one that writes nothing.
    pub fn writer(&self) -> AccessWriter {
        let queue = self.0.as_ref().and_then(|running| lock(&running.queue).clone());
        AccessWriter(queue.map(|queue| RefCell::new(Local { queue, batch: Batch::default(), flood: Flood::default(), last: Millis(0) })))
    }

    /// Writes out what was handed over; after it the process may end. Waits at most 5 s for a destination that takes nothing.
    pub fn close(&self) {
        let Some(running) = &self.0 else { return };
        if lock(&running.queue).take().is_none() {
            return;
        }
        running.closing.store(true, Ordering::SeqCst);
        running.thread.unpark();
        if lock(&running.ended).recv_timeout(CLOSE_WITHIN) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the access log's destination takes nothing; its last lines are lost");
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}

impl AccessWriter {
    /// Adds a line (never blocks; refusals are sampled under a flood, and how many were left out is written by
    /// [`flush`](Self::flush)).
    // Kept apart, so that its instructions can be told from others (`bench/instructions`).
    #[inline(never)]
    pub fn write(&self, record: &AccessRecord<'_>) {
        let Some(local) = &self.0 else { return };
        let local = &mut *local.borrow_mut();
        let took = i64::try_from(record.duration.as_millis()).unwrap_or(i64::MAX);
        local.last = Millis(record.time.0.saturating_add(took));
        if record.code.is_some_and(|code| !local.flood.admits(code, local.last)) {
            return;
        }
        line::record(local.batch.line(), record);
        if local.batch.is_full() {
            local.hand_over();
        }
    }

    /// Hands the buffer over; called every 500 ms and when the worker ends.
    pub fn flush(&self) {
        let Some(local) = &self.0 else { return };
        let local = &mut *local.borrow_mut();
        for (code, left_out) in local.flood.take_left_out() {
            line::left_out(local.batch.line(), local.last, code, left_out);
        }
        if local.batch.stands_for() > 0 {
            local.hand_over();
        }
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        self.flush();
        // What found no room now has nobody left who hands it over.
        let lost = self.0.as_ref().map_or(0, |local| local.borrow().batch.stands_for());
        if lost > 0 {
            tracing::error!(lines = lost, "lines of the access log are lost: its destination took nothing to the end");
        }
    }
}

impl Local {
    fn hand_over(&mut self) {
        let sent = self.queue.try_send(std::mem::take(&mut self.batch));
        if let Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) = sent {
            self.batch = refused.into_a_number();
        }
    }
}

/// A lock that a panic elsewhere does not close: what is behind it is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
