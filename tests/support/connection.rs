//! One connection to a gateway that the test holds open: what it sends goes over this one and no other.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::client::Answer;
use super::gateway::{BASE, TestGateway};
use super::raw::within;

/// A connection of HTTP/1.1 or HTTP/2, with the authority it was opened for.
pub struct Connection {
    sender: Sender,
    authority: String,
    scheme: &'static str,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Both versions, for tests that do the same over each.
pub const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

impl TestGateway {
    /// Opens a connection to a tenant's own host.
    pub async fn connect(&self, version: Version, slug: &str) -> Connection {
        self.connect_over(self.tcp().await, version, slug).await
    }

    /// The same over a way that the test has made.
    pub async fn connect_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        version: Version,
        slug: &str,
    ) -> Connection {
        let host = format!("{slug}.{BASE}");
        let authority = format!("{host}:{}", self.https.unwrap_or(self.http).port());
        if self.https.is_none() {
            return Connection { sender: Sender::over(stream, version).await, authority, scheme: "http" };
        }
        let shaken = self.tls_over(stream, slug, if version == Version::HTTP_2 { "h2" } else { "http/1.1" });
        let stream = within("a TLS handshake", shaken).await.expect("a TLS handshake");
        Connection { sender: Sender::over(stream, version).await, authority, scheme: "https" }
    }
}

impl Sender {
    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, version: Version) -> Self {
        let stream = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
            tokio::spawn(driver);
            Self::Two(sender)
        } else {
            let (sender, driver) = http1::handshake(stream).await.expect("HTTP/1.1");
            tokio::spawn(driver);
            Self::One(sender)
        }
    }
}

impl Connection {
    /// GET; fails the test where the connection does not last.
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await.expect("an answer on the open connection")
    }

    /// GET with one more field.
    pub async fn get_with(&mut self, path: &str, field: (&str, &str)) -> Answer {
        self.send(Method::GET, path, &[field], "").await.expect("an answer on the open connection")
    }

    /// A request and its whole answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, hyper::Error> {
        let (parts, body) = self.begin(method, path, fields, body).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// A request and the head of its answer, whose body comes as it is read.
    pub async fn begin(
        &mut self,
        method: Method,
        path: &str,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<http::Response<hyper::body::Incoming>, hyper::Error> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().append(name, HeaderValue::from_str(value).expect("a value"));
        }
        match &mut self.sender {
            Sender::One(sender) => {
                *request.uri_mut() = path.parse().expect("a path");
                let host = HeaderValue::from_str(&self.authority).expect("a host");
                request.headers_mut().insert(http::header::HOST, host);
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                *request.uri_mut() = format!("{}://{}{path}", self.scheme, self.authority).parse().expect("a URI");
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}
