//! Requests and responses cross between the versions with all that they mean.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};

use super::app::{App, SCHEMES, begin, write_all};
use crate::support::connect::{head_of, whole_of};
use crate::support::pattern::{Check, piece};
use crate::support::{VERSIONS, within};

/// Tells what it saw of a request.
async fn tell(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let (parts, mut body) = request.into_parts();
    let octets = whole_of(&mut body).await.unwrap();
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let names = |map: &HeaderMap| {
        map.iter().map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap()))).collect::<serde_json::Map<_, _>>()
    };
    let seen = json!({
        "method": parts.method.as_str(), "target": parts.uri.to_string(), "headers": names(&parts.headers),
        "body": String::from_utf8_lossy(&octets), "trailers": names(&trailers),
    });
    // Over HTTP/1.1 only trailers that were announced can be passed on.
    let head = Response::builder().header("trailer", "grpc-status").body(()).unwrap();
    let mut out = respond.send_response(head, false).unwrap();
    out.send_data(seen.to_string().into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    out.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn clients_of_both_versions_reach_apps_of_both_schemes() {
    for scheme in SCHEMES {
        let app = App::answering(scheme, Builder::new(), |_, request, respond| tell(request, respond)).await;
        let gateway = app.gateway().start().await;
        for version in VERSIONS {
            let mut client = gateway.connect(version, "acme").await;
            let seen = client.get("/a/b?c=d").await.expect(200).json();
            let outer = if scheme == "h2" { "https" } else { "http" };
            let target = format!("{outer}://acme.example.localhost:{}/a/b?c=d", gateway.https.unwrap().port());
            assert_eq!((&seen["method"], &seen["target"]), (&json!("GET"), &json!(target)), "{scheme} {version:?}");
            assert_eq!(seen["headers"]["x-tenant-slug"], "acme");
            for never in ["host", "connection", "transfer-encoding", "upgrade", "keep-alive"] {
                assert_eq!(seen["headers"].get(never), None, "{scheme} {version:?}");
            }
            let answer = client.send(Method::PUT, "/", &[("x-mine", "1")], "hello").await.unwrap().expect(200).json();
            assert_eq!((&answer["method"], &answer["body"]), (&json!("PUT"), &json!("hello")));
            assert_eq!((&answer["headers"]["content-length"], &answer["headers"]["x-mine"]), (&json!("5"), &json!("1")));
        }
        assert_eq!(app.connections(), 1, "{scheme}: clients share the app's connection");
        assert_eq!(gateway.usage("acme").await["apiCalls"], 4);
    }
}

#[tokio::test]
async fn an_answer_with_a_length_and_trailers_is_whole_in_the_access_log() {
    let app = App::answering("h2c", Builder::new(), |_, _, mut respond| async move {
        let head = Response::builder().status(if respond.stream_id().as_u32() == 1 { 200 } else { 203 });
        let mut out = respond.send_response(head.header("content-length", "5").body(()).unwrap(), false).unwrap();
        out.send_data("whole".into(), false).unwrap();
        out.send_trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), "1".parse().unwrap())])).unwrap();
    })
    .await;
    let gateway = app.gateway().start().await;
    for (version, status) in VERSIONS.into_iter().zip([200, 203]) {
        gateway.connect(version, "acme").await.get("/").await.expect(status);
        let record = gateway.access_record(|record| record["status"] == status).await;
        assert_eq!(record["aborted"], false, "{record}");
    }
}

