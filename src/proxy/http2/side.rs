//! Side: what the handler of a request and the stream that it came by know together, beside request and response.

use std::cell::{Cell, RefCell};

use http::Response;
use tokio::sync::oneshot;

use super::counted::Counted;
use super::websocket::Asked;
use crate::message::Fields;
use crate::upstream::H2Duplex;

/// One stream's.
#[derive(Default)]
pub struct Side {
    /// Interim responses that the stream has not sent yet.
    interim: RefCell<Vec<Response<()>>>,
    /// The WebSocket that was asked for.
    websocket: Option<Asked>,
    tunneled: Cell<Option<oneshot::Receiver<H2Duplex<Counted>>>>,
    /// Nobody wants the rest of the request's body.
    request_left: Cell<bool>,
}

impl Side {
    /// Of a request for a WebSocket. The stream has the other end: whoever waits for the tunnel hears if it ends without one.
    pub(super) fn of_websocket(asked: Asked) -> (Self, oneshot::Sender<H2Duplex<Counted>>) {
        let (tunnel, tunneled) = oneshot::channel();
        (Self { websocket: Some(asked), tunneled: Cell::new(Some(tunneled)), ..Self::default() }, tunnel)
    }

    /// Hands on an interim response; the stream sends it before anything else.
    pub fn inform(&self, interim: Response<()>) {
        self.interim.borrow_mut().push(interim);
    }

    /// The interim responses to send now.
    pub(super) fn take_interim(&self) -> Vec<Response<()>> {
        self.interim.take()
    }

    /// Nobody wants the rest of the request's body.
    pub(super) fn leave_request(&self) {
        self.request_left.set(true);
    }

    /// Whether the request is answered before its end.
    pub(super) fn has_left_request(&self) -> bool {
        self.request_left.get()
    }

    /// Whether the request asked for a WebSocket.
    pub fn asked_for_websocket(&self) -> bool {
        self.websocket.is_some()
    }

    /// Whether the upstream's 101 answers the key that it was sent.
    pub fn accepts(&self, fields: &Fields) -> bool {
        self.websocket.as_ref().is_none_or(|asked| asked.is_answered_by(fields))
    }

    /// The client's end of the tunnel, once the stream has answered 200; to be asked for once.
    pub fn take_tunnel(&self) -> Option<oneshot::Receiver<H2Duplex<Counted>>> {
        self.tunneled.take()
    }
}
