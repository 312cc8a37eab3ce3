//! Bodies both ways: whole, cut, reset, held back; and what the other side learns of an end.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::mpsc;

use super::super::super::{BodyError, Progress, SendError};
use super::super::support::{data, feed, fetch, get, pool, read, request, send};
use super::support::*;

fn trailers(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("x-checksum".parse().unwrap(), HeaderValue::from_static(value))])
}

/// Sends the body's octets and its trailers back.
async fn echo(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let mut body = request.into_body();
    let mut out = begin(&mut respond);
    while let Some(Ok(octets)) = body.data().await {
        body.flow_control().release_capacity(octets.len()).unwrap();
        write_all(&mut out, octets).await;
    }
    match body.trailers().await.unwrap() {
        Some(trailers) => out.send_trailers(trailers).unwrap(),
        None => out.send_data(Bytes::new(), true).unwrap(),
    }
}

/// Sends as the window allows.
pub async fn write_all(out: &mut SendStream<Bytes>, mut octets: Bytes) {
    while !octets.is_empty() {
        out.reserve_capacity(octets.len());
        while out.capacity() == 0 {
            if std::future::poll_fn(|cx| out.poll_capacity(cx)).await.is_none() {
                return;
            }
        }
        let piece = octets.split_to(out.capacity().min(octets.len()));
        out.send_data(piece, false).unwrap();
    }
}

/// The reason of the reset that ends a request.
pub async fn reset_of(mut body: RecvStream) -> Option<Reason> {
    loop {
        match body.data().await {
            Some(Ok(octets)) => body.flow_control().release_capacity(octets.len()).unwrap(),
            Some(Err(error)) => return error.reason(),
            None => return None,
        }
    }
}

#[tokio::test]
async fn bodies_and_trailers_pass_both_ways_at_once() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, respond| echo(request, respond)).await;
        let pool = pool();
        let (feeder, body) = feed();
        let mut answer = send(&pool, &server.target, request("POST").body(body).unwrap()).await.unwrap().into_body();
        for round in 0..3 {
            feeder.send(data(format!("round {round}"))).await.unwrap();
            assert_eq!(answer.frame().await.unwrap().unwrap().into_data().unwrap(), format!("round {round}"));
        }
        feeder.send(Ok(Frame::trailers(trailers("abc")))).await.unwrap();
        assert_eq!(answer.frame().await.unwrap().unwrap().into_trailers().unwrap(), trailers("abc"));
        assert!(answer.frame().await.is_none() && answer.is_end_stream());
    })
    .await;
}

