//! Clients that take their time: each kind of waiting has its limit, and work that goes on has none.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::connect::{head_of, piece_of, push};
use crate::support::gateway::GatewayBuilder;
use crate::support::pattern::piece;
use crate::support::upstream::full;
use crate::support::{Raw, RawUpstream, TestGateway, Upstream, eventually, tenant, within};

const HOST: &str = "host: acme.example.localhost\r\n";
/// With limits of a second, no wait is over sooner, and none lasts so long.
const SOON: Duration = Duration::from_millis(900);
const LATE: Duration = Duration::from_secs(8);

fn impatient(origin: &RawUpstream) -> GatewayBuilder {
    TestGateway::to_url(&origin.url()).tenant(tenant("acme").concurrency(2))
}

/// Fails unless `wait` is over about a second after it can have begun.
async fn after_a_second<T>(begun: Instant, wait: impl Future<Output = T>) -> T {
    let outcome = within("the gateway loses patience", wait).await;
    assert!(begun.elapsed() > SOON && begun.elapsed() < LATE, "it took {:?}", begun.elapsed());
    outcome
}

/// Sends an octet now and then until the peer closes; what it said.
async fn trickle(mut wire: Raw, octets: &[u8]) -> Vec<u8> {
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    for octet in octets.iter().cycle() {
        tokio::select! {
            _ = pace.tick() => if wire.try_send([*octet]).await.is_err() { break },
            said = wire.some() => return said,
        }
    }
    wire.rest().await
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off() {
    let origin = RawUpstream::listen().await;
    let secure = impatient(&origin).set("limits.header_timeout", "1s").start().await;
    let clear = impatient(&origin).set("limits.header_timeout", "1s").plaintext().start().await;
    for gateway in [secure, clear] {
        let begun = Instant::now();
        let mut wire = gateway.raw("acme").await;
        wire.send(format!("GET / HTTP/1.1\r\n{HOST}x-slow: ")).await;
        assert_eq!(after_a_second(begun, trickle(wire, b"a")).await, b"");
        // A client that says nothing at all has no more time.
        let begun = Instant::now();
        let mut silent = gateway.raw("acme").await;
        assert_eq!(after_a_second(begun, silent.rest()).await, b"");
    }
}

#[tokio::test]
async fn a_second_head_on_a_connection_has_no_more_time_than_the_first() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.header_timeout", "1s").start().await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.head().await.status(), 204);
    let begun = Instant::now();
    client.send(format!("GET / HTTP/1.1\r\n{HOST}x-slow: ")).await;
    assert_eq!(after_a_second(begun, trickle(client, b"a")).await, b"");
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut_off() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.header_timeout", "1s").start().await;
    let begun = Instant::now();
    let mut silent = Raw::over(gateway.tcp().await);
    assert_eq!(after_a_second(begun, silent.rest()).await, b"");
    let begun = Instant::now();
    let mut partial = Raw::over(gateway.tcp().await);
    // A record of 512 octets that holds a ClientHello, of which the rest does not come.
    partial.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
    after_a_second(begun, partial.rest()).await;
    // After a handshake for HTTP/2, its preface has to come.
    let begun = Instant::now();
    let mut shaken = Raw::over(gateway.raw_tls("acme", "h2").await);
    after_a_second(begun, shaken.rest()).await;
}

#[tokio::test]
async fn idle_connections_end_and_busy_ones_do_not() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.idle_timeout", "1s").start().await;
    let mut busy = gateway.raw("acme").await;
    busy.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let (mut app, _) = origin.head().await;
    let mut busy_h2 = gateway.h2_streams("acme").await;
    let (response, _) = busy_h2.begin("GET", "/", false).await;
    let (mut app_h2, _) = origin.head().await;

    // These are idle for longer than the limit one after the other, so that the busy ones wait for more than two seconds.
    let mut idle = gateway.raw("acme").await;
    let begun = Instant::now();
    idle.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    assert_eq!(idle.message().await.head.status(), 429, "two are in flight");
    assert_eq!(after_a_second(begun, idle.rest()).await, b"");
    let mut idle = Raw::over(gateway.raw_tls("acme", "h2").await);
    let begun = Instant::now();
    idle.begin_http2().await;
    // A GOAWAY without blame, after the answer.
    assert_eq!(after_a_second(begun, idle.goaway()).await, (1, 0));

    for app in [&mut app, &mut app_h2] {
        app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    }
    assert_eq!(busy.head().await.status(), 204);
    assert_eq!(head_of(response).await.status(), 204);
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_told_and_frees_its_place() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.idle_timeout", "1s").start().await;
    let mut client = gateway.raw("acme").await;
    let begun = Instant::now();
    client.send(format!("POST / HTTP/1.1\r\n{HOST}content-length: 100\r\n\r\nbegun")).await;
    let (mut app, _) = origin.head().await;
    let answer = after_a_second(begun, client.message()).await;
    answer.refused(408, "request_timeout", "http_request_error");
    assert_eq!(client.rest().await, b"");
    assert_eq!(app.rest().await, b"begun");

    let mut client = gateway.h2_streams("acme").await;
    let (response, mut stream) = client.begin("POST", "/", true).await;
    let begun = Instant::now();
    push(&mut stream, Bytes::from("begun"), false).await.unwrap();
    let (mut app, _) = origin.head().await;
    assert_eq!(after_a_second(begun, head_of(response)).await.status(), 408);
    assert_eq!(app.rest().await, b"5\r\nbegun\r\n", "the app never sees an end");
    let metrics = gateway.admin(reqwest::Method::GET, "/metrics", serde_json::Value::Null).await.expect(200).text();
    assert!(metrics.contains("request_timeout"), "{metrics}");
}

