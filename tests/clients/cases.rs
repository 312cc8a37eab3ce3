//! The table of cases: what is asked, and what a server makes of it. Every client that can runs each of them against every server.

use serde::Serialize;
use serde_json::{Value, json};

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    pub name: String,
    /// What the client does: see `kinds` in the clients.
    pub kind: &'static str,
    pub method: String,
    pub target: String,
    /// One character of a value for each octet.
    pub headers: Vec<(String, String)>,
    pub body: Option<Upload>,
    #[serde(skip)]
    pub expect: Expect,
}

/// The body of a request.
#[derive(Debug, Clone, Serialize)]
pub struct Upload {
    pub octets: usize,
    pub chunked: bool,
    pub trailers: Vec<(String, String)>,
}

/// What the direct verdict has to be.
#[derive(Debug, Clone)]
pub enum Expect {
    Status(u16),
    Note(Value),
    /// The client notices that the answer is not whole.
    Failed,
    /// Whatever the server makes of it.
    Anything,
}

impl Case {
    fn field(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn fields(mut self, fields: &[(&str, &str)]) -> Self {
        self.headers.extend(owned(fields));
        self
    }

    /// With a body and its length.
    fn sized(mut self, octets: usize) -> Self {
        self.body = Some(Upload { octets, chunked: false, trailers: Vec::new() });
        self
    }

    /// With a body whose length is not said.
    fn chunked(mut self, octets: usize, trailers: &[(&str, &str)]) -> Self {
        self.body = Some(Upload { octets, chunked: true, trailers: owned(trailers) });
        self
    }

    fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    fn expect(mut self, expect: Expect) -> Self {
        self.expect = expect;
        self
    }
}

/// A request that the server answers with what it has seen.
fn ask(name: &str, method: &str, target: &str) -> Case {
    let expect = Expect::Status(200);
    let (name, method, target) = (name.to_owned(), method.to_owned(), target.to_owned());
    Case { name, kind: "exchange", method, target, headers: Vec::new(), body: None, expect }
}

/// A request that is answered as `reply` says: `{status, headers, octets | hex, framing, pieces, trailers, informational, cut}`.
fn reply(name: &str, method: &str, mut reply: Value) -> Case {
    let members = reply.as_object_mut().expect("an object");
    members.entry("status").or_insert(json!(200));
    members.entry("framing").or_insert(json!("length"));
    let status = u16::try_from(reply["status"].as_u64().expect("a status")).expect("a status");
    ask(name, method, &target_of(&reply)).expect(Expect::Status(status))
}

/// The target that asks for a reply. In hexadecimal digits: no client writes them in another way.
pub fn target_of(reply: &Value) -> String {
    let digits: String = reply.to_string().bytes().map(|octet| format!("{octet:02x}")).collect();
    format!("/reply/{digits}")
}

/// All of them.
pub fn all() -> Vec<Case> {
    [methods(), uploads(), downloads(), statuses(), redirects(), fields(), ranges(), targets(), dialogues()].concat()
}

fn methods() -> Vec<Case> {
    let mut cases = Vec::new();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE", "QUERY", "BREW"] {
        // A server may know no such method and say so.
        let expect = || if matches!(method, "BREW" | "QUERY") { Expect::Anything } else { Expect::Status(200) };
        cases.push(ask(&format!("{method} without a body"), method, "/things/1").expect(expect()));
        cases.push(ask(&format!("{method} with a body"), method, "/things/1").sized(1000).expect(expect()));
    }
    cases
}

fn uploads() -> Vec<Case> {
    let sums = &[("x-sum", "abc"), ("x-count", "2")];
    vec![
        ask("an empty body", "POST", "/up").sized(0),
        ask("an empty body without a length", "POST", "/up").chunked(0, &[]),
        ask("an upload with its length", "PUT", "/up").sized(300_000).field("content-type", "application/x-tar"),
        ask("an upload without a length", "PUT", "/up").chunked(300_000, &[]),
        ask("a GET with a body without a length", "GET", "/up").chunked(3000, &[]),
        ask("an upload with trailers", "POST", "/up").chunked(1000, sums),
        ask("an upload with an encoding", "POST", "/up").sized(100).field("content-encoding", "x-own"),
    ]
}

