//! What comes as HTTP/1.1's upgrade leaves as extended CONNECT, and becomes a tunnel.

use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use h2::server::Builder;
use http::{Method, Request, Response};
use http_body_util::Empty;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::super::super::{H2Duplex, SendError};
use super::super::support::{fetch, pool, read, send};
use super::support::*;

/// The key and its answer are those of RFC 6455, section 1.3.
fn upgrade() -> Request<Empty<Bytes>> {
    Request::get("/chat?room=1")
        .header("host", "acme.example")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat, superchat")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("origin", "https://acme.example")
        .body(Empty::new())
        .unwrap()
}

fn taking() -> Builder {
    let mut builder = Builder::new();
    builder.enable_connect_protocol();
    builder
}

/// A server whose WebSockets say everything back; it tells the heads that it sees, and how each tunnel ended.
async fn echoing() -> (Server, mpsc::UnboundedReceiver<Request<()>>, mpsc::UnboundedReceiver<std::io::Result<()>>) {
    let (heads, seen) = mpsc::unbounded_channel();
    let (ends, ended) = mpsc::unbounded_channel();
    let server = Server::answering(taking(), move |_, request, mut respond| {
        let (heads, ends) = (heads.clone(), ends.clone());
        async move {
            let (parts, body) = request.into_parts();
            if parts.method != Method::CONNECT {
                return say_ok(respond);
            }
            heads.send(Request::from_parts(parts, ())).unwrap();
            let head = Response::builder().header("sec-websocket-protocol", "superchat").body(()).unwrap();
            let out = respond.send_response(head, false).unwrap();
            let (mut reads, mut writes) = tokio::io::split(H2Duplex::new(out, body));
            let copied = tokio::io::copy(&mut reads, &mut writes).await.map(|_| ());
            if copied.is_ok() {
                writes.shutdown().await.unwrap();
            }
            ends.send(copied).unwrap();
        }
    })
    .await;
    (server, seen, ended)
}

#[tokio::test]
async fn an_upgrade_leaves_as_extended_connect_and_comes_back_as_a_101() {
    local(async {
        let (server, mut heads, mut ends) = echoing().await;
        let pool = pool();
        let response = send(&pool, &server.target, upgrade()).await.unwrap();
        let head = heads.recv().await.unwrap();
        assert_eq!((head.method(), head.uri().to_string().as_str()), (&Method::CONNECT, "http://acme.example/chat?room=1"));
        assert_eq!(head.extensions().get::<Protocol>().unwrap().as_str(), "websocket");
        let mut names: Vec<_> = head.headers().keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["origin", "sec-websocket-extensions", "sec-websocket-protocol", "sec-websocket-version"]);
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["connection"], "Upgrade");
        assert_eq!(response.headers()["upgrade"], "websocket");
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "superchat");
        let mut tunnel = response.into_body().into_upgraded().unwrap();
        tunnel.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        tunnel.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"hello");
        // Either direction ends by itself.
        tunnel.write_all(b"last").await.unwrap();
        tunnel.shutdown().await.unwrap();
        let mut rest = Vec::new();
        tunnel.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"last");
        ends.recv().await.unwrap().unwrap();
        drop(tunnel);
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_carries_more_than_its_windows_and_holds_back_who_is_too_fast() {
    local(async {
        let (server, _heads, _ends) = echoing().await;
        let tunnel = send(&pool(), &server.target, upgrade()).await.unwrap().into_body().into_upgraded().unwrap();
        let (mut reads, mut writes) = tokio::io::split(tunnel);
        let piece = vec![b'a'; 100_000];
        // Nobody reads, so at some point nothing more is taken.
        let mut sent = 0;
        while let Ok(written) = tokio::time::timeout(std::time::Duration::from_millis(200), writes.write(&piece)).await {
            sent += written.unwrap();
            assert!(sent < 5_000_000, "nothing holds the writer back");
        }
        let mut got = 0;
        let mut buffer = vec![0; 64 * 1024];
        while got < sent {
            got += reads.read(&mut buffer).await.unwrap();
        }
        let writing = async {
            for _ in 0..30 {
                writes.write_all(&piece).await.unwrap();
            }
            writes.shutdown().await.unwrap();
        };
        let reading = async {
            loop {
                match reads.read(&mut buffer).await.unwrap() {
                    0 => return got,
                    count => got += count,
                }
            }
        };
        let ((), got) = tokio::join!(writing, reading);
        assert_eq!(got, sent + 3_000_000);
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_that_is_dropped_is_reset_and_one_that_is_reset_fails() {
    local(async {
        let (server, _heads, mut ends) = echoing().await;
        let tunnel = send(&pool(), &server.target, upgrade()).await.unwrap().into_body().into_upgraded().unwrap();
        drop(tunnel);
        let error = ends.recv().await.unwrap().unwrap_err();
        let inner = error.get_ref().unwrap().downcast_ref::<h2::Error>().unwrap();
        assert_eq!((error.kind(), inner.reason()), (std::io::ErrorKind::ConnectionReset, Some(Reason::CANCEL)));

        let server = Server::answering(taking(), |_, _, mut respond| async move {
            let mut out = begin(&mut respond);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            out.send_reset(Reason::ENHANCE_YOUR_CALM);
        })
        .await;
        let mut tunnel = send(&pool(), &server.target, upgrade()).await.unwrap().into_body().into_upgraded().unwrap();
        let error = tunnel.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(tunnel.write(b"x").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_websocket_that_is_refused_is_a_response_like_any() {
    local(async {
        let (sender, mut ended) = mpsc::unbounded_channel();
        let server = Server::answering(taking(), move |_, request, mut respond| {
            let sender = sender.clone();
            async move {
                let head = Response::builder().status(403).header("content-length", "2").body(()).unwrap();
                respond.send_response(head, false).unwrap().send_data(Bytes::from_static(b"no"), true).unwrap();
                sender.send(request.into_body().data().await.is_none_or(|data| data.unwrap().is_empty())).unwrap();
            }
        })
        .await;
        let response = send(&pool(), &server.target, upgrade()).await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers().get("sec-websocket-accept"), None);
        assert_eq!(read(response.into_body()).await.unwrap().0, b"no");
        assert!(ended.recv().await.unwrap(), "the request ends, and is not reset");
    })
    .await;
}

#[tokio::test]
async fn where_the_peer_does_not_take_websockets_nothing_is_sent() {
    local(async {
        let server = Server::ok().await;
        let pool = pool();
        let error = send(&pool, &server.target, upgrade()).await.err().unwrap();
        assert!(matches!(&error, SendError::NoUpgrade(text) if text.contains("RFC 8441")), "{error}");
        assert_eq!(fetch(&pool, &server.target).await.0, 200);
        assert_eq!(server.connections(), 1);
    })
    .await;
}
