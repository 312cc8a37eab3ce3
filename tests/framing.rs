//! A request on which two servers could disagree never reaches the app; what came before it is answered.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::support::upstream::RunningUpstream;
use crate::support::wire::Wire;
use crate::support::{TestGateway, Upstream, tenant};

const ACME: &str = "acme.example.localhost";
const GOOD: &str = "GET /good HTTP/1.1\r\nHost: acme.example.localhost\r\n\r\n";

/// The requests that an HTTP/1.1 gateway must not take, what they get, and what they are.
fn bad_requests() -> Vec<(&'static str, u16, &'static str, String)> {
    let bad = |what, text: &str| (what, 400, "bad_request", text.replace("{host}", "Host: acme.example.localhost"));
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: acme.example.localhost\r\n\r\n";
    let mut cases = vec![
        bad(
            "both lengths",
            &format!("POST /bad HTTP/1.1\r\n{{host}}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        bad(
            "both lengths, the other way",
            &format!("POST /bad HTTP/1.1\r\n{{host}}\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n0\r\n\r\n{smuggled}"),
        ),
        bad("two lengths", "POST /bad HTTP/1.1\r\n{host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        bad("the same length twice", "POST /bad HTTP/1.1\r\n{host}\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"),
        bad("a list of lengths", "POST /bad HTTP/1.1\r\n{host}\r\nContent-Length: 2, 2\r\n\r\nab"),
        bad("no Host", "GET /bad HTTP/1.1\r\n\r\n"),
        bad("an empty Host", "GET /bad HTTP/1.1\r\nHost:\r\n\r\n"),
        bad("two Hosts", "GET /bad HTTP/1.1\r\n{host}\r\nHost: globex.example.localhost\r\n\r\n"),
        bad("the same Host twice", "GET /bad HTTP/1.1\r\n{host}\r\n{host}\r\n\r\n"),
        bad("HTTP/1.0 without Host", "GET /bad HTTP/1.0\r\n\r\n"),
        bad("HTTP/1.0 in chunks", "POST /bad HTTP/1.0\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        bad("another authority in the target", "GET http://globex.example.localhost/bad HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("another scheme in the target", "GET ftp://acme.example.localhost/bad HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("user information in the target", "GET http://a@acme.example.localhost/bad HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("a target without slash", "GET bad HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("an asterisk for GET", "GET * HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("a fragment", "GET /bad#x HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("a space in the target", "GET /bad x HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("an octet above ASCII in the target", "GET /bad\u{e9} HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("line feeds alone", "GET /bad HTTP/1.1\n{host}\n\n"),
        bad("one line feed alone", "GET /bad HTTP/1.1\r\n{host}\nX-A: 1\r\n\r\n"),
        bad("a line feed that ends the head", "GET /bad HTTP/1.1\r\n{host}\r\n\n"),
        bad("a carriage return alone", "GET /bad HTTP/1.1\r\n{host}\r\nX-A: 1\rX-B: 2\r\n\r\n"),
        bad("a folded line", "GET /bad HTTP/1.1\r\n{host}\r\nX-A: 1\r\n 2\r\n\r\n"),
        bad("a first line that is folded", "GET /bad HTTP/1.1\r\n X-A: 1\r\n{host}\r\n\r\n"),
        bad("a space before a colon", "GET /bad HTTP/1.1\r\n{host}\r\nX-A : 1\r\n\r\n"),
        bad("a length with a space before its colon", "POST /bad HTTP/1.1\r\n{host}\r\nContent-Length : 5\r\n\r\nGET /"),
        bad("a field without a name", "GET /bad HTTP/1.1\r\n{host}\r\n: 1\r\n\r\n"),
        bad("a line without a colon", "GET /bad HTTP/1.1\r\n{host}\r\nX-A\r\n\r\n"),
        bad("NUL in a value", "GET /bad HTTP/1.1\r\n{host}\r\nX-A: \0\r\n\r\n"),
        bad("a method that is none", "G@T /bad HTTP/1.1\r\n{host}\r\n\r\n"),
        bad("half of HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nsm\r\n\r\n"),
        bad("HTTP/2.0 by name", "GET /bad HTTP/2.0\r\n{host}\r\n\r\n"),
        bad("HTTP/1.2", "GET /bad HTTP/1.2\r\n{host}\r\n\r\n"),
        bad("HTTP/0.9", "GET /bad\r\n\r\n"),
        bad("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"),
    ];
    for length in ["+5", "-1", "5a", "0x5", "5 5", "", "1e1", "5.", "99999999999999999999", "18446744073709551616", "٥"] {
        cases.push(bad("an odd length", &format!("POST /bad HTTP/1.1\r\n{{host}}\r\nContent-Length: {length}\r\n\r\nhello")));
    }
    for coding in
        ["identity", "gzip, chunked", "chunked, chunked", "xchunked", "chunked;q=1", "\"chunked\"", "chunked\u{b}", "", "chunked, identity"]
    {
        cases.push(bad("an odd coding", &format!("POST /bad HTTP/1.1\r\n{{host}}\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n")));
    }
    for name in ["Transfer-Encoding", "Transfer_Encoding "] {
        cases.push(bad(
            "two codings",
            &format!("POST /bad HTTP/1.1\r\n{{host}}\r\nTransfer-Encoding: chunked\r\n{name}: chunked\r\n\r\n0\r\n\r\n"),
        ));
    }
    let fields: String = (0..100).map(|at| format!("X-{at}: 1\r\n")).collect();
    let long = "a".repeat(20 * 1024);
    let of = |text: String| text.replace("{host}", "Host: acme.example.localhost");
    cases.extend([
        ("CONNECT", 405, "method_not_allowed", of("CONNECT acme.example.localhost:443 HTTP/1.1\r\n{host}\r\n\r\n".into())),
        ("TRACE", 405, "method_not_allowed", of("TRACE /bad HTTP/1.1\r\n{host}\r\n\r\n".into())),
        ("a target of 20 KiB", 414, "uri_too_long", of(format!("GET /bad{long} HTTP/1.1\r\n{{host}}\r\n\r\n"))),
        ("101 fields", 431, "headers_too_large", of(format!("GET /bad HTTP/1.1\r\n{{host}}\r\n{fields}\r\n"))),
        ("a field of 20 KiB", 431, "headers_too_large", of(format!("GET /bad HTTP/1.1\r\n{{host}}\r\nX-A: {long}\r\n\r\n"))),
        (
            "a declared length above the limit",
            413,
            "body_too_large",
            of("POST /bad HTTP/1.1\r\n{host}\r\nContent-Length: 65537\r\n\r\n".into()),
        ),
        (
            "the same, with an expectation",
            413,
            "body_too_large",
            of("POST /bad HTTP/1.1\r\n{host}\r\nExpect: 100-continue\r\nContent-Length: 65537\r\n\r\n".into()),
        ),
    ]);
    cases
}

async fn gateway(origin: &RunningUpstream) -> TestGateway {
    TestGateway::to(origin).set("limits.max_body", "64KiB").tenant(tenant("acme")).tenant(tenant("globex")).start().await
}

async fn refuse_all(origin: &RunningUpstream, connect: impl AsyncFn() -> Wire) {
    let mut faults = Vec::new();
    for (what, status, code, request) in bad_requests() {
        let before = origin.seen().len();
        let mut wire = connect().await;
        // Pipelined: the good request and the bad one come in the same octets, and more after them.
        wire.send(format!("{GOOD}{request}")).await;
        let good = wire.answer().await;
        let refused = wire.answer().await;
        let found = (good.status, refused.status, refused.json()["code"].clone());
        let paths: Vec<String> = origin.seen()[before..].iter().map(|head| head.uri.path().to_owned()).collect();
        if found != (200, status, code.into()) || paths != ["/good"] {
            faults.push(format!("{what}: {found:?} {}; the app saw {paths:?}", refused.text()));
        }
        drop(wire);
        let mut wire = connect().await;
        let alone = wire.ask(request.as_bytes()).await;
        if (alone.status, &alone.json()["code"]) != (status, &code.into()) {
            faults.push(format!("{what}, alone: {} {}", alone.status, alone.text()));
        }
        if status == 400 {
            let rest = wire.rest().await;
            if !rest.is_empty() {
                faults.push(format!("{what}: after the refusal came {}", String::from_utf8_lossy(&rest)));
            }
        }
    }
    assert!(origin.seen().iter().all(|head| head.uri.path() == "/good"));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn over_tls_no_ambiguous_request_reaches_the_app_and_what_came_before_is_answered() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    refuse_all(&origin, async || gateway.tls(ACME).await).await;
}

#[tokio::test]
async fn in_clear_no_ambiguous_request_reaches_the_app_and_what_came_before_is_answered() {
    let origin = Upstream::echoing().start().await;
    let builder = TestGateway::to(&origin).plaintext().set("limits.max_body", "64KiB");
    let gateway = builder.tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    refuse_all(&origin, async || gateway.plain().await).await;
}

#[tokio::test]
async fn unusual_requests_that_are_right_are_served() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    let host = "Host: acme.example.localhost";
    for (request, target, body) in [
        (format!("\r\nGET /a HTTP/1.1\r\n{host}\r\n\r\n"), "/a", ""),
        (format!("GET https://acme.example.localhost/a?b HTTP/1.1\r\n{host}\r\n\r\n"), "/a?b", ""),
        (format!("GET https://acme.example.localhost:443/ HTTP/1.1\r\n{host}\r\n\r\n"), "/", ""),
        (format!("OPTIONS * HTTP/1.1\r\n{host}\r\n\r\n"), "*", ""),
        (format!("GET /a HTTP/1.0\r\n{host}\r\n\r\n"), "/a", ""),
        (format!("PURGE /a HTTP/1.1\r\n{host}\r\n\r\n"), "/a", ""),
        (format!("GET //a/../%2e%2e/b;c HTTP/1.1\r\n{host}\r\n\r\n"), "//a/../%2e%2e/b;c", ""),
        (format!("POST /a HTTP/1.1\r\n{host}\r\ncontent-LENGTH:3\r\n\r\nabc"), "/a", "abc"),
        (format!("POST /a HTTP/1.1\r\n{host}\r\nTransfer-Encoding:  CHUNKED\r\n\r\n3;x=\"y\"\r\nabc\r\n000\r\n\r\n"), "/a", "abc"),
        (format!("GET /a HTTP/1.1\r\n{host}\r\nContent-Length: 2\r\n\r\nok"), "/a", "ok"),
    ] {
        let answer = gateway.tls(ACME).await.ask(&request).await.expect(200).json();
        assert_eq!((&answer["target"], &answer["body"]), (&target.into(), &body.into()), "{request}");
    }
}

#[tokio::test]
async fn a_body_that_grows_too_large_or_breaks_its_framing_ends_the_request() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    let head = format!("POST /body HTTP/1.1\r\nHost: {ACME}\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("8000\r\n{}\r\n", "a".repeat(0x8000));
    let large = gateway.tls(ACME).await.ask(format!("{head}{chunk}{chunk}{chunk}0\r\n\r\n")).await;
    large.expect(413).code("body_too_large");
    for broken in [
        "xyz\r\n",
        "-1\r\n",
        "0x1\r\na\r\n",
        "1\r\nab\r\n",
        "1\nab",
        "\r\n",
        "fffffffffffffffff\r\n",
        "0\r\nX-A\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
    ] {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: acme.example.localhost\r\n\r\n";
        let mut wire = gateway.tls(ACME).await;
        let answer = wire.ask(format!("{head}1\r\na\r\n{broken}{smuggled}")).await;
        assert_eq!(answer.status, 400, "{broken:?}: {}", answer.text());
        answer.code("bad_request");
        assert_eq!(wire.rest().await, b"", "{broken:?}");
    }
    let post = Request::post(format!("https://{ACME}/body")).body(Full::new(Bytes::from(vec![0; 65537]))).unwrap();
    gateway.h2(ACME).await.send(post).await.unwrap().expect(413).code("body_too_large");
    assert!(origin.seen().iter().all(|head| head.uri.path() == "/body"));
    let usage = gateway.usage("acme").await;
    assert_eq!(usage["apiCalls"], 0, "what was refused is not billed: {usage}");
}

#[tokio::test]
async fn h2_has_the_same_limits_and_the_connection_goes_on() {
    let origin = Upstream::echoing().start().await;
    let gateway = gateway(&origin).await;
    let h2 = gateway.h2(ACME).await;
    let long = "a".repeat(20 * 1024);
    let names: Vec<String> = (0..101).map(|at| format!("x-{at}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
    h2.get(ACME, "/bad", &many).await.expect(431).code("headers_too_large");
    h2.get(ACME, "/bad", &[("x-a", &long)]).await.expect(431).code("headers_too_large");
    h2.get(ACME, &format!("/bad{long}"), &[]).await.expect(414).code("uri_too_long");
    let declared = Request::post(format!("https://{ACME}/bad")).body(Full::new(Bytes::from(vec![0; 65537]))).unwrap();
    h2.send(declared).await.unwrap().expect(413).code("body_too_large");
    let trace = Request::trace(format!("https://{ACME}/bad")).body(Full::default()).unwrap();
    h2.send(trace).await.unwrap().expect(405).code("method_not_allowed");
    let connect = Request::connect(format!("{ACME}:443")).body(Full::default()).unwrap();
    h2.send(connect).await.unwrap().expect(405).code("method_not_allowed");
    h2.get(ACME, "/good", &[]).await.expect(200);
    assert!(origin.seen().iter().all(|head| head.uri.path() == "/good"));
}

#[tokio::test]
async fn many_requests_sent_at_once_are_answered_in_their_order() {
    let origin = Upstream::echoing().start().await;
    for gateway in [TestGateway::to(&origin).tenant(tenant("acme")).plaintext(), TestGateway::to(&origin).tenant(tenant("acme"))] {
        let gateway = gateway.start().await;
        let mut client = gateway.raw("acme").await;
        let stream: String = (0..100).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: {ACME}\r\n\r\n")).collect();
        client.send(stream).await;
        for at in 0..100 {
            let answer = client.message().await;
            let echoed: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((answer.head.status(), &echoed["target"]), (200, &format!("/{at}").into()));
        }
    }
}
