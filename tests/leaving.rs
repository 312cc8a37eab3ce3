//! A client that leaves takes its request with it: the app sees its connection close, what was delivered is counted, and
//! the places that the request held are free again.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::support::connect::{head_of, piece_of, push};
use crate::support::pattern::piece;
use crate::support::raw::black_hole;
use crate::support::{Raw, RawUpstream, TestGateway, eventually, tenant, within};

const HOST: &str = "host: acme.example.localhost\r\n";

/// A tenant that may have one request in flight.
async fn gateway(origin: &RawUpstream) -> TestGateway {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme").concurrency(1)).start().await
}

/// What is true once a client has left: the app's connection is closed, its call is metered, its place in flight is free.
async fn the_request_is_gone(gateway: &TestGateway, origin: &RawUpstream, mut app: Raw) -> Value {
    within("the app's connection closes", app.rest()).await;
    let usage = eventually("the call is metered", || async {
        let usage = gateway.usage("acme").await;
        (usage["apiCalls"] == 1).then_some(usage)
    })
    .await;
    let record = gateway.access_record(|record| record["slug"] == "acme").await;
    assert_eq!(record["aborted"], true, "{record}");
    next_is_served(gateway, origin).await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], 2);
    usage
}

async fn next_is_served(gateway: &TestGateway, origin: &RawUpstream) {
    let app = async {
        let (mut app, _) = origin.head().await;
        app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        app
    };
    // The app may hear of the end a moment before the place in flight is free.
    let next =
        eventually("the place in flight is free", async || Some(gateway.get("acme", "/next").await).filter(|next| next.status != 429));
    let (answer, _app) = tokio::join!(next, app);
    answer.expect(204);
}

#[tokio::test]
async fn before_the_head_of_the_answer_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let (app, _) = origin.head().await;
    gateway.get("acme", "/").await.expect(429).code("too_many_concurrent_requests");
    drop(client);
    let usage = the_request_is_gone_among_refusals(&gateway, &origin, app).await;
    assert_eq!(usage["bandwidth"], 0);
    let record = gateway.access_record(|record| record["status"] == 499).await;
    assert_eq!((&record["code"], &record["bytesOut"]), (&json!("client_closed"), &json!(0)));
}

/// A connection whose end is a reset, or not.
async fn ending(gateway: &TestGateway, in_a_reset: bool) -> Raw {
    let client = gateway.tcp().await;
    if in_a_reset {
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    }
    Raw::over(gateway.tls_over(client, "acme", "http/1.1").await.unwrap())
}

#[tokio::test]
async fn behind_more_octets_than_are_read_ahead() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    for in_a_reset in [true, false] {
        let mut client = ending(&gateway, in_a_reset).await;
        client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
        let (mut app, _) = origin.head().await;
        app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        client.head().await;
        client.send(vec![b'x'; 60_000]).await;
        drop(client);
        within("the app's connection closes", app.rest()).await;
        next_is_served(&gateway, &origin).await;
    }
}

#[tokio::test]
async fn within_a_body_that_the_app_does_not_read() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = ending(&gateway, true).await;
    client.send(format!("PUT / HTTP/1.1\r\n{HOST}content-length: 100000000\r\n\r\n")).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.head().await;
    // As much as is taken at once, which is more than anybody reads.
    while client.try_send([b'x'; 64 * 1024]).now_or_never().is_some() {}
    drop(client);
    next_is_served(&gateway, &origin).await;
}

/// As [`the_request_is_gone`], where the access log has refusals as well.
async fn the_request_is_gone_among_refusals(gateway: &TestGateway, origin: &RawUpstream, mut app: Raw) -> Value {
    within("the app's connection closes", app.rest()).await;
    // Its head was sent, so it counts; the app may hear of the end a moment before it does.
    let metered = async || Some(gateway.usage("acme").await).filter(|usage| usage["apiCalls"] == 1);
    let usage = eventually("the call is metered", metered).await;
    next_is_served(gateway, origin).await;
    usage
}

