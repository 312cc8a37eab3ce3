//! A key that is in use, and when it was used last: noted in memory by requests, written down by a job.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::model::{ApiKey, Millis};

/// Uses that are closer together than this are one, so that a key in heavy use is not a place that all cores write to.
const APART: i64 = 1000;
/// Never used.
const NEVER: i64 = i64::MIN;

/// A key of the directory.
#[derive(Debug)]
pub struct LiveKey {
    /// The key.
    pub key: ApiKey,
    used: AtomicI64,
    is_news: AtomicBool,
}

impl LiveKey {
    /// Of which no use is known.
    pub fn of(key: ApiKey) -> Self {
        Self { key, used: AtomicI64::new(NEVER), is_news: AtomicBool::new(false) }
    }

    /// It is used.
    pub fn note(&self, now: Millis) {
        if now.0.saturating_sub(self.used.load(Ordering::Relaxed)) >= APART {
            self.used.fetch_max(now.0, Ordering::Relaxed);
            self.is_news.store(true, Ordering::Release);
        }
    }

    /// It was used before this process began, or by another.
    pub fn remember(&self, at: Millis) {
        self.used.fetch_max(at.0, Ordering::Relaxed);
    }

    /// When it was used last.
    pub fn used(&self) -> Option<Millis> {
        Some(self.used.load(Ordering::Relaxed)).filter(|at| *at != NEVER).map(Millis)
    }

    /// The same, where it is later than when this was asked last.
    pub fn take_used(&self) -> Option<Millis> {
        if self.is_news.swap(false, Ordering::Acquire) { self.used() } else { None }
    }
}
