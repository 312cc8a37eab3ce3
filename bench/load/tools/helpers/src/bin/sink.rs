//! Where a log goes that its program can only send: what comes on a connection is added to a file.
//!
//! `sink listen=ADDRESS file=PATH`

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::thread;

use helpers::{Arguments, Trouble, end};

fn keep(mut connection: TcpStream, mut file: File) -> io::Result<()> {
    let mut room = vec![0; 256 * 1024];
    loop {
        match connection.read(&mut room)? {
            0 => return Ok(()),
            many => file.write_all(&room[..many])?,
        }
    }
}

fn run() -> Result<(), Trouble> {
    let arguments = Arguments::of_program();
    let path: String = arguments.get("file")?;
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    for connection in TcpListener::bind(arguments.get::<String>("listen")?)?.incoming() {
        let (connection, file) = (connection?, file.try_clone()?);
        thread::spawn(move || keep(connection, file));
    }
    Ok(())
}

fn main() -> ExitCode {
    end("sink", run())
}