#[tokio::test]
async fn before_the_head_of_the_answer_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("GET", "/", false).await;
    let (app, _) = origin.head().await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    the_request_is_gone(&gateway, &origin, app).await;
}

#[tokio::test]
async fn with_all_its_requests_when_an_http_2_connection_closes() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme").concurrency(3)).start().await;
    let mut client = gateway.h2_streams("acme").await;
    let mut apps = Vec::new();
    let mut streams = Vec::new();
    for number in 0..3 {
        streams.push(client.begin("GET", &format!("/{number}"), false).await);
        apps.push(origin.head().await.0);
    }
    client.connection.abort();
    for mut app in apps {
        within("the app's connection closes", app.rest()).await;
    }
    eventually("the calls are metered", || async { (gateway.usage("acme").await["apiCalls"] == 3).then_some(()) }).await;
    next_is_served(&gateway, &origin).await;
}

#[tokio::test]
async fn in_the_middle_of_the_answer_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nbegun").await;
    assert_eq!(client.head().await.status(), 200);
    assert_eq!(client.take(5).await, b"begun");
    drop(client);
    let usage = the_request_is_gone(&gateway, &origin, app).await;
    assert_eq!(usage["bandwidth"], 5);
}

#[tokio::test]
async fn in_the_middle_of_the_answer_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("GET", "/", false).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nbegun").await;
    let mut response = head_of(response).await;
    assert_eq!(piece_of(response.body_mut()).await.unwrap().unwrap(), "begun");
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    let usage = the_request_is_gone(&gateway, &origin, app).await;
    assert_eq!(usage["bandwidth"], 5);
}

#[tokio::test]
async fn during_an_upload_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("POST / HTTP/1.1\r\n{HOST}content-length: 100000\r\n\r\nbegun")).await;
    let (mut app, _) = origin.head().await;
    assert_eq!(app.take(5).await, b"begun");
    drop(client);
    let usage = the_request_is_gone(&gateway, &origin, app).await;
    assert_eq!(usage["ingress"], 5);
}

#[tokio::test]
async fn during_an_upload_in_chunks_the_app_never_sees_an_end() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n")).await;
    let (mut app, _) = origin.head().await;
    assert_eq!(app.chunk().await, b"begun");
    drop(client);
    assert_eq!(within("the app's connection closes", app.rest()).await, b"");
    the_request_is_gone(&gateway, &origin, app).await;
}

