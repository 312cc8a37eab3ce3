//! Preface: which HTTP a client in clear speaks. One with prior knowledge of HTTP/2 begins with 24 octets that no request of
//! HTTP/1.1 begins with (RFC 9113, section 3.4).

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::Door;

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Before what has come of a preface is looked at again: the socket cannot say when there is more than was looked at. The
/// first pause is the shortest, each is twice as long as the one before.
const BREATHS: std::ops::RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_millis(200);

/// Whether HTTP/2 begins. What says nothing until `deadline`, or while the gateway shuts down, is taken for HTTP/1.1, which has
/// its own patience. Nothing is taken off the stream.
pub async fn is_http2(stream: &TcpStream, door: &Door, deadline: Instant) -> bool {
    tokio::select! {
        biased;
        begins = timeout_at(deadline, begins_with_preface(stream)) => begins.unwrap_or(false),
        () = door.shutdown.begun() => false,
    }
}

async fn begins_with_preface(stream: &TcpStream) -> bool {
    let mut seen = [0; PREFACE.len()];
    let mut breath = *BREATHS.start();
    loop {
        match stream.peek(&mut seen).await {
            Ok(count @ 1..) if seen[..count] == PREFACE[..count] => {
                if count == PREFACE.len() {
                    return true;
                }
            }
            _ => return false,
        }
        sleep(breath).await;
        breath = (2 * breath).min(*BREATHS.end());
    }
}
