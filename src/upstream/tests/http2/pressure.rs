//! Who is slow holds back the one that it slows down, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::Builder;
use http::Request;
use http_body_util::{BodyExt, Empty};
use tokio::sync::{Notify, mpsc};

use super::super::support::{data, feed, fetch, pool, request, send};
use super::bodies::{reset_of, write_all};
use super::support::*;

#[tokio::test]
async fn an_unread_response_holds_its_upstream_back_and_not_its_neighbours() {
    local(async {
        let (sender, mut progress) = mpsc::unbounded_channel();
        let server = Server::answering(Builder::new(), move |_, request, mut respond| {
            let sender = sender.clone();
            async move {
                if request.uri().path() != "/endless" {
                    return say_ok(respond);
                }
                let mut out = begin(&mut respond);
                for sent in 1.. {
                    write_all(&mut out, Bytes::from(vec![b'a'; 64 * 1024])).await;
                    if sender.send(sent).is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        let pool = pool();
        let to_endless = || Request::get("/endless").header("host", "a.test").body(Empty::<Bytes>::new()).unwrap();
        let mut slow = Vec::new();
        for _ in 0..8 {
            slow.push(send(&pool, &server.target, to_endless()).await.unwrap().into_body());
        }
        // Each gets a window full and no more.
        let mut most = 0;
        while let Ok(sent) = tokio::time::timeout(Duration::from_millis(300), progress.recv()).await {
            most = most.max(sent.unwrap());
        }
        assert!(most <= 8, "{most} pieces of 64 KiB without a reader");
        assert_eq!(fetch(&pool, &server.target).await, (200, "ok".to_owned()));
        let mut got = 0;
        while got < 1_000_000 {
            got += slow[0].frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_does_not_read_holds_the_request_back() {
    local(async {
        let go = Arc::new(Notify::new());
        let gate = Arc::clone(&go);
        let server = Server::answering(Builder::new(), move |_, request, respond| {
            let gate = Arc::clone(&gate);
            async move {
                gate.notified().await;
                assert_eq!(reset_of(request.into_body()).await, None);
                say_ok(respond);
            }
        })
        .await;
        let (feeder, body) = feed();
        let fed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&fed);
        tokio::spawn(async move {
            for _ in 0..64 {
                feeder.send(data(vec![b'a'; 16 * 1024])).await.unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        let pool = pool();
        let sending = tokio::task::spawn_local({
            let (pool, target) = (pool.clone(), Arc::clone(&server.target));
            async move { send(&pool, &target, request("POST").body(body).unwrap()).await.unwrap().status() }
        });
        tokio::time::sleep(Duration::from_millis(200)).await;
        // The window of 64 KiB, and a piece here and there.
        let taken = fed.load(std::sync::atomic::Ordering::SeqCst);
        assert!((4..10).contains(&taken), "{taken}");
        go.notify_one();
        assert_eq!(sending.await.unwrap(), 200);
    })
    .await;
}
