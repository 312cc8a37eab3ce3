//! Sight: whether the other end of a connection is still there, told without reading. What a client has sent and nobody wants yet
//! lies before its end in the stream, and the system tells of the end all the same.

use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::hold::Hold;
use super::patience::Patient;
use super::socket::Socket;

/// What is seen of the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing that says that it has left.
    Here,
    /// It sends no more.
    Ended,
    /// The connection was reset, or is closed on both sides.
    Gone,
}

/// A connection whose other end can be looked at.
pub trait Sighted {
    /// Looks once; never waits.
    fn look(&self) -> Sight;
}

impl Sighted for TcpStream {
    fn look(&self) -> Sight {
        let mut asked = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::RDHUP)];
        if poll(&mut asked, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 })).is_err() {
            return Sight::Here;
        }
        let told = asked[0].revents();
        if told.intersects(PollFlags::ERR | PollFlags::HUP) {
            Sight::Gone
        } else if told.contains(PollFlags::RDHUP) {
            Sight::Ended
        } else {
            Sight::Here
        }
    }
}

impl Sighted for Socket {
    fn look(&self) -> Sight {
        self.tcp().look()
    }
}

impl<IO: Sighted + AsyncWrite + Unpin> Sighted for Hold<IO> {
    fn look(&self) -> Sight {
        self.inner().look()
    }
}

impl<IO: Sighted> Sighted for Patient<IO> {
    fn look(&self) -> Sight {
        self.inner().look()
    }
}

impl<IO: Sighted> Sighted for TlsStream<IO> {
    fn look(&self) -> Sight {
        self.get_ref().0.look()
    }
}
