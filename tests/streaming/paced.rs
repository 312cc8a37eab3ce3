//! Two sides that each go at a pace of their own, and an app that gives, takes or echoes long content.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use crate::support::pattern::{Check, PIECE, piece};
use crate::support::within;

/// How fast a side goes: after each `step` octets comes a pause.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    step: u64,
    pause: Duration,
}

/// As fast as it can; 5 MiB a second evenly; 5 MiB a second in bursts with silence between them.
pub const PACES: [Pace; 3] = [
    Pace { step: u64::MAX, pause: Duration::ZERO },
    Pace { step: 64 << 10, pause: Duration::from_micros(12_500) },
    Pace { step: 4 << 20, pause: Duration::from_millis(800) },
];

/// Keeps one side to its pace.
pub struct Pacer {
    pace: Pace,
    begun: Instant,
    moved: u64,
}

impl Pacer {
    pub fn new(pace: Pace) -> Self {
        Self { pace, begun: Instant::now(), moved: 0 }
    }

    /// How many octets to move next, of so many that are left.
    pub fn next(&self, left: u64) -> u64 {
        left.min(PIECE as u64).min(self.pace.step)
    }

    /// So many were moved: waits until it is time for the next.
    pub async fn moved(&mut self, octets: u64) {
        self.moved += octets;
        let pauses = u32::try_from(self.moved / self.pace.step).unwrap();
        if pauses > 0 {
            sleep_until(self.begun + self.pace.pause * pauses).await;
        }
    }
}

/// Writes the content.
pub async fn write(to: &mut (impl AsyncWrite + Unpin), length: u64, pace: Pace) {
    let (mut pacer, mut sent) = (Pacer::new(pace), 0);
    while sent < length {
        let octets = piece(sent, pacer.next(length - sent));
        within("the peer takes what is sent", to.write_all(&octets)).await.unwrap();
        to.flush().await.unwrap();
        sent += octets.len() as u64;
        pacer.moved(octets.len() as u64).await;
    }
}

/// Reads and checks the content; what comes after it is left alone.
pub async fn read(from: &mut (impl AsyncRead + Unpin), length: u64, pace: Pace) {
    let (mut pacer, mut check) = (Pacer::new(pace), Check::default());
    let mut buffer = vec![0; PIECE];
    while check.octets < length {
        let most = usize::try_from(pacer.next(length - check.octets)).unwrap();
        let count = within("some content", from.read(&mut buffer[..most])).await.unwrap();
        assert!(count > 0, "the content ends after {} of {length} octets", check.octets);
        check.take(&buffer[..count]);
        pacer.moved(count as u64).await;
    }
}

/// Reads a head and nothing after it.
pub async fn head(from: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}

/// An app that runs until it is dropped: `GET` gives the content, `PUT` takes it, `POST` gives it back piece by piece. The path
/// says how much it is and the app's pace: `/<octets>/<number of a pace>`.
pub struct App {
    pub url: String,
    task: tokio::task::JoinHandle<()>,
}

impl App {
    /// Over HTTP/1.1.
    pub async fn start() -> Self {
        Self::serving("http", serve).await
    }

    /// Over HTTP/2 in clear.
    pub async fn start_http2() -> Self {
        Self::serving("h2c", serve_http2).await
    }

    async fn serving<F: Future<Output = ()> + Send + 'static>(scheme: &str, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tasks.spawn(serve(stream));
            }
        });
        Self { url, task }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream) {
    while let Some(head) = head(&mut stream).await {
        let mut words = head.split([' ', '/']).filter(|word| !word.is_empty());
        let (method, length) = (words.next().unwrap(), words.next().unwrap().parse::<u64>().unwrap());
        let pace = PACES[words.next().unwrap().parse::<usize>().unwrap()];
        let lengths = head.to_ascii_lowercase().contains(&format!("content-length: {length}\r\n"));
        assert!(lengths == (method != "GET"), "{head}");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", if method == "PUT" { 0 } else { length });
        match method {
            "PUT" => {
                read(&mut stream, length, pace).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            "GET" => {
                stream.write_all(answer.as_bytes()).await.unwrap();
                write(&mut stream, length, pace).await;
            }
            _ => {
                stream.write_all(answer.as_bytes()).await.unwrap();
                echo(&mut stream, length, pace).await;
            }
        }
    }
}

async fn serve_http2(stream: TcpStream) {
    // Pieces that it has not taken yet may be many and small; by default that ends the connection.
    let handshake = h2::server::Builder::new().data_frame_budget(16 * 1024 * 1024).handshake(stream);
    let Ok(mut connection) = handshake.await else { return };
    let mut tasks = tokio::task::JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tasks.spawn(answer_http2(request, respond));
    }
}

async fn answer_http2(request: http::Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let (head, mut body) = request.into_parts();
    let mut words = head.uri.path()[1..].split('/');
    let length: u64 = words.next().unwrap().parse().unwrap();
    let pace = PACES[words.next().unwrap().parse::<usize>().unwrap()];
    let answer = |length: u64| http::Response::builder().header("content-length", length).body(()).unwrap();
    match head.method.as_str() {
        "PUT" => {
            pull_all(&mut body, length, pace).await;
            respond.send_response(answer(0), true).unwrap();
        }
        "GET" => {
            let mut stream = respond.send_response(answer(length), false).unwrap();
            push_all(&mut stream, length, pace).await;
        }
        _ => {
            let mut stream = respond.send_response(answer(length), false).unwrap();
            let (mut pacer, mut left) = (Pacer::new(pace), length);
            while left > 0 {
                let octets = body.data().await.expect("more content").unwrap();
                let count = octets.len();
                left -= count as u64;
                crate::support::connect::push(&mut stream, octets, left == 0).await.unwrap();
                body.flow_control().release_capacity(count).unwrap();
                pacer.moved(count as u64).await;
            }
        }
    }
}

async fn echo(stream: &mut TcpStream, length: u64, pace: Pace) {
    let (mut pacer, mut left) = (Pacer::new(pace), length);
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        let most = usize::try_from(pacer.next(left)).unwrap();
        let count = stream.read(&mut buffer[..most]).await.unwrap();
        assert!(count > 0, "the content ends {left} octets before its end");
        stream.write_all(&buffer[..count]).await.unwrap();
        left -= count as u64;
        pacer.moved(count as u64).await;
    }
}

/// The content for a stream of HTTP/2, at a pace.
pub async fn push_all(stream: &mut h2::SendStream<Bytes>, length: u64, pace: Pace) {
    let (mut pacer, mut sent) = (Pacer::new(pace), 0);
    while sent < length {
        let octets = piece(sent, pacer.next(length - sent));
        let count = octets.len() as u64;
        sent += count;
        within("the peer takes what is sent", crate::support::connect::push(stream, octets, sent == length)).await.unwrap();
        pacer.moved(count).await;
    }
}

/// The content from a stream of HTTP/2, at a pace.
pub async fn pull_all(stream: &mut h2::RecvStream, length: u64, pace: Pace) {
    let (mut pacer, mut check) = (Pacer::new(pace), Check::default());
    while check.octets < length {
        // The window opens only when the pace allows it.
        let octets = within("some content", stream.data()).await.expect("more content").unwrap();
        check.take(&octets);
        pacer.moved(octets.len() as u64).await;
        stream.flow_control().release_capacity(octets.len()).unwrap();
    }
    assert_eq!(check.octets, length);
    assert!(within("the end", stream.data()).await.is_none());
}
