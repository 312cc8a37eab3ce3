//! Interim responses of HTTP/1.1: hyper's server has no place for them, so they are written beneath it.
//!
//! They go out only when hyper asks for a flush, which it does once it has written all that it had: the end of the response
//! before. The handler keeps the final response back until they are gone, so that none comes after it.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use http::Response;

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Told apart from the octets, so that the usual answer "nothing" takes no lock.
    waits: AtomicBool,
    /// A part of what waits is written.
    begun: AtomicBool,
    octets: Mutex<Vec<u8>>,
    /// Of the handler, which waits for the end.
    waker: AtomicWaker,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { waits: AtomicBool::new(false), begun: AtomicBool::new(false), octets: Mutex::new(Vec::new()), waker: AtomicWaker::new() }
    }

    pub(super) fn push(&self, interim: &Response<()>) {
        let mut octets = self.octets.lock().unwrap_or_else(PoisonError::into_inner);
        let status = interim.status();
        octets.extend_from_slice(b"HTTP/1.1 ");
        octets.extend_from_slice(status.as_str().as_bytes());
        octets.push(b' ');
        octets.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        octets.extend_from_slice(b"\r\n");
        for (name, value) in interim.headers() {
            octets.extend_from_slice(name.as_str().as_bytes());
            octets.extend_from_slice(b": ");
            octets.extend_from_slice(value.as_bytes());
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(b"\r\n");
        self.waits.store(true, Relaxed);
    }

    pub(super) fn waits(&self) -> bool {
        self.waits.load(Relaxed)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Relaxed)
    }

    /// Ready when everything is written.
    pub(super) fn poll_empty(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.waits() {
            return Poll::Ready(());
        }
        // The guard that empties it runs in the same task, so it cannot do so between the look and the registration.
        self.waker.register(cx.waker());
        Poll::Pending
    }

    /// Writes with `write`, which says how many octets it took.
    pub(super) fn poll_write<E>(&self, mut write: impl FnMut(&[u8]) -> Poll<Result<usize, E>>) -> Poll<Result<(), E>> {
        let mut octets = self.octets.lock().unwrap_or_else(PoisonError::into_inner);
        while !octets.is_empty() {
            let count = std::task::ready!(write(&octets))?;
            // A socket that takes nothing fails when it is flushed.
            if count == 0 {
                break;
            }
            octets.drain(..count);
            self.begun.store(true, Relaxed);
        }
        *octets = Vec::new();
        self.waits.store(false, Relaxed);
        self.begun.store(false, Relaxed);
        self.waker.wake();
        Poll::Ready(Ok(()))
    }
}
