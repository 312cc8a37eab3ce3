//! Turns: whether an answer waits for the app or for the client. Over HTTP/2 a client that opens no window leaves its answer
//! unasked for, and no write is stuck that a clock could watch; so each answer notes when it became the client's turn.

use std::cell::RefCell;
use std::rc::Rc;

use slab::Slab;

use super::connection::Connection;

/// The answers under way on a connection: since when the client is to take each, in milliseconds of the connection's life.
#[derive(Default)]
pub struct Turns(RefCell<Slab<Option<u64>>>);

/// One answer's turn; gone when the answer is.
pub struct Turn {
    connection: Rc<Connection>,
    key: usize,
}

impl Turns {
    /// Since when the client leaves the oldest answer alone.
    pub fn oldest(&self) -> Option<u64> {
        self.0.borrow().iter().filter_map(|(_, since)| *since).min()
    }
}

impl Turn {
    /// An answer whose head is there: the client is to take it.
    pub fn of(connection: &Rc<Connection>) -> Self {
        let key = connection.turns.0.borrow_mut().insert(Some(connection.elapsed_ms()));
        Self { connection: Rc::clone(connection), key }
    }

    /// The client has asked for more.
    pub fn is_apps(&self) {
        self.set(None);
    }

    /// The client got something to take.
    pub fn is_clients(&self) {
        self.set(Some(self.connection.elapsed_ms()));
    }

    fn set(&self, since: Option<u64>) {
        if let Some(entry) = self.connection.turns.0.borrow_mut().get_mut(self.key) {
            *entry = since;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.connection.turns.0.borrow_mut().try_remove(self.key);
    }
}
