//! What is sent once more, and what never is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::{Notify, mpsc};

use super::super::super::SendError;
use super::super::support::{data, feed, fetch, get, pool, post, request, send};
use super::support::*;

#[tokio::test]
async fn after_goaway_running_streams_finish_and_new_ones_go_elsewhere() {
    local(async {
        let go = Arc::new(Notify::new());
        let gate = Arc::clone(&go);
        let server = Server::start(Builder::new(), move |number, mut peer| {
            let gate = Arc::clone(&gate);
            async move {
                let (_, mut respond) = peer.accept().await.unwrap().unwrap();
                if number > 0 {
                    say_ok(respond);
                    while let Some(Ok((_, respond))) = peer.accept().await {
                        say_ok(respond);
                    }
                    return;
                }
                let mut out = begin(&mut respond);
                peer.graceful_shutdown();
                tokio::spawn(async move {
                    gate.notified().await;
                    out.send_data(Bytes::from_static(b"to the end"), true).unwrap();
                });
                while peer.accept().await.is_some() {}
            }
        })
        .await;
        let pool = pool();
        let mut running = send(&pool, &server.target, get()).await.unwrap().into_body();
        // Once GOAWAY is there, others go elsewhere.
        until(|| {
            let mut asked = Box::pin(fetch(&pool, &server.target));
            let _ = asked.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            server.connections() == 2
        })
        .await;
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        go.notify_one();
        assert_eq!(running.frame().await.unwrap().unwrap().into_data().unwrap(), "to the end");
        assert!(running.frame().await.is_none());
        until_kept(&pool, 1).await;
    })
    .await;
}

