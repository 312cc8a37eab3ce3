//! Heads up to their limits pass whole, and not an octet or a field more: those of requests up to `limits.max_header_bytes` and
//! `limits.max_headers`, those of responses up to 64 KiB.

use crate::support::seen::{Client, Seen, Speaks};
use crate::support::{RawUpstream, TestGateway, tenant};

const BOTH: [Speaks; 2] = [Speaks::Http11, Speaks::Http2];
/// A longer target is too long whatever the limit is.
const MAX_TARGET: usize = 65_534;
const TOO_LONG: (u16, &str) = (414, "uri_too_long");
const TOO_LARGE: (u16, &str) = (431, "headers_too_large");

/// A gateway with these limits, where they are not the shipped ones.
async fn gateway(origin: &RawUpstream, bytes: Option<&str>, fields: Option<&str>) -> TestGateway {
    let mut builder = TestGateway::to_url(&origin.url()).tenant(tenant("acme"));
    for (key, value) in [("limits.max_header_bytes", bytes), ("limits.max_headers", fields)] {
        if let Some(value) = value {
            builder = builder.set(key, value);
        }
    }
    builder.start().await
}

/// The app gets it as it was sent.
async fn passes(origin: &RawUpstream, client: &mut Client<'_>, target: &str, fields: &[(&str, &str)]) {
    let app = async {
        let (mut app, head) = origin.head().await;
        app.send("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        head
    };
    let (seen, head) = tokio::join!(client.ask_with("GET", target, fields), app);
    assert_eq!(seen, Seen::Whole { status: 204, body: String::new() });
    assert!(head.first == format!("GET {target} HTTP/1.1"), "the target differs");
    for (name, value) in fields {
        assert!(head.field(name) == Some(value), "{name} differs");
    }
}

async fn is_refused(client: &mut Client<'_>, target: &str, fields: &[(&str, &str)], with: (u16, &str)) {
    let seen = client.ask_with("GET", target, fields).await;
    assert!(seen.is_refused(with), "{seen:?} is not {with:?}");
}

/// What a head takes of the limit beside its target and the value of one field `x-long`.
const fn frame(speaks: Speaks) -> usize {
    match speaks {
        Speaks::Http2 => "x-long: \r\n".len(),
        Speaks::Http10 | Speaks::Http11 => "GET  HTTP/1.1\r\nhost: acme.example.localhost\r\nx-long: \r\n\r\n".len(),
    }
}

#[tokio::test]
async fn a_head_of_exactly_the_limit_passes_and_not_one_octet_more() {
    for (setting, limit) in [(Some("1KiB"), 1 << 10), (None, 16 << 10), (Some("1MiB"), 1 << 20)] {
        let origin = RawUpstream::listen().await;
        let gateway = gateway(&origin, setting, None).await;
        for speaks in BOTH {
            let mut client = Client::new(&gateway, "acme", speaks);
            let value = "v".repeat(limit - frame(speaks) - "/short".len());
            passes(&origin, &mut client, "/short", &[("x-long", &value)]).await;
            is_refused(&mut client, "/short", &[("x-long", &format!("{value}v"))], TOO_LARGE).await;
            let room = limit - frame(speaks);
            // The client's library has the same limit for the whole URI.
            let longest = if speaks == Speaks::Http2 { MAX_TARGET - "https://acme.example.localhost".len() } else { MAX_TARGET };
            let target = format!("/{}", "t".repeat((room - 3).min(longest) - 1));
            let value = "v".repeat(room - target.len());
            passes(&origin, &mut client, &target, &[("x-long", &value)]).await;
            is_refused(&mut client, &target, &[("x-long", &format!("{value}v"))], TOO_LARGE).await;
        }
    }
}

#[tokio::test]
async fn a_target_that_leaves_no_room_is_called_too_long() {
    for (setting, limit, over_http_2) in [(None, 16 << 10, true), (Some("1MiB"), MAX_TARGET, false)] {
        let origin = RawUpstream::listen().await;
        let gateway = gateway(&origin, setting, None).await;
        for speaks in BOTH.into_iter().filter(|speaks| over_http_2 || *speaks != Speaks::Http2) {
            let mut client = Client::new(&gateway, "acme", speaks);
            is_refused(&mut client, &format!("/{}", "t".repeat(limit)), &[], TOO_LONG).await;
            is_refused(&mut client, &format!("/?q={}", "t".repeat(2 * limit)), &[], TOO_LONG).await;
            // Over HTTP/2, the connection goes on; over HTTP/1.1 the next request has one of its own.
            passes(&origin, &mut client, "/short", &[]).await;
        }
    }
}

#[tokio::test]
async fn as_many_fields_as_the_limit_says_pass_and_not_one_more() {
    for (setting, limit) in [(None, 100), (Some("256"), 256), (Some("10"), 10)] {
        let origin = RawUpstream::listen().await;
        let gateway = gateway(&origin, None, setting).await;
        for speaks in BOTH {
            let mut client = Client::new(&gateway, "acme", speaks);
            // HTTP/2 says the host in a pseudo-header field, which is not counted.
            let room = if speaks == Speaks::Http2 { limit } else { limit - 1 };
            let names: Vec<String> = (0..=room).map(|number| format!("x-{number}")).collect();
            let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
            passes(&origin, &mut client, "/", &fields[..room]).await;
            is_refused(&mut client, "/", &fields, TOO_LARGE).await;
        }
    }
}

/// A response's head of so many octets, most of them in `fields`' values.
fn response_of(octets: usize, fields: usize) -> String {
    let value = |length: usize| "v".repeat(length);
    let line = |number: usize, length: usize| format!("x-{number:03}: {}\r\n", value(length));
    let (begin, end) = ("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n", "\r\n");
    let room = octets - begin.len() - end.len() - fields * line(0, 0).len();
    let lines: String = (0..fields).map(|number| line(number, room / fields + if number == 0 { room % fields } else { 0 })).collect();
    let head = format!("{begin}{lines}{end}");
    assert_eq!(head.len(), octets);
    head
}

#[tokio::test]
async fn a_response_head_of_64_kib_passes_and_a_larger_one_is_refused() {
    const LIMIT: usize = 64 << 10;
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin, None, None).await;
    for speaks in [Speaks::Http10, Speaks::Http11, Speaks::Http2] {
        let mut client = Client::new(&gateway, "acme", speaks);
        for fields in [1, 120] {
            for (octets, passes) in [(LIMIT, true), (LIMIT + 1, false)] {
                let app = async {
                    let (mut app, _) = origin.head().await;
                    // Who has enough of it may close before its end.
                    let _ = app.try_send(response_of(octets, fields) + "body").await;
                };
                let (seen, ()) = tokio::join!(client.ask("GET", "/"), app);
                if !passes {
                    assert!(seen.is_refused((502, "upstream_unreachable")), "{speaks:?}: {seen:?}");
                    continue;
                }
                assert_eq!(seen, Seen::Whole { status: 200, body: "body".to_owned() }, "{speaks:?}");
                let values: usize = (0..fields).map(|number| client.fields[format!("x-{number:03}")].len()).sum();
                assert!(values > LIMIT - 3000, "{speaks:?}: {values} octets of values came");
            }
        }
    }
}