#[tokio::test]
async fn pieces_without_content_do_not_cost_an_app_its_connection() {
    let app = App::answering("h2c", Builder::new(), |_, _, mut respond| async move {
        let mut out = begin(&mut respond);
        for _ in 0..60 {
            out.send_data(Bytes::new(), false).unwrap();
        }
        out.send_data("ok".into(), true).unwrap();
    })
    .await;
    let gateway = app.gateway().start().await;
    for version in VERSIONS {
        let mut client = gateway.connect(version, "acme").await;
        for _ in 0..4 {
            assert_eq!(client.get("/").await.expect(200).text(), "ok");
        }
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn trailers_pass_both_ways_for_clients_of_both_versions() {
    let app = App::answering("h2c", Builder::new(), |_, request, respond| tell(request, respond)).await;
    let gateway = app.gateway().start().await;

    let mut client = gateway.raw("acme").await;
    client
        .send(
            "POST / HTTP/1.1\r\nhost: acme.example.localhost\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\nx-checksum: abc\r\n\r\n",
        )
        .await;
    let message = client.message().await;
    let seen: Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!((&seen["trailers"], &seen["body"]), (&json!({"x-checksum": "abc"}), &json!("hello")));
    assert_eq!(seen["headers"]["te"], "trailers");
    assert_eq!(message.trailers, [("grpc-status".to_owned(), "0".to_owned())]);

    let mut client = gateway.h2_streams("acme").await;
    let (response, mut up) = client.begin_with("POST", "/", true, |request| request.header("te", "trailers")).await.unwrap();
    up.send_data(Bytes::from_static(b"hello"), false).unwrap();
    up.send_trailers(HeaderMap::from_iter([("x-checksum".parse().unwrap(), "abc".parse().unwrap())])).unwrap();
    let mut body = head_of(response).await.into_body();
    let seen: Value = serde_json::from_slice(&whole_of(&mut body).await.unwrap()).unwrap();
    assert_eq!((&seen["trailers"], &seen["body"]), (&json!({"x-checksum": "abc"}), &json!("hello")));
    assert_eq!(seen["headers"]["te"], "trailers");
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
}

#[tokio::test]
async fn large_bodies_pass_whole_both_ways() {
    const SIZE: u64 = 8 << 20;
    let app = App::answering("h2", Builder::new(), |_, request, mut respond| async move {
        let mut body = request.into_body();
        let mut check = Check::default();
        while let Some(octets) = crate::support::connect::piece_of(&mut body).await {
            check.take(&octets.unwrap());
        }
        let mut out = begin(&mut respond);
        let mut at = 0;
        while at < check.octets {
            let next = piece(at, check.octets - at);
            at += next.len() as u64;
            assert!(write_all(&mut out, next).await);
        }
        out.send_data(Bytes::new(), true).unwrap();
    })
    .await;
    let gateway = app.gateway().start().await;
    for version in VERSIONS {
        let mut whole = Vec::new();
        while (whole.len() as u64) < SIZE {
            whole.extend_from_slice(&piece(whole.len() as u64, SIZE - whole.len() as u64));
        }
        let mut client = gateway.connect(version, "acme").await;
        let answer = within("an echo", client.send(Method::POST, "/", &[], whole.clone())).await.unwrap().expect(200);
        assert!(answer.body == whole, "{version:?}");
    }
}

#[tokio::test]
async fn interim_responses_of_the_app_reach_clients_of_both_versions() {
    let app = App::answering("h2c", Builder::new(), |_, _, mut respond| async move {
        let hint = Response::builder().status(103).header("link", "</style.css>; rel=preload").body(()).unwrap();
        respond.send_informational(hint).unwrap();
        super::app::say(respond, "ok");
    })
    .await;
    let gateway = app.gateway().start().await;
    let mut client = gateway.raw("acme").await;
    client.send("GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n").await;
    let hint = client.head().await;
    assert_eq!((hint.status(), hint.field("link")), (103, Some("</style.css>; rel=preload")));
    assert_eq!(client.message().await.body, b"ok");

    let mut client = gateway.h2_streams("acme").await;
    let (mut response, _) = client.begin("GET", "/", false).await;
    let hint = within("early hints", std::future::poll_fn(|cx| response.poll_informational(cx))).await.unwrap().unwrap();
    assert_eq!((hint.status().as_u16(), &hint.headers()["link"]), (103, &"</style.css>; rel=preload".parse().unwrap()));
    assert_eq!(whole_of(head_of(response).await.body_mut()).await.unwrap(), b"ok");
}
