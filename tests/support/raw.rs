//! A connection whose octets the test writes and reads itself, as a client of the gateway or as the app behind it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// What it runs over.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// One end of a connection.
pub struct Raw {
    io: Box<dyn Io>,
    unread: Vec<u8>,
}

/// The head of a message.
#[derive(Debug, Clone)]
pub struct Head {
    /// Request line or status line.
    pub first: String,
    fields: Vec<(String, String)>,
}

/// A message with all of its body.
#[derive(Debug, Clone)]
pub struct Message {
    pub head: Head,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

/// An app whose connections the test accepts one by one.
pub struct RawUpstream {
    listener: TcpListener,
    pub address: SocketAddr,
}

/// What an app does after its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Close,
    KeepStill,
}

impl RawUpstream {
    /// On a port of its own.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        Self { listener, address }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next connection of the gateway.
    pub async fn accept(&self) -> Raw {
        Raw::over(within("a connection from the gateway", self.listener.accept()).await.expect("a connection").0)
    }

    /// Says `reply` to whatever comes, on each connection once, and then closes it or keeps it open without a word.
    pub fn saying(self, reply: impl Into<Vec<u8>>, then: Then) -> tokio::task::JoinHandle<()> {
        let reply = std::sync::Arc::new(reply.into());
        tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = self.listener.accept().await {
                let reply = std::sync::Arc::clone(&reply);
                tasks.spawn(async move {
                    let mut wire = Raw::over(stream);
                    wire.head().await;
                    // Who gets enough of it may close before its end.
                    let _ = wire.try_send(&*reply).await;
                    if then == Then::KeepStill {
                        std::future::pending::<()>().await;
                    }
                });
            }
        })
    }

    /// The next connection with its first request, which has a body that ends.
    pub async fn request(&self) -> (Raw, Message) {
        let mut wire = self.accept().await;
        let message = wire.message().await;
        (wire, message)
    }

    /// The next connection with its first request's head.
    pub async fn head(&self) -> (Raw, Head) {
        let mut wire = self.accept().await;
        let head = wire.head().await;
        (wire, head)
    }

    /// Likewise, with the head's lines as they came.
    pub async fn lines(&self) -> (Raw, Vec<String>) {
        let mut wire = self.accept().await;
        let lines = wire.lines().await;
        (wire, lines)
    }
}

impl Raw {
    /// Over any transport.
    pub fn over(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), unread: Vec::new() }
    }

    /// Writes all of it.
    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        within("the peer takes what is sent", self.try_send(octets)).await.expect("an open connection");
    }

    /// Writes all of it, as long as that takes.
    pub async fn try_send(&mut self, octets: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.io.write_all(octets.as_ref()).await?;
        self.io.flush().await
    }

    /// Writes as much of it as is taken at once, when anything is.
    pub async fn try_some(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.io.write(octets).await
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        within("the end is sent", self.io.shutdown()).await.expect("an open connection");
    }

    /// The lines of the next head, as they came.
    pub async fn lines(&mut self) -> Vec<String> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().await, "the connection ended within a head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let text = String::from_utf8(self.unread.drain(..end).collect()).expect("a readable head");
        text.lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Reads a head.
    pub async fn head(&mut self) -> Head {
        let lines = self.lines().await;
        let (first, fields) = lines.split_first().expect("a first line");
        Head { first: first.clone(), fields: fields.iter().filter_map(|line| field(line)).collect() }
    }

    /// Reads a message whose body says where it ends; answers to HEAD are read with [`head`](Self::head).
    pub async fn message(&mut self) -> Message {
        let head = self.head().await;
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if head.field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let chunk = self.chunk().await;
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
            loop {
                let line = self.line().await;
                match field(&line) {
                    Some(trailer) => trailers.push(trailer),
                    None => break,
                }
            }
        } else if let Some(length) = head.field("content-length") {
            body = self.take(length.parse().expect("a length")).await;
        }
        Message { head, body, trailers }
    }

    /// Reads one chunk of a chunked body; after the empty one, trailers or an empty line follow.
    pub async fn chunk(&mut self) -> Vec<u8> {
        let size = self.line().await;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("{size:?} is no size of a chunk"));
        let chunk = self.take(size).await;
        if size > 0 {
            assert_eq!(self.line().await, "", "a chunk ends with its line");
        }
        chunk
    }

    /// Reads so many octets.
    pub async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.fill().await, "the connection ended after {} of {count} octets", self.unread.len());
        }
        self.unread.drain(..count).collect()
    }

    /// Reads some octets; none at the end.
    pub async fn some(&mut self) -> Vec<u8> {
        if self.unread.is_empty() {
            self.fill().await;
        }
        std::mem::take(&mut self.unread)
    }

    /// Reads to the end of the connection, in order or not: what was left.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await {}
        std::mem::take(&mut self.unread)
    }

    async fn line(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.unread.windows(2).position(|two| two == b"\r\n") {
                break at;
            }
            assert!(self.fill().await, "the connection ended within a line");
        };
        let line = self.unread.drain(..end + 2).take(end).collect();
        String::from_utf8(line).expect("a readable line")
    }

    /// False at the end.
    async fn fill(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let read = within("the peer says something or closes", self.io.read(&mut buffer)).await;
        let count = read.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

impl Head {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{self:?}"))
    }

    /// All fields in their order, names in lower case.
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// A field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every line of a field, by its name in lower case, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Message {
    /// Fails unless it is the gateway's own answer with this status, code and error in `Proxy-Status`.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str, proxy_error: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.head.status(), status, "{text}");
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(document["code"], code, "{text}");
        assert_eq!(self.head.field("proxy-status"), Some(format!("gatehouse; error={proxy_error}").as_str()));
    }
}

/// An address that neither takes a connection nor refuses one, as long as what comes with it is held: a listener whose queue
/// is full.
pub async fn black_hole() -> (Vec<TcpStream>, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = socket.listen(1).expect("a listener");
    let address = listener.local_addr().expect("an address");
    // Never accepted from; it lives as long as the process.
    std::mem::forget(listener);
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        held.push(stream);
    }
    (held, address)
}

/// What `future` gives, within 20 seconds.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}