#[tokio::test]
async fn during_an_upload_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("POST", "/", true).await;
    push(&mut stream, Bytes::from("begun"), false).await.unwrap();
    let (mut app, _) = origin.head().await;
    assert_eq!(app.chunk().await, b"begun");
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    assert_eq!(within("the app's connection closes", app.rest()).await, b"");
    let usage = the_request_is_gone(&gateway, &origin, app).await;
    assert_eq!(usage["ingress"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_download_counts_what_was_handed_on() {
    const WHOLE: u64 = 64 << 20;
    const READ: usize = 1 << 20;
    // What is counted and not delivered lies in the kernel's buffers: 4 MiB to send, and what the client's end takes in.
    const BETWEEN: u64 = 16 << 20;
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let (mut app, _) = origin.head().await;
    let app = tokio::spawn(async move {
        app.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {WHOLE}\r\n\r\n")).await;
        let mut sent = 0;
        while sent < WHOLE && app.try_send(piece(sent, u64::MAX)).await.is_ok() {
            sent += piece(sent, u64::MAX).len() as u64;
        }
        (app, sent)
    });
    assert_eq!(client.head().await.status(), 200);
    client.take(READ).await;
    drop(client);
    let (app, sent) = app.await.unwrap();
    assert!(sent < WHOLE, "the app was not stopped");
    let usage = the_request_is_gone(&gateway, &origin, app).await;
    let counted = usage["bandwidth"].as_u64().unwrap();
    assert!(counted >= READ as u64 && counted < READ as u64 + BETWEEN, "{counted} octets are counted");
    let record = gateway.access_record(|record| record["status"] == 200).await;
    assert_eq!(record["bytesOut"], counted);
}

#[tokio::test]
async fn before_anything_was_sent_to_the_app_gives_the_place_back() {
    let (_listener, address) = black_hole().await;
    let gateway = TestGateway::to_url(&format!("http://{address}"))
        .tenant(tenant("acme").concurrency(1).calls_per_day(1))
        .set("upstream.connect_timeout", "3s")
        .start()
        .await;
    let client = eventually("the request is in flight", || async {
        let mut client = gateway.raw("acme").await;
        client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
        // Where this one is the faster, it is the one that waits for the app, and both begin anew.
        (gateway.get("acme", "/").await.status == 429).then_some(client)
    })
    .await;
    drop(client);
    gateway.access_record(|record| record["status"] == 499).await;
    let usage = gateway.usage("acme").await;
    assert_eq!(usage["apiCalls"], 0);
    // The day's only call is there for another client, which hears of the time-out instead of a quota.
    let mut other = gateway.raw("acme").await;
    other.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    other.message().await.refused(504, "upstream_timeout", "connection_timeout");
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Finish,
    Reset,
}

async fn client_that_leaves(gateway: &TestGateway, leave: Leave) -> Raw {
    let reset = |stream: &TcpStream| {
        if leave == Leave::Reset {
            SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    };
    if gateway.https.is_some() {
        let stream = gateway.raw_tls("acme", "http/1.1").await;
        reset(stream.get_ref().0);
        Raw::over(stream)
    } else {
        let stream = gateway.tcp().await;
        reset(&stream);
        Raw::over(stream)
    }
}

/// A client that has sent a second request already leaves before the first answer, or in its middle.
async fn a_client_with_more_to_ask_leaves(gateway: TestGateway, origin: RawUpstream) {
    let good = format!("GET /second HTTP/1.1\r\n{HOST}\r\n");
    let upload = format!("POST /second HTTP/1.1\r\n{HOST}content-length: 5\r\n\r\nhello");
    let bad = format!("GET /second HTTP/1.1\r\n{HOST}{HOST}\r\n");
    let partial = "GET /sec".to_owned();
    let frame = "\u{1}\u{1}a".to_owned();
    // In clear, a client that finishes is believed for a while to listen still; two of these are enough.
    let in_clear = gateway.https.is_none();
    let all = [
        (&good, Leave::Finish, false),
        (&good, Leave::Reset, true),
        (&upload, Leave::Finish, true),
        (&upload, Leave::Reset, false),
        (&bad, Leave::Finish, true),
        (&bad, Leave::Reset, false),
        (&partial, Leave::Finish, false),
        (&partial, Leave::Reset, true),
        (&frame, Leave::Finish, true),
        (&frame, Leave::Reset, false),
    ];
    for (second, leave, is_answered) in all {
        if in_clear && leave == Leave::Finish && ![&upload, &partial].contains(&second) {
            continue;
        }
        let mut client = client_that_leaves(&gateway, leave).await;
        let upgrade = if *second == frame { "upgrade: websocket\r\nconnection: upgrade\r\n" } else { "" };
        client.send(format!("GET /first HTTP/1.1\r\n{HOST}{upgrade}\r\n{second}")).await;
        let (mut app, head) = origin.head().await;
        assert!(head.first.starts_with("GET /first "), "{head:?}");
        if is_answered {
            app.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n").await;
            assert_eq!(client.head().await.status(), 200);
            assert_eq!(client.chunk().await, b"data: 1\n\n");
        }
        gateway.get("acme", "/").await.expect(429).code("too_many_concurrent_requests");
        match leave {
            Leave::Finish => client.finish().await,
            Leave::Reset => drop(client),
        }
        within(&format!("the app's connection closes: {second:?}, {leave:?}, {is_answered}"), app.rest()).await;
        next_is_served(&gateway, &origin).await;
    }
}

#[tokio::test]
async fn although_it_has_sent_another_request_already_in_clear() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme").concurrency(1)).plaintext().start().await;
    a_client_with_more_to_ask_leaves(gateway, origin).await;
}

#[tokio::test]
async fn although_it_has_sent_another_request_already_over_tls() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    a_client_with_more_to_ask_leaves(gateway, origin).await;
}
