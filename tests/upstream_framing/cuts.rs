//! Cut short at any place, in order or not, an answer never looks whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatehouse::model::Host;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{App, Client, Script, Seen, Speaks, Then};
use crate::support::connect::{head_of, piece_of};
use crate::support::raw::Io;
use crate::support::{Raw, TestGateway, tenant, within};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n00e\r\n, wide world of\r\n1\r\n!\r\n0\r\nx-sum: 1\r\n\r\n";
const LENGTH: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhello, wide world of";
const WHOLE: &str = "hello, wide world of";

/// The app closes after each part of an answer, from nothing to all but its last octet.
async fn every_place(speaks: Speaks, answer: &str) {
    let parts = (0..answer.len()).map(|length| Script { says: answer.as_bytes()[..length].to_vec(), then: Then::Close, together: length });
    let app = App::start(parts.collect(), false).await;
    let gateway = TestGateway::to_url(&app.url).set("listen.workers", "1").tenant(tenant("acme")).start().await;
    let mut client = Client::new(&gateway, "acme", speaks);
    let final_line = answer.find("HTTP/1.1 200").unwrap();
    let final_head = final_line + answer[final_line..].find("\r\n\r\n").unwrap() + 4;
    for length in 0..answer.len() {
        let said = &answer[..length];
        match client.ask("GET", &format!("/case/{length}")).await {
            Seen::Refused { status: 502, proxy_error, .. } => {
                assert!(length < final_head && proxy_error == "connection_terminated", "{said:?}: {proxy_error}")
            }
            Seen::Cut { status: 200, body } => {
                let sound = length >= final_head && said.len() >= final_head + body.len();
                assert!(sound && format!("{WHOLE}!").starts_with(&body), "{said:?}: {body:?}");
            }
            other => panic!("{said:?} is shown as {other:?}"),
        }
        assert!(client.trailers.is_none(), "{said:?}");
        let next = format!("/next/{length}");
        assert_eq!(client.ask("GET", &next).await, Seen::Whole { status: 200, body: next }, "after {said:?}");
    }
}

#[tokio::test]
async fn a_chunked_answer_that_ends_at_any_place_is_cut_over_http_1_1() {
    every_place(Speaks::Http11, CHUNKED).await;
}

#[tokio::test]
async fn a_chunked_answer_that_ends_at_any_place_is_cut_over_http_1_0() {
    every_place(Speaks::Http10, CHUNKED).await;
}

#[tokio::test]
async fn a_chunked_answer_that_ends_at_any_place_is_cut_over_http_2() {
    every_place(Speaks::Http2, CHUNKED).await;
}

#[tokio::test]
async fn an_answer_with_a_length_that_ends_at_any_place_is_cut() {
    for speaks in [Speaks::Http10, Speaks::Http11, Speaks::Http2] {
        every_place(speaks, LENGTH).await;
    }
}

/// Takes a request and begins an answer; dropped, the connection is reset.
async fn begun(listener: &TcpListener, answer: &str) -> TcpStream {
    let (mut stream, _) = within("a connection from the gateway", listener.accept()).await.unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream
}

const FRAMINGS: [&str; 3] =
    ["transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "content-length: 100\r\n\r\nhello", "x-framing: none\r\n\r\nhello"];

/// The app resets its connection when the client has what there is of the answer.
async fn is_cut(gateway: &TestGateway, listener: &TcpListener, version: &str, framing: &str) {
    let mut io: Box<dyn Io> =
        if gateway.https.is_some() { Box::new(gateway.raw_tls("acme", "http/1.1").await) } else { Box::new(gateway.tcp().await) };
    io.write_all(format!("GET / HTTP/{version}\r\nhost: acme.example.localhost\r\n\r\n").as_bytes()).await.unwrap();
    let app = begun(listener, &format!("HTTP/1.1 200 OK\r\n{framing}")).await;
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains("hello") {
        assert!(within("octets", io.read_buf(&mut read)).await.unwrap() > 0);
    }
    drop(app);
    let end = within("the end", io.read_to_end(&mut read)).await;
    let text = String::from_utf8(read).unwrap();
    if text.contains("transfer-encoding: chunked\r\n") {
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    } else if text.contains("content-length: 100\r\n") {
        assert!(text.ends_with("hello"), "{text}");
    } else {
        // Without either, only the way in which the connection ends can tell.
        assert!(version == "1.0" && end.is_err(), "HTTP/{version}, {framing:?}: {text:?} ends with {end:?}");
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[tokio::test]
async fn an_answer_whose_connection_is_reset_is_cut_over_http_1() {
    let (listener, url) = listen().await;
    let builder = || TestGateway::to_url(&url).tenant(tenant("acme"));
    for gateway in [builder().start().await, builder().plaintext().start().await] {
        for version in ["1.0", "1.1"] {
            for framing in FRAMINGS {
                is_cut(&gateway, &listener, version, framing).await;
            }
        }
    }
}

#[tokio::test]
async fn an_answer_whose_connection_is_reset_resets_its_http_2_stream() {
    let (listener, url) = listen().await;
    let gateway = TestGateway::to_url(&url).tenant(tenant("acme")).start().await;
    let mut client = gateway.h2_streams("acme").await;
    for framing in FRAMINGS {
        let (response, _) = client.begin("GET", "/", false).await;
        let app = begun(&listener, &format!("HTTP/1.1 200 OK\r\n{framing}")).await;
        let mut response = head_of(response).await;
        assert_eq!(piece_of(response.body_mut()).await.unwrap().unwrap(), "hello");
        drop(app);
        let error = piece_of(response.body_mut()).await.expect("no end in order").unwrap_err();
        assert!(error.is_reset() && error.is_remote(), "{error}");
    }
}

/// An answer up to the end of a TLS connection ends with TLS's own word for that, or is cut (RFC 9112, section 9.8).
#[tokio::test]
async fn an_answer_up_to_the_end_of_a_tls_connection_that_is_torn_off_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, acceptor) = app_tls(dir.path());
    let (listener, url) = listen().await;
    let url = url.replace("http", "https").replace("127.0.0.1", "localhost");
    let gateway = TestGateway::to_url(&url).set("upstream.ca_file", &ca).tenant(tenant("acme")).start().await;
    for speaks in [Speaks::Http10, Speaks::Http11, Speaks::Http2] {
        for in_order in [true, false] {
            let mut client = Client::new(&gateway, "acme", speaks);
            let app = async {
                let (stream, _) = within("a connection from the gateway", listener.accept()).await.unwrap();
                let mut wire = Raw::over(acceptor.accept(stream).await.unwrap());
                wire.head().await;
                wire.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
                if in_order {
                    wire.finish().await;
                }
            };
            let (seen, ()) = tokio::join!(client.ask("GET", "/"), app);
            let (status, body) = (200, "hello".to_owned());
            assert_eq!(seen, if in_order { Seen::Whole { status, body } } else { Seen::Cut { status, body } }, "{speaks:?}");
        }
    }
}

/// For an app at `127.0.0.1`: the file of its CA, and its side of TLS.
fn app_tls(dir: &Path) -> (String, TlsAcceptor) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let made = gatehouse::tls::write_dev_certificates(dir, &Host::parse("app.localhost").unwrap()).unwrap();
    let chain = CertificateDer::pem_file_iter(&made.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&made.key).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    (made.ca.display().to_string(), TlsAcceptor::from(Arc::new(config)))
}
