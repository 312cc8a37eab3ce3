//! The body of a request over HTTP/1.1, between the connection that reads it and whoever sends it on, perhaps in another task.
//!
//! What it promises: one piece at a time, and none before it is asked for but what came with the head; a connection that ends
//! within it ends it with an error.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::state::State;
use crate::proxy::inbound::InboundError;

/// A body.
pub struct Upload {
    between: Rc<Between>,
    /// Octets that are to come, where that is known.
    left: Option<u64>,
}

/// The end of a body that the connection has.
pub(super) struct Intake {
    between: Rc<Between>,
}

struct Between {
    place: RefCell<Place>,
    state: Rc<State>,
}

#[derive(Default)]
struct Place {
    next: Option<Result<Frame<Bytes>, InboundError>>,
    /// Nothing comes after `next`.
    ended: bool,
    /// Somebody waits for `next`.
    wanted: bool,
    waker: Option<Waker>,
    /// The client waits to hear that the body is wanted.
    awaited: bool,
}

impl Upload {
    /// A body of `length` octets, or in chunks; `awaited` says that the client waits for a 100 before it sends.
    pub(super) fn new(length: Option<u64>, awaited: bool, state: &Rc<State>) -> (Self, Intake) {
        let place = RefCell::new(Place { awaited, ..Place::default() });
        let between = Rc::new(Between { place, state: Rc::clone(state) });
        (Self { between: Rc::clone(&between), left: length }, Intake { between })
    }

    /// The next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let mut place = self.between.place.borrow_mut();
        if let Some(next) = place.next.take() {
            if let (Some(left), Ok(frame)) = (&mut self.left, &next) {
                *left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
            }
            return Poll::Ready(Some(next));
        }
        if place.ended {
            return Poll::Ready(None);
        }
        if !place.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            place.waker = Some(cx.waker().clone());
        }
        let was_wanted = std::mem::replace(&mut place.wanted, true);
        if std::mem::take(&mut place.awaited) {
            self.between.state.inform_continue();
        } else if !was_wanted {
            self.between.state.wake();
        }
        Poll::Pending
    }

    /// Whether all of it was handed out.
    pub fn is_end(&self) -> bool {
        let place = self.between.place.borrow();
        place.ended && place.next.is_none()
    }

    /// What is to come.
    pub fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None if self.is_end() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.between.state.wake();
    }
}

impl Intake {
    /// Whether the next piece is waited for.
    pub(super) fn is_wanted(&self) -> bool {
        self.between.place.borrow().wanted
    }

    /// Whether nobody has the body any more.
    pub(super) fn is_left(&self) -> bool {
        Rc::strong_count(&self.between) == 1
    }

    /// Hands on the next piece, or (None) nothing; `ended` says that it was the last. Whoever waits for it is woken, but the
    /// task of `cx`.
    pub(super) fn put(&self, cx: &Context<'_>, next: Option<Result<Frame<Bytes>, InboundError>>, ended: bool) {
        let mut place = self.between.place.borrow_mut();
        (place.next, place.ended, place.wanted) = (next, ended, false);
        if let Some(waker) = place.waker.take_if(|waker| !waker.will_wake(cx.waker())) {
            waker.wake();
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let mut place = self.between.place.borrow_mut();
        if !place.ended {
            // Behind a piece that was not taken yet, the error would have to wait for its turn; the piece is of no use without it.
            let gone = io::Error::new(io::ErrorKind::ConnectionAborted, "the client's connection has ended");
            (place.next, place.ended) = (Some(Err(InboundError::Http1(gone))), true);
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
    }
}
