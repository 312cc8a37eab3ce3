//! The guarantees of header hygiene, as tables of what goes in and what is left.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::IpAddr;

use http::Version;
use proptest::prelude::*;

use super::*;

/// Names that only the gateway may say.
const RESERVED_NAMES: [&str; 7] =
    ["x-tenant-id", "x-tenant-slug", "x-tenant-plan", "x-tenant-features", "x-user-id", "x-user-roles", "x-request-id"];

fn map(fields: &[(&str, &str)]) -> Fields {
    let mut all = Fields::new();
    for (name, value) in fields {
        all.push_as(name.as_bytes(), value.as_bytes());
    }
    all
}

fn trailers(fields: &[(&str, &str)]) -> HeaderMap {
    map(fields).to_map()
}

/// `name: value` of every field, sorted.
fn lines(fields: &Fields) -> Vec<String> {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    let mut lines: Vec<String> = fields.iter().map(|field| format!("{}: {}", text(field.text).to_lowercase(), text(field.value))).collect();
    lines.sort();
    lines
}

fn value(fields: &Fields, name: Name) -> &str {
    std::str::from_utf8(fields.get(name).unwrap()).unwrap()
}

#[test]
fn every_spelling_of_a_reserved_name_is_reserved() {
    for name in ["x-tenant-id", "X-Tenant-Id", "X_TENANT_ID", "x.tenant-id", "X-Tenant_Plan", "x-user.roles", "X_Request.Id"] {
        assert!(RESERVED.has(Name::spelt(name.as_bytes())), "{name}");
    }
    for name in ["x-tenant-ids", "x-tenant", "tenant-id", "x--tenant-id", "xtenant-id", "x-usage-storage", "host", ""] {
        assert!(!RESERVED.has(Name::spelt(name.as_bytes())), "{name}");
    }
}

#[test]
fn every_claim_in_the_proper_spelling_is_found() {
    let headers = map(&[("X-Tenant-Id", "a"), ("x_tenant_id", "b"), ("x-tenant-id", "c")]);
    assert_eq!(tenant_claims(&headers).collect::<Vec<_>>(), [b"a", b"c"]);
}