#[tokio::test]
async fn a_slow_body_is_called_slow_whichever_clock_runs_out_first() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("upstream.response_timeout", "1s").start().await;
    let mut client = gateway.raw("acme").await;
    let begun = Instant::now();
    client.send(format!("POST / HTTP/1.1\r\n{HOST}content-length: 100\r\n\r\nbegun")).await;
    let (mut app, _) = origin.head().await;
    after_a_second(begun, client.message()).await.refused(408, "request_timeout", "http_request_error");
    assert_eq!(app.rest().await, b"begun");
}

#[tokio::test]
async fn a_client_that_opens_no_window_is_given_up_with_its_place() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.idle_timeout", "1s").start().await;
    let mut client = gateway.h2_streams("acme").await;
    // What is received is never released, so the stream's window stays closed once it is used up.
    let (response, _) = client.begin("GET", "/", false).await;
    let (mut app, _) = origin.head().await;
    let begun = Instant::now();
    app.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
    let answer = head_of(response).await;
    let chunk = vec![b'0'; 64 * 1024];
    let cut_off = async { while app.try_send(&chunk).await.is_ok() {} };
    after_a_second(begun, cut_off).await;
    let body = answer.into_body();
    let reason = async move {
        let mut body = body;
        while let Some(piece) = body.data().await {
            if let Err(error) = piece {
                return error.reason();
            }
        }
        None
    };
    assert_eq!(within("the stream is reset", reason).await, Some(h2::Reason::CANCEL));
    // It is the stream that ends, not its neighbours.
    let (response, _) = client.begin("GET", "/", false).await;
    let (mut app, _) = origin.head().await;
    app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(head_of(response).await.status(), 204);
}

/// A client of the kind that a phone at the edge of its network is.
async fn narrow(gateway: &TestGateway) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    within("a connection", socket.connect(gateway.https.unwrap_or(gateway.http))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_little_by_little_is_not_one_that_takes_nothing() {
    let origin = RawUpstream::listen().await;
    // Several times what the client's window takes to open again, at the pace below and on a busy machine.
    let gateway = impatient(&origin).set("limits.idle_timeout", "3s").start().await;
    let one = Raw::over(gateway.tls_over(narrow(&gateway).await, "acme", "http/1.1").await.unwrap());
    let two = Raw::over(gateway.tls_over(narrow(&gateway).await, "acme", "h2").await.unwrap());
    let mut clients = [one, two];
    clients[0].send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    clients[1].begin_http2_with_wide_windows().await;
    let apps = [endless(&origin).await, endless(&origin).await];
    // 160 kB a second, where the system would hold megabytes for each.
    let mut pace = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..30 {
        pace.tick().await;
        for client in &mut clients {
            client.take(32 * 1024).await;
        }
    }
    for app in apps {
        assert!(!app.is_finished(), "a client was given up");
        app.abort();
    }
}

#[tokio::test]
async fn a_body_that_trickles_in_has_all_the_time_it_needs() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.idle_timeout", "2s").set("upstream.response_timeout", "2s").start().await;
    let mut client = gateway.raw("acme").await;
    client.send(format!("POST / HTTP/1.1\r\n{HOST}content-length: 12\r\n\r\n")).await;
    let app = async {
        let (mut app, request) = origin.request().await;
        app.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert_eq!(request.body, b"aaaaaaaaaaaa");
        app
    };
    let slow = async {
        let mut pace = tokio::time::interval(Duration::from_millis(300));
        for _ in 0..12 {
            pace.tick().await;
            client.send("a").await;
        }
        client.head().await
    };
    let (head, _app) = tokio::join!(slow, app);
    assert_eq!(head.status(), 204);
}

