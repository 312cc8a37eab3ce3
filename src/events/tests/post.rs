//! One attempt: where it may go, and what it says of how it ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::support::{Receiver, endpoint};
use crate::config::Config;
use crate::events::address::Guard;
use crate::events::post::Poster;
use crate::events::record::Ended;
use crate::model::EventId;

/// Of an attempt at a URL.
async fn ended(url: &str, allow_private: bool, own: Vec<SocketAddr>, patience: Duration) -> Ended {
    let toml = format!("[events]\nallow_private = true\n{}", endpoint("crm", url, ""));
    let config = Config::from_toml(&toml).unwrap().events;
    let poster = Poster::new(Guard { allow_private, own }, patience, &config.endpoints);
    poster.attempt(&config.endpoints[0], &Arc::new(Semaphore::new(1)), EventId::from_bytes([1; 16]), Bytes::from_static(b"{}")).await
}

fn address(receiver: &Receiver) -> SocketAddr {
    let url = url::Url::parse(&receiver.url).unwrap();
    SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()))
}

const PATIENCE: Duration = Duration::from_secs(10);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn private_addresses_are_refused_by_name_and_in_every_spelling_and_nobody_is_called() {
    let receiver = Receiver::answering(&[OK]).await;
    let port = address(&receiver).port();
    for host in
        ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "127.1", "0"]
    {
        for scheme in ["http", "https"] {
            let ended = ended(&format!("{scheme}://{host}:{port}/"), false, Vec::new(), PATIENCE).await;
            let error = ended.attempt.error.unwrap();
            assert!(error.starts_with("refused: ") && ended.attempt.status.is_none(), "{host}: {error}");
        }
    }
    assert!(receiver.heard().is_empty());
}

#[tokio::test]
async fn own_listeners_are_refused_also_where_private_addresses_are_allowed() {
    let receiver = Receiver::answering(&[OK]).await;
    let own = address(&receiver);
    for listener in [own, SocketAddr::from(([0, 0, 0, 0], own.port()))] {
        let refused = ended(&receiver.url, true, vec![listener], PATIENCE).await.attempt.error.unwrap();
        assert!(refused.contains("own listeners"), "{refused}");
    }
    assert!(receiver.heard().is_empty());
    assert_eq!(ended(&receiver.url, true, Vec::new(), PATIENCE).await.attempt.status, Some(200));
}

#[tokio::test]
async fn every_2xx_is_a_success_and_everything_else_says_what_it_was() {
    for (answer, error) in [
        ("HTTP/1.1 202 Accepted\r\n\r\n", None),
        ("HTTP/1.1 299 Fine\r\ncontent-length: 900000\r\n\r\nnever whole", None),
        ("HTTP/1.1 301 Moved\r\nlocation: http://169.254.169.254/\r\n\r\n", Some("a redirect to http://169.254.169.254/")),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Some("answered 404 Not Found")),
        ("SSH-2.0-OpenSSH\r\n", Some("no answer: ")),
        ("", Some("no answer: ")),
    ] {
        let receiver = Receiver::answering(Box::leak(Box::new([answer]))).await;
        let seen = ended(&receiver.url, true, Vec::new(), PATIENCE).await.attempt.error;
        assert_eq!(seen.is_some(), error.is_some(), "{answer}: {seen:?}");
        assert!(seen.unwrap_or_default().contains(error.unwrap_or_default()), "{answer}");
    }
}

#[tokio::test]
async fn a_failure_keeps_how_its_body_begins_and_what_the_receiver_asks_for() {
    let body = "x".repeat(5_000);
    let busy = format!("HTTP/1.1 429 Slow\r\nretry-after: 77\r\ncontent-length: 5000\r\n\r\n{body}");
    let busy: &'static [&'static str] = Box::leak(Box::new([&*Box::leak(busy.into_boxed_str())]));
    let receiver = Receiver::answering(busy).await;
    let seen = ended(&receiver.url, true, Vec::new(), PATIENCE).await;
    assert_eq!((seen.attempt.answer.unwrap().len(), seen.asked, seen.is_final), (1024, Some(Duration::from_secs(77)), false));
    let receiver = Receiver::answering(&["HTTP/1.1 500 No\r\nretry-after: 77\r\ncontent-length: 6\r\n\r\na\tb\n\u{1}c"]).await;
    let seen = ended(&receiver.url, true, Vec::new(), PATIENCE).await;
    assert_eq!((seen.attempt.answer.as_deref(), seen.asked), (Some("a b  c"), None));
    let receiver = Receiver::answering(&["HTTP/1.1 410 Gone\r\n\r\n"]).await;
    assert!(ended(&receiver.url, true, Vec::new(), PATIENCE).await.is_final);
}

#[tokio::test]
async fn who_says_nothing_is_left_after_the_time_out() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let seen = ended(&url, true, Vec::new(), Duration::from_millis(50)).await.attempt;
    assert_eq!((seen.error.as_deref(), seen.status), (Some("no answer within 50ms"), None));
    assert!(seen.duration_ms >= 50);
}
