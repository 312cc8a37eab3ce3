//! What goes out as a head, and what is taken for one.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::server::Builder;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{Empty, Full};
use tokio::sync::mpsc;

use super::super::super::{Pool, PoolSettings, Progress, SendError};
use super::super::support::{PATIENCE, data, feed, fetch, get, pool, pool_with, post, read, request, send, settings};
use super::support::*;

/// A server that tells the head of each request it gets.
async fn telling() -> (Server, mpsc::UnboundedReceiver<Request<()>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let server = Server::answering(Builder::new(), move |_, request, respond| {
        let sender = sender.clone();
        async move {
            let (parts, mut body) = request.into_parts();
            while let Some(Ok(_)) = body.data().await {}
            sender.send(Request::from_parts(parts, ())).unwrap();
            say_ok(respond);
        }
    })
    .await;
    (server, receiver)
}

#[tokio::test]
async fn a_head_has_its_target_in_pseudo_fields_and_nothing_of_a_connection() {
    local(async {
        let (server, mut heads) = telling().await;
        let sent = Request::builder()
            .uri("/a/b?c=d")
            .header("host", "acme.example:8443")
            .header("connection", "keep-alive, x-mine, te")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "close")
            .header("upgrade", "h2c")
            .header("http2-settings", "AAMAAABkAAQAAP__")
            .header("transfer-encoding", "chunked")
            .header("te", "gzip, trailers")
            .header("x-mine", "1")
            .header("x-kept", "2")
            .body(Empty::new())
            .unwrap();
        assert_eq!(send(&pool(), &server.target, sent).await.unwrap().status(), 200);
        let head = heads.recv().await.unwrap();
        assert_eq!((head.method(), head.uri().to_string().as_str()), (&Method::GET, "http://acme.example:8443/a/b?c=d"));
        let expected: HeaderMap = [("te", "trailers"), ("x-kept", "2")]
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .into_iter()
            .collect();
        assert_eq!(head.headers(), &expected);
    })
    .await;
}