#[tokio::test]
async fn a_conversation_may_pause_once_the_app_has_begun_to_answer() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.idle_timeout", "1s").set("upstream.response_timeout", "1s").start().await;
    let mut first = gateway.raw("acme").await;
    first.send(format!("POST / HTTP/1.1\r\n{HOST}transfer-encoding: chunked\r\n\r\n")).await;
    let (mut first_app, _) = origin.head().await;
    let mut second = gateway.h2_streams("acme").await;
    let (response, mut stream) = second.begin("POST", "/", true).await;
    let (mut second_app, _) = origin.head().await;
    for app in [&mut first_app, &mut second_app] {
        app.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    }
    assert_eq!(first.head().await.status(), 200);
    let mut answer = head_of(response).await;
    // The silence is what is tested; it lasts longer than twice any limit.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    first.send("2\r\nhi\r\n").await;
    push(&mut stream, Bytes::from("hi"), false).await.unwrap();
    for app in [&mut first_app, &mut second_app] {
        assert_eq!(app.chunk().await, b"hi");
        app.send("5\r\nhello\r\n").await;
    }
    assert_eq!(first.chunk().await, b"hello");
    assert_eq!(piece_of(answer.body_mut()).await.unwrap().unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_of_many_streams_gets_all_of_each() {
    const PIECE: usize = 16 * 1024;
    let origin = Upstream::with(|request| async move {
        let length = if request.uri().path() == "/" { 3 * PIECE } else { 1024 * PIECE };
        http::Response::new(full(vec![b'x'; length]))
    });
    let origin = origin.start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).set("limits.idle_timeout", "3s").start().await;
    // At most 160 kB a second: what the app has said is on its way for some seconds after its last octet.
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    let mut client = Raw::over(gateway.tls_over(narrow(&gateway).await, "acme", "h2").await.unwrap());
    client.begin_http2_with_wide_windows().await;
    for stream in 1..20 {
        client.get(2 * stream + 1).await;
    }
    client.content(20, usize::MAX, &mut pace).await;
    // More streams than get a turn within the limit.
    let mut client = Raw::over(gateway.tls_over(narrow(&gateway).await, "acme", "h2").await.unwrap());
    client.begin_http2_with_wide_windows().await;
    for stream in 1..40 {
        client.get_path(2 * stream + 1, "/long").await;
    }
    client.content(usize::MAX, 64 * PIECE, &mut pace).await;
}

/// An app that sends for as long as anybody takes it.
async fn endless(origin: &RawUpstream) -> tokio::task::JoinHandle<()> {
    let (mut app, _) = origin.head().await;
    tokio::spawn(async move {
        app.send("HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n").await;
        while app.try_send(piece(0, u64::MAX)).await.is_ok() {}
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_dropped_and_the_app_hears_of_it() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.idle_timeout", "1s").start().await;
    let mut client = gateway.raw("acme").await;
    let begun = Instant::now();
    client.send(format!("GET / HTTP/1.1\r\n{HOST}\r\n")).await;
    let app = endless(&origin).await;
    after_a_second(begun, app).await.unwrap();
    let record = gateway.access_record(|record| record["status"] == 200).await;
    assert_eq!(record["aborted"], true);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_until_one_ends() {
    let origin = RawUpstream::listen().await;
    let gateway = impatient(&origin).set("limits.max_connections", "2").plaintext().start().await;
    let (mut first, mut second) = (gateway.raw("acme").await, gateway.raw("acme").await);
    for client in [&mut first, &mut second] {
        client.send("GET / HTTP/1.1\r\nhost: nobody.example.localhost\r\n\r\n").await;
        assert_eq!(client.message().await.head.status(), 404);
    }
    assert_eq!(gateway.raw("acme").await.rest().await, b"");
    drop(first);
    eventually("a place is free", || async {
        let mut next = gateway.raw("acme").await;
        let _ = next.try_send("GET / HTTP/1.1\r\nhost: nobody.example.localhost\r\n\r\n").await;
        (!next.some().await.is_empty()).then_some(())
    })
    .await;
    second.send("GET / HTTP/1.1\r\nhost: nobody.example.localhost\r\n\r\n").await;
    assert_eq!(second.message().await.head.status(), 404);
}
