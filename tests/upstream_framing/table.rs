//! Responses by hand, what each client sees of them, and that the next request gets its own answer.

use super::{App, Client, Script, Seen, Speaks, Then};
use crate::support::{TestGateway, tenant};

/// What the client is to see.
#[derive(Debug, Clone, Copy)]
pub enum Want {
    /// All of an answer with this status and body.
    Whole(u16, &'static str),
    /// Status 200, this part of a body, and that it is a part.
    Cut(&'static str),
    /// 502: it is no HTTP.
    Refused,
}
use Want::{Cut, Refused, Whole};

pub struct Case {
    method: &'static str,
    says: Vec<u8>,
    then: Then,
    want: Want,
    /// Whether the app's connection serves the next request; where the app stays.
    again: bool,
}

fn case(says: impl Into<Vec<u8>>, want: Want) -> Case {
    let again = matches!(want, Whole(..));
    let then = if matches!(want, Cut(_)) { Then::Close } else { Then::Stay };
    Case { method: "GET", says: says.into(), then, want, again }
}

impl Case {
    const fn of(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Whatever follows, the connection is not used again.
    const fn once(mut self) -> Self {
        self.again = false;
        self
    }

    const fn closing(mut self) -> Self {
        (self.then, self.again) = (Then::Close, false);
        self
    }
}

fn lengths() -> Vec<Case> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let mut cases = vec![
        case(format!("{ok}Content-Length: 5\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("{ok}content-length:\t5 \t\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("{ok}Content-Length: 005\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("{ok}Content-Length: 0\r\n\r\n"), Whole(200, "")),
        case("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", Whole(200, "hello")),
        case("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", Whole(205, "")),
        // One length, said several times (section 6.3, number 5).
        case(format!("{ok}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("{ok}Content-Length: 5, 5\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("{ok}Content-Length: 5,5 ,\t5\r\nContent-Length: 5\r\n\r\nhello"), Whole(200, "hello")),
        // Several lengths.
        case(format!("{ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), Refused),
        case(format!("{ok}Content-Length: 5, 6\r\n\r\nhello!"), Refused),
        case(format!("{ok}Content-Length: 5\r\nContent-Length: 5, 6\r\n\r\nhello!"), Refused),
        // Until the connection closes.
        case(format!("{ok}\r\nhello"), Whole(200, "hello")).closing(),
        case(ok.to_owned() + "\r\n", Whole(200, "")).closing(),
        case("HTTP/1.0 200 OK\r\n\r\nhello", Whole(200, "hello")).closing(),
        case("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", Whole(200, "hello")).closing(),
        // What the app says of its connection.
        case(format!("{ok}Content-Length: 5\r\nConnection: close\r\n\r\nhello"), Whole(200, "hello")).once(),
        case(format!("{ok}Content-Length: 5\r\nConnection: x, Close\r\n\r\nhello"), Whole(200, "hello")).once(),
        case("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Whole(200, "hello")).once(),
        case("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", Whole(200, "hello")),
        // Too short.
        case(format!("{ok}Content-Length: 6\r\n\r\nhello"), Cut("hello")),
        case(format!("{ok}Content-Length: 9223372036854775807\r\n\r\nhello"), Cut("hello")),
    ];
    let odd = [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5.0",
        "5 5",
        "5;5",
        "5,",
        ",5",
        "5,,5",
        "",
        "five",
        "5five",
        "\"5\"",
        "٥",
        "1e1",
        "18446744073709551616",
    ];
    cases.extend(odd.map(|length| case(format!("{ok}Content-Length: {length}\r\n\r\nhello"), Refused)));
    cases
}

fn codings() -> Vec<Case> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let mut cases = vec![
        case(format!("{ok}Transfer-Encoding: chunked\r\n\r\n{body}"), Whole(200, "hello")),
        case(format!("{ok}transfer-encoding:  CHUNKED \r\n\r\n{body}"), Whole(200, "hello")),
        case(format!("{ok}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}"), Whole(200, "hello")).once(),
        case(format!("{ok}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), Whole(200, "")),
        // Both lengths (section 6.3, number 3), and what HTTP/1.0 does not know (section 6.1).
        case(format!("{ok}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n{body}"), Refused),
        case(format!("{ok}Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n{body}"), Refused),
        case(format!("{ok}Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello"), Refused),
        case(format!("{ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n{body}"), Refused),
        case(format!("{ok}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n{body}"), Refused),
        case(format!("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"), Refused),
    ];
    let odd = [
        "gzip, chunked",
        "gzip",
        "identity",
        "chunked, chunked",
        "chunked, gzip",
        "chunked, identity",
        "",
        "chunked;q=1",
        "xchunked",
        "\"chunked\"",
        "chunked,",
        ",chunked",
        "chunked\u{a0}",
    ];
    cases.extend(odd.map(|coding| case(format!("{ok}Transfer-Encoding: {coding}\r\n\r\n{body}"), Refused)));
    cases
}

fn chunks() -> Vec<Case> {
    let chunked = |rest: &str, want| case(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}"), want);
    let hello = Whole(200, "hello");
    vec![
        chunked("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", hello),
        chunked("0000000000000005\r\nhello\r\n0000\r\n\r\n", hello),
        chunked("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", Whole(200, "01234567890123456789")),
        // Extensions are dropped (section 7.1.1): the client takes none.
        chunked("5;name=value\r\nhello\r\n0;last\r\n\r\n", hello),
        chunked("5;a=\"quoted; text\";b\r\nhello\r\n0\r\n\r\n", hello),
        chunked("5 \t; a = b\r\nhello\r\n0\r\n\r\n", hello),
        chunked(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(257)), Cut("")),
        chunked("5;\x01\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("5;a\nhello\r\n0\r\n\r\n", Cut("")),
        // Sizes that are none.
        chunked("\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked(";\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("x\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("-5\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("+5\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("0x5\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked(" 5\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("5 5\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("00000000000000005\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("10000000000000005\r\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("ffffffffffffffff\r\nhello", Cut("hello")),
        // Line ends that are none.
        chunked("5\nhello\r\n0\r\n\r\n", Cut("")),
        chunked("5\rhello\r\n0\r\n\r\n", Cut("")),
        chunked("5\r\nhello0\r\n\r\n", Cut("hello")),
        chunked("5\r\nhello\n0\r\n\r\n", Cut("hello")),
        chunked("5\r\nhello\r0\r\n\r\n", Cut("hello")),
        chunked("3\r\nhello\r\n0\r\n\r\n", Cut("hel")),
        chunked("5\r\nhello\r\n0\n\r\n", Cut("hello")),
        chunked("5\r\nhello\r\n0\r\n\n", Cut("hello")),
        chunked("5\r\nhello\r\n0\r\n\rX", Cut("hello")),
        // No end.
        chunked("", Cut("")),
        chunked("5\r\nhello\r\n", Cut("hello")),
        chunked("5\r\nhello\r\n0\r\n", Cut("hello")),
        // Trailers.
        chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n", hello),
        chunked("5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n", Cut("hello")),
        chunked("5\r\nhello\r\n0\r\nX-Sum: 1\n\r\n\r\n", Cut("hello")),
        chunked("5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n", Cut("hello")),
        chunked("5\r\nhello\r\n0\r\nnonsense\r\n\r\n", Cut("hello")),
        chunked(&format!("5\r\nhello\r\n0\r\nX-Sum: {}\r\n\r\n", "1".repeat(65 * 1024)), Cut("hello")),
    ]
}

/// Answers that have no body, whatever their fields say and whatever follows them.
fn bodiless() -> Vec<Case> {
    let (none, unmodified) = ("HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n");
    let ok = "HTTP/1.1 200 OK\r\n";
    let body = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        case(format!("{none}\r\n"), Whole(204, "")),
        case(format!("{none}Content-Length: 0\r\n\r\n"), Whole(204, "")),
        case(format!("{none}Content-Length: 5\r\n\r\n"), Whole(204, "")).once(),
        case(format!("{none}Content-Length: 5\r\n\r\nhello"), Whole(204, "")).once(),
        case(format!("{none}Transfer-Encoding: chunked\r\n\r\n{body}"), Whole(204, "")).once(),
        case(format!("{unmodified}Content-Length: 5\r\n\r\n"), Whole(304, "")),
        case(format!("{unmodified}\r\n"), Whole(304, "")),
        case(format!("{unmodified}Content-Length: 5\r\n\r\nhello"), Whole(304, "")).once(),
        case(format!("{ok}Content-Length: 5\r\n\r\n"), Whole(200, "")).of("HEAD"),
        case(format!("{ok}Transfer-Encoding: chunked\r\n\r\n"), Whole(200, "")).of("HEAD"),
        case(format!("{ok}\r\n"), Whole(200, "")).of("HEAD"),
        case(format!("{ok}Content-Length: 5\r\n\r\nhello"), Whole(200, "")).of("HEAD").once(),
        case(format!("{ok}Transfer-Encoding: chunked\r\n\r\n{body}"), Whole(200, "")).of("HEAD").once(),
        // Interim ones.
        case(format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{ok}Content-Length: 5\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("HTTP/1.1 100 Continue\r\n\r\n{ok}Content-Length: 5\r\n\r\nhello"), Whole(200, "hello")),
        case(format!("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello{ok}Content-Length: 0\r\n\r\n"), Refused),
        case(format!("HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n{body}{ok}Content-Length: 0\r\n\r\n"), Refused),
        case("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Refused),
    ]
}

/// What must not become a field, a line or another answer.
fn injections() -> Vec<Case> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let end = "Content-Length: 5\r\n\r\nhello";
    let other = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Other: 1\r\n\r\nanother!";
    let mut cases = vec![
        // A second answer behind the first.
        case(format!("{ok}{end}{other}"), Whole(200, "hello")).once(),
        case(format!("{ok}Content-Length: 0\r\n\r\n{other}"), Whole(200, "")).once(),
        case(format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{other}"), Whole(200, "hello")).once(),
        case(format!("{ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n{other}"), Whole(200, "hello")).once(),
        case(format!("HTTP/1.1 204 No Content\r\n\r\n{other}"), Whole(204, "")).once(),
        case(format!("HTTP/1.1 304 Not Modified\r\n\r\n{other}"), Whole(304, "")).once(),
        case(format!("{ok}Content-Length: 5\r\n\r\n{other}"), Whole(200, "")).of("HEAD").once(),
        case(format!("{ok}{end}\r\n"), Whole(200, "hello")).once(),
        case(format!("{ok}{end}HTTP/1.1 100 Continue\r\n\r\n"), Whole(200, "hello")).once(),
        case(b"HTTP/1.1 200 caf\xe9\r\nX-Latin: caf\xe9\r\nContent-Length: 5\r\n\r\nhello".to_vec(), Whole(200, "hello")),
        // Lines that end otherwise.
        case(format!("HTTP/1.1 200 OK\n{}", end.replace("\r\n", "\n")), Refused),
        case(format!("{ok}A: b\nContent-Length: 5\r\n\r\nhello"), Refused),
        case(format!("{ok}A: b\rContent-Length: 0\r\n{end}"), Refused),
        case(format!("{ok}Content-Length: 5\r\n\nhello"), Refused),
    ];
    let lines = [
        " A: b",
        "A: b\r\n c",
        "A: b\r\n\tc",
        "A: b\0",
        "A: b\x01",
        "A: b\x7f",
        "A\0: b",
        "A : b",
        "A\t: b",
        "A",
        ": b",
        "A B: c",
        "(A): b",
        "Ä: b",
        "Content-Length : 6",
        "Content-Length\u{a0}: 6",
    ];
    cases.extend(lines.map(|line| case(format!("{ok}{line}\r\n{end}"), Refused)));
    let first = [
        "",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        " HTTP/1.1 200 OK",
        "ICY 200 OK",
        "\r\nHTTP/1.1 200 OK",
    ];
    cases.extend(first.map(|first| case(format!("{first}\r\n{end}"), Refused)));
    cases
}

impl Case {
    /// Where the octets begin that come together in any case. What lies behind a whole response must not come after the next
    /// request: nobody could tell it from the answer to that (RFC 9112, section 9.2).
    fn together(&self) -> usize {
        let lies_behind = !self.again && self.then == Then::Stay && matches!(self.want, Whole(..));
        let end = self.says.windows(4).position(|four| four == b"\r\n\r\n").filter(|_| lies_behind);
        end.map_or(self.says.len(), |end| end + 3)
    }
}

/// Whether the client sees what it should.
fn is_as_wanted(seen: &Seen, want: Want) -> bool {
    match (seen, want) {
        (Seen::Whole { status, body }, Whole(wanted, text)) => *status == wanted && body == text,
        (Seen::Cut { status, body }, Cut(text)) => *status == 200 && body == text,
        (Seen::Refused { proxy_error, .. }, Refused) => {
            seen.is_refused((502, "upstream_unreachable")) && proxy_error == "http_protocol_error"
        }
        _ => false,
    }
}

/// Asks for each, and after each for something that is in order; all on one connection as long as that stays open.
async fn all(speaks: Speaks, tls: bool, octet_by_octet: bool) {
    let cases: Vec<Case> = [lengths(), codings(), chunks(), bodiless(), injections()].into_iter().flatten().collect();
    let scripts = cases.iter().map(|case| Script { says: case.says.clone(), then: case.then, together: case.together() }).collect();
    let app = App::start(scripts, octet_by_octet).await;
    // One worker, so that whatever is left over of a connection would meet the next request.
    let builder = TestGateway::to_url(&app.url).set("listen.workers", "1").tenant(tenant("acme"));
    let gateway = if tls { builder } else { builder.plaintext() }.start().await;
    let mut client = Client::new(&gateway, "acme", speaks);
    let mut faults = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let (path, next) = (format!("/case/{number}"), format!("/next/{number}"));
        let seen = client.ask(case.method, &path).await;
        let mut fault = |what: String| faults.push(format!("{} {:?}: {what}", case.method, String::from_utf8_lossy(&case.says)));
        if !is_as_wanted(&seen, case.want) {
            fault(format!("{seen:?} is not {:?}", case.want));
        }
        let after = client.ask("GET", &next).await;
        if after != (Seen::Whole { status: 200, body: next.clone() }) {
            fault(format!("then {after:?}"));
        }
        if case.then == Then::Stay && app.on_one_connection(&path, &next) != case.again {
            fault(format!("used again: {}", !case.again));
        }
    }
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[tokio::test]
async fn a_response_has_one_reading_or_is_refused_over_http_1_1() {
    all(Speaks::Http11, true, false).await;
}

#[tokio::test]
async fn a_response_has_one_reading_or_is_refused_over_http_2() {
    all(Speaks::Http2, true, false).await;
}

#[tokio::test]
async fn a_response_has_one_reading_or_is_refused_over_http_1_0() {
    all(Speaks::Http10, true, false).await;
}

#[tokio::test]
async fn a_response_has_one_reading_or_is_refused_in_clear() {
    all(Speaks::Http11, false, false).await;
    all(Speaks::Http10, false, false).await;
}

#[tokio::test]
async fn a_response_that_comes_octet_by_octet_has_the_same_reading() {
    all(Speaks::Http11, true, true).await;
    all(Speaks::Http2, true, true).await;
}
