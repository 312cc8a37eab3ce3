//! Connections to an app are shared within what it allows, and left when it says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::server::Builder;
use http::Version;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};

use super::app::{App, begin, logged, say};
use crate::support::connect::{head_of, piece_of, whole_of};
use crate::support::{TestGateway, VERSIONS, eventually, tenant};

#[tokio::test]
async fn an_app_never_gets_more_streams_at_once_than_it_allows() {
    let (gate, most) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (inner, seen) = (Arc::clone(&gate), Arc::clone(&most));
    let mut builder = Builder::new();
    builder.max_concurrent_streams(3);
    let app = App::scripted("h2c", builder, move |_, mut peer| {
        let (gate, most, open) = (Arc::clone(&inner), Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
        async move {
            while let Some(Ok((_, respond))) = peer.accept().await {
                let (gate, open) = (Arc::clone(&gate), Arc::clone(&open));
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::spawn(async move {
                    gate.acquire().await.unwrap().forget();
                    open.fetch_sub(1, Ordering::SeqCst);
                    say(respond, "ok");
                });
            }
        }
    })
    .await;
    let gateway = app.gateway().start().await;
    for _ in 0..2 {
        let all = join_all((0..12).map(|_| gateway.get("acme", "/")));
        let letting = async {
            eventually("enough connections", || async { (app.connections() == 4).then_some(()) }).await;
            gate.add_permits(12);
        };
        let (all, ()) = tokio::join!(all, letting);
        for answer in all {
            assert_eq!(answer.expect(200).text(), "ok");
        }
    }
    assert_eq!((app.connections(), most.load(Ordering::SeqCst)), (4, 3));
}

#[tokio::test]
async fn an_app_that_says_goaway_ends_what_it_has_and_gets_nothing_new_there() {
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let app = App::scripted("h2c", Builder::new(), move |number, mut peer| {
        let gate = Arc::clone(&gate);
        async move {
            while let Some(Ok((_, mut respond))) = peer.accept().await {
                if number > 0 {
                    say(respond, "new");
                    continue;
                }
                let mut out = begin(&mut respond);
                out.send_data(Bytes::from_static(b"half, "), false).unwrap();
                peer.graceful_shutdown();
                let gate = Arc::clone(&gate);
                tokio::spawn(async move {
                    gate.notified().await;
                    out.send_data(Bytes::from_static(b"and the rest"), true).unwrap();
                });
            }
        }
    })
    .await;
    let gateway = app.gateway().start().await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, _) = client.begin("GET", "/", false).await;
    let mut running = head_of(response).await.into_body();
    assert_eq!(piece_of(&mut running).await.unwrap().unwrap(), "half, ");
    for version in VERSIONS {
        assert_eq!(gateway.connect(version, "acme").await.get("/").await.expect(200).text(), "new");
    }
    go.notify_one();
    assert_eq!(whole_of(&mut running).await.unwrap(), b"and the rest");
    assert_eq!(app.connections(), 2);
}

#[tokio::test]
async fn a_refused_stream_costs_the_client_nothing_and_counts_once() {
    let app = App::answering("h2c", Builder::new(), |number, _, mut respond| async move {
        if number == 0 { respond.send_reset(Reason::REFUSED_STREAM) } else { say(respond, "ok") }
    })
    .await;
    let gateway = app.gateway().start().await;
    let answer = crate::support::gateway::send(gateway.request(reqwest::Method::DELETE, "acme", "/")).await;
    assert_eq!(answer.expect(200).text(), "ok");
    assert_eq!(app.connections(), 2);
    assert_eq!(gateway.usage("acme").await["apiCalls"], 1);
}

#[tokio::test]
async fn an_app_that_only_refuses_or_resets_before_it_answers_is_a_502_and_is_given_back() {
    for reason in [Reason::REFUSED_STREAM, Reason::INTERNAL_ERROR] {
        let app = App::answering("h2c", Builder::new(), move |_, _, mut respond| async move { respond.send_reset(reason) }).await;
        let gateway = app.gateway().start().await;
        for version in VERSIONS {
            gateway.connect(version, "acme").await.get("/").await.expect(502).code("upstream_unreachable");
        }
        assert_eq!(gateway.usage("acme").await["apiCalls"], 0);
        logged(&gateway, "reset the stream before it answered").await;
    }
}

#[tokio::test]
async fn an_app_of_http_1_1_behind_h2c_is_refused_and_the_log_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    let gateway = TestGateway::to_url(&format!("h2c://{address}")).tenant(tenant("acme")).start().await;
    gateway.connect(Version::HTTP_11, "acme").await.get("/").await.expect(502).code("upstream_unreachable");
    logged(&gateway, &format!("no connection to h2c://{address}")).await;
}
