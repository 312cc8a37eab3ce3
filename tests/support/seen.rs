//! A client that tells what it sees of an answer, and takes none whose framing could be read in another way.

use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connect::{H2Streams, head_of, piece_of};
use super::gateway::TestGateway;
use super::raw::{Io, within};

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Http10,
    Http11,
    Http2,
}

/// What a client sees of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// All of it.
    Whole { status: u16, body: String },
    /// A part of its body, and that it is a part.
    Cut { status: u16, body: String },
    /// The gateway's own answer, with its code and the error in `Proxy-Status`.
    Refused { status: u16, code: String, proxy_error: String },
}

/// A client of a tenant with one connection, until that closes.
pub struct Client<'g> {
    gateway: &'g TestGateway,
    slug: &'static str,
    speaks: Speaks,
    http1: Option<Http1>,
    http2: Option<H2Streams>,
    /// The fields and trailers of the last answer.
    pub fields: HeaderMap,
    pub trailers: Option<HeaderMap>,
}

struct Http1 {
    io: Box<dyn Io>,
    read: Vec<u8>,
}

impl Seen {
    /// Whether the gateway refused with this status and code.
    pub fn is_refused(&self, with: (u16, &str)) -> bool {
        matches!(self, Self::Refused { status, code, .. } if (*status, code.as_str()) == with)
    }
}

impl<'g> Client<'g> {
    /// Connects when it has something to ask.
    pub fn new(gateway: &'g TestGateway, slug: &'static str, speaks: Speaks) -> Self {
        Self { gateway, slug, speaks, http1: None, http2: None, fields: HeaderMap::new(), trailers: None }
    }

    /// A request without a body.
    pub async fn ask(&mut self, method: &str, path: &str) -> Seen {
        self.ask_with(method, path, &[]).await
    }

