//! The floor: what comes on a connection is written to a connection of its own to the app, and back. It reads nothing of it.
//!
//! `splice listen=ADDRESS app=ADDRESS threads=1`

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use helpers::{Arguments, Poller, Trouble, end, not_yet};

/// Read at once; all connections of a thread share the room.
const ROOM: usize = 64 * 1024;
/// The number of the listener; connections have those from 0 on, in pairs: the client's is even.
const LISTENER: usize = usize::MAX;

/// One direction's rest: what its reader could not write at once. While there is any, nothing more is read.
struct End {
    stream: TcpStream,
    rest: Vec<u8>,
}

struct Splice {
    listener: TcpListener,
    app: String,
    poller: Poller,
    ends: Vec<Option<End>>,
    free: Vec<usize>,
    room: Box<[u8; ROOM]>,
}

impl Splice {
    fn new(listener: TcpListener, app: String) -> io::Result<Self> {
        let poller = Poller::new()?;
        poller.watch(&listener, LISTENER)?;
        Ok(Self { listener, app, poller, ends: Vec::new(), free: Vec::new(), room: Box::new([0; ROOM]) })
    }

    fn run(mut self) -> io::Result<()> {
        loop {
            let ready: Vec<usize> = self.poller.wait(None)?.collect();
            for number in ready {
                if number == LISTENER {
                    self.accept();
                } else if self.carry(number).is_err() {
                    // Either end's failure is the end of both.
                    self.close(number);
                }
            }
        }
    }

    /// Takes what waits; another thread may have been faster. A failure to reach the app closes the client's connection.
    fn accept(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            let _ = self.pair(client);
        }
    }

    fn pair(&mut self, client: TcpStream) -> io::Result<()> {
        let app = TcpStream::connect(&self.app)?;
        let first = self.free.pop().unwrap_or_else(|| {
            self.ends.extend([None, None]);
            self.ends.len() - 2
        });
        for (number, stream) in [(first, client), (first + 1, app)] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.poller.watch(&stream, number)?;
            self.ends[number] = Some(End { stream, rest: Vec::new() });
        }
        Ok(())
    }

    /// What is ready at an end: its rest is written; if there was none, it is read and the other end is given what came.
    fn carry(&mut self, number: usize) -> io::Result<()> {
        let low = number & !1;
        let [Some(first), Some(second)] = &mut self.ends[low..low + 2] else { return Ok(()) };
        let (from, to) = if number == low { (first, second) } else { (second, first) };
        if !from.rest.is_empty() {
            return flush(&self.poller, from, number, to);
        }
        match from.stream.read(&mut self.room[..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(many) => hand(&self.poller, from, number, to, &self.room[..many]),
            Err(error) if not_yet(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn close(&mut self, number: usize) {
        let low = number & !1;
        if self.ends[low].take().is_some() {
            self.ends[low + 1] = None;
            self.free.push(low);
        }
    }
}

/// Writes what came from an end to the other; if not all of it goes, this end waits until it has.
fn hand(poller: &Poller, from: &mut End, number: usize, to: &mut End, came: &[u8]) -> io::Result<()> {
    let mut written = 0;
    // An end that hangs up is told of though it is not read: what it still says waits its turn.
    if to.rest.is_empty() {
        match to.stream.write(came) {
            Ok(many) => written = many,
            Err(error) if not_yet(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if written < came.len() {
        to.rest.extend_from_slice(&came[written..]);
        poller.change(&to.stream, number ^ 1, false, true)?;
        poller.change(&from.stream, number, false, false)?;
    }
    Ok(())
}

/// Writes the rest of an end; once it is gone, both ends are read again.
fn flush(poller: &Poller, end: &mut End, number: usize, other: &mut End) -> io::Result<()> {
    match end.stream.write(&end.rest) {
        Ok(many) => drop(end.rest.drain(..many)),
        Err(error) if not_yet(&error) => {}
        Err(error) => return Err(error),
    }
    if end.rest.is_empty() {
        poller.change(&end.stream, number, true, false)?;
        poller.change(&other.stream, number ^ 1, true, false)?;
    }
    Ok(())
}

fn run() -> Result<(), Trouble> {
    let arguments = Arguments::of_program();
    let (listen, app): (String, String) = (arguments.get("listen")?, arguments.get("app")?);
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let threads = arguments.get_or("threads", 1)?;
    let listeners = (0..threads).map(|_| listener.try_clone()).collect::<io::Result<Vec<TcpListener>>>()?;
    thread::scope(|scope| {
        for listener in listeners {
            let app = app.clone();
            scope.spawn(move || Splice::new(listener, app)?.run());
        }
    });
    Err("its workers have ended".into())
}

fn main() -> ExitCode {
    end("splice", run())
}
