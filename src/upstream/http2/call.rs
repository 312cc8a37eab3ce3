//! One request and its response on one stream, up to the response's head; and when it is sent once more.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::RecvStream;
use h2::client::ResponseFuture;
use http::StatusCode;
use http_body::Body;

use super::super::connection::Timer;
use super::super::exchange::CONTINUE_WAIT;
use super::super::head::{MAX_FIELDS, MAX_INTERIM};
use super::super::pool::Shared;
use super::super::request::Request;
use super::super::{BoxError, Inform, Progress, Response, SendError, Target};
use super::answer::respond;
use super::fault::Failure;
use super::lease::Lease;
use super::pump::Pump;
use super::replay::Replay;
use super::request::Outline;
use crate::clock;

/// Connections that may go away between the choice and the use of one.
const MAX_OPENINGS: usize = 4;
/// How often a request is sent that its peers say they have not begun.
const MAX_SENDINGS: usize = 4;

/// A request on its way.
pub(in crate::upstream) struct Call<B> {
    pub(super) pump: Pump<B>,
    response: ResponseFuture,
    interim: u8,
    timer: Timer,
    /// Given back after the stream.
    pub(super) lease: Lease,
}

/// What is waited for, and how long.
struct Wait {
    patience: Duration,
    deadline: Instant,
    held_until: Option<Instant>,
    /// What the pump had moved when the deadline was set.
    moved: u64,
}

/// Sends a request on a stream of `lease`, or on another of `targets` where that one's peer did provably nothing with it.
pub(in crate::upstream) async fn send<B>(
    shared: &Rc<Shared>,
    targets: &[Arc<Target>],
    first: usize,
    mut lease: Lease,
    (head, body): (Request<()>, Option<B>),
    (progress, inform): (&Progress, Inform<'_>),
) -> Result<Box<Response<B>>, SendError>
where
    B: Body<Data = Bytes> + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let outline = Outline::of(head, body.is_some(), lease.origin()).map_err(|reason| SendError::RequestBody(reason.into()))?;
    let patience = shared.settings.response_timeout.max(outline.deadline.unwrap_or_default());
    let mut body = body.map(Replay::new);
    let (mut sendings, mut died) = (0, false);
    loop {
        sendings += 1;
        let mut call = Call::open(shared, targets, first, lease, &outline, body).await?;
        progress.set_head_sent();
        shared.metrics.upstream_connection(call.lease.reused);
        let mut wait = Wait { patience, deadline: clock::instant() + patience, held_until: None, moved: 0 };
        let failure = match poll_fn(|cx| call.poll_head(cx, &mut wait, inform)).await {
            Ok(head) => return respond(call, &outline, head),
            Err(failure) => failure,
        };
        let Call { pump, response, lease: before, .. } = call;
        drop(response);
        let harmless = match &failure {
            Failure::Unprocessed(_) => sendings < MAX_SENDINGS,
            Failure::Dead(_) => before.reused && outline.repeatable && !std::mem::replace(&mut died, true),
            _ => false,
        };
        body = match pump.into_whole().filter(|_| harmless) {
            Some(body) => body,
            None => return Err(failure.into_error(&before, patience)),
        };
        let after = before.number();
        drop(before);
        lease = shared.connect_http2(targets, first, after).await?;
    }
}

