//! What the client offers of protocols and extensions reaches the app, and what the app chooses reaches the client, letter by
//! letter, over HTTP/1.1 and over HTTP/2.

use h2::ext::Protocol;

use crate::support::connect::head_of;
use crate::support::raw::Head;
use crate::support::{RawUpstream, TestGateway, tenant};

const PROTOCOL: &str = "sec-websocket-protocol";
const EXTENSIONS: &str = "sec-websocket-extensions";

/// Lines of fields: those that a client sends, and those of the app's 101.
type Talk = (&'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const TALKS: &[Talk] = &[
    // Nothing is offered, and nothing chosen.
    (&[], &[]),
    // Several offers in one line, parameters, a quoted one with a comma in it; the app takes the last protocol.
    (
        &[
            (PROTOCOL, "chat.v1,chat.v2 ,  superchat"),
            (
                EXTENSIONS,
                "x-own; list=\"a, b\"; flag, permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate",
            ),
        ],
        &[(PROTOCOL, "superchat"), (EXTENSIONS, "permessage-deflate;server_max_window_bits=10 ; client_no_context_takeover")],
    ),
    // Several lines of each; the app chooses a protocol and no extension.
    (
        &[
            (PROTOCOL, "Chat"),
            (EXTENSIONS, "permessage-deflate"),
            (PROTOCOL, "chat, soap"),
            (EXTENSIONS, "x-webkit-deflate-frame"),
            ("sec-websocket-version", "13"),
            ("origin", "https://app.example"),
            ("cookie", "session=1; theme=dark"),
        ],
        &[(PROTOCOL, "Chat"), ("set-cookie", "a=1"), ("set-cookie", "b=2")],
    ),
    // Extensions in two lines of the answer, and none that anybody knows.
    (&[(EXTENSIONS, "x-first, x-second; on")], &[(EXTENSIONS, "x-first"), (EXTENSIONS, "x-second; on=\"yes\"")]),
    // The app chooses what was not offered: that is for the client to judge.
    (&[(PROTOCOL, "chat")], &[(PROTOCOL, "other"), (EXTENSIONS, "never-offered")]),
];

fn text(lines: &[(&str, &str)]) -> String {
    lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// The values of a name's lines.
fn lines<'l>(of: &'l [(&str, &str)], name: &str) -> Vec<&'l str> {
    of.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value).collect()
}

fn names(of: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    of.iter().map(|(name, _)| *name).chain([PROTOCOL, EXTENSIONS]).collect()
}

/// The app's head as far as it has to be the client's.
fn assert_asked(head: &Head, offered: &[(&'static str, &'static str)]) {
    for name in names(offered) {
        assert_eq!(head.all(name).collect::<Vec<_>>(), lines(offered, name), "{name}");
    }
}

fn switching(head: &Head, chosen: &[(&str, &str)]) -> String {
    let accept = gatehouse::upstream::websocket_accept(head.field("sec-websocket-key").expect("a key").as_bytes());
    let fields = text(chosen);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n{fields}\r\n"
    )
}

#[tokio::test]
async fn offers_and_choices_pass_as_they_are_over_http_1_1() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    for (offered, chosen) in TALKS {
        let mut client = gateway.raw("acme").await;
        let ask = "GET / HTTP/1.1\r\nhost: acme.example.localhost\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        client.send(format!("{ask}{}\r\n", text(offered))).await;
        let (mut app, head) = origin.head().await;
        assert_asked(&head, offered);
        assert_eq!(head.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
        app.send(switching(&head, chosen)).await;
        let answer = client.head().await;
        assert_eq!((answer.status(), answer.field("sec-websocket-accept")), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        assert_asked(&answer, chosen);
    }
}

#[tokio::test]
async fn offers_and_choices_pass_as_they_are_over_http_2() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let mut client = gateway.h2_streams("acme").await;
    client.takes_extended_connect().await;
    for (offered, chosen) in TALKS {
        let more = |request: http::request::Builder| {
            let request = request.extension(Protocol::from_static("websocket"));
            offered.iter().fold(request, |request, (name, value)| request.header(*name, *value))
        };
        let (response, _up) = client.begin_with("CONNECT", "/", true, more).await.unwrap();
        let (mut app, head) = origin.head().await;
        assert_asked(&head, offered);
        app.send(switching(&head, chosen)).await;
        let answer = head_of(response).await;
        assert_eq!(answer.status(), 200);
        for name in names(chosen) {
            let values: Vec<_> = answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(values, lines(chosen, name), "{name}");
        }
    }
}
