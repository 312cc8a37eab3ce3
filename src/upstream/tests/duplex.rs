//! Bodies both ways at once, early answers, 100 and 101.

use bytes::Bytes;
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::{BodyError, SendError};
use super::support::*;

/// Far more than both sockets' buffers hold.
const PIECES: usize = 4096;
const PIECE: usize = 16 * 1024;

#[tokio::test]
async fn an_echo_larger_than_all_buffers_flows_both_ways() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECES * PIECE)).await;
        let (mut reader, mut writer) = peer.socket.split();
        tokio::io::copy(&mut reader, &mut writer).await.unwrap();
    })
    .await;
    let (feeder, body) = feed();
    let request = request("POST").header("content-length", PIECES * PIECE).body(body).unwrap();
    let feeding = async {
        for number in 0..PIECES {
            feeder.send(data(vec![number as u8; PIECE])).await.unwrap();
        }
        drop(feeder);
    };
    let pool = pool();
    let reading = async {
        let mut body = send(&pool, &server.target, request).await.unwrap().into_body();
        let mut count = 0;
        while let Some(frame) = body.frame().await {
            for octet in frame.unwrap().into_data().unwrap() {
                assert_eq!(octet, (count / PIECE) as u8);
                count += 1;
            }
        }
        count
    };
    let (count, ()) = tokio::join!(reading, feeding);
    assert_eq!(count, PIECES * PIECE);
    // Request and response were complete.
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}

#[tokio::test]
async fn a_body_is_not_pulled_faster_than_the_upstream_takes_it() {
    let (go, mut wait) = mpsc::channel::<()>(1);
    let server = Server::start({
        let go = go.clone();
        move |_, mut peer| {
            let go = go.clone();
            async move {
                peer.head().await;
                // Reads only after the other side has come to a halt.
                go.closed().await;
                peer.rest().await;
            }
        }
    })
    .await;
    let (feeder, body) = feed();
    let pool = pool();
    let request = request("POST").body(body).unwrap();
    let mut sending = Box::pin(send(&pool, &server.target, request));
    let mut taken = 0;
    let halted = loop {
        tokio::select! {
            biased;
            _ = &mut sending => panic!("there is no response"),
            sent = feeder.send(data(vec![0; 64 * 1024])) => {
                sent.unwrap();
                taken += 1;
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => break true,
        }
        assert!(taken < 4096, "256 MiB went nowhere");
    };
    assert!(halted);
    wait.close();
}

#[tokio::test]
async fn an_early_answer_does_not_wait_for_the_request() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n").await;
        assert_eq!(peer.exactly(10).await, b"5\r\nhello\r\n");
        peer.say("hello").await;
        assert_eq!(peer.exactly(15).await, b"5\r\nworld\r\n0\r\n\r\n");
        peer.say("world").await;
        peer.rest().await;
    })
    .await;
    let (feeder, body) = feed();
    let pool = pool();
    let mut body = send(&pool, &server.target, request("POST").body(body).unwrap()).await.unwrap().into_body();
    feeder.send(data("hello")).await.unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    feeder.send(data("world")).await.unwrap();
    drop(feeder);
    assert_eq!(read(body).await.unwrap().0, b"world");
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}

#[tokio::test]
async fn a_response_that_ends_first_ends_the_exchange() {
    let (closed, mut reports) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let closed = closed.clone();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno").await;
            closed.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let (_feeder, body) = feed();
    let pool = pool();
    let response = send(&pool, &server.target, request("POST").body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(read(response.into_body()).await.unwrap().0, b"no");
    assert_eq!(reports.recv().await.unwrap(), b"");
    assert_eq!(pool.shared.idle.borrow().len(), 0);
}

#[tokio::test]
async fn an_answer_is_read_although_the_upstream_refuses_the_rest() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.exactly(1000).await;
        peer.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno").await;
        // Closes with octets unread, so that the request is answered with a reset.
    })
    .await;
    let pool = pool();
    for _ in 0..20 {
        let body = Full::new(Bytes::from(vec![0; 32 * 1024 * 1024]));
        let response = send(&pool, &server.target, request("POST").body(body).unwrap()).await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(read(response.into_body()).await.unwrap().0, b"no");
    }
    assert_eq!(pool.shared.idle.borrow().len(), 0);
}

