//! Octets of an answer that h2 holds. It takes up to 64 KiB of each stream ahead of the connection and does not tell how much
//! of that is still there; the octets tell it themselves.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Buf, Bytes};

/// Octets of one stream that are still to be written.
pub(super) type Waiting = Rc<Cell<usize>>;

/// A piece of a body in h2's hands.
#[derive(Debug)]
pub struct Counted {
    data: Bytes,
    /// None where nobody wants to know.
    waiting: Option<Waiting>,
}

impl Counted {
    /// Counts itself until it is written or thrown away.
    pub(super) fn new(data: Bytes, waiting: Waiting) -> Self {
        waiting.set(waiting.get() + data.len());
        Self { data, waiting: Some(waiting) }
    }

    fn gone(&self, count: usize) {
        if let Some(waiting) = &self.waiting {
            waiting.set(waiting.get().saturating_sub(count));
        }
    }
}

impl From<Bytes> for Counted {
    fn from(data: Bytes) -> Self {
        Self { data, waiting: None }
    }
}

impl Buf for Counted {
    fn remaining(&self) -> usize {
        self.data.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.data
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.gone(count);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gone(self.data.len());
    }
}
