//! The connections to each target: which one takes a new stream, when another is opened, and who waits for what.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::super::pool::Shared;
use super::super::{SendError, Target};
use super::connection::Link;
use super::keepalive::Tempo;
use super::lease::Lease;

/// Connections to one target, those being opened included.
const MAX_LINKS: usize = 128;
/// Streams that are expected of a connection before any has been seen.
const EXPECTED: usize = 100;

/// A worker's connections by target.
#[derive(Default)]
pub(in crate::upstream) struct Hubs {
    hubs: HashMap<u64, Rc<Hub>>,
    /// The number of the last connection.
    last: Rc<Cell<u64>>,
}

impl Hubs {
    pub(in crate::upstream) fn of(&mut self, target: &Arc<Target>, tempo: Tempo) -> Rc<Hub> {
        let hub = || Rc::new(Hub::new(Arc::clone(target), tempo, Rc::clone(&self.last)));
        Rc::clone(self.hubs.entry(target.id()).or_insert_with(hub))
    }

    /// Lets go of what was unused for too long at `now`, and of what takes no new streams.
    pub(in crate::upstream) fn purge(&mut self, now: Instant, idle_timeout: Duration) {
        self.hubs.retain(|_, hub| {
            hub.links.borrow_mut().retain(|link| link.is_usable() && link.idle_since().is_none_or(|since| now < since + idle_timeout));
            // Whoever else holds it waits for a connection.
            !hub.links.borrow().is_empty() || Rc::strong_count(hub) > 1
        });
    }

    /// How many there are.
    #[cfg(test)]
    pub(in crate::upstream) fn len(&self) -> usize {
        self.hubs.values().map(|hub| hub.links.borrow().len()).sum()
    }
}

/// The connections to one target. No borrow is held while anything is waited for.
pub(in crate::upstream) struct Hub {
    pub(in crate::upstream) target: Arc<Target>,
    pub(super) tempo: Tempo,
    links: RefCell<Vec<Rc<Link>>>,
    dials: RefCell<Vec<Rc<Dial>>>,
    /// The number of the last connection to any target.
    last: Rc<Cell<u64>>,
    /// Streams that a connection has room for, as last seen.
    expected: Cell<usize>,
    /// A stream has ended; wakes one of those who wait for any.
    freed: Notify,
    /// A dial is over; wakes all.
    dialed: Notify,
}

/// A connection that is being opened, for all who wait for it.
struct Dial {
    number: u64,
    joined: Cell<usize>,
    outcome: OnceCell<Result<(), SendError>>,
}

impl Hub {
    fn new(target: Arc<Target>, tempo: Tempo, last: Rc<Cell<u64>>) -> Self {
        Self {
            target,
            tempo,
            links: RefCell::default(),
            dials: RefCell::default(),
            last,
            expected: Cell::new(EXPECTED),
            freed: Notify::new(),
            dialed: Notify::new(),
        }
    }

    /// A place for one stream, on a connection with a number above `after`: one with room, or a new one, which those who come
    /// at the same time share. Where there are too many connections already, a stream that ends makes room.
    pub(in crate::upstream) async fn lease(self: &Rc<Self>, shared: &Rc<Shared>, after: u64) -> Result<Lease, SendError> {
        let patience = shared.settings.connect_timeout;
        let mut late = pin!(tokio::time::sleep(patience));
        let mut dial: Option<Rc<Dial>> = None;
        loop {
            // Created before the look, so that nothing is missed in between.
            let (freed, dialed) = (self.freed.notified(), self.dialed.notified());
            if let Some(lease) = self.take(after) {
                return Ok(lease);
            }
            match dial.as_ref().map(|dial| dial.outcome.get()) {
                Some(Some(Err(error))) => return Err(error.again()),
                Some(None) => {}
                // None yet, or others took all its streams.
                None | Some(Some(Ok(()))) => dial = self.dial(shared, after),
            }
            let waits_for_dial = dial.is_some();
            tokio::select! {
                () = freed, if after == 0 => {}
                () = dialed => {}
                () = &mut late, if !waits_for_dial => {
                    let (origin, count) = (self.target.origin(), self.links.borrow().len());
                    return Err(SendError::ConnectTimeout(format!("no stream to {origin} was free on {count} connections within {patience:?}")));
                }
            }
        }
    }

    /// Whether a stream could be had at once.
    pub(in crate::upstream) fn has_room(&self) -> bool {
        self.links.borrow().iter().any(|link| link.is_usable() && link.has_room())
    }

    /// A place that is there already. The oldest connections come first, so that the others can age.
    pub(in crate::upstream) fn take(self: &Rc<Self>, after: u64) -> Option<Lease> {
        let mut links = self.links.borrow_mut();
        links.retain(|link| link.is_usable());
        let link = links.iter().find(|link| link.number > after && link.has_room())?;
        Some(Lease::new(Rc::clone(link), Rc::clone(self)))
    }

    /// Joins a dial or begins one; None where there are enough connections, or the peer allows no streams.
    fn dial(self: &Rc<Self>, shared: &Rc<Shared>, after: u64) -> Option<Rc<Dial>> {
        let mut dials = self.dials.borrow_mut();
        if let Some(dial) = dials.iter().find(|dial| dial.number > after && dial.joined.get() < self.expected.get()) {
            dial.joined.set(dial.joined.get() + 1);
            return Some(Rc::clone(dial));
        }
        let links = self.links.borrow();
        if links.len() + dials.len() >= MAX_LINKS || links.iter().any(|link| link.limit() == 0) {
            return None;
        }
        self.last.set(self.last.get() + 1);
        let dial = Rc::new(Dial { number: self.last.get(), joined: Cell::new(1), outcome: OnceCell::new() });
        dials.push(Rc::clone(&dial));
        // A task of its own: whoever asked first may leave.
        tokio::task::spawn_local(Rc::clone(self).open(Rc::clone(shared), Rc::clone(&dial)));
        Some(dial)
    }

    async fn open(self: Rc<Self>, shared: Rc<Shared>, dial: Rc<Dial>) {
        let outcome = shared.open_link(&self, dial.number).await.map(|link| {
            self.expected.set(link.limit().clamp(1, EXPECTED));
            self.links.borrow_mut().push(Rc::new(link));
        });
        self.dials.borrow_mut().retain(|other| !Rc::ptr_eq(other, &dial));
        // It is set here only.
        let _ = dial.outcome.set(outcome);
        self.dialed.notify_waiters();
    }

    /// A stream has ended.
    pub(super) fn wake_one(&self) {
        self.freed.notify_one();
    }

    /// There is more room.
    pub(super) fn wake_all(&self) {
        self.freed.notify_waiters();
        self.dialed.notify_waiters();
    }

    /// Forgets connections that take no new streams.
    pub(super) fn sweep(&self) {
        self.links.borrow_mut().retain(|link| link.is_usable());
        self.wake_all();
    }
}