#[tokio::test]
async fn many_cookies_arrive_each_in_a_field_of_its_own_in_their_order() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin, None, None).await;
    let cookie =
        |number: usize| format!("c{number}=\"{}\"; Path=/{number}; Expires=Wed, 25 Nov 2026 00:00:00 GMT; HttpOnly", "x".repeat(400));
    let cookies: Vec<String> = (0..120).map(cookie).collect();
    let lines: String = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
    for speaks in BOTH {
        let mut client = Client::new(&gateway, "acme", speaks);
        let app = async {
            let (mut app, head) = origin.head().await;
            app.send(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{lines}content-length: 0\r\n\r\n")).await;
            head
        };
        // What the client sends in several fields or one is one field to the app (RFC 9113, section 8.2.3).
        let sent: Vec<String> = (0..40).map(|number| format!("c{number}=v{number}")).collect();
        let crumbs: Vec<(&str, &str)> = sent.iter().map(|crumb| ("cookie", crumb.as_str())).collect();
        let joined = sent.join("; ");
        let fields = if speaks == Speaks::Http2 { crumbs } else { vec![("cookie", joined.as_str())] };
        let (seen, head) = tokio::join!(client.ask_with("GET", "/", &fields), app);
        assert_eq!(seen, Seen::Whole { status: 200, body: String::new() });
        let arrived: Vec<&str> = client.fields.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(arrived, cookies, "{speaks:?}");
        assert_eq!(head.field("cookie"), Some(joined.as_str()), "{speaks:?}");
    }
}