#[tokio::test]
async fn a_target_without_a_path_and_one_of_everything_go_out_as_what_they_are() {
    local(async {
        let (server, mut heads) = telling().await;
        for (method, target, path) in [("OPTIONS", "*", "*"), ("GET", "http://other.test?q", "/?q"), ("GET", "http://other.test", "/")] {
            let sent = Request::builder().method(method).uri(target).header("host", "a.test").body(Empty::new()).unwrap();
            send(&pool(), &server.target, sent).await.unwrap();
            let head = heads.recv().await.unwrap();
            assert_eq!(head.uri().path_and_query().unwrap().as_str(), path);
            assert_eq!(head.uri().host(), Some("a.test"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_request_that_cannot_be_one_of_http2_is_not_sent() {
    local(async {
        let server = Server::ok().await;
        let pool = pool();
        for (name, value) in [("content-length", "5"), ("content-length", "many"), ("host", "user@a.test"), ("host", "a b")] {
            let sent = Request::builder().uri("/").header(name, value).body(Empty::<Bytes>::new()).unwrap();
            let progress = Progress::default();
            let outcome = pool.send(&[Arc::clone(&server.target)], 0, sent.into(), &progress, &|_| ()).await;
            assert!(matches!(outcome, Err(SendError::RequestBody(_))), "{name}: {value}");
            assert!(!progress.head_sent());
        }
        assert_eq!(fetch(&pool, &server.target).await, (200, "ok".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_response_keeps_its_fields_and_its_length() {
    local(async {
        let server = Server::answering(Builder::new(), |_, _, mut respond| async move {
            let head =
                Response::builder().status(418).header("content-length", "2").header("x-a", "1").header("x-a", "2").body(()).unwrap();
            respond.send_response(head, false).unwrap().send_data(Bytes::from_static(b"ok"), true).unwrap();
        })
        .await;
        let response = send(&pool(), &server.target, get()).await.unwrap();
        assert_eq!(response.status(), 418);
        assert_eq!(response.headers()["content-length"], "2");
        assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(2));
        assert_eq!(read(response.into_body()).await.unwrap().0, b"ok");
    })
    .await;
}

#[tokio::test]
async fn interim_responses_are_told_in_order_and_are_not_without_end() {
    local(async {
        for (count, good) in [(0_usize, true), (2, true), (16, true), (17, false)] {
            let server = Server::answering(Builder::new(), move |_, _, mut respond| async move {
                for number in 0..count {
                    let hint = Response::builder().status(103).header("link", number).body(()).unwrap();
                    if respond.send_informational(hint).is_err() {
                        return;
                    }
                }
                say_ok(respond);
            })
            .await;
            let told = RefCell::new(Vec::new());
            let inform = |interim: Response<()>| told.borrow_mut().push(interim.headers()["link"].to_str().unwrap().to_owned());
            let outcome = pool().send(&[Arc::clone(&server.target)], 0, get(), &Progress::default(), &inform).await;
            match outcome {
                Ok(response) => assert!(good && response.status == 200),
                Err(error) => assert!(!good && matches!(error, SendError::Garbage(_)), "{error}"),
            }
            assert_eq!(*told.borrow(), (0..count.min(16)).map(|number| number.to_string()).collect::<Vec<_>>());
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_waits_for_the_100_that_it_expects() {
    local(async {
        let (sender, mut told) = mpsc::unbounded_channel();
        let server = Server::answering(Builder::new(), move |_, request, mut respond| {
            let sender = sender.clone();
            async move {
                assert_eq!(request.headers()["expect"], "100-continue");
                let mut body = request.into_body();
                // Nothing comes of it until it is asked for.
                let early = tokio::time::timeout(Duration::from_millis(50), body.data()).await.is_ok();
                respond.send_informational(status(100)).unwrap();
                sender.send((early, body.data().await.unwrap().unwrap())).unwrap();
                say_ok(respond);
            }
        })
        .await;
        let sent = request("POST").header("expect", "100-continue").body(Full::new(Bytes::from("hello"))).unwrap();
        assert_eq!(send(&pool(), &server.target, sent).await.unwrap().status(), 200);
        assert_eq!(told.recv().await.unwrap(), (false, Bytes::from("hello")));
    })
    .await;
}

#[tokio::test]
async fn a_body_that_nobody_asks_for_is_sent_after_a_while_or_not_at_all_when_it_is_refused() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, mut respond| async move {
            if request.uri().path() == "/refused" {
                respond.send_response(status(417), true).unwrap();
                return;
            }
            let mut body = request.into_body();
            assert_eq!(body.data().await.unwrap().unwrap(), "hello");
            say_ok(respond);
        })
        .await;
        for (path, code, taken) in [("/refused", 417, false), ("/silent", 200, true)] {
            let (feeder, body) = feed();
            let sent = Request::post(path).header("host", "a.test").header("expect", "100-continue").body(body).unwrap();
            let feeding = tokio::spawn(async move { feeder.send(data("hello")).await.is_ok() && feeder.send(data("")).await.is_ok() });
            assert_eq!(send(&pool(), &server.target, sent).await.unwrap().status(), code);
            // The second piece is taken only if the first was.
            assert_eq!(feeding.await.unwrap(), taken);
        }
    })
    .await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_malformed_are_refused() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, mut respond| async move {
            let mut head = Response::builder();
            match request.uri().path() {
                "/large" => head = head.header("x-large", "a".repeat(20_000)),
                "/many" => {
                    for number in 0..130 {
                        head = head.header(format!("x-{number}"), "a");
                    }
                }
                _ => head = head.header("content-length", "a"),
            }
            let _ = respond.send_response(head.body(()).unwrap(), true);
        })
        .await;
        let pool = pool();
        for path in ["/large", "/many", "/length"] {
            let sent = Request::get(path).header("host", "a.test").body(Empty::new()).unwrap();
            let error = send(&pool, &server.target, sent).await.err().unwrap();
            assert!(matches!(error, SendError::Garbage(_)), "{path}: {error}");
        }
        assert_eq!(server.connections(), 1, "the connection serves on");
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_given_up_and_its_connection_is_left_alone() {
    local(async {
        let server = Server::answering(Builder::new(), |number, _, respond| async move {
            if number > 0 {
                say_ok(respond);
            } else {
                tokio::time::sleep(2 * PATIENCE).await;
                drop(respond);
            }
        })
        .await;
        let pool = pool_with(PoolSettings { response_timeout: Duration::from_millis(100), ..settings() });
        assert!(matches!(send(&pool, &server.target, get()).await, Err(SendError::ResponseTimeout(_))));
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        assert_eq!(server.connections(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_stops_sending_is_to_blame_for_the_timeout() {
    local(async {
        let server = Server::ok().await;
        let pool = pool_with(PoolSettings { response_timeout: Duration::from_millis(100), ..settings() });
        let (feeder, body) = feed();
        feeder.send(data("hello")).await.unwrap();
        let outcome = send(&pool, &server.target, request("POST").body(body).unwrap()).await;
        assert!(matches!(outcome, Err(SendError::BodyStalled)));
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

/// How long a request with a gRPC deadline is waited for.
async fn grpc(pool: &Pool, target: &Arc<super::super::super::Target>, media: &str) -> Result<u16, SendError> {
    let sent = request("POST").header("content-type", media).header("grpc-timeout", "10S").body(Full::new(Bytes::from("x"))).unwrap();
    send(pool, target, sent).await.map(|response| response.status().as_u16())
}

#[tokio::test]
async fn a_grpc_deadline_is_the_clients_to_keep() {
    local(async {
        let server = Server::answering(Builder::new(), |_, _, respond| async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            say_ok(respond);
        })
        .await;
        let pool = pool_with(PoolSettings { response_timeout: Duration::from_millis(100), ..settings() });
        assert_eq!(grpc(&pool, &server.target, "application/grpc+proto").await.unwrap(), 200);
        assert!(matches!(grpc(&pool, &server.target, "text/plain").await, Err(SendError::ResponseTimeout(_))));
        let http1 = super::super::support::Server::start(|_, mut peer| async move {
            peer.head().await;
            tokio::time::sleep(Duration::from_millis(400)).await;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        })
        .await;
        assert_eq!(grpc(&pool, &http1.target, "application/grpc").await.unwrap(), 200);
        assert!(matches!(grpc(&pool, &http1.target, "text/plain").await, Err(SendError::ResponseTimeout(_))));
    })
    .await;
}

#[tokio::test]
async fn a_post_arrives_whole() {
    local(async {
        let server = Server::answering(Builder::new(), |_, request, mut respond| async move {
            let mut body = request.into_body();
            let mut whole = Vec::new();
            while let Some(Ok(octets)) = body.data().await {
                whole.extend_from_slice(&octets);
            }
            begin(&mut respond).send_data(whole.into(), true).unwrap();
        })
        .await;
        let response = send(&pool(), &server.target, post("hello")).await.unwrap();
        assert_eq!(read(response.into_body()).await.unwrap().0, b"hello");
    })
    .await;
}
