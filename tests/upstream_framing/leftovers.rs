//! What an app says out of turn reaches nobody, whoever asks next.

use super::{Client, Seen, Speaks};
use crate::support::{RawUpstream, TestGateway, tenant};

const FIRST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst";
const STRAY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nset-cookie: session=acmes\r\n\r\nsecret!";
const OWN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nown.";

/// What more the app says to one request of acme comes once the client has its answer, and before globex asks.
async fn globex_gets_its_own(speaks: Speaks, method: &str, first: &str, second: &str) {
    let origin = RawUpstream::listen().await;
    let builder = TestGateway::to_url(&origin.url()).set("listen.workers", "1");
    let gateway = builder.tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    let mut acme = Client::new(&gateway, "acme", speaks);
    let answer = async {
        let (mut app, _) = origin.head().await;
        app.send(first).await;
        app
    };
    let (seen, mut app) = tokio::join!(acme.ask(method, "/"), answer);
    assert!(matches!(seen, Seen::Whole { status: 200 | 204 | 304, .. }), "{seen:?}");
    app.send(second).await;
    let mut globex = Client::new(&gateway, "globex", speaks);
    let answer = async {
        let (mut app, head) = origin.head().await;
        app.send(OWN).await;
        head
    };
    let (seen, head) = tokio::join!(globex.ask("GET", "/own"), answer);
    assert_eq!(head.first, "GET /own HTTP/1.1");
    assert_eq!(seen, Seen::Whole { status: 200, body: "own.".to_owned() });
    assert!(!globex.fields.contains_key("set-cookie"));
    assert_eq!(app.rest().await, b"", "nothing was asked on the connection that is out of step");
}

#[tokio::test]
async fn a_second_answer_to_one_tenant_never_reaches_another() {
    for speaks in [Speaks::Http11, Speaks::Http2] {
        globex_gets_its_own(speaks, "GET", FIRST, STRAY).await;
        globex_gets_its_own(speaks, "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n", STRAY).await;
    }
}

#[tokio::test]
async fn a_late_body_of_an_answer_that_has_none_never_reaches_another() {
    let cases = [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "first"),
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 78\r\n\r\n", STRAY),
        ("DELETE", "HTTP/1.1 204 No Content\r\n\r\n", STRAY),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "5\r\nfirst\r\n0\r\n\r\n"),
    ];
    for speaks in [Speaks::Http11, Speaks::Http2] {
        for (method, first, late) in cases {
            globex_gets_its_own(speaks, method, first, late).await;
        }
    }
}

#[tokio::test]
async fn a_connection_whose_app_speaks_unasked_is_closed() {
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).set("listen.workers", "1").tenant(tenant("acme")).start().await;
    let mut client = Client::new(&gateway, "acme", Speaks::Http11);
    for _ in 0..3 {
        let answer = async {
            let (mut app, _) = origin.head().await;
            app.send(FIRST).await;
            app
        };
        let (seen, mut app) = tokio::join!(client.ask("GET", "/"), answer);
        assert_eq!(seen, Seen::Whole { status: 200, body: "first".to_owned() });
        app.send(STRAY).await;
        assert_eq!(app.rest().await, b"");
    }
}
