//! Which connection a request takes, and how long each is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::server::Builder;
use http_body_util::{BodyExt, Empty};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};

use super::super::super::http2::Tempo;
use super::super::super::{BodyError, Pool, PoolSettings, Progress, SendError};
use super::super::support::{PATIENCE, fetch, get, pool, pool_with, read, send, settings};
use super::support::*;
use crate::observe::Metrics;

/// A builder of peers that take so many streams at once.
fn limited(streams: u32) -> Builder {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(streams);
    builder
}

/// A server that answers when it is let; and how many streams were open at most on one connection.
async fn gated(streams: u32) -> (Server, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, most) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inner, seen) = (Arc::clone(&gate), Arc::clone(&most));
    let server = Server::start(limited(streams), move |_, mut peer| {
        let (gate, most, open) = (Arc::clone(&inner), Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
        async move {
            while let Some(Ok((_, respond))) = peer.accept().await {
                let (gate, open) = (Arc::clone(&gate), Arc::clone(&open));
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::spawn(async move {
                    gate.acquire().await.unwrap().forget();
                    open.fetch_sub(1, Ordering::SeqCst);
                    say_ok(respond);
                });
            }
        }
    })
    .await;
    (server, gate, most)
}

#[tokio::test]
async fn requests_at_the_same_time_share_a_connection_from_the_first_on() {
    local(async {
        let server = Server::ok().await;
        let pool = pool();
        let all = join_all((0..60).map(|_| fetch(&pool, &server.target))).await;
        assert!(all.iter().all(|answer| *answer == (200, "ok".to_owned())));
        assert_eq!(server.connections(), 1);
        assert_eq!(pool.kept_http2(), 1);
    })
    .await;
}

#[tokio::test]
async fn no_connection_gets_more_streams_than_its_peer_allows() {
    local(async {
        let (server, gate, most) = gated(2).await;
        let pool = pool();
        let all = join_all((0..6).map(|_| fetch(&pool, &server.target)));
        let letting = async {
            until(|| server.connections() == 3).await;
            gate.add_permits(100);
        };
        let (all, ()) = tokio::join!(all, letting);
        assert!(all.iter().all(|answer| answer.0 == 200));
        assert_eq!((server.connections(), most.load(Ordering::SeqCst)), (3, 2));
        join_all((0..6).map(|_| fetch(&pool, &server.target))).await;
        assert_eq!((server.connections(), most.load(Ordering::SeqCst)), (3, 2));
    })
    .await;
}