fn downloads() -> Vec<Case> {
    let trailers = json!([["x-sum", "abc"], ["x-late", "1"]]);
    let html = json!([["content-type", "text/html; charset=utf-8"]]);
    let hints = json!([[103, [["link", "</a.css>; rel=preload; as=style"], ["x-hint", "1"]]]]);
    let packed = |name: &str, hex: &str| {
        let headers = json!([["content-encoding", name], ["content-type", "text/plain"], ["vary", "Accept-Encoding"]]);
        reply(&format!("a body packed with {name}"), "GET", json!({"hex": hex, "headers": headers})).field("accept-encoding", name)
    };
    vec![
        reply("a body with its length", "GET", json!({"octets": 200_000, "headers": html})),
        reply("a body in chunks", "GET", json!({"octets": 200_000, "framing": "chunked", "pieces": 7})),
        reply("a body until the connection closes", "GET", json!({"octets": 100_000, "framing": "close"})),
        reply("a body of nothing", "GET", json!({})),
        reply("chunks of nothing", "GET", json!({"framing": "chunked"})),
        reply("trailers", "GET", json!({"octets": 900, "framing": "chunked", "pieces": 2, "trailers": trailers})),
        reply("trailers that were asked for", "GET", json!({"octets": 900, "framing": "chunked", "trailers": trailers}))
            .field("te", "trailers"),
        reply("trailers after nothing", "GET", json!({"framing": "chunked", "trailers": trailers})),
        reply("early hints", "GET", json!({"octets": 10, "informational": hints})),
        reply("early hints before trailers", "GET", json!({"framing": "chunked", "trailers": trailers, "informational": hints})),
        reply("a body that ends before its length", "GET", json!({"octets": 1000, "cut": true})).expect(Expect::Failed),
        reply("chunks without their end", "GET", json!({"octets": 1000, "framing": "chunked", "cut": true})).expect(Expect::Failed),
        reply("an answer after which the server closes", "GET", json!({"octets": 10, "headers": [["connection", "close"]]})),
        ask("a client that closes", "GET", "/last").field("connection", "close"),
        packed("gzip", "1f8b08000000000002033330343236313533b7b03418658db24659c3940500f18f857ce8030000"),
        packed("br", "1be703f8c50dc6e6258d283014003328a7b3f7"),
        packed("zstd", "28b52ffd04688d000050303132333435363738390100db5b1524178aa085"),
    ]
}

fn statuses() -> Vec<Case> {
    let tag = json!([["etag", "\"v1\""], ["last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"]]);
    let mut cases = vec![
        reply("204", "GET", json!({"status": 204, "framing": "none", "headers": tag})),
        reply("204 to a DELETE", "DELETE", json!({"status": 204, "framing": "none"})),
        reply("205", "POST", json!({"status": 205})),
        reply("304", "GET", json!({"status": 304, "framing": "none", "headers": tag})).field("if-none-match", "\"v1\""),
        reply("304 after a date", "GET", json!({"status": 304, "framing": "none"}))
            .field("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        reply("412", "PUT", json!({"status": 412})).field("if-match", "\"v1\", W/\"v2\"").sized(10),
        reply("HEAD with a length", "HEAD", json!({"octets": 12345, "headers": tag})),
        reply("HEAD without a length", "HEAD", json!({"octets": 12345, "framing": "none"})),
        reply("HEAD of chunks", "HEAD", json!({"octets": 12345, "framing": "chunked"})),
        reply("HEAD with 304", "HEAD", json!({"status": 304, "framing": "none", "headers": tag})),
        reply("HEAD with 404", "HEAD", json!({"status": 404, "octets": 9})),
    ];
    for status in [201, 203, 226, 299, 300, 305, 400, 401, 404, 418, 421, 425, 429, 451] {
        cases.push(reply(&format!("{status} of the app"), "GET", json!({"status": status, "octets": 20})));
    }
    for status in [500, 502, 503, 504, 511, 599] {
        cases.push(reply(
            &format!("{status} of the app"),
            "POST",
            json!({"status": status, "octets": 20, "headers": [["retry-after", "3"]]}),
        ));
    }
    cases
}

fn redirects() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        for (what, location) in [("a path", "/next/page?a=b#part"), ("a whole URL", "{origin}/next/page?a=b")] {
            let wanted = json!({"status": status, "headers": [["location", location.replace("/next/", "/there/")]]});
            cases.push(reply(&format!("{status} to {what}"), "GET", wanted.clone()));
            let followed = reply(&format!("{status} to {what}, followed"), "POST", wanted).sized(100).kind("follow");
            cases.push(followed.expect(Expect::Status(200)));
        }
    }
    cases
}

