//! A load of WebSocket: each connection says something, and says it again when its echo has come, which must be the same.
//!
//! `talk to=ADDRESS host=HOST path=/echo connections=64 seconds=5`; the figures go to stdout, as JSON.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use helpers::head::Head;
use helpers::{Arguments, Poller, Trouble, end, not_yet};

/// Octets of a message.
const LENGTH: usize = 100;
const MASK: [u8; 4] = [0x5a, 0x17, 0xc3, 0x88];
const PATIENCE: Duration = Duration::from_secs(20);
/// As RFC 6455 has them; the app behind knows this key only.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
}

/// A connection that is a WebSocket already.
fn open(to: &str, host: &str, path: &str) -> Result<Connection, Trouble> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )?;
    let (mut came, mut room) = (Vec::new(), [0; 4096]);
    loop {
        let many = stream.read(&mut room)?;
        came.extend_from_slice(&room[..many]);
        if let Some(head) = Head::read(&came) {
            if head.status() != 101 || head.field("sec-websocket-accept") != Some(ACCEPT) || came.len() > head.length {
                return Err(format!("no WebSocket: {}", head.first).into());
            }
            stream.set_nonblocking(true)?;
            return Ok(Connection { stream, came: Vec::new() });
        }
        if many == 0 {
            return Err("the connection ended before it was a WebSocket".into());
        }
    }
}

/// A frame of a client, and what comes back of it.
fn frames(kind: u8, said: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let masked = said.iter().zip(MASK.iter().cycle()).map(|(octet, key)| octet ^ key);
    let sent = [0x80 | kind, 0x80 | said.len() as u8].into_iter().chain(MASK).chain(masked).collect();
    (sent, [0x80 | kind, said.len() as u8].into_iter().chain(said.iter().copied()).collect())
}

/// Echoes that came back until the time was over.
fn run() -> Result<(), Trouble> {
    let arguments = Arguments::of_program();
    let (to, host, path): (String, String, String) = (arguments.get("to")?, arguments.get("host")?, arguments.get("path")?);
    let until = Duration::from_secs(arguments.get("seconds")?);
    let mut poller = Poller::new()?;
    let mut connections =
        (0..arguments.get("connections")?).map(|_: usize| open(&to, &host, &path)).collect::<Result<Vec<Connection>, Trouble>>()?;
    let said: Vec<u8> = (b'a'..=b'z').cycle().take(LENGTH).collect();
    let (sent, due) = frames(2, &said);
    for (number, connection) in connections.iter_mut().enumerate() {
        poller.watch(&connection.stream, number)?;
        connection.stream.write_all(&sent)?;
    }
    let started = Instant::now();
    let (mut answers, mut speaking) = (0_u64, connections.len());
    while speaking > 0 {
        if started.elapsed() > until + PATIENCE {
            return Err(format!("{speaking} messages did not come back").into());
        }
        let ready: Vec<usize> = poller.wait(Some(PATIENCE))?.collect();
        for number in ready {
            if !came_back(&mut connections[number], &due)? {
                continue;
            }
            answers += 1;
            if started.elapsed() < until {
                connections[number].stream.write_all(&sent)?;
            } else {
                speaking -= 1;
            }
        }
    }
    close(&mut connections)?;
    println!("{{\"answers\":{answers}}}");
    Ok(())
}

/// Whether the echo is there, whole.
fn came_back(connection: &mut Connection, due: &[u8]) -> Result<bool, Trouble> {
    let mut room = [0; 4096];
    match connection.stream.read(&mut room) {
        Ok(0) => return Err("a connection ended".into()),
        Ok(many) => connection.came.extend_from_slice(&room[..many]),
        Err(error) if not_yet(&error) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    if connection.came.len() < due.len() {
        return Ok(false);
    }
    if connection.came != due {
        return Err("what came back is not what was said".into());
    }
    connection.came.clear();
    Ok(true)
}

/// Ends all as a client should: with a close frame, waiting for the end of the connection.
fn close(connections: &mut [Connection]) -> Result<(), Trouble> {
    let (sent, _) = frames(8, &[0x03, 0xe8]);
    for connection in connections.iter_mut() {
        connection.stream.set_nonblocking(false)?;
        connection.stream.write_all(&sent)?;
    }
    let mut rest = [0; 64];
    for connection in connections {
        while connection.stream.read(&mut rest)? > 0 {}
    }
    Ok(())
}

fn main() -> ExitCode {
    end("talk", run())
}
