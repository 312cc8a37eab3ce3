//! What the programs here share: arguments, waiting for sockets, and messages of HTTP/1.1.

use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

pub mod head;

/// Why a program ends without figures.
pub type Trouble = Box<dyn std::error::Error>;

/// Arguments, all of them `key=value`.
pub struct Arguments(HashMap<String, String>);

impl Arguments {
    /// Those of this program.
    pub fn of_program() -> Self {
        Self(std::env::args().skip(1).filter_map(|one| one.split_once('=').map(|(key, value)| (key.into(), value.into()))).collect())
    }

    /// One that must be there.
    pub fn get<T: FromStr<Err: Display>>(&self, key: &str) -> Result<T, Trouble> {
        let text = self.0.get(key).ok_or_else(|| format!("{key}=… is missing"))?;
        Ok(text.parse().map_err(|error| format!("{key}={text}: {error}"))?)
    }

    /// One that may be left out.
    pub fn get_or<T: FromStr<Err: Display>>(&self, key: &str, otherwise: T) -> Result<T, Trouble> {
        if self.0.contains_key(key) { self.get(key) } else { Ok(otherwise) }
    }
}

/// The end of a program: what went wrong goes to stderr.
pub fn end(name: &str, result: Result<(), Trouble>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for sockets, each known by a number.
pub struct Poller {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
}

impl Poller {
    /// One that waits for nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, ready: Vec::with_capacity(256) })
    }

    /// Waits, from now on, until a socket can be read.
    pub fn watch(&self, socket: impl AsFd, number: usize) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?)
    }

    /// Waits, from now on, for what is told of a socket that is watched.
    pub fn change(&self, socket: impl AsFd, number: usize, read: bool, write: bool) -> io::Result<()> {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, read);
        flags.set(epoll::EventFlags::OUT, write);
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(number as u64), flags)?)
    }

    /// The numbers of the sockets that are ready, or none after so long. One that has failed counts as ready.
    pub fn wait(&mut self, patience: Option<Duration>) -> io::Result<impl Iterator<Item = usize> + use<'_>> {
        let patience = patience.map(|time| Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() });
        self.ready.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(self.ready.iter().map(|event| event.data.u64() as usize)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a read or write that failed only has to be made again later.
pub fn not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
