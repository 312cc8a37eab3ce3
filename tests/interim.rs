//! Interim responses (1xx) of the app reach the client as they come, before the final one, in either version of HTTP.

use h2::client::ResponseFuture;
use http::StatusCode;

use crate::support::connect::{head_of, whole_of};
use crate::support::{Raw, RawUpstream, TestGateway, tenant, within};

const GET: &str = "GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n";
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nlink: </b.js>; rel=preload\r\nkeep-alive: timeout=5\r\nx-usage-users: +1\r\n\r\n";
const DONE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

async fn gateway(origin: &RawUpstream) -> TestGateway {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await
}

async fn interim_of(response: &mut ResponseFuture) -> http::Response<()> {
    let interim = std::future::poll_fn(|cx| response.poll_informational(cx));
    within("an interim response", interim).await.expect("an interim response").expect("an open stream")
}

/// The early hints above, without what is not for clients.
async fn gets_hints(client: &mut Raw) {
    let head = client.head().await;
    assert_eq!((head.first.as_str(), head.field("link")), ("HTTP/1.1 103 Early Hints", Some("</a.css>; rel=preload")));
    assert_eq!((head.field("keep-alive"), head.field("x-usage-users")), (None, None));
}

#[tokio::test]
async fn early_hints_arrive_while_the_app_is_still_at_work_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    let mut app = None;
    for _ in 0..2 {
        client.send(GET).await;
        let mut wire = match app.take() {
            Some(wire) => wire,
            None => origin.accept().await,
        };
        wire.head().await;
        for _ in 0..2 {
            wire.send(HINTS).await;
            gets_hints(&mut client).await;
        }
        wire.send(DONE).await;
        let answer = client.message().await;
        assert_eq!((answer.head.status(), answer.body.as_slice()), (200, &b"done"[..]));
        app = Some(wire);
    }
    assert_eq!(gateway.usage("acme").await["apiCalls"], 2);
}

#[tokio::test]
async fn early_hints_arrive_while_the_app_is_still_at_work_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let (mut response, _) = client.begin("GET", "/", false).await;
    let (mut app, _) = origin.head().await;
    for _ in 0..2 {
        app.send(HINTS).await;
        let hints = interim_of(&mut response).await;
        assert_eq!((hints.status(), hints.headers().get_all("link").iter().count()), (StatusCode::EARLY_HINTS, 2));
        assert_eq!((hints.headers().get("keep-alive"), hints.headers().get("x-usage-users")), (None, None));
    }
    app.send(DONE).await;
    let mut answer = head_of(response).await;
    assert_eq!((answer.status().as_u16(), whole_of(answer.body_mut()).await.unwrap().as_slice()), (200, &b"done"[..]));
}

#[tokio::test]
async fn they_come_before_a_final_response_that_follows_at_once() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(GET).await;
    let (mut app, _) = origin.head().await;
    app.send(format!("{HINTS}{HINTS}{DONE}")).await;
    gets_hints(&mut client).await;
    gets_hints(&mut client).await;
    assert_eq!(client.message().await.body, b"done");
}

#[tokio::test]
async fn they_come_after_the_end_of_the_response_before() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(GET.repeat(2)).await;
    let (mut app, _) = origin.head().await;
    // Large enough that a client that does not read keeps the end of it in the gateway.
    let large = vec![b'x'; 8_000_000];
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", large.len());
    let answers = tokio::spawn(async move {
        app.try_send(head).await.unwrap();
        app.try_send(large).await.unwrap();
        app.head().await;
        app.send(format!("{HINTS}{DONE}")).await;
        app
    });
    assert_eq!(client.message().await.body.len(), 8_000_000);
    gets_hints(&mut client).await;
    assert_eq!(client.message().await.body, b"done");
    answers.await.unwrap();
}

#[tokio::test]
async fn an_http_1_0_client_gets_none() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send("GET / HTTP/1.0\r\nhost: acme.example.localhost\r\n\r\n").await;
    let (mut app, _) = origin.head().await;
    app.send(format!("{HINTS}{DONE}")).await;
    assert_eq!(client.message().await.head.status(), 200);
}

#[tokio::test]
async fn a_100_that_nobody_asked_for_passes_as_well() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.raw("acme").await;
    client.send(GET).await;
    let (mut app, _) = origin.head().await;
    app.send(format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{DONE}")).await;
    assert_eq!(client.head().await.first, "HTTP/1.1 100 Continue");
    assert_eq!(client.head().await.first, "HTTP/1.1 102 Processing");
    assert_eq!(client.message().await.body, b"done");
}

#[tokio::test]
async fn a_client_that_waits_for_a_100_gets_the_apps_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let mut client = gateway.h2_streams("acme").await;
    let more = |request: http::request::Builder| request.header("expect", "100-continue").header("content-length", "5");
    let (mut response, mut upload) = client.begin_with("PUT", "/file", true, more).await.unwrap();
    let (mut app, head) = origin.head().await;
    assert_eq!(head.field("expect"), Some("100-continue"));
    app.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(interim_of(&mut response).await.status(), StatusCode::CONTINUE);
    upload.send_data("hello".into(), true).unwrap();
    assert_eq!(app.take(5).await, b"hello");
    app.send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(head_of(response).await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn curl_shows_them_in_both_versions() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin).await;
    let _app = origin.saying(format!("{HINTS}{DONE}"), crate::support::raw::Then::Close);
    for (version, first, last) in [("--http1.1", "HTTP/1.1 103", "HTTP/1.1 200"), ("--http2", "HTTP/2 103", "HTTP/2 200")] {
        let output = gateway.curl(&[version, "-i", "https://acme.example.localhost/"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let statuses: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/")).map(|line| &line[..first.len()]).collect();
        assert_eq!(statuses, [first, last], "{text}");
        assert!(text.ends_with("done"), "{text}");
    }
}
