//! A worker's upstream connections, and the sending of requests over them.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use http_body::Body;

use super::connection::Connection;
use super::dial::{Failed, Taken};
use super::exchange::{Exchange, Failure, Wait};
use super::head::{Asked, ResponseHead};
use super::http2::{self, Hub, Hubs, Tempo};
use super::idle::{Buffers, Idle};
use super::request::{Outline, Request, write_head};
use super::response::Response;
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

/// A request whose head is written, and what there is to know of it.
type Begun<B> = (Box<Sender<B>>, Outline);

/// What the requests of one worker share. No borrow is held while anything is waited for.
pub(super) struct Shared {
    pub(super) settings: PoolSettings,
    pub(super) idle: RefCell<Idle>,
    pub(super) failed: RefCell<Failed>,
    buffers: RefCell<Buffers>,
    pub(super) metrics: Arc<Metrics>,
    hubs: RefCell<Hubs>,
    tempo: Tempo,
}

impl Shared {
    /// The HTTP/2 connections to a target.
    pub(super) fn hub(&self, target: &Arc<Target>) -> Rc<Hub> {
        self.hubs.borrow_mut().of(target, self.tempo)
    }

    pub(super) fn take_idle(&self, target: &Target) -> Option<Box<Connection>> {
        self.idle.borrow_mut().take(target, clock::instant())
    }

    /// Takes back a connection after a complete exchange; `keep` is how long the upstream says it keeps it.
    pub(super) fn park(&self, mut connection: Box<Connection>, keep: Option<Duration>) {
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
        Self::with_tempo(settings, metrics, Tempo::default())
    }

    pub(super) fn with_tempo(settings: PoolSettings, metrics: Arc<Metrics>, tempo: Tempo) -> Self {
        let (idle, failed, buffers) = (RefCell::default(), RefCell::default(), RefCell::default());
        let shared = Shared { settings, metrics, idle, failed, buffers, hubs: RefCell::default(), tempo };
        Self { shared: Rc::new(shared) }
    }

