//! A place for one stream on a connection.

use std::rc::Rc;

use bytes::Bytes;
use h2::SendStream;
use h2::client::ResponseFuture;
use http::Request;

use super::connection::Link;
use super::hub::Hub;
use crate::model::Origin;

/// No connection lives longer than so many streams: their numbers have an end (RFC 9113, section 5.1.1).
const LAST_STREAM: u32 = 1 << 30;

/// Counts as a stream until it is dropped.
pub(in crate::upstream) struct Lease {
    link: Rc<Link>,
    hub: Rc<Hub>,
    /// Whether the connection had carried a request before.
    pub(in crate::upstream) reused: bool,
}

impl Lease {
    pub(super) fn new(link: Rc<Link>, hub: Rc<Hub>) -> Self {
        let reused = link.take();
        Self { link, hub, reused }
    }

    /// Hands a head over. An error says that nothing was sent: the connection is over, or about to be.
    pub(super) fn open(&self, request: Request<()>, ends: bool) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let opened = self.link.sender().send_request(request, ends);
        if opened.as_ref().map_or(true, |(_, stream)| stream.stream_id().as_u32() >= LAST_STREAM) {
            self.link.retire();
        }
        opened
    }

    /// Whether the peer takes extended CONNECT (RFC 8441, section 3).
    pub(super) fn takes_websockets(&self) -> bool {
        self.link.sender().is_extended_connect_protocol_enabled()
    }

    /// The connection takes no new streams.
    pub(super) fn retire(&self) {
        self.link.retire();
    }

    pub(super) fn number(&self) -> u64 {
        self.link.number
    }

    pub(super) fn origin(&self) -> &Origin {
        self.link.target.origin()
    }

    /// Why the connection ended, if we ended it.
    pub(super) fn cause(&self) -> Option<String> {
        self.link.cause()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.link.give_back();
        self.hub.wake_one();
    }
}
