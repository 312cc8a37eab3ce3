//! Whoever leaves, the other side learns of it as its protocol has it; half an answer is never a whole one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::Builder;
use h2::{Reason, RecvStream};
use http::Response;
use tokio::sync::mpsc;

use super::app::{App, begin, write_all};
use crate::support::connect::{head_of, piece_of, push, whole_of};
use crate::support::{eventually, within};

#[tokio::test]
async fn an_answer_that_is_reset_is_never_complete_for_clients_of_either_version() {
    for reason in [Reason::INTERNAL_ERROR, Reason::ENHANCE_YOUR_CALM, Reason::NO_ERROR] {
        for length in [None, Some("100")] {
            let app = App::answering("h2c", Builder::new(), move |_, _, mut respond| async move {
                let mut head = Response::builder();
                if let Some(length) = length {
                    head = head.header("content-length", length);
                }
                let mut out = respond.send_response(head.body(()).unwrap(), false).unwrap();
                out.send_data(Bytes::from_static(b"half"), false).unwrap();
                // The octets go out first.
                tokio::time::sleep(Duration::from_millis(30)).await;
                out.send_reset(reason);
            })
            .await;
            let gateway = app.gateway().start().await;
            let mut client = gateway.raw("acme").await;
            client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
            assert_eq!(client.head().await.status(), 200);
            let rest = client.rest().await;
            let expected: &[u8] = if length.is_some() { b"half" } else { b"4\r\nhalf\r\n" };
            assert_eq!(rest, expected, "{reason:?}: it is closed, and without a last chunk");

            let mut client = gateway.h2_streams("acme").await;
            let (response, _) = client.begin("GET", "/", false).await;
            let mut body = head_of(response).await.into_body();
            let error = whole_of(&mut body).await.unwrap_err();
            let told = if reason == Reason::NO_ERROR { Reason::INTERNAL_ERROR } else { reason };
            assert_eq!((error.is_reset(), error.reason()), (true, Some(told)));
            let record = gateway.access_record(|record| record["status"] == 200).await;
            assert_eq!((&record["aborted"], &record["owner"]), (&true.into(), &"upstream".into()), "{record}");
        }
    }
}

/// An app that streams until it is reset, and tells the reason.
async fn streaming() -> (App, mpsc::UnboundedReceiver<Reason>, Arc<AtomicU64>) {
    let (sender, resets) = mpsc::unbounded_channel();
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let app = App::answering("h2c", Builder::new(), move |_, request, mut respond| {
        let (sender, count) = (sender.clone(), Arc::clone(&count));
        async move {
            if request.uri().path() == "/waits" {
                sender.send(std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap()).unwrap();
                return;
            }
            if request.uri().path() == "/ok" {
                return super::app::say(respond, "ok");
            }
            let mut out = begin(&mut respond);
            while write_all(&mut out, Bytes::from(vec![b'a'; 32 * 1024])).await {
                count.fetch_add(32 * 1024, Ordering::SeqCst);
            }
            sender.send(std::future::poll_fn(|cx| out.poll_reset(cx)).await.unwrap()).unwrap();
        }
    })
    .await;
    (app, resets, sent)
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_stream_at_the_app_and_no_other() {
    let (app, mut resets, _) = streaming().await;
    let gateway = app.gateway().start().await;
    for path in ["/waits", "/streams"] {
        let mut client = gateway.raw("acme").await;
        client.send(format!("GET {path} HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n")).await;
        if path == "/streams" {
            client.head().await;
        } else {
            eventually("the request is there", || async { (app.connections() == 1).then_some(()) }).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        drop(client);
        assert_eq!(within("a reset", resets.recv()).await, Some(Reason::CANCEL), "HTTP/1.1 {path}");

        let mut client = gateway.h2_streams("acme").await;
        let (response, mut up) = client.begin("POST", path, true).await;
        if path == "/streams" {
            let mut body = head_of(response).await.into_body();
            piece_of(&mut body).await.unwrap().unwrap();
        } else {
            push(&mut up, Bytes::from_static(b"some"), false).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(response);
        }
        up.send_reset(Reason::CANCEL);
        assert_eq!(within("a reset", resets.recv()).await, Some(Reason::CANCEL), "HTTP/2 {path}");
    }
    assert_eq!(gateway.get("acme", "/ok").await.expect(200).text(), "ok");
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_app_back_and_not_its_neighbours() {
    let (app, _resets, sent) = streaming().await;
    let gateway = app.gateway().start().await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.raw("acme").await;
        client.send("GET /streams HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
        slow.push(client);
    }
    let mut client = gateway.h2_streams("acme").await;
    let (response, _) = client.begin("GET", "/streams", false).await;
    let _unread = head_of(response).await;
    let mut before = u64::MAX;
    eventually("the app is held back", || {
        let now = sent.load(Ordering::SeqCst);
        let still = std::mem::replace(&mut before, now) == now && now > 0;
        async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            still.then_some(())
        }
    })
    .await;
    // Sockets' buffers are the system's; the gateway itself keeps a window a stream.
    let most = gateway.memory_kb("VmHWM");
    assert!(most < 300_000, "{most} KiB");
    assert_eq!(gateway.get("acme", "/ok").await.expect(200).text(), "ok");
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_reset_and_never_ends() {
    let (sender, mut ends) = mpsc::unbounded_channel();
    let app = App::answering("h2c", Builder::new(), move |_, request, respond| {
        let sender = sender.clone();
        async move {
            let mut body: RecvStream = request.into_body();
            sender.send(whole_of(&mut body).await.map_err(|error| error.reason())).unwrap();
            drop(respond);
        }
    })
    .await;
    let gateway = app.gateway().start().await;
    for framing in ["content-length: 100\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = gateway.raw("acme").await;
        client.send(format!("POST / HTTP/1.1\r\nhost: acme.example.localhost\r\n{framing}")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(client);
        assert_eq!(within("an end", ends.recv()).await, Some(Err(Some(Reason::CANCEL))), "{framing:?}");
    }
    let mut client = gateway.h2_streams("acme").await;
    let (_response, mut up) = client.begin("POST", "/", true).await;
    push(&mut up, Bytes::from_static(b"half"), false).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    up.send_reset(Reason::CANCEL);
    assert_eq!(within("an end", ends.recv()).await, Some(Err(Some(Reason::CANCEL))));
}