    /// Sends a request to the first of `targets` (from number `first` on, in a circle) that takes a connection, and waits
    /// for the head of the final response. The response's body goes on sending what is left of the request's.
    ///
    /// `inform` is told of each interim response, 100 included, as it comes. The head goes out as it is, with the target in
    /// origin form; the framing is written here. A body without Content-Length is sent in chunks, with its trailers. To an
    /// HTTP/2 upstream, a request for a WebSocket goes as extended CONNECT, and its success comes back as a 101 (RFC 8441).
    ///
    /// Must be called within a `LocalSet`.
    ///
    /// # Errors
    /// See [`SendError`]; the connection is closed then, or the stream reset.
    pub fn send<'a, B>(
        &'a self,
        targets: &'a [Arc<Target>],
        first: usize,
        request: Request<B>,
        progress: &'a Progress,
        inform: Inform<'a>,
    ) -> impl Future<Output = Result<Box<Response<B>>, SendError>> + 'a
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if targets.iter().any(|target| target.is_http2()) {
            // In a box, so that what HTTP/2 needs is no burden on the others.
            return Either::Right(Box::pin(self.send_to_any(targets, first, request, progress, inform)));
        }
        // Written at once, so that the future need not hold the request.
        Either::Left(self.send_http1(targets, first, self.begin(request), progress, inform))
    }

    async fn send_to_any<B>(
        &self,
        targets: &[Arc<Target>],
        first: usize,
        request: Request<B>,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Result<Box<Response<B>>, SendError>
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let shared = &self.shared;
        match shared.connect_any(targets, first).await? {
            Taken::Connection(connection) => {
                let (sender, outline) = self.begin(request)?;
                let exchange = Exchange { connection, sender, shared: Rc::clone(shared) };
                self.run(exchange, &outline, targets, first, progress, inform).await
            }
            Taken::Stream(lease) => {
                let (head, body) = request.split();
                let body = Some(body).filter(|body| !body.is_end_stream());
                http2::send(shared, targets, first, lease, (head, body), (progress, inform)).await
            }
        }
    }

    async fn send_http1<B>(
        &self,
        targets: &[Arc<Target>],
        first: usize,
        begun: Result<Begun<B>, SendError>,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Result<Box<Response<B>>, SendError>
    where
        B: Body<Data = Bytes> + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let (sender, outline) = begun?;
        let connection = self.shared.connect(targets, first, false).await?;
        let exchange = Exchange { connection, sender, shared: Rc::clone(&self.shared) };
        self.run(exchange, &outline, targets, first, progress, inform).await
    }

    /// Writes the head.
    fn begin<B>(&self, request: Request<B>) -> Result<Begun<B>, SendError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let (request, body) = request.split();
        let body = Some(body).filter(|body| !body.is_end_stream());
        let mut head = self.shared.buffers.borrow_mut().head();
        let outline = write_head(&request, body.is_some(), &mut head).map_err(|reason| SendError::RequestBody(reason.into()))?;
        Ok((Box::new(Sender::new(head, body, outline.framing, outline.expects_continue)), outline))
    }

    /// Sends what has begun, and once more where that does no harm.
    async fn run<B>(
        &self,
        mut exchange: Exchange<B>,
        outline: &Outline,
        targets: &[Arc<Target>],
        first: usize,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Result<Box<Response<B>>, SendError>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let shared = &self.shared;
        let patience = shared.settings.response_timeout.max(outline.deadline.unwrap_or_default());
        loop {
            let failure = match self.exchange(&mut exchange, outline.asked, patience, progress, inform).await {
                Ok(head) => return respond(exchange, head),
                Err(failure) => failure,
            };
            // Whether the upstream saw the request cannot be known: it is repeated only where that does no harm, and once.
            if !(matches!(failure, Failure::Dead(_)) && exchange.connection.reused && outline.repeatable) {
                return Err(failure.into_error(&exchange.connection, patience));
            }
            exchange.sender.rewind();
            exchange.connection = shared.connect(targets, first, true).await?;
        }
    }

    async fn exchange<B>(
        &self,
        exchange: &mut Exchange<B>,
        asked: Asked,
        patience: Duration,
        progress: &Progress,
        inform: Inform<'_>,
    ) -> Result<ResponseHead, Failure>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        self.shared.metrics.upstream_connection(exchange.connection.reused);
        let mut wait = Wait::new(asked, self.shared.settings.max_head, patience, exchange.connection.taken);
        poll_fn(|cx| exchange.poll_head(cx, &mut wait, progress, inform)).await
    }

    /// How many HTTP/2 connections are kept.
    #[cfg(test)]
    pub(super) fn kept_http2(&self) -> usize {
        self.shared.hubs.borrow().len()
    }

    /// Closes connections that were unused for too long, or that their upstreams have closed; called once a second.
    pub fn purge(&self) {
        let now = clock::instant();
        self.shared.idle.borrow_mut().purge(now);
        self.shared.failed.borrow_mut().purge(now);
        self.shared.hubs.borrow_mut().purge(now, self.shared.settings.idle_timeout);
    }
}

fn respond<B>(exchange: Exchange<B>, head: ResponseHead) -> Result<Box<Response<B>>, SendError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let ResponseHead { status, reason, fields, decoder, reusable, keep } = head;
    let body = if status == http::StatusCode::SWITCHING_PROTOCOLS {
        if !exchange.sender.is_complete() {
            let failure = Failure::Garbage("it switched protocols within the request");
            return Err(failure.into_error(&exchange.connection, Duration::ZERO));
        }
        UpstreamBody::upgraded(exchange.connection)
    } else {
        UpstreamBody::new(exchange, decoder, reusable, keep)
    };
    // In a box, because it goes through many hands.
    Ok(Box::new(Response { status, reason, fields, body }))
}