#[tokio::test]
async fn a_request_body_that_fails_after_the_answer_ends_the_response_and_stays_open_ended() {
    let (closed, mut reports) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let closed = closed.clone();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello").await;
            closed.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let (feeder, body) = feed();
    let mut body = send(&pool(), &server.target, request("POST").body(body).unwrap()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
    feeder.send(Err(std::io::Error::other("the client left"))).await.unwrap();
    assert!(matches!(body.frame().await, Some(Err(BodyError::RequestBody(_)))));
    assert_eq!(reports.recv().await.unwrap(), b"");
}

fn expecting() -> http::Request<Full<Bytes>> {
    request("POST").header("expect", "100-continue").header("content-length", "5").body(Full::new(Bytes::from("hello"))).unwrap()
}

#[tokio::test]
async fn a_body_waits_for_the_100() {
    let server = Server::start(|_, mut peer| async move {
        assert!(peer.head().await.contains("expect: 100-continue\r\n"));
        let early = tokio::time::timeout(std::time::Duration::from_millis(100), peer.socket.read_u8()).await;
        assert!(early.is_err(), "the body did not wait");
        peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = peer.exactly(5).await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
        peer.say(body).await;
        peer.rest().await;
    })
    .await;
    let pool = pool();
    let response = send(&pool, &server.target, expecting()).await.unwrap();
    assert_eq!(read(response.into_body()).await.unwrap().0, b"hello");
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}

#[tokio::test]
async fn a_body_is_sent_without_a_100_after_a_second() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        let begun = crate::clock::instant();
        peer.exactly(5).await;
        assert!(begun.elapsed() > std::time::Duration::from_millis(900));
        peer.say("HTTP/1.1 204 No Content\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    assert_eq!(send(&pool(), &server.target, expecting()).await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_body_that_waits_is_not_sent_after_a_final_answer() {
    let (closed, mut reports) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let closed = closed.clone();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
            closed.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let pool = pool();
    let response = send(&pool, &server.target, expecting()).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(read(response.into_body()).await.unwrap().0, b"no");
    assert_eq!(reports.recv().await.unwrap(), b"");
    assert_eq!(pool.shared.idle.borrow().len(), 0);
}

fn upgrading() -> http::Request<http_body_util::Empty<Bytes>> {
    request("GET").header("connection", "Upgrade").header("upgrade", "websocket").body(http_body_util::Empty::new()).unwrap()
}

#[tokio::test]
async fn after_a_101_the_connection_is_the_callers() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst").await;
        assert_eq!(peer.rest().await, b"hello");
        peer.say("last").await;
    })
    .await;
    let response = send(&pool(), &server.target, upgrading()).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert!(response.body().is_end_stream());
    let mut upgraded = response.into_body().into_upgraded().unwrap();
    let mut first = [0; 5];
    upgraded.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"first");
    upgraded.write_all(b"hello").await.unwrap();
    upgraded.shutdown().await.unwrap();
    let mut last = Vec::new();
    upgraded.read_to_end(&mut last).await.unwrap();
    assert_eq!(last, b"last");
}

#[tokio::test]
async fn an_upgrade_may_be_declined() {
    let server = Server::replying("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n").await;
    let pool = pool();
    let response = send(&pool, &server.target, upgrading()).await.unwrap();
    assert_eq!(response.status(), 426);
    assert!(response.into_body().into_upgraded().is_none());
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}

#[tokio::test]
async fn a_101_within_a_request_is_refused() {
    let server = Server::replying("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").await;
    let (_feeder, body) = feed();
    let request = request("POST").header("upgrade", "websocket").body(body).unwrap();
    assert!(matches!(send(&pool(), &server.target, request).await, Err(SendError::Garbage(_))));
}