impl<B> Call<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Hands the head over. Where the connection says that it is over before it takes it, nothing was sent: others are tried.
    async fn open(
        shared: &Rc<Shared>,
        targets: &[Arc<Target>],
        first: usize,
        mut lease: Lease,
        outline: &Outline,
        body: Option<Replay<B>>,
    ) -> Result<Self, SendError> {
        // What upgrades may speak at once, and ends when the tunnel does.
        let ends = body.is_none() && outline.websocket.is_none();
        for _ in 1..MAX_OPENINGS {
            if outline.websocket.is_some() && !lease.takes_websockets() {
                let text = format!("{} does not take WebSockets over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL, RFC 8441)", lease.origin());
                return Err(SendError::NoUpgrade(text));
            }
            match lease.open(outline.head(), ends) {
                Ok((response, stream)) => {
                    let pump = Pump::new(stream, body, outline.length, outline.expects_continue);
                    return Ok(Self { pump, response, interim: 0, timer: Timer::default(), lease });
                }
                Err(error) if error.reason().is_none() && !error.is_io() => {
                    return Err(SendError::RequestBody(format!("the request is not one of HTTP/2: {error}").into()));
                }
                Err(error) => tracing::debug!(origin = %lease.origin(), %error, "a connection takes no more streams"),
            }
            let after = lease.number();
            drop(lease);
            lease = shared.connect_http2(targets, first, after).await?;
        }
        Err(SendError::Closed(format!("{} closes each connection before it takes a request", lease.origin())))
    }

    /// Sends and reads at once until the final head is there.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        wait: &mut Wait,
        inform: Inform<'_>,
    ) -> Poll<Result<http::Response<RecvStream>, Failure>> {
        loop {
            if let Poll::Ready(Err(error)) = self.pump.poll(cx) {
                return Poll::Ready(Err(Failure::RequestBody(error)));
            }
            match self.poll_response(cx, inform) {
                Poll::Ready(Ok(Some(head))) => {
                    self.end_hold(head.status());
                    return Poll::Ready(Ok(head));
                }
                Poll::Ready(Ok(None)) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {
                    if let Some(failure) = ready!(self.poll_time(cx, wait)) {
                        return Poll::Ready(Err(failure));
                    }
                }
            }
        }
    }

    /// The final response, or None after an interim one.
    fn poll_response(&mut self, cx: &mut Context<'_>, inform: Inform<'_>) -> Poll<Result<Option<http::Response<RecvStream>>, Failure>> {
        let outcome = match ready!(self.response.poll_informational(cx)) {
            Some(Ok(interim)) => return Poll::Ready(self.pass(interim, inform).map(|()| None)),
            Some(Err(error)) => Err(error),
            None => ready!(Pin::new(&mut self.response).poll(cx)),
        };
        Poll::Ready(match outcome {
            Ok(head) if head.headers().len() > MAX_FIELDS => Err(Failure::Garbage("the response has too many fields".to_owned())),
            Ok(head) => Ok(Some(head)),
            Err(error) => Err(Failure::of(error, self.interim > 0, &self.lease)),
        })
    }

    fn pass(&mut self, interim: http::Response<()>, inform: Inform<'_>) -> Result<(), Failure> {
        if interim.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Garbage("HTTP/2 has no 101".to_owned()));
        }
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            return Err(Failure::Garbage("too many interim responses".to_owned()));
        }
        if interim.status() == StatusCode::CONTINUE {
            self.pump.release();
        }
        inform(interim);
        Ok(())
    }

    /// A refusal in place of the 100 means that the body is not wanted; a success, that it may go on only with the body.
    fn end_hold(&mut self, status: StatusCode) {
        if self.pump.is_held() && !status.is_success() {
            self.pump.give_up();
        }
        self.pump.release();
    }

    /// Ready when something is over: the whole wait, or (None) the wait for a 100.
    fn poll_time(&mut self, cx: &mut Context<'_>, wait: &mut Wait) -> Poll<Option<Failure>> {
        if self.pump.is_held() {
            let until = *wait.held_until.get_or_insert_with(|| clock::instant() + CONTINUE_WAIT);
            return self.timer.poll_deadline(cx, until).map(|()| {
                self.pump.release();
                None
            });
        }
        if self.pump.moved() != wait.moved || wait.held_until.take().is_some() {
            wait.moved = self.pump.moved();
            wait.deadline = clock::instant() + wait.patience;
        }
        ready!(self.timer.poll_deadline(cx, wait.deadline));
        if self.pump.waits_for_body() {
            return Poll::Ready(Some(Failure::BodyStalled));
        }
        // The connection may be half dead, which new streams should not have to find out.
        self.lease.retire();
        Poll::Ready(Some(Failure::Timeout))
    }
}
