//! One stream: its request goes to the handler, interim responses and the answer go back. A client that resets the stream ends
//! what is under way.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::EXPECT;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::task::yield_now;

use super::counted::Counted;
use super::grpc::is_grpc;
use super::pump::pump;
use super::side::Side;
use super::upload::{Intake, StreamBody};
use super::websocket::{Asked, switched};
use crate::clock;
use crate::message::{Fields, Name};
use crate::proxy::answer::Answer;
use crate::proxy::body::AnswerBody;
use crate::proxy::connection::Connection;
use crate::proxy::context::Worker;
use crate::proxy::inbound::Inbound;
use crate::proxy::{Handled, handle};
use crate::upstream::H2Duplex;

/// Answers one request.
pub async fn answer(worker: Rc<Worker>, connection: Rc<Connection>, mut request: Request<RecvStream>, mut respond: SendResponse<Counted>) {
    let (side, tunnel) = match Asked::rewrite(&mut request).map(Side::of_websocket) {
        Some((side, tunnel)) => (Rc::new(side), Some(tunnel)),
        None => (Rc::default(), None),
    };
    let (parts, stream) = request.into_parts();
    let patience = worker.config.limits.idle_timeout;
    let Some(tunnel) = tunnel else {
        let waits = parts.headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        let body = StreamBody::new(stream, Rc::clone(&side), waits);
        let intake = body.intake();
        let handled = handle(worker, Rc::clone(&connection), parts.into(), Inbound::Http2(body), Some(Rc::clone(&side)));
        // Pinned where it is: a future that is handed on is there twice.
        let answered = pin!(async {
            let Some(answer) = handle_unless_reset(handled, &side, &mut respond).await else { return };
            let stream = send(answer, respond, &connection, patience).await;
            if side.has_left_request() {
                // The end of the stream tells the client to send no more. curl 7.88 loses an answer whose end comes in one
                // record of TLS with that, so the connection writes the answer first.
                yield_now().await;
            }
            drop(stream);
        });
        return taking_in(intake, answered).await;
    };
    let handled = handle(worker, Rc::clone(&connection), parts.into(), Inbound::None, Some(Rc::clone(&side)));
    let Some(answer) = handle_unless_reset(handled, &side, &mut respond).await else { return };
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        Box::pin(send(answer, respond, &connection, patience)).await;
        return;
    }
    if let Ok(send) = respond.send_response(head_of(StatusCode::OK, switched(answer.fields)), false) {
        // Nobody waits for it where the exchange has ended; dropping the stream tells the client.
        let _ = tunnel.send(H2Duplex::new(send, stream));
    }
}

/// Sends an answer to its end, and gives its stream back.
async fn send(
    answer: Answer,
    mut respond: SendResponse<Counted>,
    connection: &Connection,
    patience: Duration,
) -> Option<SendStream<Counted>> {
    let Answer { status, mut fields, body, .. } = answer;
    complete(&mut fields, &body);
    let (is_end, is_grpc) = (body.is_end_stream(), is_grpc(&fields));
    match respond.send_response(head_of(status, fields), is_end) {
        Ok(stream) if !is_end => Some(pump(stream, body, is_grpc, connection, patience).await),
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "an answer cannot be sent over HTTP/2");
            respond.send_reset(Reason::INTERNAL_ERROR);
            None
        }
    }
}

/// Drives `answered`, and takes the request's body in while that does not want it.
async fn taking_in(intake: Option<Intake>, mut answered: impl Future<Output = ()> + Unpin) {
    poll_fn(|cx| {
        let outcome = answered.poll_unpin(cx);
        if let (Poll::Pending, Some(intake)) = (outcome, &intake) {
            intake.take_in(cx);
        }
        outcome
    })
    .await;
}

/// Sends interim responses as they come; None if the client resets the stream first.
async fn handle_unless_reset(mut handled: Handled, side: &Side, respond: &mut SendResponse<Counted>) -> Option<Answer> {
    poll_fn(|cx| {
        let outcome = handled.poll_unpin(cx);
        send_interim(side, respond);
        match outcome {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending => respond.poll_reset(cx).map(|_| None),
        }
    })
    .await
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
    *head.headers_mut() = fields.into_map();
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
