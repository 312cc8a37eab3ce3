//! A worker's upstream connections, and the sending of requests over them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;

use super::connection::Connection;
use super::dial::Failed;
use super::exchange::{Exchange, Failure, Wait};
use super::head::{Asked, ResponseHead};
use super::idle::{Buffers, Idle};
use super::request::write_head;
use super::sender::Sender;
use super::{BoxError, Inform, Progress, SendError, Target, UpstreamBody};
use crate::clock;
use crate::observe::Metrics;

/// Time-outs and limits.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// TCP and TLS of one attempt.
    pub connect_timeout: Duration,
    /// Request sent to response head; begins again while the request body makes progress.
    pub response_timeout: Duration,
    /// Unused connections are closed after it.
    pub idle_timeout: Duration,
    /// Octets of a response head, and of a trailer section.
    pub max_head: usize,
}

/// One worker's connections; cheap to clone, not `Send`.
#[derive(Clone)]
pub struct Pool {
    pub(super) shared: Rc<Shared>,
}

/// What the requests of one worker share. No borrow is held while anything is waited for.
pub(super) struct Shared {
    pub(super) settings: PoolSettings,
    pub(super) idle: RefCell<Idle>,
    pub(super) failed: RefCell<Failed>,
    buffers: RefCell<Buffers>,
    metrics: Arc<Metrics>,
}

impl Shared {
    pub(super) fn take_idle(&self, target: &Target) -> Option<Connection> {
        self.idle.borrow_mut().take(target, clock::instant())
    }

    /// Takes back a connection after a complete exchange; `keep` is how long the upstream says it keeps it.
    pub(super) fn park(&self, mut connection: Connection, keep: Option<Duration>) {
        self.buffers.borrow_mut().give_read(std::mem::take(&mut connection.read));
        self.idle.borrow_mut().park(connection, clock::instant(), self.settings.idle_timeout, keep);
    }

    pub(super) fn give_head_buffer(&self, buffer: Vec<u8>) {
        self.buffers.borrow_mut().give_head(buffer);
    }

    pub(super) fn lend_buffer(&self, connection: &mut Connection) {
        connection.read = self.buffers.borrow_mut().read();
    }
}

impl Pool {
    /// No connection yet.
    pub fn new(settings: PoolSettings, metrics: Arc<Metrics>) -> Self {
        let shared = Shared { settings, metrics, idle: RefCell::default(), failed: RefCell::default(), buffers: RefCell::default() };
        Self { shared: Rc::new(shared) }
    }

    /// Sends a request to the first of `targets` (from number `first` on, in a circle) that takes a connection, and waits
    /// for the head of the final response. The response's body goes on sending what is left of the request's.
    ///
    /// `inform` is told of each interim response, 100 included, as it comes. The head goes out as it is, with the target in origin form; the framing is written here. A body without
    /// Content-Length is sent in chunks, with its trailers.
    ///
    /// # Errors
    /// See [`SendError`]; the connection is closed then.
    pub async fn send<B>(
        &self,
        targets: &[Arc<Target>],
        first: usize,
        request: Request<B>,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Result<Response<UpstreamBody<B>>, SendError>
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let shared = &self.shared;
        let (parts, body) = request.into_parts();
        let body = Some(body).filter(|body| !body.is_end_stream());
        let mut head = shared.buffers.borrow_mut().head();
        let outline = write_head(&parts, body.is_some(), &mut head).map_err(|reason| SendError::RequestBody(reason.into()))?;
        drop(parts);
        let sender = Sender::new(head, body, outline.framing, outline.expects_continue);
        let connection = shared.connect(targets, first, false).await?;
        let mut exchange = Exchange { connection, sender, shared: Rc::clone(shared) };
        loop {
            let failure = match self.exchange(&mut exchange, outline.asked, progress, inform).await {
                Ok(head) => return respond(exchange, head),
                Err(failure) => failure,
            };
            // Whether the upstream saw the request cannot be known: it is repeated only where that does no harm, and once.
            if !(matches!(failure, Failure::Dead(_)) && exchange.connection.reused && outline.repeatable) {
                return Err(failure.into_error(&exchange.connection, shared.settings.response_timeout));
            }
            exchange.sender.rewind();
            exchange.connection = shared.connect(targets, first, true).await?;
        }
    }

    async fn exchange<B>(
        &self,
        exchange: &mut Exchange<B>,
        asked: Asked,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Result<ResponseHead, Failure>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        self.shared.metrics.upstream_connection(exchange.connection.reused);
        let mut wait = Wait::new(asked, &self.shared, exchange.connection.taken);
        poll_fn(|cx| exchange.poll_head(cx, &mut wait, progress, inform)).await
    }

    /// Closes connections that were unused for too long, or that their upstreams have closed; called once a second.
    pub fn purge(&self) {
        let now = clock::instant();
        self.shared.idle.borrow_mut().purge(now);
        self.shared.failed.borrow_mut().purge(now);
    }
}

fn respond<B>(exchange: Exchange<B>, head: ResponseHead) -> Result<Response<UpstreamBody<B>>, SendError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let ResponseHead { status, headers, decoder, reusable, keep } = head;
    let body = if status == http::StatusCode::SWITCHING_PROTOCOLS {
        if !exchange.sender.is_complete() {
            let failure = Failure::Garbage("it switched protocols within the request");
            return Err(failure.into_error(&exchange.connection, Duration::ZERO));
        }
        UpstreamBody::upgraded(exchange.connection)
    } else {
        UpstreamBody::new(exchange, decoder, reusable, keep)
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