#[tokio::test]
async fn a_large_body_passes_the_windows_of_both_sides() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, respond| echo(request, respond)).await;
        let whole: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let sent = request("PUT").header("content-length", whole.len()).body(Full::new(Bytes::from(whole.clone()))).unwrap();
        let response = send(&pool(), &server.target, sent).await.unwrap();
        let (octets, none) = read(response.into_body()).await.unwrap();
        assert!(octets == whole && none.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_reset_within_a_response_is_never_its_end_and_keeps_its_reason() {
    local(async {
        for (given, kept) in [
            (Reason::INTERNAL_ERROR, Reason::INTERNAL_ERROR),
            (Reason::ENHANCE_YOUR_CALM, Reason::ENHANCE_YOUR_CALM),
            (Reason::CANCEL, Reason::CANCEL),
            // Some clients would take it for an end.
            (Reason::NO_ERROR, Reason::INTERNAL_ERROR),
        ] {
            let server = Server::answering(Builder::new(), move |_, _, mut respond| async move {
                let mut out = begin(&mut respond);
                out.send_data(Bytes::from_static(b"half"), false).unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                out.send_reset(given);
            })
            .await;
            let mut body = send(&pool(), &server.target, get()).await.unwrap().into_body();
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
            let error = body.frame().await.unwrap().unwrap_err();
            assert!(matches!(&error, BodyError::Reset { reason, .. } if *reason == kept), "{error}");
            assert!(body.frame().await.is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn no_error_after_a_complete_response_is_no_fault() {
    local(async {
        let server = Server::answering(Builder::new(), |_, _, mut respond| async move {
            let mut out = begin(&mut respond);
            out.send_data(Bytes::from_static(b"all of it"), true).unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            respond.send_reset(Reason::NO_ERROR);
        })
        .await;
        let (feeder, body) = feed();
        let response = send(&pool(), &server.target, request("POST").body(body).unwrap()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(read(response.into_body()).await.unwrap().0, b"all of it");
        until(|| feeder.is_closed()).await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_ends_within_a_response_cuts_it() {
    local(async {
        let server = Server::start(Builder::new(), |_, mut peer| async move {
            let (_, mut respond) = peer.accept().await.unwrap().unwrap();
            begin(&mut respond).send_data(Bytes::from_static(b"half"), false).unwrap();
            let _ = tokio::time::timeout(Duration::from_millis(50), std::future::poll_fn(|cx| peer.poll_closed(cx))).await;
        })
        .await;
        let mut body = send(&pool(), &server.target, get()).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "half");
        assert!(matches!(body.frame().await, Some(Err(BodyError::Upstream(_)))));
        assert!(body.frame().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_body_of_another_length_than_said_is_cut() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, mut respond| async move {
            let head = Response::builder().header("content-length", "4").body(()).unwrap();
            let mut out = respond.send_response(head, false).unwrap();
            let octets: &[u8] = if request.uri().path() == "/long" { b"longer" } else { b"le" };
            let _ = out.send_data(Bytes::copy_from_slice(octets), true);
        })
        .await;
        let pool = pool();
        for path in ["/long", "/short"] {
            let sent = Request::get(path).header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
            let outcome = match send(&pool, &server.target, sent).await {
                Ok(response) => read(response.into_body()).await.map(|_| ()).map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            };
            assert!(outcome.is_err(), "{path}");
        }
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn responses_without_a_body_have_none_whatever_they_say() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, mut respond| async move {
            let code: u16 = request.uri().path().trim_start_matches('/').parse().unwrap();
            let ends = request.uri().query() == Some("ends");
            let length = if code == 304 && !ends { "0" } else { "7" };
            let head = Response::builder().status(code).header("content-length", length).body(()).unwrap();
            let mut out = respond.send_response(head, ends).unwrap();
            if !ends {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = out.send_data(Bytes::new(), true);
            }
        })
        .await;
        let pool = pool();
        for (method, path, said) in [
            ("HEAD", "/200?ends", Some("7")),
            ("HEAD", "/200", Some("7")),
            ("GET", "/304?ends", Some("7")),
            ("GET", "/304", Some("0")),
            ("GET", "/204?ends", None),
        ] {
            let sent = Request::builder().method(method).uri(path).header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
            let response = send(&pool, &server.target, sent).await.unwrap();
            assert_eq!(response.headers().get("content-length").map(|length| length.to_str().unwrap()), said, "{method} {path}");
            assert!(response.body().is_end_stream(), "{method} {path}");
            assert_eq!(read(response.into_body()).await.unwrap(), (vec![], None));
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_body_that_fails_is_reset_and_never_ends() {
    local(async {
        let (sender, mut resets) = mpsc::unbounded_channel();
        let server = Server::answering(Builder::new(), move |_, request, respond| {
            let sender = sender.clone();
            async move {
                sender.send(reset_of(request.into_body()).await).unwrap();
                drop(respond);
            }
        })
        .await;
        let pool = pool();
        let (feeder, body) = feed();
        feeder.send(Err(std::io::Error::other("gone"))).await.unwrap();
        assert!(matches!(send(&pool, &server.target, request("POST").body(body).unwrap()).await, Err(SendError::RequestBody(_))));
        assert_eq!(resets.recv().await.unwrap(), Some(Reason::CANCEL));
        for length in ["3", "8"] {
            let sent = request("POST").header("content-length", length).body(Full::new(Bytes::from("hello"))).unwrap();
            assert!(matches!(send(&pool, &server.target, sent).await, Err(SendError::RequestBody(_))));
            assert!(resets.recv().await.unwrap().is_some(), "{length}");
        }
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_body_that_fails_after_the_head_ends_the_response_too() {
    local(async {
        let (sender, mut resets) = mpsc::unbounded_channel();
        let server = Server::answering(Builder::new(), move |_, request, mut respond| {
            let sender = sender.clone();
            async move {
                let _out = begin(&mut respond);
                sender.send(reset_of(request.into_body()).await).unwrap();
            }
        })
        .await;
        let (feeder, body) = feed();
        let mut answer = send(&pool(), &server.target, request("POST").body(body).unwrap()).await.unwrap().into_body();
        feeder.send(Err(std::io::Error::other("gone"))).await.unwrap();
        assert!(matches!(answer.frame().await, Some(Err(BodyError::RequestBody(_)))));
        assert!(answer.frame().await.is_none());
        assert_eq!(resets.recv().await.unwrap(), Some(Reason::CANCEL));
    })
    .await;
}

#[tokio::test]
async fn whoever_leaves_resets_the_stream_and_not_the_connection() {
    local(async {
        let (sender, mut resets) = mpsc::unbounded_channel();
        let server = Server::answering(Builder::new(), move |_, request, mut respond| {
            let sender = sender.clone();
            async move {
                match request.uri().path() {
                    "/future" => {
                        let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
                        sender.send(reason).unwrap();
                    }
                    "/body" => {
                        let mut out = begin(&mut respond);
                        out.send_data(Bytes::from_static(b"some"), false).unwrap();
                        sender.send(std::future::poll_fn(|cx| out.poll_reset(cx)).await.unwrap()).unwrap();
                    }
                    _ => say_ok(respond),
                }
            }
        })
        .await;
        let pool = pool();
        let targets = [Arc::clone(&server.target)];
        let to = |path: &str| Request::get(path).header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
        let progress = Progress::default();
        {
            let mut sending = Box::pin(pool.send(&targets, 0, to("/future").into(), &progress, &|_| ()));
            until(|| {
                assert!(sending.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
                progress.head_sent()
            })
            .await;
        }
        assert_eq!(resets.recv().await.unwrap(), Reason::CANCEL);
        let mut body = send(&pool, &server.target, to("/body")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert_eq!(resets.recv().await.unwrap(), Reason::CANCEL);
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_request_can_be_sent_on_while_the_response_is_not_read() {
    local(async {
        let (sender, mut ends) = mpsc::unbounded_channel();
        let server = Server::answering(Builder::new(), move |_, request, mut respond| {
            let sender = sender.clone();
            async move {
                begin(&mut respond).send_data(Bytes::from_static(b"early"), true).unwrap();
                sender.send(reset_of(request.into_body()).await).unwrap();
            }
        })
        .await;
        let http1 = super::super::support::Server::start(|_, mut peer| async move {
            let head = peer.head().await;
            assert!(head.contains("content-length: 5"));
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
            assert_eq!(peer.exactly(5).await, b"hello");
            peer.say("early").await;
        })
        .await;
        let pool = pool();
        for target in [&server.target, &http1.target] {
            let (feeder, body) = feed();
            let sent = request("POST").header("content-length", "5").body(body).unwrap();
            let mut answer = send(&pool, target, sent).await.unwrap().into_body();
            feeder.send(data("hello")).await.unwrap();
            drop(feeder);
            let mut complete = false;
            let driven = std::future::poll_fn(|cx| {
                complete = matches!(answer.poll_request(cx), Poll::Ready(Ok(())));
                if complete { Poll::Ready(()) } else { Poll::Pending }
            });
            tokio::time::timeout(super::super::support::PATIENCE, driven).await.unwrap();
            assert_eq!(read(answer).await.unwrap().0, b"early");
        }
        assert_eq!(ends.recv().await.unwrap(), None);
        let (feeder, body) = feed();
        let mut answer = send(&pool, &server.target, request("POST").body(body).unwrap()).await.unwrap().into_body();
        feeder.send(Err(std::io::Error::other("gone"))).await.unwrap();
        let failed = std::future::poll_fn(|cx| answer.poll_request(cx)).await;
        assert!(matches!(failed, Err(BodyError::RequestBody(_))));
        assert!(answer.frame().await.is_none());
    })
    .await;
}
