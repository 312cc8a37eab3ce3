//! Connections that stay: used again by whoever asks next, let go of before the app would close them, and when the app closes one
//! at the wrong moment, nobody is harmed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, RawUpstream, TestGateway, VERSIONS, tenant, within};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn gateway(url: &str, settings: &[(&str, &str)]) -> TestGateway {
    // One worker: each has connections of its own.
    let builder = TestGateway::to_url(url).set("listen.workers", "1").tenant(tenant("acme")).tenant(tenant("globex"));
    settings.iter().fold(builder, |builder, (key, value)| builder.set(key, value)).start().await
}

#[tokio::test]
async fn one_after_the_other_the_requests_of_all_clients_use_one_connection() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url(), &[]).await;
    let app = tokio::spawn(async move {
        let mut app = origin.accept().await;
        for _ in 0..40 {
            app.message().await;
            app.send(OK).await;
        }
        (origin, app)
    });
    for _ in 0..5 {
        for (version, slug) in [(VERSIONS[0], "acme"), (VERSIONS[1], "acme"), (VERSIONS[0], "globex"), (VERSIONS[1], "globex")] {
            let mut client = gateway.connect(version, slug).await;
            client.get("/").await.expect(200);
            // A body does not stand in the way, and neither does a client that closes its own connection.
            client.send(Method::POST, "/", &[], "body").await.unwrap().expect(200);
        }
    }
    app.await.unwrap();
}

/// Whether a connection serves another request so long after its app has said this of it.
async fn serves_again(said: &str, settings: &[(&str, &str)], after: Duration) -> bool {
    const REQUEST: &str = "GET / HTTP/1.1\r\nhost: acme.example.localhost\r\n\r\n";
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url(), settings).await;
    let mut client = gateway.raw("acme").await;
    client.send(REQUEST).await;
    let (mut app, _) = origin.head().await;
    app.send(format!("HTTP/1.1 200 OK\r\n{said}content-length: 2\r\n\r\nok")).await;
    assert_eq!(client.message().await.body, b"ok");
    tokio::time::sleep(after).await;
    client.send(REQUEST).await;
    let again = !app.some().await.is_empty();
    if !again {
        (app, _) = origin.head().await;
    }
    app.send(OK).await;
    assert_eq!(client.message().await.body, b"ok");
    again
}

#[tokio::test]
async fn a_connection_is_not_used_when_its_app_may_be_closing_it() {
    let (at_once, said) = (Duration::ZERO, "connection: keep-alive\r\nkeep-alive: timeout=4, max=100\r\n");
    let idle = [("upstream.idle_timeout", "2s")];
    // A second before the app's time is up, the request and the close could cross.
    let kept = tokio::join!(
        serves_again(said, &[], at_once),
        serves_again(said, &[], Duration::from_secs(3)),
        serves_again("keep-alive: timeout=1\r\n", &[], at_once),
        serves_again("connection: close\r\n", &[], at_once),
        serves_again("", &idle, at_once),
        serves_again("", &idle, Duration::from_secs(2)),
        serves_again(said, &idle, Duration::from_secs(2)),
    );
    assert_eq!(kept, (true, false, false, false, true, false, false));
}

#[tokio::test]
async fn a_clients_connection_stays_or_closes_as_its_version_and_its_words_say() {
    let origin = RawUpstream::listen().await;
    let gateway = gateway(&origin.url(), &[]).await;
    let app = tokio::spawn(async move {
        let mut app = origin.accept().await;
        loop {
            app.head().await;
            app.send(OK).await;
        }
    });
    let cases = [
        ("1.1", "", true),
        ("1.1", "connection: keep-alive\r\n", true),
        ("1.1", "connection: close\r\n", false),
        ("1.1", "connection: x-other, CLOSE\r\n", false),
        ("1.0", "", false),
        ("1.0", "connection: keep-alive\r\n", true),
        ("1.0", "connection: close\r\n", false),
    ];
    for (version, said, stays) in cases {
        let mut client = gateway.raw("acme").await;
        let request = format!("GET / HTTP/{version}\r\nhost: acme.example.localhost\r\n{said}\r\n");
        client.send(&request).await;
        let answer = client.message().await;
        assert_eq!((answer.head.status(), answer.body.as_slice()), (200, &b"ok"[..]));
        if stays {
            client.send(&request).await;
            assert_eq!(client.message().await.head.status(), 200, "HTTP/{version} {said}");
        } else {
            assert_eq!(client.rest().await, b"", "HTTP/{version} {said}");
        }
    }
    app.abort();
}

/// An app that closes its connections as it likes: right after an answer, or when it has read the next request, but never before it
/// has answered one. It notes how often it read each request.
struct Moody {
    url: String,
    read: Arc<Mutex<HashMap<String, usize>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Moody {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let read = Arc::<Mutex<HashMap<_, _>>>::default();
        let kept = Arc::clone(&read);
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                tasks.spawn(serve(stream, Arc::clone(&kept), fastrand::usize(1..5), fastrand::bool()));
            }
        });
        Self { url, read, task }
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, read: Arc<Mutex<HashMap<String, usize>>>, answers: usize, reads_one_more: bool) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    for _ in 0..answers {
        note(&mut stream, &read).await?;
        stream.write_all(OK.as_bytes()).await.ok()?;
    }
    if reads_one_more { note(&mut stream, &read).await } else { None }
}

/// Reads a request, whose body is one octet where it has one.
async fn note(stream: &mut TcpStream, read: &Mutex<HashMap<String, usize>>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let first = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
    if first.starts_with("POST") {
        stream.read_u8().await.ok()?;
    }
    *read.lock().unwrap().entry(first).or_default() += 1;
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_closes_connections_at_any_moment_costs_no_get_and_runs_no_post_twice() {
    const CLIENTS: usize = 16;
    const REQUESTS: usize = 100;
    let app = Moody::start().await;
    let gateway = Arc::new(gateway(&app.url, &[]).await);
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let gateway = Arc::clone(&gateway);
        clients.spawn(async move {
            let mut client = gateway.connect(VERSIONS[number % 2], "acme").await;
            let mut posts: HashMap<String, Answer> = HashMap::new();
            for at in 0..REQUESTS {
                let path = format!("/{number}/{at}");
                if at % 4 == 3 {
                    let answer = within("an answer", client.send(Method::POST, &path, &[], "x")).await.unwrap();
                    posts.insert(format!("POST {path} HTTP/1.1"), answer);
                } else {
                    within("an answer", client.get(&path)).await.expect(200);
                }
            }
            posts
        });
    }
    let (mut lost, mut twice) = (0, 0);
    while let Some(posts) = clients.join_next().await {
        let read = app.read.lock().unwrap().clone();
        for (request, answer) in posts.unwrap() {
            let times = read.get(&request).copied().unwrap_or(0);
            assert!(times <= 1, "{request} was run {times} times");
            match answer.status {
                200 => assert_eq!(times, 1),
                _ => {
                    answer.expect(502).code("upstream_unreachable");
                    lost += 1;
                }
            }
        }
        twice = read.iter().filter(|(request, times)| request.starts_with("GET") && **times == 2).count();
        assert!(read.values().all(|times| *times <= 2), "nothing is sent a third time");
    }
    // The moments that this is about did come.
    assert!(lost > 0 && twice > 0, "{lost} posts found a dead connection, {twice} gets were sent again");
    let counted = gateway.usage("acme").await["apiCalls"].as_u64().unwrap();
    assert_eq!(counted, (CLIENTS * REQUESTS - lost) as u64, "what was answered counts once, what was not does not");
}
