//! Addresses that take no connection, and upstreams that take too long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::{PoolSettings, Progress, SendError};
use super::support::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);

/// An address where nothing listens; the socket keeps the port from others.
fn dead() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}

/// An address that lets connections hang: its queue is full and never emptied.
fn hanging() -> (SocketAddr, Vec<socket2::Socket>) {
    let (address, listener) = dead();
    listener.listen(0).unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&address.into());
        held.push(socket);
    }
    (address, held)
}

#[tokio::test]
async fn a_failed_dial_tries_the_next_address_and_then_the_next_target() {
    let server = Server::replying(OK).await;
    let (dead, _held) = dead();
    assert_eq!(fetch(&pool(), &target_at(&[dead, server.address])).await.0, 200);

    let targets = [target_at(&[server.address]), target_at(&[dead]), target_at(&[])];
    for first in [1, 2, 4, 5] {
        let response = pool().send(&targets, first, get(), &Progress::default(), &|_| ()).await.unwrap();
        assert_eq!(response.status, 200);
    }
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn targets_are_taken_from_the_first_on() {
    let servers = [Server::replying(OK).await, Server::replying(OK).await, Server::replying(OK).await];
    let targets = servers.each_ref().map(|server| Arc::clone(&server.target));
    let pool = pool();
    for first in [1, 2, 4] {
        let response = pool.send(&targets, first, get(), &Progress::default(), &|_| ()).await.unwrap();
        read(response.body).await.unwrap();
    }
    assert_eq!(servers.each_ref().map(Server::connections), [0, 1, 1]);
}

#[tokio::test]
async fn an_address_that_failed_lately_is_tried_last() {
    let server = Server::replying(OK).await;
    let (hanging, _held) = hanging();
    let target = target_at(&[hanging, server.address]);
    let pool = pool_with(PoolSettings { connect_timeout: SHORT, ..settings() });
    let begun = crate::clock::instant();
    // Held open, so that each request needs a connection of its own.
    let _first = send(&pool, &target, get()).await.unwrap();
    let waited = begun.elapsed();
    assert!(waited >= SHORT, "{waited:?}");
    let begun = crate::clock::instant();
    let _second = send(&pool, &target, get()).await.unwrap();
    assert!(begun.elapsed() < SHORT);
    // Where there is no other, it is tried all the same.
    let alone = send(&pool, &target_at(&[hanging]), get()).await;
    assert!(matches!(alone, Err(SendError::ConnectTimeout(_))), "{alone:?}", alone = alone.err());
}

#[tokio::test]
async fn a_failure_says_what_it_was() {
    let (dead, _held) = dead();
    let progress = Progress::default();
    let pool = pool();
    match pool.send(&[target_at(&[dead])], 0, get(), &progress, &|_| ()).await {
        Err(SendError::Unreachable(text)) => assert!(text.contains(&dead.to_string()) && text.contains("refused"), "{text}"),
        other => panic!("{:?}", other.err()),
    }
    for targets in [vec![], vec![target_at(&[])]] {
        assert!(matches!(pool.send(&targets, 3, get(), &progress, &|_| ()).await, Err(SendError::NoAddress(_))));
    }
    assert!(!progress.head_sent());
}

#[tokio::test]
async fn a_silent_upstream_is_given_up() {
    let server = Server::replying("").await;
    let pool = pool_with(PoolSettings { response_timeout: SHORT, ..settings() });
    let begun = crate::clock::instant();
    assert!(matches!(send(&pool, &server.target, get()).await, Err(SendError::ResponseTimeout(_))));
    assert!(begun.elapsed() >= SHORT);
}

#[tokio::test]
async fn a_used_connection_keeps_the_time_as_well() {
    let server = Server::start(|_, mut peer| async move {
        for _ in 0..2 {
            peer.head().await;
            peer.say(OK).await;
        }
        peer.rest().await;
    })
    .await;
    let pool = pool_with(PoolSettings { response_timeout: SHORT, ..settings() });
    fetch(&pool, &server.target).await;
    tokio::time::sleep(SHORT * 2 / 3).await;
    fetch(&pool, &server.target).await;
    // The timer still stands where the first request set it.
    let begun = crate::clock::instant();
    assert!(matches!(send(&pool, &server.target, get()).await, Err(SendError::ResponseTimeout(_))));
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_upstream_that_does_not_take_the_body_is_given_up() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let pool = pool_with(PoolSettings { response_timeout: SHORT, ..settings() });
    let body = http_body_util::Full::new(bytes::Bytes::from(vec![0; 64 * 1024 * 1024]));
    let outcome = send(&pool, &server.target, request("POST").body(body).unwrap()).await;
    assert!(matches!(outcome, Err(SendError::ResponseTimeout(_))));
}

#[tokio::test]
async fn the_wait_begins_again_while_the_body_makes_progress() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.exactly("1\r\na\r\n".len() * 6 + "0\r\n\r\n".len()).await;
        peer.say(OK).await;
        peer.rest().await;
    })
    .await;
    let pool = pool_with(PoolSettings { response_timeout: SHORT, ..settings() });
    let (feeder, body) = feed();
    tokio::spawn(async move {
        for _ in 0..6 {
            tokio::time::sleep(SHORT / 3).await;
            feeder.send(data("a")).await.unwrap();
        }
    });
    let begun = crate::clock::instant();
    assert_eq!(send(&pool, &server.target, request("POST").body(body).unwrap()).await.unwrap().status(), 200);
    assert!(begun.elapsed() > SHORT);
}

#[tokio::test]
async fn a_client_that_does_not_send_its_body_is_to_blame_itself() {
    let server = Server::replying("").await;
    let pool = pool_with(PoolSettings { response_timeout: SHORT, ..settings() });
    let (_feeder, body) = feed();
    let outcome = send(&pool, &server.target, request("POST").body(body).unwrap()).await;
    assert!(matches!(outcome, Err(SendError::BodyStalled)));
}

#[tokio::test]
async fn a_stream_may_pause_longer_than_a_head() {
    let server = Server::start(|_, mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n").await;
        tokio::time::sleep(SHORT * 2).await;
        peer.say("1\r\nb\r\n0\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let pool = pool_with(PoolSettings { response_timeout: SHORT, ..settings() });
    assert_eq!(fetch(&pool, &server.target).await.1, "ab");
}
