//! HTTP/2 over TLS is agreed on in the handshake, and nothing else is spoken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::super::super::{Progress, SendError};
use super::super::support::{fetch, get, pool};
use super::super::tls::authority;
use super::support::*;

#[tokio::test]
async fn http2_over_tls_is_agreed_on_and_its_connection_shared() {
    local(async {
        let authority = authority();
        let acceptor = authority.acceptor("app.test");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = authority.target("h2://app.test", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let stream = acceptor.accept(socket).await.unwrap();
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                tokio::spawn(async move {
                    let mut peer = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, respond))) = peer.accept().await {
                        assert_eq!(request.uri().scheme_str(), Some("https"));
                        say_ok(respond);
                    }
                });
            }
        });
        let pool = pool();
        for _ in 0..3 {
            assert_eq!(fetch(&pool, &target).await, (200, "ok".to_owned()));
        }
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_does_not_agree_on_http2_is_refused() {
    local(async {
        let authority = authority();
        for protocols in [&[][..], &[&b"http/1.1"[..]]] {
            let acceptor = authority.acceptor_for("app.test", protocols);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let target = authority.target("h2://app.test", listener.local_addr().unwrap());
            tokio::spawn(async move {
                let (socket, _) = listener.accept().await.unwrap();
                // Where nothing is agreed on, the handshake may succeed all the same.
                if let Ok(stream) = acceptor.accept(socket).await {
                    std::future::pending::<()>().await;
                    drop(stream);
                }
            });
            let progress = Progress::default();
            let error = pool().send(&[target], 0, get(), &progress, &|_| ()).await.err().unwrap();
            assert!(matches!(error, SendError::Unreachable(_) | SendError::Tls(..)), "{error:?}");
            assert!(!protocols.is_empty() || error.to_string().contains("does not agree on HTTP/2"), "{error}");
            assert!(!progress.head_sent());
        }
    })
    .await;
}
