//! Servers that nobody here wrote.

use std::convert::Infallible;
use std::process::Stdio;

use bytes::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use super::support::*;

/// hyper's server, echoing bodies and their trailers.
async fn hyper_echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let echo = service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
                let response = hyper::Response::builder().header("trailer", "x-sum").body(request.into_body());
                Ok::<_, Infallible>(response.unwrap())
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), echo));
        }
    });
    address
}

#[tokio::test]
async fn hyper_understands_us_and_we_understand_it() {
    let target = target_at(&[hyper_echo().await]);
    let pool = pool();
    for size in [0, 1, 100, 8_191, 32_768, 1_000_000] {
        for with_length in [true, false] {
            let octets: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
            let (feeder, body) = feed();
            let builder =
                if with_length { request("POST").header("content-length", size) } else { request("POST").header("te", "trailers") };
            let feeding = async {
                for piece in octets.chunks(10_000) {
                    feeder.send(data(piece.to_vec())).await.unwrap();
                }
                if !with_length {
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("x-sum", "1".parse().unwrap());
                    feeder.send(Ok(http_body::Frame::trailers(trailers))).await.unwrap();
                }
                drop(feeder);
            };
            let reading = async {
                let response = send(&pool, &target, builder.body(body).unwrap()).await.unwrap();
                read(response.into_body()).await.unwrap()
            };
            let ((received, trailers), ()) = tokio::join!(reading, feeding);
            assert!(received == octets, "{size} {with_length}");
            assert_eq!(trailers.is_some_and(|trailers| trailers["x-sum"] == "1"), !with_length);
        }
    }
    // The last request had trailers, after which no other goes over its connection.
    assert_eq!(pool.shared.idle.borrow().len(), 0);
}

#[tokio::test]
async fn a_success_in_place_of_a_100_lets_the_body_go() {
    let target = target_at(&[hyper_echo().await]);
    let request = request("PUT").header("expect", "100-continue").header("content-length", "5");
    let request = request.body(http_body_util::Full::new(Bytes::from("hello"))).unwrap();
    let response = send(&pool(), &target, request).await.unwrap();
    assert_eq!(read(response.into_body()).await.unwrap().0, b"hello");
}

/// A process that prints its port; ended when it is dropped.
async fn spawn(program: &str, arguments: &[&str]) -> Option<(tokio::process::Child, std::net::SocketAddr)> {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).await.ok()?;
    let port: u16 = line.trim().parse().ok()?;
    Some((child, ([127, 0, 0, 1], port).into()))
}

const PYTHON: &str = r#"
import http.server
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
print(server.server_port, flush=True)
server.serve_forever()
"#;

const NODE: &str = r#"
const server = require("http").createServer((request, response) => {
    if (request.headers["x-length"]) response.setHeader("Content-Length", request.headers["x-length"]);
    request.pipe(response);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"#;

#[tokio::test]
async fn a_python_server_is_understood() {
    // Where there is no such program, there is nothing to test against.
    let Some((_child, address)) = spawn("python3", &["-c", PYTHON]).await else { return };
    let (pool, target) = (pool(), target_at(&[address]));
    for size in [1, 100_000] {
        let octets = vec![b'x'; size];
        let request = request("POST").header("content-length", size).body(http_body_util::Full::new(Bytes::from(octets.clone()))).unwrap();
        let response = send(&pool, &target, request).await.unwrap();
        assert!(read(response.into_body()).await.unwrap().0 == octets);
    }
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}

#[tokio::test]
async fn a_node_server_is_understood() {
    let Some((_child, address)) = spawn("node", &["-e", NODE]).await else { return };
    let (pool, target) = (pool(), target_at(&[address]));
    for length in [None, Some(100_000)] {
        let mut builder = request("POST");
        if let Some(length) = length {
            builder = builder.header("x-length", length);
        }
        let octets = vec![b'x'; 100_000];
        let response = send(&pool, &target, builder.body(http_body_util::Full::new(Bytes::from(octets.clone()))).unwrap()).await.unwrap();
        assert!(read(response.into_body()).await.unwrap().0 == octets);
    }
    assert_eq!(pool.shared.idle.borrow().len(), 1);
}
