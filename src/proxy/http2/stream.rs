//! One stream: its request goes to the handler, interim responses and the answer go back. A client that resets the stream ends
//! what is under way.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::EXPECT;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::counted::Counted;
use super::grpc::is_grpc;
use super::pump::Pump;
use super::side::Side;
use super::upload::{Intake, StreamBody};
use super::websocket::{Asked, switched};
use crate::clock;
use crate::message::{Fields, Name, RequestHead};
use crate::proxy::answer::Answer;
use crate::proxy::body::AnswerBody;
use crate::proxy::connection::Connection;
use crate::proxy::context::Worker;
use crate::proxy::inbound::Inbound;
use crate::proxy::{Handled, handle};
use crate::upstream::H2Duplex;

/// Answers one request, in a task of its own.
pub fn answer(worker: &Rc<Worker>, connection: &Rc<Connection>, mut request: Request<RecvStream>, mut respond: SendResponse<Counted>) {
    let websocket = Asked::rewrite(&mut request).map(Side::of_websocket);
    let (parts, stream) = request.into_parts();
    let patience = worker.config.limits.idle_timeout;
    let waits = parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    // A fault of the gateway's own ends this stream alone, here as in its task.
    let handled = |body, side: &Rc<Side>| {
        let head = RequestHead::from(parts);
        let handling = || handle(Rc::clone(worker), Rc::clone(connection), head, body, Some(Rc::clone(side)));
        catch_unwind(AssertUnwindSafe(handling)).map(Stage::Handling)
    };
    if let Some((side, tunnel)) = websocket {
        let side = Rc::new(side);
        let Ok(stage) = handled(Inbound::None, &side) else { return respond.send_reset(Reason::INTERNAL_ERROR) };
        let answering = Answering { side, intake: None, connection: Rc::clone(connection), patience, respond, stage };
        tokio::task::spawn_local(answering.or_tunnel(stream, tunnel));
        return;
    }
    let side = Rc::<Side>::default();
    let body = StreamBody::new(stream, Rc::clone(&side), waits);
    let intake = body.intake();
    let Ok(stage) = handled(Inbound::Http2(body), &side) else { return respond.send_reset(Reason::INTERNAL_ERROR) };
    tokio::task::spawn_local(Answering { side, intake, connection: Rc::clone(connection), patience, respond, stage });
}

/// An answer under way. A future by hand: an `async fn` would have room for each part of it twice, for each of many streams.
struct Answering {
    side: Rc<Side>,
    /// Takes the request's body in while that is not wanted.
    intake: Option<Intake>,
    connection: Rc<Connection>,
    patience: Duration,
    respond: SendResponse<Counted>,
    stage: Stage,
}

enum Stage {
    Handling(Handled),
    Sending(Pump),
    /// All is said. The end of the stream tells the client to send no more, where it is to be told.
    Sent(Option<SendStream<Counted>>, Pin<Box<dyn Future<Output = ()>>>),
}

impl Future for Answering {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let outcome = this.poll_sent(cx);
        if let (Poll::Pending, Some(intake)) = (outcome, &this.intake) {
            intake.take_in(cx);
        }
        outcome
    }
}

impl Answering {
    /// Ready when all is said, or when the client does not want to hear it.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.stage {
                Stage::Handling(_) => match ready!(self.poll_handled(cx)) {
                    Some(answer) => match self.send(answer) {
                        Some(pump) => self.stage = Stage::Sending(pump),
                        None => return Poll::Ready(()),
                    },
                    None => return Poll::Ready(()),
                },
                Stage::Sending(pump) => {
                    ready!(pump.poll(cx));
                    if !self.side.has_left_request() {
                        return Poll::Ready(());
                    }
                    // curl 7.88 loses an answer whose end comes in one record of TLS with the reset that follows, so the connection
                    // writes the answer first.
                    self.let_go();
                }
                Stage::Sent(_, pause) => return pause.as_mut().poll(cx),
            }
        }
    }

    /// The body ends before its stream does.
    fn let_go(&mut self) {
        let sending = std::mem::replace(&mut self.stage, Stage::Sent(None, Box::pin(yield_now())));
        if let (Stage::Sending(pump), Stage::Sent(stream, _)) = (sending, &mut self.stage) {
            *stream = Some(pump.into_stream());
        }
    }

    /// Sends interim responses as they come, up to the answer; None if the client resets the stream first.
    fn poll_handled(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        let Stage::Handling(handled) = &mut self.stage else { return Poll::Ready(None) };
        let outcome = handled.poll_unpin(cx);
        send_interim(&self.side, &mut self.respond);
        match outcome {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => self.respond.poll_reset(cx).map(|_| None),
        }
    }

    /// Sends the head of an answer; what sends the rest, where it could be sent.
    fn send(&mut self, answer: Answer) -> Option<Pump> {
        let Answer { status, mut fields, body, .. } = answer;
        complete(&mut fields, &body);
        let (is_end, is_grpc) = (body.is_end_stream(), is_grpc(&fields));
        match self.respond.send_response(head_of(status, fields), is_end) {
            Ok(stream) => Some(Pump::new(stream, body, (is_grpc, is_end), Rc::clone(&self.connection), self.patience)),
            Err(error) => {
                tracing::debug!(%error, "an answer cannot be sent over HTTP/2");
                self.respond.send_reset(Reason::INTERNAL_ERROR);
                None
            }
        }
    }

    /// Where a WebSocket was asked for: the stream is the tunnel, if the answer says so.
    async fn or_tunnel(mut self, stream: RecvStream, tunnel: oneshot::Sender<H2Duplex<Counted>>) {
        let Some(answer) = poll_fn(|cx| self.poll_handled(cx)).await else { return };
        if answer.status != StatusCode::SWITCHING_PROTOCOLS {
            if let Some(mut pump) = self.send(answer) {
                poll_fn(|cx| pump.poll(cx)).await;
            }
            return;
        }
        if let Ok(send) = self.respond.send_response(head_of(StatusCode::OK, switched(answer.fields)), false) {
            // Nobody waits for it where the exchange has ended; dropping the stream tells the client.
            let _ = tunnel.send(H2Duplex::new(send, stream));
        }
    }
}

fn send_interim(side: &Side, respond: &mut SendResponse<Counted>) {
    for interim in side.take_interim() {
        // A stream that takes no more says so at the next poll.
        if let Err(error) = respond.send_informational(interim) {
            tracing::debug!(%error, "an interim response cannot be sent");
        }
    }
}

fn head_of(status: StatusCode, fields: Fields) -> Response<()> {
    let mut head = Response::new(());
    *head.status_mut() = status;
    *head.headers_mut() = fields.to_map();
    head
}

/// What an answer over HTTP/2 has to say, and what it must not (RFC 9113, section 8.2.2).
fn complete(fields: &mut Fields, body: &AnswerBody) {
    // Said by the gateway to HTTP/1.1 clients; the app's own is off already.
    fields.remove(Name::Connection);
    if !body.is_end_stream()
        && !fields.has(Name::ContentLength)
        && let Some(length) = body.size_hint().exact()
    {
        fields.push(Name::ContentLength, itoa::Buffer::new().format(length));
    }
    if !fields.has(Name::Date) {
        clock::with_http_date(|date| fields.push(Name::Date, date));
    }
}
