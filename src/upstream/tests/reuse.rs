//! When a connection serves another request, and when it must not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::mpsc;

use super::super::{Pool, PoolSettings, SendError};
use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Lets the reactor run until the pool has closed all but `count` of its idle connections.
async fn until_idle(pool: &Pool, count: usize) {
    let waiting = async {
        loop {
            pool.purge();
            if pool.shared.idle.borrow().len() == count {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the number of idle connections never came about");
}

#[tokio::test]
async fn requests_one_after_the_other_share_a_connection() {
    for reply in [
        OK,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let server = Server::replying(reply).await;
        let pool = pool();
        for _ in 0..5 {
            assert_eq!(fetch(&pool, &server.target).await, (200, "ok".to_owned()));
        }
        assert_eq!(server.connections(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_do_not_share_a_connection() {
    let server = Server::replying(OK).await;
    let pool = pool();
    let first = send(&pool, &server.target, get()).await.unwrap();
    let second = send(&pool, &server.target, get()).await.unwrap();
    assert_eq!(server.connections(), 2);
    assert_eq!(read(first.into_body()).await.unwrap().0, b"ok");
    assert_eq!(read(second.into_body()).await.unwrap().0, b"ok");
    assert_eq!(pool.shared.idle.borrow().len(), 2);
}

#[tokio::test]
async fn a_connection_is_free_with_the_last_frame() {
    for (reply, size) in [(OK, Some(2)), ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", None)] {
        let server = Server::replying(reply).await;
        let pool = pool();
        let mut body = send(&pool, &server.target, get()).await.unwrap().into_body();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (size, false));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
        assert_eq!(pool.shared.idle.borrow().len(), 1);
    }
}

#[tokio::test]
async fn a_response_without_a_body_frees_its_connection_at_once() {
    let server = Server::replying("HTTP/1.1 204 No Content\r\n\r\n").await;
    let pool = pool();
    let response = send(&pool, &server.target, get()).await.unwrap();
    assert!(response.body().is_end_stream());
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}

#[tokio::test]
async fn a_connection_is_not_used_again_where_either_side_may_see_another_message() {
    for reply in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok",
    ] {
        let server = Server::replying(reply).await;
        let pool = pool();
        for count in 1..4 {
            assert_eq!(fetch(&pool, &server.target).await, (200, "ok".to_owned()));
            assert_eq!(server.connections(), count, "{reply:?}");
        }
    }
    let server = Server::replying("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").await;
    let pool = pool();
    fetch(&pool, &server.target).await;
    assert_eq!(pool.shared.idle.borrow().len(), 0);
}

#[tokio::test]
async fn octets_on_an_idle_connection_are_nobodys_response() {
    let (go, gone) = mpsc::channel::<()>(1);
    let gone = Arc::new(tokio::sync::Mutex::new(gone));
    let server = Server::start(move |number, mut peer| {
        let gone = Arc::clone(&gone);
        async move {
            peer.head().await;
            peer.say(OK).await;
            if number == 0 {
                gone.lock().await.recv().await.unwrap();
                peer.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
            }
            peer.rest().await;
        }
    })
    .await;
    let pool = pool();
    fetch(&pool, &server.target).await;
    go.send(()).await.unwrap();
    until_idle(&pool, 0).await;
    assert_eq!(fetch(&pool, &server.target).await.1, "ok");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_its_upstream_closed_is_passed_over() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say(OK).await;
    })
    .await;
    let pool = pool();
    for count in 1..4 {
        fetch(&pool, &server.target).await;
        until_idle(&pool, 0).await;
        assert_eq!(server.connections(), count);
    }
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let server = Server::replying(OK).await;
    let pool = pool_with(PoolSettings { idle_timeout: Duration::from_millis(50), ..settings() });
    fetch(&pool, &server.target).await;
    assert_eq!(pool.shared.idle.borrow().len(), 1);
    until_idle(&pool, 0).await;

    // Two seconds less the margin of one.
    let server = Server::replying("HTTP/1.1 200 OK\r\nKeep-Alive: max=9, timeout=2\r\nContent-Length: 2\r\n\r\nok").await;
    let pool = super::support::pool();
    let begun = crate::clock::instant();
    fetch(&pool, &server.target).await;
    until_idle(&pool, 0).await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(2), "{took:?}");
}

/// Connection 0 answers one request and dies of the second; the others do as `later` says.
async fn dying(later: &'static str, reset: bool) -> Server {
    Server::start(move |number, mut peer| async move {
        peer.head().await;
        match (number, later) {
            (0, _) => {
                peer.say(OK).await;
                peer.head().await;
                if reset {
                    peer.reset();
                }
            }
            (_, "") => {}
            _ => {
                peer.say(later).await;
                peer.rest().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_idempotent_request_survives_a_stale_connection() {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"] {
        for reset in [false, true] {
            let server = dying("HTTP/1.1 204 No Content\r\n\r\n", reset).await;
            let pool = pool();
            fetch(&pool, &server.target).await;
            let request = request(method).body(Empty::<Bytes>::new()).unwrap();
            assert_eq!(send(&pool, &server.target, request).await.unwrap().status(), 204, "{method}");
            assert_eq!(server.connections(), 2);
        }
    }
}

#[tokio::test]
async fn nothing_else_is_sent_twice() {
    for (method, body) in [("POST", ""), ("PATCH", ""), ("PUT", "x"), ("GET", "x")] {
        let server = dying(OK, false).await;
        let pool = pool();
        fetch(&pool, &server.target).await;
        let request = request(method).body(Full::new(Bytes::from(body))).unwrap();
        assert!(matches!(send(&pool, &server.target, request).await, Err(SendError::Closed(_))), "{method} {body}");
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_only() {
    let server = dying("", false).await;
    let pool = pool();
    fetch(&pool, &server.target).await;
    assert!(matches!(send(&pool, &server.target, get()).await, Err(SendError::Closed(_))));
    assert_eq!(server.connections(), 2);
    // On a fresh connection there is no doubt: nothing is repeated.
    assert!(matches!(send(&pool, &server.target, get()).await, Err(SendError::Closed(_))));
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_request_is_not_repeated_once_an_octet_of_its_response_came() {
    for octets in ["H", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let server = Server::start(move |_, mut peer| async move {
            peer.head().await;
            peer.say(OK).await;
            peer.head().await;
            peer.say(octets).await;
        })
        .await;
        let pool = pool();
        fetch(&pool, &server.target).await;
        assert!(matches!(send(&pool, &server.target, get()).await, Err(SendError::Closed(_))));
        assert_eq!(server.connections(), 1);
    }
}

/// A server that tells when a connection has closed, and answers with `reply` as soon as the head is there.
async fn reporting(reply: &'static str) -> (Server, mpsc::UnboundedReceiver<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let sender = sender.clone();
        async move {
            peer.head().await;
            peer.say(reply).await;
            peer.rest().await;
            sender.send(()).unwrap();
        }
    })
    .await;
    (server, receiver)
}

#[tokio::test]
async fn dropping_the_response_closes_the_connection() {
    let (server, mut closed) = reporting("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await;
    let pool = pool();
    let mut body = send(&pool, &server.target, get()).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    closed.recv().await.unwrap();
    assert_eq!(pool.shared.idle.borrow().len(), 0);
}

#[tokio::test]
async fn dropping_the_future_closes_the_connection_and_tells_what_was_sent() {
    let (server, mut closed) = reporting("").await;
    let pool = pool();
    let targets = [Arc::clone(&server.target)];
    let progress = super::super::Progress::default();
    assert!(!progress.head_sent());
    {
        let mut sending = Box::pin(pool.send(&targets, 0, get(), &progress, &|_| ()));
        let sent = std::future::poll_fn(|cx| {
            assert!(sending.as_mut().poll(cx).is_pending());
            if progress.head_sent() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        tokio::time::timeout(PATIENCE, sent).await.unwrap();
    }
    assert!(progress.head_sent());
    closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_connection_to_an_address_that_is_no_longer_the_targets_is_passed_over() {
    let (old, new) = (Server::replying(OK).await, Server::replying(OK).await);
    let pool = pool();
    fetch(&pool, &old.target).await;
    old.target.publish(vec![new.address, old.address]);
    fetch(&pool, &old.target).await;
    assert_eq!((old.connections(), new.connections()), (1, 0));
    old.target.publish(vec![new.address]);
    fetch(&pool, &old.target).await;
    assert_eq!((old.connections(), new.connections()), (1, 1));
}