    /// A request without a body, with more fields.
    pub async fn ask_with(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> Seen {
        (self.fields, self.trailers) = (HeaderMap::new(), None);
        let seen = match self.speaks {
            Speaks::Http2 => self.ask_http2(method, path, more).await,
            Speaks::Http10 | Speaks::Http11 => self.ask_http1(method, path, more).await,
        };
        match seen {
            Seen::Whole { status, body } if self.fields.contains_key("proxy-status") => {
                let document: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
                let said = self.fields["proxy-status"].to_str().unwrap();
                let proxy_error = said.strip_prefix("gatehouse; error=").unwrap().to_owned();
                Seen::Refused { status, code: document["code"].as_str().unwrap().to_owned(), proxy_error }
            }
            seen => seen,
        }
    }

    async fn ask_http2(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> Seen {
        if self.http2.is_none() {
            self.http2 = Some(self.gateway.h2_streams(self.slug).await);
        }
        let fields = |request| more.iter().fold(request, |request: http::request::Builder, (name, value)| request.header(*name, *value));
        let (response, _) = self.http2.as_mut().unwrap().begin_with(method, path, false, fields).await.unwrap();
        let mut response = head_of(response).await;
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        self.fields = std::mem::take(response.headers_mut());
        assert!(!self.fields.contains_key("transfer-encoding"), "{:?}", self.fields);
        while let Some(piece) = piece_of(response.body_mut()).await {
            match piece {
                Ok(octets) => body.extend_from_slice(&octets),
                Err(error) => {
                    assert!(error.is_reset() && error.is_remote(), "{error}");
                    return Seen::Cut { status, body: text(body) };
                }
            }
        }
        self.trailers = within("trailers", response.body_mut().trailers()).await.unwrap();
        Seen::Whole { status, body: text(body) }
    }

    async fn ask_http1(&mut self, method: &str, path: &str, more: &[(&str, &str)]) -> Seen {
        if self.http1.is_none() {
            let slug = self.slug;
            let io: Box<dyn Io> = if self.gateway.https.is_some() {
                Box::new(self.gateway.raw_tls(slug, "http/1.1").await)
            } else {
                Box::new(self.gateway.tcp().await)
            };
            self.http1 = Some(Http1 { io, read: Vec::new() });
        }
        let mut connection = self.http1.take().unwrap();
        let version = if self.speaks == Speaks::Http10 { "1.0" } else { "1.1" };
        let host = format!("{}.example.localhost", self.slug);
        let fields: String = more.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        connection.io.write_all(format!("{method} {path} HTTP/{version}\r\nhost: {host}\r\n{fields}\r\n").as_bytes()).await.unwrap();
        let (status, fields) = connection.head().await;
        let closes = self.speaks == Speaks::Http10 || fields.get("connection").is_some_and(|value| value == "close");
        self.fields = fields;
        let (body, trailers, whole) = if method == "HEAD" || status == 204 || status == 304 {
            (Vec::new(), HeaderMap::new(), true)
        } else {
            connection.body(&self.fields, closes).await
        };
        self.trailers = (!trailers.is_empty()).then_some(trailers);
        if whole && !closes {
            self.http1 = Some(connection);
        } else {
            connection.expect_end(whole).await;
        }
        let body = text(body);
        if whole { Seen::Whole { status, body } } else { Seen::Cut { status, body } }
    }
}

impl Http1 {
    /// More octets: false at the end of the connection, an error where it broke.
    async fn fill(&mut self) -> std::io::Result<bool> {
        Ok(within("octets or an end", self.io.read_buf(&mut self.read)).await? > 0)
    }

    /// The final head; all of it is there.
    async fn head(&mut self) -> (u16, HeaderMap) {
        loop {
            let mut slots = [httparse::EMPTY_HEADER; 256];
            let mut head = httparse::Response::new(&mut slots);
            if let httparse::Status::Complete(length) = head.parse(&self.read).expect("a sound head") {
                let (status, fields) = (head.code.unwrap(), fields(head.headers));
                self.read.drain(..length);
                if status >= 200 {
                    return (status, fields);
                }
            } else {
                assert!(self.fill().await.is_ok_and(|more| more), "the connection ended within a head: {:?}", text(self.read.clone()));
            }
        }
    }

    /// What comes of a body, its trailers, and whether that is all of it.
    async fn body(&mut self, fields: &HeaderMap, closes: bool) -> (Vec<u8>, HeaderMap, bool) {
        let lengths: Vec<_> = fields.get_all("content-length").iter().collect();
        if let Some(coding) = fields.get("transfer-encoding") {
            assert!(coding == "chunked" && lengths.is_empty(), "{fields:?}");
            return self.chunks().await;
        }
        let Some(length) = lengths.first() else {
            assert!(closes, "no length, and it does not close: {fields:?}");
            let end = loop {
                match self.fill().await {
                    Ok(true) => {}
                    end => break end,
                }
            };
            return (std::mem::take(&mut self.read), HeaderMap::new(), end.is_ok());
        };
        assert_eq!(lengths.len(), 1, "{fields:?}");
        let length: u64 = length.to_str().unwrap().parse().unwrap();
        let whole = self.need(usize::try_from(length).unwrap()).await;
        let count = self.read.len().min(usize::try_from(length).unwrap());
        (self.read.drain(..count).collect(), HeaderMap::new(), whole)
    }

    async fn chunks(&mut self) -> (Vec<u8>, HeaderMap, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line().await else { return (body, HeaderMap::new(), false) };
            // No extension, no sign, no space.
            let size = usize::from_str_radix(&line, 16).ok().filter(|_| line.bytes().all(|octet| octet.is_ascii_hexdigit()));
            let size = size.unwrap_or_else(|| panic!("{line:?} is no size of a chunk"));
            if size == 0 {
                break;
            }
            let whole = self.need(size).await;
            let count = self.read.len().min(size);
            body.extend(self.read.drain(..count));
            match self.line().await {
                Some(end) if whole => assert_eq!(end, "", "a chunk ends with its line"),
                _ => return (body, HeaderMap::new(), false),
            }
        }
        let mut trailers = HeaderMap::new();
        loop {
            match self.line().await {
                None => return (body, trailers, false),
                Some(line) if line.is_empty() => return (body, trailers, true),
                Some(line) => {
                    let (name, value) = line.split_once(": ").unwrap();
                    trailers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
                }
            }
        }
    }

    /// Whether so many octets come.
    async fn need(&mut self, count: usize) -> bool {
        while self.read.len() < count {
            if !self.fill().await.is_ok_and(|more| more) {
                return false;
            }
        }
        true
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(2).position(|two| two == b"\r\n") {
                return Some(text(self.read.drain(..at + 2).take(at).collect()));
            }
            if !self.fill().await.is_ok_and(|more| more) {
                return None;
            }
        }
    }

    /// Nothing follows; after a whole answer the end is in order.
    async fn expect_end(&mut self, in_order: bool) {
        let end = self.fill().await;
        assert!(self.read.is_empty(), "{:?} follows", text(self.read.clone()));
        assert!(!in_order || matches!(end, Ok(false)), "{end:?}");
    }
}

fn fields(parsed: &[httparse::Header<'_>]) -> HeaderMap {
    let field = |field: &httparse::Header<'_>| {
        let name = http::HeaderName::from_bytes(field.name.as_bytes()).unwrap();
        (name, http::HeaderValue::from_bytes(field.value).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in parsed.iter().map(field) {
        map.append(name, value);
    }
    map
}

fn text(octets: Vec<u8>) -> String {
    String::from_utf8(octets).expect("readable")
}
