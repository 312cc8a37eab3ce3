//! Watch: twice a second each worker looks which of its connections have outstayed their time; at a drain it tells all of
//! them. One look over all is cheaper than a timer for each request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use slab::Slab;

use super::connection::Connection;
use super::http1::Phase;
use crate::config::Protection;

/// The connections of one worker.
#[derive(Default)]
pub struct Watch {
    list: RefCell<Slab<Rc<Watched>>>,
    /// Connections that were still shaking hands when the drain began are told when they join.
    draining: Cell<bool>,
}

/// One connection, and what it is told.
pub struct Watched {
    connection: Rc<Connection>,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
}

/// What a connection shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Finish what is under way and take nothing new.
    Drain,
    /// End now.
    Close,
}

/// Takes a connection off the list when it ends.
pub struct Watching {
    watch: Rc<Watch>,
    key: usize,
    watched: Rc<Watched>,
}

impl Watch {
    /// Watches over a connection.
    pub fn over(self: &Rc<Self>, connection: Rc<Connection>) -> Watching {
        let order = Cell::new(self.draining.get().then_some(Order::Drain));
        let watched = Rc::new(Watched { connection, order, waker: RefCell::new(None) });
        Watching { watch: Rc::clone(self), key: self.list.borrow_mut().insert(Rc::clone(&watched)), watched }
    }

    /// Ends what is overdue.
    pub fn look(&self, limits: &Protection) {
        for (_, watched) in self.list.borrow().iter() {
            if let Some(order) = overdue(&watched.connection, limits) {
                watched.tell(order);
            }
        }
    }

    /// Tells every connection to finish.
    pub fn drain(&self) {
        self.draining.set(true);
        for (_, watched) in self.list.borrow().iter() {
            watched.tell(Order::Drain);
        }
    }
}

impl Watched {
    fn tell(&self, order: Order) {
        self.order.set(Some(order));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Watching {
    /// What the connection shall do, if anything; the task of `cx` is woken when there is an order.
    pub fn order(&self, cx: &Context<'_>) -> Option<Order> {
        let order = self.watched.order.take();
        let mut waker = self.watched.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        order
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watch.list.borrow_mut().remove(self.key);
    }
}

/// Clients that are slow with a head are cut off; connections that are idle may still hear that they end.
fn overdue(connection: &Connection, limits: &Protection) -> Option<Order> {
    let now = connection.elapsed_ms();
    let longer = |since: u64, limit: Duration| u128::from(now.saturating_sub(since)) > limit.as_millis();
    let after = |since, limit, order| longer(since, limit).then_some(order);
    match &connection.http1 {
        Some(http1) => match http1.phase() {
            Phase::Idle { since_ms } => after(since_ms, limits.idle_timeout, Order::Drain),
            Phase::ReadingHead { since_ms } => after(since_ms, limits.header_timeout, Order::Close),
            Phase::InRequest => None,
        },
        None if connection.requests.get() == 0 => after(0, limits.header_timeout, Order::Close),
        None if connection.open.get() > 0 => None,
        None => {
            let since = connection.idle_since_ms.get();
            after(since, 2 * limits.idle_timeout, Order::Close).or_else(|| after(since, limits.idle_timeout, Order::Drain))
        }
    }
}