/// A peer that says GOAWAY after the first response on its first connection.
async fn going_away() -> Server {
    Server::start(Builder::new(), |number, mut peer| async move {
        while let Some(Ok((_, respond))) = peer.accept().await {
            say_ok(respond);
            if number == 0 {
                peer.graceful_shutdown();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_that_said_goaway_while_idle_costs_no_request() {
    local(async {
        for method in ["GET", "POST", "DELETE"] {
            let server = going_away().await;
            let pool = pool();
            fetch(&pool, &server.target).await;
            until_kept(&pool, 0).await;
            let sent = request(method).body(Full::new(Bytes::from("hello"))).unwrap();
            assert_eq!(send(&pool, &server.target, sent).await.unwrap().status(), 200, "{method}");
            assert_eq!(server.connections(), 2);
        }
    })
    .await;
}

/// Refuses the streams of so many connections; tells of each request that came.
async fn refusing(connections: usize) -> (Server, mpsc::UnboundedReceiver<usize>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let server = Server::answering(Builder::new(), move |number, request, mut respond| {
        sender.send(number).unwrap();
        async move {
            drop(request);
            if number < connections { respond.send_reset(Reason::REFUSED_STREAM) } else { say_ok(respond) }
        }
    })
    .await;
    (server, receiver)
}

#[tokio::test]
async fn a_refused_stream_is_sent_once_more_whatever_its_method_is() {
    local(async {
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            let (server, mut seen) = refusing(1).await;
            let sent = request(method).body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(send(&pool(), &server.target, sent).await.unwrap().status(), 200, "{method}");
            assert_eq!((seen.recv().await, seen.recv().await), (Some(0), Some(1)));
        }
        // Its body waits for a 100, so nothing of it was taken.
        let (server, _seen) = refusing(1).await;
        let sent = request("POST").header("expect", "100-continue").body(Full::new(Bytes::from("hello"))).unwrap();
        assert_eq!(send(&pool(), &server.target, sent).await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_refused_again_and_again_is_given_up() {
    local(async {
        let (server, _seen) = refusing(3).await;
        assert_eq!(send(&pool(), &server.target, get()).await.unwrap().status(), 200);
        assert_eq!(server.connections(), 4);
        let (server, mut seen_again) = refusing(100).await;
        let error = send(&pool(), &server.target, get()).await.err().unwrap();
        assert!(matches!(error, SendError::Reset { reason: Reason::REFUSED_STREAM, .. }), "{error}");
        for number in 0..4 {
            assert_eq!(seen_again.recv().await, Some(number));
        }
        assert!(seen_again.try_recv().is_err());
    })
    .await;
}

#[tokio::test]
async fn a_refused_stream_whose_body_was_begun_is_sent_again_from_its_beginning() {
    local(async {
        let server = Server::answering(Builder::new(), |number, request, mut respond| async move {
            let mut body = request.into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "hello");
            if number < 2 {
                return respond.send_reset(Reason::REFUSED_STREAM);
            }
            assert_eq!(body.data().await.unwrap().unwrap(), "world");
            assert!(body.data().await.is_none());
            assert_eq!(body.trailers().await.unwrap().unwrap()["x-sum"], "2");
            say_ok(respond);
        })
        .await;
        let (feeder, body) = feed();
        feeder.send(data("hello")).await.unwrap();
        let sent = request("POST").body(body).unwrap();
        let feed = async {
            feeder.send(data("world")).await.unwrap();
            let sum = (http::HeaderName::from_static("x-sum"), http::HeaderValue::from_static("2"));
            feeder.send(Ok(http_body::Frame::trailers(http::HeaderMap::from_iter([sum])))).await.unwrap();
            drop(feeder);
        };
        let pool = pool();
        let (response, ()) = tokio::join!(send(&pool, &server.target, sent), feed);
        assert_eq!((response.unwrap().status().as_u16(), server.connections()), (200, 3));
        // One that has ended is sent again as well.
        let (server, _seen) = refusing(1).await;
        let sent = request("POST").body(Full::new(Bytes::from("hello"))).unwrap();
        assert_eq!(send(&pool, &server.target, sent).await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_refused_stream_with_more_of_its_body_than_is_kept_is_not_sent_again() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, mut respond| async move {
            let mut body = request.into_body();
            let mut taken = 0;
            while taken <= 64 * 1024 {
                let piece = body.data().await.unwrap().unwrap();
                taken += piece.len();
                body.flow_control().release_capacity(piece.len()).unwrap();
            }
            respond.send_reset(Reason::REFUSED_STREAM);
        })
        .await;
        let (feeder, body) = feed();
        tokio::task::spawn_local(async move { while feeder.send(data("x".repeat(16 * 1024))).await.is_ok() {} });
        let error = send(&pool(), &server.target, request("POST").body(body).unwrap()).await.err().unwrap();
        assert!(matches!(error, SendError::Reset { reason: Reason::REFUSED_STREAM, .. }), "{error}");
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_stream_above_the_last_of_a_goaway_is_sent_once_more() {
    local(async {
        for (method, body) in [("GET", ""), ("DELETE", "")] {
            let server = raw_goaway().await;
            let pool = pool();
            assert_eq!(fetch(&pool, &target_at(&[server])).await.0, 200);
            let sent = request(method).body(Full::new(Bytes::from(body))).unwrap();
            let target = target_at(&[raw_goaway().await]);
            assert_eq!(send(&pool, &target, sent).await.unwrap().status(), 200, "{method}");
        }
    })
    .await;
}

/// A peer whose first connection answers its first request with a GOAWAY that names no stream, in exact octets.
async fn raw_goaway() -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // Empty SETTINGS, and the acknowledgement of theirs.
        socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).await.unwrap();
        let mut preface = [0; 24];
        socket.read_exact(&mut preface).await.unwrap();
        loop {
            let mut head = [0; 9];
            socket.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            socket.read_exact(&mut vec![0; length]).await.unwrap();
            // HEADERS
            if head[3] == 1 {
                break;
            }
        }
        socket.write_all(&[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let (second, _) = listener.accept().await.unwrap();
        let mut peer = h2::server::handshake(second).await.unwrap();
        while let Some(Ok((_, respond))) = peer.accept().await {
            say_ok(respond);
        }
    });
    address
}

/// Connection 0 answers one request and dies of the second; the others answer.
async fn dying() -> Server {
    Server::start(Builder::new(), |number, mut peer| async move {
        let mut count = 0;
        while let Some(Ok((_, respond))) = peer.accept().await {
            count += 1;
            if number == 0 && count == 2 {
                return;
            }
            say_ok(respond);
        }
    })
    .await
}

#[tokio::test]
async fn an_idempotent_request_survives_a_stale_connection() {
    local(async {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            let server = dying().await;
            let pool = pool();
            fetch(&pool, &server.target).await;
            let sent = request(method).body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(send(&pool, &server.target, sent).await.unwrap().status(), 200, "{method}");
            assert_eq!(server.connections(), 2);
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_else_is_sent_twice() {
    local(async {
        for (method, body) in [("POST", ""), ("PATCH", ""), ("PUT", "x"), ("GET", "x")] {
            let server = dying().await;
            let pool = pool();
            fetch(&pool, &server.target).await;
            let sent = request(method).body(Full::new(Bytes::from(body))).unwrap();
            let error = send(&pool, &server.target, sent).await.err().unwrap();
            assert!(matches!(error, SendError::Closed(_)), "{method} {body}: {error}");
            assert_eq!(server.connections(), 1);
        }
        // Nor on a fresh connection, nor after an interim response, nor what was reset for another reason.
        let server = Server::start(Builder::new(), |_, mut peer| async move {
            peer.accept().await.unwrap().unwrap();
        })
        .await;
        assert!(matches!(send(&pool(), &server.target, get()).await, Err(SendError::Closed(_))));
        assert_eq!(server.connections(), 1);
        for reason in [Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR] {
            let server = Server::answering(Builder::new(), move |_, _, mut respond| async move {
                if reason == Reason::REFUSED_STREAM {
                    respond.send_informational(Response::builder().status(103).body(()).unwrap()).unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                respond.send_reset(reason);
            })
            .await;
            let error = send(&pool(), &server.target, get()).await.err().unwrap();
            assert!(matches!(error, SendError::Reset { reason: kept, .. } if kept == reason), "{error}");
            assert_eq!(server.connections(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_post_on_a_connection_that_closes_meanwhile_is_told_apart_from_one_that_was_taken() {
    local(async {
        let server = dying().await;
        let pool = pool();
        fetch(&pool, &server.target).await;
        let error = send(&pool, &server.target, post("hello")).await.err().unwrap();
        assert!(matches!(error, SendError::Closed(_)), "{error}");
        let again = Request::get("/").header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(send(&pool, &server.target, again).await.unwrap().status(), 200);
    })
    .await;
}

#[tokio::test]
async fn what_one_target_refuses_another_may_take() {
    local(async {
        let left = Arc::new(std::sync::OnceLock::<Arc<super::super::super::Target>>::new());
        let known = Arc::clone(&left);
        let leaving = Server::answering(Builder::new(), move |_, _, mut respond| {
            // No address is left for another try.
            known.get().unwrap().publish(vec![]);
            async move { respond.send_reset(Reason::REFUSED_STREAM) }
        })
        .await;
        left.set(Arc::clone(&leaving.target)).unwrap();
        let other = Server::ok().await;
        let targets = [Arc::clone(&leaving.target), Arc::clone(&other.target)];
        let progress = super::super::super::Progress::default();
        let response = pool().send(&targets, 0, get(), &progress, &|_| ()).await.unwrap();
        assert_eq!(response.status, 200);
        assert_eq!((leaving.connections(), other.connections()), (1, 1));
    })
    .await;
}
