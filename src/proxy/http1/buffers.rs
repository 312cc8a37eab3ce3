//! Buffers of a worker's connections: lent while there is something in them, so that an idle connection has none.

use std::cell::RefCell;

use bytes::BytesMut;

use super::CHUNK;

/// As many as are kept; those that were given back last are warm.
const MOST: usize = 64;

/// One worker's.
#[derive(Debug, Default)]
pub struct Buffers {
    read: RefCell<Vec<BytesMut>>,
    written: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// An empty one to read into, with room for [`CHUNK`] octets.
    pub(super) fn lend_read(&self) -> BytesMut {
        self.read.borrow_mut().pop().unwrap_or_else(|| BytesMut::with_capacity(CHUNK))
    }

    /// Takes one back, unless a part of it is still held elsewhere.
    pub(super) fn take_read(&self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() == 0 {
            return;
        }
        let mut kept = self.read.borrow_mut();
        if kept.len() < MOST && buffer.try_reclaim(CHUNK) && buffer.capacity() <= 2 * CHUNK {
            kept.push(buffer);
        }
    }

    /// How many of each kind are at rest.
    #[cfg(test)]
    pub(super) fn kept(&self) -> (usize, usize) {
        (self.read.borrow().len(), self.written.borrow().len())
    }

    /// An empty one to write from.
    pub(super) fn lend_written(&self) -> Vec<u8> {
        self.written.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(CHUNK))
    }

    /// Takes one back.
    pub(super) fn take_written(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.written.borrow_mut();
        if kept.len() < MOST && (CHUNK..=2 * CHUNK).contains(&buffer.capacity()) {
            kept.push(buffer);
        }
    }
}