#[test]
fn requests_are_stripped() {
    let ours = [("host", "a"), ("content-length", "1"), ("content-type", "t"), ("cookie", "c"), ("x-usage-storage", "+1")];
    let gone = [
        ("connection", "close, X-One, host,,\"odd\", Content-Length"),
        ("connection", "x-two, content-type"),
        ("x-one", "1"),
        ("x-two", "2"),
        ("keep-alive", "1"),
        ("proxy-connection", "1"),
        ("proxy-authorization", "1"),
        ("proxy-authenticate", "1"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("http2-settings", "AA"),
        ("x-tenant-id", "t"),
        ("x_user.roles", "owner"),
        ("x_forwarded_for", "1.2.3.4"),
        ("x-forwarded.host", "b"),
        ("x_real_ip", "1.2.3.4"),
    ];
    let forwarding = [
        ("forwarded", "for=1.2.3.4"),
        ("traceparent", "00"),
        ("tracestate", "a=b"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-prefix", "/p"),
        ("x-real-ip", "1.2.3.4"),
    ];
    for trusted in [false, true] {
        let mut headers = map(&[&ours[..], &gone, &forwarding].concat());
        strip_request(&mut headers, trusted);
        let left = if trusted { [&ours[..], &forwarding].concat() } else { ours.to_vec() };
        assert_eq!(lines(&headers), lines(&map(&left)), "trusted: {trusted}");
    }
}

#[test]
fn only_trailers_is_left_of_te() {
    for (te, left) in [("trailers", Some("trailers")), ("gzip;q=0.5, Trailers", Some("trailers")), ("gzip", None), ("trailers;q=1", None)] {
        let mut headers = map(&[("te", te), ("connection", "TE")]);
        strip_request(&mut headers, true);
        let expected = left.map_or_else(Vec::new, |left| vec!["connection: TE".to_owned(), format!("te: {left}")]);
        assert_eq!(lines(&headers), expected, "{te}");
    }
}

#[test]
fn responses_are_stripped() {
    let head = [("connection", "Upgrade, x-one"), ("upgrade", "websocket"), ("x-one", "1"), ("keep-alive", "1"), ("server", "s")];
    let mut plain = map(&head);
    strip_response(&mut plain, false);
    assert_eq!(lines(&plain), ["server: s"]);
    let mut switching = map(&head);
    strip_response(&mut switching, true);
    assert_eq!(lines(&switching), ["connection: upgrade", "server: s", "upgrade: websocket"]);
}

#[test]
fn trailers_are_stripped() {
    let mut trailers = trailers(&[
        ("grpc-status", "0"),
        ("x-checksum", "1"),
        ("X_Tenant_Id", "t"),
        ("host", "a"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-checksum2"),
        ("authorization", "a"),
        ("set-cookie", "a"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-checksum2", "1"),
    ]);
    strip_trailers(&mut trailers);
    assert_eq!(lines(&Fields::from(&trailers)), ["grpc-status: 0", "x-checksum: 1"]);
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const NEW_TRACE: &str = "00-07070707070707070707070707070707-0707070707070707-01";

/// Adds to `fields` what the gateway says of `peer`.
fn forward(fields: &[(&str, &str)], peer: &str, trusted: bool) -> Fields {
    let mut headers = map(fields);
    strip_request(&mut headers, trusted);
    let peer: IpAddr = peer.parse().unwrap();
    forwarded_for(&mut headers, &Forwarding { peer, trusted, proto: "https", host: "a.example:8443" });
    trace(&mut headers, trusted, &[7; 24]);
    append_via(&mut headers, Version::HTTP_11);
    headers
}

#[test]
fn what_an_untrusted_peer_says_is_replaced() {
    let said = [("x-forwarded-for", "1.1.1.1"), ("x-forwarded-proto", "http"), ("x-forwarded-host", "b"), ("forwarded", "for=1.1.1.1")];
    let traced = [("traceparent", TRACE), ("tracestate", "a=b"), ("via", "1.0 p")];
    assert_eq!(
        lines(&forward(&[&said[..], &traced].concat(), "::ffff:192.0.2.1", false)),
        [
            "forwarded: for=192.0.2.1;host=\"a.example:8443\";proto=https",
            &format!("traceparent: {NEW_TRACE}"),
            "via: 1.0 p",
            "via: 1.1 gatehouse",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: a.example:8443",
            "x-forwarded-proto: https",
        ]
    );
}

#[test]
fn what_a_trusted_peer_says_is_continued() {
    let said = [("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "3.3.3.3"), ("x-forwarded-proto", "http")];
    let more = [("x-forwarded-host", "b"), ("forwarded", "for=1.1.1.1"), ("traceparent", TRACE), ("tracestate", "a=b")];
    assert_eq!(
        lines(&forward(&[&said[..], &more].concat(), "2001:db8::1", true)),
        [
            "forwarded: for=1.1.1.1, for=\"[2001:db8::1]\";host=\"a.example:8443\";proto=https",
            &format!("traceparent: {TRACE}"),
            "tracestate: a=b",
            "via: 1.1 gatehouse",
            "x-forwarded-for: 1.1.1.1, 2.2.2.2, 3.3.3.3, 2001:db8::1",
            "x-forwarded-host: b",
            "x-forwarded-proto: http",
        ]
    );
}

#[test]
fn only_a_well_formed_trace_is_continued() {
    let later = TRACE.replacen("00", "01", 1);
    for (text, is_kept) in [
        (TRACE.to_owned(), true),
        (later.clone(), true),
        (format!("{later}-x"), true),
        (format!("{later}x"), false),
        (format!("{TRACE}-x"), false),
        (TRACE.to_uppercase(), false),
        (TRACE.replacen("00", "ff", 1), false),
        (TRACE.replace("b7ad6b7169203331", "0000000000000000"), false),
        (TRACE.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"), false),
        (TRACE[..54].to_owned(), false),
        (String::new(), false),
    ] {
        let headers = forward(&[("traceparent", &text), ("tracestate", "a=b")], "192.0.2.1", true);
        let wanted = if is_kept { text.as_str() } else { NEW_TRACE };
        assert_eq!((value(&headers, Name::Traceparent), headers.has(Name::Tracestate)), (wanted, is_kept));
    }
    let twice = forward(&[("traceparent", TRACE), ("traceparent", TRACE)], "192.0.2.1", true);
    assert_eq!(twice.all(Name::Traceparent).collect::<Vec<_>>(), [NEW_TRACE.as_bytes()]);
}

#[test]
fn a_host_cannot_break_out_of_forwarded() {
    let peer = IpAddr::from([192, 0, 2, 1]);
    let mut forwarding = Forwarding { peer, trusted: false, proto: "http", host: "a\";for=\\b" };
    let mut headers = Fields::new();
    forwarded_for(&mut headers, &forwarding);
    trace(&mut headers, false, &[0; 24]);
    append_via(&mut headers, Version::HTTP_2);
    assert_eq!(value(&headers, Name::Forwarded), "for=192.0.2.1;host=\"a\\\";for=\\\\b\";proto=http");
    assert_eq!(value(&headers, Name::Traceparent), "00-01000000000000000000000000000000-0100000000000000-01");
    assert_eq!(value(&headers, Name::Via), "2.0 gatehouse");
    forwarding.host = "a\r\nb";
    let mut headers = map(&[("x-forwarded-host", "theirs")]);
    forwarded_for(&mut headers, &forwarding);
    assert_eq!((headers.get(Name::Forwarded), headers.get(Name::XForwardedHost)), (None, None));
}

fn spelling(name: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec((any::<bool>(), 0..3_usize), name.len()).prop_map(move |choices| {
        let spell = |(letter, (upper, mark)): (char, (bool, usize))| match letter {
            '-' => ['-', '_', '.'][mark],
            letter if upper => letter.to_ascii_uppercase(),
            letter => letter,
        };
        name.chars().zip(choices).map(spell).collect()
    })
}

proptest! {
    #[test]
    fn no_spelling_of_a_reserved_name_survives(
        names in prop::collection::vec(prop::sample::select(&RESERVED_NAMES[..]).prop_flat_map(spelling), 1..6),
        others in prop::collection::vec("a-[a-z]{1,8}", 0..6),
        trusted: bool,
    ) {
        let fields: Vec<(&str, &str)> = names.iter().chain(&others).map(|name| (name.as_str(), "v")).collect();
        let wanted = lines(&map(&others.iter().map(|name| (name.as_str(), "v")).collect::<Vec<_>>()));
        let mut head = map(&fields);
        strip_request(&mut head, trusted);
        prop_assert_eq!(lines(&head), wanted.clone());
        let mut trailers = trailers(&fields);
        strip_trailers(&mut trailers);
        prop_assert_eq!(lines(&Fields::from(&trailers)), wanted);
    }
}
