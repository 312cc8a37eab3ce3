//! Octets of answers in h2's hands, which tell when they leave them. h2 takes up to 64 KiB of each stream ahead of the
//! connection, and says nothing of what it does with them.

use std::cell::Cell;
use std::rc::Rc;

use bytes::{Buf, Bytes};

/// Octets that a connection has carried.
pub type Carried = Rc<Cell<u64>>;

/// A piece of a body in h2's hands.
#[derive(Debug)]
pub struct Counted {
    data: Bytes,
    /// None where nobody wants to know.
    carried: Option<Carried>,
}

impl Counted {
    /// Counted as it is written.
    pub(super) fn new(data: Bytes, carried: &Carried) -> Self {
        Self { data, carried: Some(Rc::clone(carried)) }
    }
}

impl From<Bytes> for Counted {
    fn from(data: Bytes) -> Self {
        Self { data, carried: None }
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
        if let Some(carried) = &self.carried {
            carried.set(carried.get() + count as u64);
        }
    }
}