fn fields() -> Vec<Case> {
    let set = ["a=1; Path=/", "b=2; HttpOnly; SameSite=Lax", "c=3; Expires=Wed, 21 Oct 2099 07:28:00 GMT", "d=; Max-Age=0"];
    let cookies: Vec<Value> = set.iter().map(|value| json!(["set-cookie", value])).collect();
    let many: Vec<Value> = (0..60).map(|nth| json!([format!("x-field-{nth}"), format!("value {nth}")])).collect();
    let several = json!([
        ["x-list", "1"],
        ["x-other", "a"],
        ["x-list", "2, 3"],
        ["x-list", ""],
        ["x-list", "4"],
        ["link", "<a>"],
        ["link", "<b>"],
        ["www-authenticate", "Basic realm=\"a, b\""],
        ["www-authenticate", "Bearer"]
    ]);
    let odd = json!([
        ["x-empty", ""],
        ["x-latin", "caf\u{e9} \u{a0}\u{ff}"],
        ["x-utf-8", "\u{c3}\u{a9}\u{e2}\u{82}\u{ac}"],
        ["x-tab", "a\tb"],
        ["x-quoted", "\"a, \\\"b\\\"\""],
        ["x_under_score", "1"],
        ["x.dot", "2"],
        ["x!#$%&'*+-^`|~", "3"],
        ["123", "4"]
    ]);
    let passing = json!([
        ["cache-control", "max-age=60, stale-while-revalidate=30"],
        ["age", "5"],
        ["expires", "0"],
        ["pragma", "x"],
        ["warning", "110 - \"stale\""],
        ["etag", "W/\"1\""],
        ["vary", "*"],
        ["strict-transport-security", "max-age=1"],
        ["content-security-policy", "default-src 'self'"],
        ["access-control-allow-origin", "*"],
        ["alt-svc", "clear"],
        ["content-disposition", "attachment; filename*=UTF-8''%e2%82%ac.txt"],
        ["content-language", "de, en"],
        ["server", "own/1"],
        ["content-location", "/x"],
        ["allow", "GET"],
        ["accept-ranges", "bytes"],
        ["server-timing", "db;dur=53"],
        ["via", "1.1 cache"],
        ["refresh", "5"],
        ["x-powered-by", "app"],
        ["location", "/x"],
        ["retry-after", "1"],
        ["digest", "x=y"]
    ]);
    vec![
        reply("several Set-Cookie", "GET", json!({"headers": cookies})),
        reply("a jar of cookies", "GET", json!({"headers": cookies})).kind("jar").expect(Expect::Status(200)),
        ask("cookies", "GET", "/cookies").field("cookie", "a=1; b=\"2\"; c=; d==3"),
        reply("a large field of an answer", "GET", json!({"headers": [["x-large", {"times": 30_000}]]})),
        ask("a large field of a request", "GET", "/large").field("x-large", &"x".repeat(12_000)),
        reply("many fields of an answer", "GET", json!({"headers": many})),
        ask("many fields of a request", "GET", "/many").fields(
            &(0..60)
                .map(|nth| (format!("x-field-{nth}"), format!("value {nth}")))
                .collect::<Vec<_>>()
                .iter()
                .map(|(n, v)| (&**n, &**v))
                .collect::<Vec<_>>(),
        ),
        reply("several fields of one name in an answer", "GET", json!({"headers": several})),
        ask("several fields of one name", "GET", "/list").fields(&[
            ("x-list", "1"),
            ("x-other", "a"),
            ("x-list", "2, 3"),
            ("x-list", "4"),
            ("accept", "text/html"),
            ("accept", "*/*;q=0.1"),
        ]),
        reply("odd names and values in an answer", "GET", json!({"headers": odd})),
        ask("odd names and values", "GET", "/odd").fields(&[
            ("x-empty", ""),
            ("x-latin", "caf\u{e9} \u{a0}\u{ff}"),
            ("x-utf-8", "\u{c3}\u{a9}\u{e2}\u{82}\u{ac}"),
            ("x-tab", "a\tb"),
            ("x_under_score", "1"),
            ("x.dot", "2"),
            ("x!#$%&'*+-^`|~", "3"),
            ("123", "4"),
        ]),
        reply("fields for caches, browsers and others", "GET", json!({"headers": passing})),
        ask("fields of a browser", "GET", "/page").fields(&[
            ("authorization", "Basic dXNlcjpwYXNz"),
            ("origin", "https://other.example"),
            ("referer", "https://other.example/page?x"),
            ("sec-fetch-mode", "cors"),
            ("upgrade-insecure-requests", "1"),
            ("dnt", "1"),
            ("priority", "u=1, i"),
            ("cache-control", "no-cache"),
            ("pragma", "no-cache"),
            ("from", "a@example.com"),
            ("max-forwards", "3"),
            ("accept-language", "de-DE,de;q=0.9"),
            ("user-agent", "Own/1.0 (x; y)"),
            ("prefer", "return=minimal"),
            ("x-api-key", "of the app"),
        ]),
        ask("fields that one connection owns", "GET", "/hop").fields(&[
            ("connection", "x-private, keep-alive"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic dXNlcjpwYXNz"),
            ("te", "trailers"),
        ]),
    ]
}

fn ranges() -> Vec<Case> {
    let part = json!({"status": 206, "octets": 10, "headers": [["content-range", "bytes 10-19/200000"], ["accept-ranges", "bytes"]]});
    let parts = "--sep\r\ncontent-range: bytes 0-1/9\r\n\r\nab\r\n--sep\r\ncontent-range: bytes 5-6/9\r\n\r\nfg\r\n--sep--\r\n";
    let digits: String = parts.bytes().map(|octet| format!("{octet:02x}")).collect();
    let kind = json!([["content-type", "multipart/byteranges; boundary=sep"]]);
    vec![
        reply("a range", "GET", part).field("range", "bytes=10-19"),
        reply("several ranges", "GET", json!({"status": 206, "hex": digits, "headers": kind})).field("range", "bytes=0-1,5-6"),
        reply("a range beyond the end", "GET", json!({"status": 416, "headers": [["content-range", "bytes */9"]]}))
            .field("range", "bytes=10-"),
        ask("what a range asks for", "GET", "/file").fields(&[
            ("range", "bytes=0-0,-1"),
            ("if-range", "\"v1\""),
            ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ]),
    ]
}

fn targets() -> Vec<Case> {
    let odd = [
        "//",
        "//double//slash",
        "/./dot",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a%2fb",
        "/a%2Fb",
        "/%00",
        "/%zz",
        "/%",
        "/semi;colon=1;x",
        "/?",
        "/only?",
        "/query?a=1&a=2&b&=c",
        "/query?q=%20+%2B&r=a/b?c",
        "/caf%C3%A9",
        "/sub-delims!$&'()*+,;=:@",
        "/~tilde_._-",
        "/trailing/",
        "/colon:8080/x",
        "/http://other.example/x",
        "/pipe|bracket[1]",
        "/{brace}",
        "/back\\slash",
        "/quote\"x",
        "/a^b",
        "/?code=`x`",
        "/?x=[1]&y={z}|w",
        "/query?next=https://other.example/?a=b",
    ];
    let mut cases: Vec<Case> =
        odd.iter().map(|target| ask(&format!("the target {target}"), "GET", target).expect(Expect::Anything)).collect();
    cases.push(ask("a long path", "GET", &format!("/{}", "p".repeat(8000))).expect(Expect::Anything));
    cases.push(ask("a long query", "GET", &format!("/q?{}", "q".repeat(14_000))).expect(Expect::Anything));
    cases
}

/// Where one side waits for the other within an exchange, or for the end of the one before.
fn dialogues() -> Vec<Case> {
    let noted = |name: &str, kind, method: &str, target: &str, note: Value| ask(name, method, target).kind(kind).expect(Expect::Note(note));
    let events: Vec<String> = (1..=5).map(|nth| format!("id: {nth}\ndata: event {nth}\n\n")).collect();
    let pieces: Vec<String> = (0..6).map(|nth| format!("piece {nth}")).collect();
    let expecting = |case: Case| case.sized(1000).field("expect", "100-continue");
    vec![
        expecting(noted("a body that waits for the 100", "expect", "POST", "/wanted", json!("the body was sent after the 100"))),
        expecting(noted("a body that the app does not want", "expect", "POST", "/unwanted/x", json!("the body was not sent"))),
        noted("an answer while the upload runs", "early", "POST", "/early/x", json!("answered 403 while the upload ran"))
            .chunked(1000, &[]),
        noted("a conversation within one exchange", "mirror", "POST", "/mirror/x", json!(pieces)).chunked(1000, &[]),
        noted("events that come one by one", "events", "GET", "/events", json!(events)),
        noted("many requests on one connection", "many", "GET", "/many", Value::Null).expect(Expect::Anything),
    ]
}

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
