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
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use tokio::task::yield_now;

use super::counted::Counted;
use super::grpc::is_grpc;
use super::pump::pump;
use super::side::Side;
use super::upload::{Intake, StreamBody};
use super::websocket::{Asked, switched};
use crate::clock;
use crate::proxy::body::AnswerBody;
use crate::proxy::connection::Connection;
use crate::proxy::context::Worker;
use crate::proxy::handle;
use crate::proxy::inbound::Inbound;
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
        let request = Request::from_parts(parts, Inbound::Http2(body));
        // Pinned where they are: a future that is handed on is there twice.
        let mut handled = pin!(handle(worker, Rc::clone(&connection), request, Some(Rc::clone(&side))));
        let answered = pin!(async {
            let Some(response) = handle_unless_reset(handled.as_mut(), &side, &mut respond).await else { return };
            let stream = send(response, respond, &connection, patience).await;
            if side.has_left_request() {
                // The end of the stream tells the client to send no more. curl 7.88 loses an answer whose end comes in one
                // record of TLS with that, so the connection writes the answer first.
                yield_now().await;
            }
            drop(stream);
        });
        return taking_in(intake, answered).await;
    };
    let request = Request::from_parts(parts, Inbound::None);
    let handled = Box::pin(handle(worker, Rc::clone(&connection), request, Some(Rc::clone(&side))));
    let Some(response) = handle_unless_reset(handled, &side, &mut respond).await else { return };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        Box::pin(send(response, respond, &connection, patience)).await;
        return;
    }
    let mut head = Response::from_parts(response.into_parts().0, ());
    switched(&mut head);
    if let Ok(send) = respond.send_response(head, false) {
        // Nobody waits for it where the exchange has ended; dropping the stream tells the client.
        let _ = tunnel.send(H2Duplex::new(send, stream));
    }
}

/// Sends an answer to its end, and gives its stream back.
async fn send(
    response: Response<AnswerBody>,
    mut respond: SendResponse<Counted>,
    connection: &Connection,
    patience: Duration,
) -> Option<SendStream<Counted>> {
    let (head, body) = response.into_parts();
    let mut head = Response::from_parts(head, ());
    complete(&mut head, &body);
    let (is_end, is_grpc) = (body.is_end_stream(), is_grpc(head.headers()));
    match respond.send_response(head, is_end) {
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
async fn handle_unless_reset<E>(
    mut handled: impl Future<Output = Result<Response<AnswerBody>, E>> + Unpin,
    side: &Side,
    respond: &mut SendResponse<Counted>,
) -> Option<Response<AnswerBody>> {
    poll_fn(|cx| {
        let outcome = handled.poll_unpin(cx);
        send_interim(side, respond);
        match outcome {
            Poll::Ready(response) => Poll::Ready(response.ok()),
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

/// What an answer over HTTP/2 has to say, and what it must not (RFC 9113, section 8.2.2).
fn complete(head: &mut Response<()>, body: &AnswerBody) {
    let headers = head.headers_mut();
    // Said by the gateway to HTTP/1.1 clients; the app's own is off already.
    headers.remove(CONNECTION);
    if !body.is_end_stream()
        && let Some(length) = body.size_hint().exact()
    {
        headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    if !headers.contains_key(DATE)
        && let Ok(date) = HeaderValue::try_from(clock::http_date())
    {
        headers.insert(DATE, date);
    }
}
