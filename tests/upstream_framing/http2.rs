//! An app that speaks HTTP/2: what it cuts short never looks whole, heads up to the limits pass, and its events arrive one by one.

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{Client, Seen, Speaks};
use crate::support::{TestGateway, tenant, within};

const ALL: [Speaks; 3] = [Speaks::Http10, Speaks::Http11, Speaks::Http2];

/// An app whose streams the test answers one by one.
struct App {
    listener: TcpListener,
}

/// One stream; its connection lives as long.
struct Stream {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    connection: JoinHandle<()>,
}

impl App {
    async fn listen() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("h2c://{}", listener.local_addr().unwrap());
        (Self { listener }, url)
    }

    /// The first stream of the next connection.
    async fn stream(&self) -> Stream {
        let (stream, _) = within("a connection from the gateway", self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = Builder::new().max_header_list_size(4 << 20).handshake::<TcpStream, Bytes>(stream).await.unwrap();
        let (request, respond) = within("a stream", connection.accept()).await.unwrap().unwrap();
        let connection = tokio::spawn(async move { while connection.accept().await.is_some() {} });
        Stream { request, respond, connection }
    }
}

impl Stream {
    fn begin(&mut self, length: Option<u64>) -> SendStream<Bytes> {
        let mut builder = Response::builder();
        if let Some(length) = length {
            builder = builder.header("content-length", length);
        }
        self.respond.send_response(builder.body(()).unwrap(), false).unwrap()
    }
}

/// The ways in which an answer can break off after its first five octets.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Reset(Reason),
    /// The connection is lost.
    Lost,
    /// The stream ends in order, but its length said more.
    TooShort,
}

async fn is_cut(gateway: &TestGateway, app: &App, speaks: Speaks, ends: Ends) {
    let mut client = Client::new(gateway, "acme", speaks);
    let broken = async {
        let mut stream = app.stream().await;
        let mut body = stream.begin(matches!(ends, Ends::TooShort).then_some(10));
        body.send_data(Bytes::from("hello"), matches!(ends, Ends::TooShort)).unwrap();
        match ends {
            Ends::Reset(reason) => body.send_reset(reason),
            Ends::Lost => stream.connection.abort(),
            Ends::TooShort => {}
        }
        (stream, body)
    };
    let (seen, (stream, _body)) = tokio::join!(client.ask("GET", "/"), broken);
    match seen {
        Seen::Cut { status: 200, body } => assert!("hello".starts_with(&body), "{body}"),
        // Where the end overtakes the head.
        Seen::Refused { status: 502, .. } => {}
        other => panic!("{speaks:?}, {ends:?}: {other:?}"),
    }
    // The next request is to open a connection of its own.
    stream.connection.abort();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_for_every_client() {
    let (app, url) = App::listen().await;
    for tls in [true, false] {
        let builder = TestGateway::to_url(&url).set("listen.workers", "1").tenant(tenant("acme"));
        let gateway = if tls { builder } else { builder.plaintext() }.start().await;
        for speaks in ALL.into_iter().filter(|speaks| tls || *speaks != Speaks::Http2) {
            for ends in [
                Ends::Reset(Reason::INTERNAL_ERROR),
                Ends::Reset(Reason::NO_ERROR),
                Ends::Reset(Reason::CANCEL),
                Ends::Lost,
                Ends::TooShort,
            ] {
                is_cut(&gateway, &app, speaks, ends).await;
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_when_a_part_has_arrived_is_cut() {
    let (app, url) = App::listen().await;
    let gateway = TestGateway::to_url(&url).tenant(tenant("acme")).start().await;
    for http2 in [false, true] {
        let client = gateway.client_with(|builder| if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() });
        for ends in [Ends::Reset(Reason::INTERNAL_ERROR), Ends::Reset(Reason::NO_ERROR), Ends::Lost] {
            let asked = tokio::spawn(client.get(gateway.url("acme", "/")).send());
            let mut stream = app.stream().await;
            let mut body = stream.begin(None);
            body.send_data(Bytes::from("hello"), false).unwrap();
            let mut answer = asked.await.unwrap().unwrap();
            assert_eq!(within("a part", answer.chunk()).await.unwrap().unwrap(), "hello");
            if let Ends::Reset(reason) = ends {
                body.send_reset(reason);
            } else {
                stream.connection.abort();
            }
            let end = within("the end", answer.chunk()).await;
            assert!(end.is_err(), "{ends:?}, HTTP/2 {http2}: {end:?}");
            stream.connection.abort();
        }
    }
}

#[tokio::test]
async fn events_of_an_app_that_speaks_http_2_arrive_one_by_one() {
    let (app, url) = App::listen().await;
    for http2 in [false, true] {
        let gateway = TestGateway::to_url(&url).tenant(tenant("acme")).start().await;
        let client = gateway.client_with(|builder| if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() });
        let asked = tokio::spawn(client.get(gateway.url("acme", "/events")).send());
        let mut stream = app.stream().await;
        let mut body = stream.begin(None);
        let mut answer = asked.await.unwrap().unwrap();
        for number in 0..20 {
            let event = format!("id: {number}\ndata: x\n\n");
            body.send_data(Bytes::from(event.clone()), false).unwrap();
            let mut arrived = Vec::new();
            while arrived.len() < event.len() {
                arrived.extend(within("an event", answer.chunk()).await.unwrap().unwrap());
            }
            assert_eq!(String::from_utf8(arrived).unwrap(), event);
        }
        body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(answer.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn long_heads_pass_to_and_from_an_app_that_speaks_http_2() {
    let (app, url) = App::listen().await;
    let builder = TestGateway::to_url(&url).set("limits.max_header_bytes", "1MiB").set("limits.max_headers", "256").tenant(tenant("acme"));
    let gateway = builder.start().await;
    let names: Vec<String> = (0..200).map(|number| format!("x-{number}")).collect();
    let value = "v".repeat(900_000);
    let mut fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    fields.push(("x-long", &value));
    let target = format!("/{}", "t".repeat(40_000));
    for speaks in [Speaks::Http11, Speaks::Http2] {
        for (octets, passes) in [(60 << 10, true), (70 << 10, false)] {
            let mut client = Client::new(&gateway, "acme", speaks);
            let answer = async {
                let mut stream = app.stream().await;
                let head = Response::builder().header("x-long", "v".repeat(octets)).header("content-length", 0).body(()).unwrap();
                stream.respond.send_response(head, true).unwrap();
                stream
            };
            let (seen, stream) = tokio::join!(client.ask_with("GET", &target, &fields), answer);
            assert_eq!(stream.request.uri().path(), target);
            assert!(fields.iter().all(|(name, value)| stream.request.headers()[*name] == *value));
            if passes {
                assert_eq!(seen, Seen::Whole { status: 200, body: String::new() });
                assert_eq!(client.fields["x-long"].len(), octets);
            } else {
                assert!(seen.is_refused((502, "upstream_unreachable")), "{seen:?}");
            }
            stream.connection.abort();
        }
    }
}
