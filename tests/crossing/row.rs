//! A row of the matrix: what is asked on which connection, octet by octet, and what shall come of it.

/// Who may be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// This tenant's app answers, in this tenant's name, and no other app hears of it.
    Served(&'static str),
    /// The same, and the app hears who the user is.
    Known(&'static str, &'static str),
    /// The gateway refuses it, or this tenant's app answers as it does where nobody signed in.
    Nobody(&'static str),
    /// No app hears of it, however it is refused.
    NotServed,
    /// The operator's call succeeds.
    Done,
    /// The tenant API answers for this tenant.
    Answered(&'static str),
    /// The gateway refuses it with this status and code, and no app hears of it.
    Refused(u16, &'static str),
    /// The stream or the connection ends without an answer, and no app hears of it.
    Ended,
    /// There is no connection to ask on.
    NotConnected,
}

/// The connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// TLS with this name in SNI.
    Tls(&'static str),
    /// TLS without a name in SNI.
    Nameless,
    /// TLS 1.2 or 1.3 (the first member is the minor number), with the session of a connection to the second under the name of
    /// the third.
    Resumed(u8, &'static str, &'static str),
    /// In clear.
    Clear,
    /// In clear, to a gateway that believes a name without a key.
    Trusting,
}

/// One request.
#[derive(Debug, Clone)]
pub enum Sent {
    Http1(Vec<u8>),
    Http2 {
        head: Vec<(Vec<u8>, Vec<u8>)>,
        body: Vec<u8>,
        trailers: Vec<(Vec<u8>, Vec<u8>)>,
    },
    /// Not on the connection: what the operator of the gateway in clear does meanwhile.
    Admin(http::Method, &'static str, serde_json::Value),
}

/// What is asked on one connection, in order.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub way: Way,
    pub asks: Vec<(Sent, Want)>,
    /// All requests are sent before an answer is read.
    pub at_once: bool,
}

/// A request that both protocols can say.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    host: Vec<u8>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// GET of a host's `/`.
pub fn get(host: impl AsRef<[u8]>) -> Request {
    let host = host.as_ref().to_vec();
    Request { method: "GET".to_owned(), target: "/".to_owned(), host, fields: Vec::new(), trailers: Vec::new() }
}

impl Request {
    /// Another method.
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Another path and query.
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// With a field.
    pub fn field(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// With a body, and after it a field.
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        "POST".clone_into(&mut self.method);
        self.trailers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// As HTTP/1.1 writes it.
    pub fn http1(&self) -> Sent {
        let line = |(name, value): &(Vec<u8>, Vec<u8>)| [name, &b": "[..], value, b"\r\n"].concat();
        let first = format!("{} {} HTTP/1.1\r\nHost: ", self.method, self.target);
        let mut octets = [first.as_bytes(), &self.host, b"\r\n", &self.fields.iter().flat_map(line).collect::<Vec<u8>>()].concat();
        if self.trailers.is_empty() {
            octets.extend_from_slice(b"\r\n");
        } else {
            octets.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n");
            octets.extend(self.trailers.iter().flat_map(line));
            octets.extend_from_slice(b"\r\n");
        }
        Sent::Http1(octets)
    }

    /// As HTTP/2 writes it, names in small letters.
    pub fn http2(&self) -> Sent {
        let small = |(name, value): &(Vec<u8>, Vec<u8>)| (name.to_ascii_lowercase(), value.clone());
        let pseudo =
            [(":method", self.method.as_bytes()), (":scheme", b"https"), (":path", self.target.as_bytes()), (":authority", &self.host)];
        let pseudo = pseudo.into_iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
        let body = if self.trailers.is_empty() { Vec::new() } else { b"ok".to_vec() };
        Sent::Http2 {
            head: pseudo.chain(self.fields.iter().map(small)).collect(),
            body,
            trailers: self.trailers.iter().map(small).collect(),
        }
    }
}

/// HTTP/2 fields as they are, pseudo-fields too.
pub fn head(fields: &[(&str, &str)]) -> Sent {
    let octets = |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Sent::Http2 { head: fields.iter().map(octets).collect(), body: Vec::new(), trailers: Vec::new() }
}

/// The parts of a text, each on a line of its own or two spaces from the next.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.trim_start().split("  ")).filter(|word| !word.is_empty())
}

/// Rows of one table.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// One request, over HTTP/1.1 and HTTP/2.
    pub fn both(&mut self, name: impl AsRef<str>, way: &Way, request: &Request, want: &Want) {
        self.one(name.as_ref(), way, request.http1(), want);
        self.one(name.as_ref(), way, request.http2(), want);
    }

    /// One request over HTTP/1.1, octet by octet.
    pub fn octets(&mut self, name: impl AsRef<str>, way: &Way, octets: impl AsRef<[u8]>, want: &Want) {
        self.one(name.as_ref(), way, Sent::Http1(octets.as_ref().to_vec()), want);
    }

    /// One request.
    pub fn one(&mut self, name: impl AsRef<str>, way: &Way, sent: Sent, want: &Want) {
        self.several(name, way, vec![(sent, want.clone())]);
    }

    /// Requests on one connection, each after the answer to the one before.
    pub fn several(&mut self, name: impl AsRef<str>, way: &Way, asks: Vec<(Sent, Want)>) {
        self.0.push(Row { name: name.as_ref().to_owned(), way: way.clone(), asks, at_once: false });
    }

    /// Requests on one connection, all at once.
    pub fn at_once(&mut self, name: impl AsRef<str>, way: &Way, asks: Vec<(Sent, Want)>) {
        self.0.push(Row { name: name.as_ref().to_owned(), way: way.clone(), asks, at_once: true });
    }

    /// All of them.
    pub fn rows(self) -> Vec<Row> {
        self.0
    }
}

impl Row {
    /// Whether it speaks HTTP/2.
    pub fn is_http2(&self) -> bool {
        matches!(self.asks.first(), Some((Sent::Http2 { .. }, _)))
    }
}