#[tokio::test]
async fn where_there_are_enough_connections_a_request_waits_for_a_stream() {
    local(async {
        let (server, gate, most) = gated(1).await;
        let pool = pool_with(PoolSettings { connect_timeout: Duration::from_secs(3), ..settings() });
        let held: Vec<_> = (0..128)
            .map(|_| {
                let (pool, target) = (pool.clone(), Arc::clone(&server.target));
                tokio::task::spawn_local(async move { fetch(&pool, &target).await })
            })
            .collect();
        until(|| pool.kept_http2() == 128 && most.load(Ordering::SeqCst) == 1).await;
        let late = {
            let (pool, target) = (pool.clone(), Arc::clone(&server.target));
            tokio::task::spawn_local(async move { fetch(&pool, &target).await })
        };
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!late.is_finished());
        gate.add_permits(1000);
        assert_eq!(late.await.unwrap().0, 200);
        for held in held {
            assert_eq!(held.await.unwrap().0, 200);
        }
        assert_eq!(server.connections(), 128);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_allows_no_stream_gets_none_and_no_second_connection() {
    local(async {
        let server = Server::start(limited(0), |_, mut peer| async move { while peer.accept().await.is_some() {} }).await;
        let pool = pool_with(PoolSettings { connect_timeout: Duration::from_millis(200), ..settings() });
        let progress = Progress::default();
        let outcome = pool.send(&[Arc::clone(&server.target)], 0, get(), &progress, &|_| ()).await;
        assert!(matches!(outcome, Err(SendError::ConnectTimeout(_))));
        assert!(!progress.head_sent());
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_first_request_that_is_given_up_leaves_its_dial_to_the_others() {
    local(async {
        let server = Server::ok().await;
        let pool = pool();
        let targets = [Arc::clone(&server.target)];
        let progress = Progress::default();
        let mut first = Box::pin(pool.send(&targets, 0, get(), &progress, &|_| ()));
        assert!(first.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
        let second = fetch(&pool, &server.target);
        drop(first);
        assert_eq!(second.await.0, 200);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn unused_connections_are_closed_in_time_and_used_ones_stay() {
    local(async {
        let (sender, mut closed) = mpsc::unbounded_channel();
        let server = Server::start(Builder::new(), move |_, mut peer| {
            let sender = sender.clone();
            async move {
                let mut held = Vec::new();
                while let Some(Ok((request, mut respond))) = peer.accept().await {
                    match request.uri().path() {
                        "/held" => held.push(begin(&mut respond)),
                        _ => say_ok(respond),
                    }
                }
                sender.send(()).unwrap();
            }
        })
        .await;
        let pool = pool_with(PoolSettings { idle_timeout: Duration::from_millis(50), ..settings() });
        let sent = http::Request::get("/held").header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
        let held = send(&pool, &server.target, sent).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        pool.purge();
        assert_eq!(pool.kept_http2(), 1);
        drop(held);
        until_kept(&pool, 0).await;
        tokio::time::timeout(PATIENCE, closed.recv()).await.unwrap().unwrap();
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        assert_eq!(server.connections(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_pool_that_is_dropped_closes_its_connections() {
    local(async {
        let (sender, mut closed) = mpsc::unbounded_channel();
        let server = Server::start(Builder::new(), move |_, mut peer| {
            let sender = sender.clone();
            async move {
                while let Some(Ok((_, respond))) = peer.accept().await {
                    say_ok(respond);
                }
                sender.send(()).unwrap();
            }
        })
        .await;
        let pool = pool();
        fetch(&pool, &server.target).await;
        drop(pool);
        tokio::time::timeout(PATIENCE, closed.recv()).await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_connection_to_an_address_that_is_no_longer_the_targets_takes_no_new_streams() {
    local(async {
        let (old, new) = (
            Server::answering(Builder::new(), |_, _, mut respond| async move {
                let mut out = begin(&mut respond);
                tokio::time::sleep(Duration::from_millis(50)).await;
                let _ = out.send_data(Bytes::from_static(b"old"), true);
            })
            .await,
            Server::ok().await,
        );
        let pool = pool();
        let running = send(&pool, &old.target, get()).await.unwrap();
        old.target.publish(vec![new.address, old.address]);
        let second = send(&pool, &old.target, get()).await.unwrap();
        assert_eq!((old.connections(), new.connections()), (1, 0));
        old.target.publish(vec![new.address]);
        assert_eq!(fetch(&pool, &old.target).await.1, "ok");
        assert_eq!((old.connections(), new.connections()), (1, 1));
        for running in [running, second] {
            assert_eq!(read(running.into_body()).await.unwrap().0, b"old");
        }
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_went_silent_is_found_by_its_missing_pong() {
    local(async {
        // It reads everything and says nothing after the head.
        let server = Server::start(Builder::new(), |_, mut peer| async move {
            let (_, mut respond) = peer.accept().await.unwrap().unwrap();
            let _out = begin(&mut respond);
            // Drives the connection only until the head is out.
            let _ = tokio::time::timeout(Duration::from_millis(30), peer.accept()).await;
            tokio::time::sleep(2 * PATIENCE).await;
            drop(peer);
        })
        .await;
        let tempo = Tempo { silence: Duration::from_millis(60), calm: PATIENCE, patience: Duration::from_millis(60) };
        let pool = Pool::with_tempo(settings(), Arc::new(Metrics::default()), tempo);
        let mut body = send(&pool, &server.target, get()).await.unwrap().into_body();
        let error = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(&error, BodyError::Upstream(text) if text.contains("no longer answers")), "{error}");
        assert_eq!(pool.kept_http2(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_answers_its_pings_is_left_in_peace() {
    local(async {
        let server = Server::answering(Builder::new(), |_, _, mut respond| async move {
            let mut out = begin(&mut respond);
            tokio::time::sleep(Duration::from_millis(400)).await;
            let _ = out.send_data(Bytes::from_static(b"late"), true);
        })
        .await;
        let tempo = Tempo { silence: Duration::from_millis(40), calm: Duration::from_millis(80), patience: Duration::from_millis(150) };
        let pool = Pool::with_tempo(settings(), Arc::new(Metrics::default()), tempo);
        let body = send(&pool, &server.target, get()).await.unwrap().into_body();
        assert_eq!(read(body).await.unwrap().0, b"late");
        assert_eq!(pool.kept_http2(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_server_of_http1_is_refused_before_anything_is_sent() {
    local(async {
        let http1 = super::super::support::Server::start(|_, mut peer| async move {
            let _ = peer.socket.read(&mut [0; 1024]).await;
            let _ = peer.socket.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        })
        .await;
        let silent = super::super::support::Server::start(|_, mut peer| async move { drop(peer.rest().await) }).await;
        for (address, patience) in [(http1.address, PATIENCE), (silent.address, Duration::from_millis(100))] {
            let pool = pool_with(PoolSettings { connect_timeout: patience, ..settings() });
            let progress = Progress::default();
            let target = target_at(&[address]);
            let error = pool.send(&[target], 0, get(), &progress, &|_| ()).await.err().unwrap();
            assert!(matches!(error, SendError::Unreachable(_) | SendError::ConnectTimeout(_)), "{error}");
            assert!(!progress.head_sent());
        }
    })
    .await;
}

#[tokio::test]
async fn a_target_that_fails_leaves_the_request_to_the_next_of_either_kind() {
    local(async {
        let (http2, http1) =
            (Server::ok().await, super::super::support::Server::replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let dead = socket.local_addr().unwrap().as_socket().unwrap();
        let pool = pool();
        let (dead1, dead2) = (super::super::support::target_at(&[dead]), target_at(&[dead]));
        for (targets, first) in [
            (vec![Arc::clone(&dead2), Arc::clone(&http2.target)], 0),
            (vec![Arc::clone(&dead2), Arc::clone(&http1.target)], 0),
            (vec![Arc::clone(&dead1), Arc::clone(&dead2), Arc::clone(&http2.target)], 1),
            (vec![Arc::clone(&dead2), Arc::clone(&dead1), Arc::clone(&http1.target)], 3),
            (vec![target_at(&[dead, http2.address])], 0),
        ] {
            let response = pool.send(&targets, first, get(), &Progress::default(), &|_| ()).await.unwrap();
            assert_eq!(read(response.body).await.unwrap().0, b"ok");
        }
        assert!(matches!(send(&pool, &dead2, get()).await, Err(SendError::Unreachable(_))));
        assert!(matches!(send(&pool, &target_at(&[]), get()).await, Err(SendError::NoAddress(_))));
        assert!(http2.connections() >= 1 && http1.connections() >= 1);
    })
    .await;
}

#[tokio::test]
async fn what_a_request_to_http1_needs_has_not_grown() {
    let pool = pool();
    let targets = [super::super::support::target_at(&[])];
    let progress = Progress::default();
    let size = std::mem::size_of_val(&pool.send(&targets, 0, get(), &progress, &|_| ()));
    // 2,664 octets before HTTP/2 upstreams were there.
    assert!(size <= 2800, "{size} octets");
}
