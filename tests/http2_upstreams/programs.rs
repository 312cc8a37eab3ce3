//! Servers of HTTP/2 that nobody here wrote: Node's, nghttpd, and Hypercorn under Python.

use std::path::Path;
use std::process::Command;

use http::Method;
use serde_json::json;

use crate::support::connect::{head_of, piece_of, push, whole_of};
use crate::support::peers::{Server, debian, python};
use crate::support::{TestGateway, VERSIONS, tenant, within};

async fn gateway(server: &Server) -> TestGateway {
    TestGateway::to_url(&server.url().replace("http://", "h2c://")).set("listen.workers", "1").tenant(tenant("acme")).start().await
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http2_upstreams").join(name)
}

#[tokio::test]
async fn nodes_server_is_understood() {
    let server = Server::start(Command::new("node").arg(script("server.mjs"))).await;
    let gateway = gateway(&server).await;
    for version in VERSIONS {
        let mut client = gateway.connect(version, "acme").await;
        let seen = client.send(Method::POST, "/echo?x=1", &[("cookie", "a=1")], "hello").await.unwrap().expect(200).json();
        assert_eq!((&seen["method"], &seen["path"], &seen["body"]), (&json!("POST"), &json!("/echo?x=1"), &json!("hello")));
        assert!(seen["authority"].as_str().unwrap().starts_with("acme.example.localhost"), "{seen}");
        assert_eq!(client.get("/large").await.expect(200).body.len(), 3_000_000);
        let head = client.send(Method::HEAD, "/large", &[], "").await.unwrap().expect(200);
        assert_eq!((head.header("content-length"), head.body.len()), ("3000000", 0));
        client.get("/refuses").await.expect(502).code("upstream_unreachable");
        client.get("/nothing").await.expect(204);
        // The second of them may come over a new connection: the first said GOAWAY.
        client.get("/goaway").await.expect(200);
        assert_eq!(client.get("/echo").await.expect(200).json()["method"], "GET");
    }
    let mut client = gateway.h2_streams("acme").await;
    let (response, _) = client.begin_with("GET", "/trailers", false, |request| request.header("te", "trailers")).await.unwrap();
    let mut body = head_of(response).await.into_body();
    assert_eq!(whole_of(&mut body).await.unwrap(), b"body");
    assert_eq!(body.trailers().await.unwrap().unwrap()["x-after"], "all");
    let (response, _) = client.begin("GET", "/resets", false).await;
    let mut body = head_of(response).await.into_body();
    assert_eq!(whole_of(&mut body).await.unwrap_err().reason(), Some(h2::Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn nodes_server_has_its_websockets() {
    let server = Server::start(Command::new("node").arg(script("server.mjs"))).await;
    let gateway = gateway(&server).await;
    let mut client = gateway.raw("acme").await;
    client
        .send(
            "GET /socket HTTP/1.1\r\nhost: acme.example.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert_eq!(client.head().await.status(), 101);
    client.send("octets").await;
    assert_eq!(client.take(6).await, b"octets");
    client.finish().await;
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn nghttpd_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..2_000_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(dir.path().join("file"), &content).unwrap();
    let nghttpd = debian("nghttpd", "nghttp2-server");
    // It cannot be told to take a free port and say which.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = format!(
        "echo http://127.0.0.1:{port}; exec {} --no-tls -a 127.0.0.1 --htdocs {} -m 4 --trailer 'x-after: all' {port}",
        nghttpd.display(),
        dir.path().display()
    );
    let server = Server::start(Command::new("bash").args(["-c", &said])).await;
    crate::support::eventually("nghttpd listens", || async { tokio::net::TcpStream::connect(server.address).await.ok() }).await;
    let gateway = gateway(&server).await;
    let all = futures_util::future::join_all((0..12).map(|_| gateway.get("acme", "/file"))).await;
    for answer in all {
        assert!(answer.expect(200).body == content);
    }
    for version in VERSIONS {
        let mut client = gateway.connect(version, "acme").await;
        client.get("/missing").await.expect(404);
        assert!(client.get("/file").await.expect(200).body == content);
    }
    let mut client = gateway.h2_streams("acme").await;
    let (response, _) = client.begin_with("GET", "/file", false, |request| request.header("te", "trailers")).await.unwrap();
    let mut body = head_of(response).await.into_body();
    assert!(whole_of(&mut body).await.unwrap() == content);
    assert_eq!(body.trailers().await.unwrap().unwrap()["x-after"], "all");
}

#[tokio::test]
async fn hypercorn_is_understood() {
    let python = python(&["hypercorn==0.17.3", "wsproto==1.2.0"]);
    let server = Server::start(Command::new(python).arg(script("app.py"))).await;
    crate::support::eventually("hypercorn listens", || async { tokio::net::TcpStream::connect(server.address).await.ok() }).await;
    let gateway = gateway(&server).await;
    for version in VERSIONS {
        let mut client = gateway.connect(version, "acme").await;
        let seen = client.send(Method::POST, "/echo?x=1", &[], "hello").await.unwrap().expect(200).json();
        assert_eq!(seen, json!({"version": "2", "method": "POST", "path": "/echo", "query": "x=1", "octets": 5}));
        let whole = vec![b'a'; 1_000_000];
        assert_eq!(client.send(Method::PUT, "/echo", &[], whole).await.unwrap().expect(200).json()["octets"], 1_000_000);
    }
    let mut client = gateway.h2_streams("acme").await;
    client.takes_extended_connect().await;
    let more = |request: http::request::Builder| {
        request.extension(h2::ext::Protocol::from_static("websocket")).header("sec-websocket-version", "13")
    };
    let (response, mut up) = client.begin_with("CONNECT", "/", true, more).await.unwrap();
    let mut down = head_of(response).await.into_body();
    // A masked text frame, and its echo without a mask (RFC 6455, section 5.7).
    push(&mut up, bytes::Bytes::from_static(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), false).await.unwrap();
    let mut echo = Vec::new();
    while echo.len() < 7 {
        echo.extend_from_slice(&within("an echo", piece_of(&mut down)).await.unwrap().unwrap());
    }
    assert_eq!(echo, b"\x81\x05Hello");
}
