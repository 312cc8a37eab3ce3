//! What the app's web server cannot do itself: it echoes messages of WebSocket, and compares uploads with what they must be.
//!
//! `app listen=ADDRESS upload=FILE answer=FILE`: a POST whose body is that file is answered with the other, any other with 400.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use helpers::head::Head;
use helpers::{Arguments, Poller, Trouble, end, not_yet};

const LISTENER: usize = usize::MAX;
/// The key that RFC 6455 has as its example, and the answer to it: all clients here use it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
    echoes: bool,
}

struct App {
    upload: Vec<u8>,
    good: Vec<u8>,
    poller: Poller,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
}

impl App {
    fn run(&mut self) -> Result<(), Trouble> {
        self.poller.watch(&self.listener, LISTENER)?;
        let mut room = vec![0; 64 * 1024];
        loop {
            let ready: Vec<usize> = self.poller.wait(None)?.collect();
            for number in ready {
                if number == LISTENER {
                    self.accept()?;
                } else if !self.serve(number, &mut room).unwrap_or(false) {
                    self.connections[number] = None;
                }
            }
        }
    }

    fn accept(&mut self) -> Result<(), Trouble> {
        let stream = self.listener.accept()?.0;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let number = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
        self.poller.watch(&stream, number)?;
        let connection = Some(Connection { stream, came: Vec::new(), echoes: false });
        if number < self.connections.len() {
            self.connections[number] = connection
        } else {
            self.connections.push(connection)
        }
        Ok(())
    }

    /// Answers what has come whole; whether the connection goes on.
    fn serve(&mut self, number: usize, room: &mut [u8]) -> io::Result<bool> {
        let Some(connection) = &mut self.connections[number] else { return Ok(true) };
        match connection.stream.read(room) {
            Ok(0) => return Ok(false),
            Ok(many) => connection.came.extend_from_slice(&room[..many]),
            Err(error) if not_yet(&error) => return Ok(true),
            Err(error) => return Err(error),
        }
        if connection.echoes { echo(connection) } else { answer(connection, &self.upload, &self.good) }
    }
}

/// A request: an upload, or one that makes the connection a WebSocket.
fn answer(connection: &mut Connection, upload: &[u8], good: &[u8]) -> io::Result<bool> {
    let Some(head) = Head::read(&connection.came) else { return Ok(true) };
    if head.field("sec-websocket-key") == Some(KEY) {
        let accepted = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        );
        connection.echoes = true;
        connection.came.drain(..head.length);
        connection.stream.write_all(accepted.as_bytes())?;
        return Ok(true);
    }
    let whole = head.length + head.content_length().unwrap_or(0);
    if connection.came.len() < whole {
        return Ok(true);
    }
    let same = &connection.came[head.length..whole] == upload;
    let (status, body) = if same { ("200 OK", good) } else { ("400 Bad Request", &b"this is not what was to come"[..]) };
    let mut message = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    message.extend_from_slice(body);
    connection.came.drain(..whole);
    connection.stream.write_all(&message)?;
    Ok(true)
}

/// Frames of a client are masked, and short here; each comes back as it was, without its mask.
fn echo(connection: &mut Connection) -> io::Result<bool> {
    let mut back = Vec::new();
    let mut at = 0;
    while let [first, second, mask @ ..] = &connection.came[at..] {
        let length = usize::from(second & 0x7f);
        if second & 0x80 == 0 || length > 125 {
            return Ok(false);
        }
        if mask.len() < 4 + length {
            break;
        }
        back.extend_from_slice(&[*first, length as u8]);
        back.extend(mask[4..4 + length].iter().zip(mask[..4].iter().cycle()).map(|(octet, key)| octet ^ key));
        at += 6 + length;
        // The echo of a close ends the connection.
        if first & 0x0f == 8 {
            connection.stream.write_all(&back)?;
            return Ok(false);
        }
    }
    connection.came.drain(..at);
    connection.stream.write_all(&back)?;
    Ok(true)
}

fn run() -> Result<(), Trouble> {
    let arguments = Arguments::of_program();
    let file = |key: &str| -> Result<Vec<u8>, Trouble> { Ok(fs::read(arguments.get::<String>(key)?)?) };
    let listener = TcpListener::bind(arguments.get::<String>("listen")?)?;
    App { upload: file("upload")?, good: file("answer")?, poller: Poller::new()?, listener, connections: Vec::new() }.run()
}

fn main() -> ExitCode {
    end("app", run())
}
