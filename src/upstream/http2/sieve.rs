//! Sieve: takes DATA frames without content off what is read, where they do not end their stream. They say nothing (RFC 9113,
//! section 6.1), but h2 counts them over the life of a connection and gives it up with all its streams after a hundred.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets of a frame's head (RFC 9113, section 4.1).
const HEAD: usize = 9;
/// What a client says first (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// Frames after which whoever wants what they carry has a turn: h2 keeps room for as many as ever waited at once.
const MANY: usize = 512;
/// Length 0, type DATA, no flag; a stream's number follows.
const EMPTY: [u8; 5] = [0, 0, 0, 0, 0];

/// An I/O of HTTP/2 that reads without them.
#[derive(Debug)]
pub struct Sieve<IO> {
    io: IO,
    /// Octets that pass before the next head.
    left: usize,
    /// A head of which not all has come, or that is handed on by and by.
    head: [u8; HEAD],
    held: usize,
    handed_on: usize,
    /// Since the last turn of others.
    frames: usize,
}

impl<IO> Sieve<IO> {
    /// Of what a server sends.
    pub(super) const fn of_server(io: IO) -> Self {
        Self { io, left: 0, head: [0; HEAD], held: 0, handed_on: HEAD, frames: 0 }
    }

    /// Of what a client sends.
    pub fn of_client(io: IO) -> Self {
        Self { left: PREFACE, ..Self::of_server(io) }
    }

    /// Sifts `octets`, which begin with what was held, in place; how many are left of them.
    fn sift(&mut self, octets: &mut [u8]) -> usize {
        let (mut kept, mut at) = (0, 0);
        self.held = 0;
        while at < octets.len() {
            let rest = octets.len() - at;
            if self.left > 0 {
                let count = self.left.min(rest);
                if kept < at {
                    octets.copy_within(at..at + count, kept);
                }
                (self.left, kept, at) = (self.left - count, kept + count, at + count);
            } else if rest < HEAD {
                self.head[..rest].copy_from_slice(&octets[at..]);
                self.held = rest;
                break;
            } else {
                let head = &octets[at..at + HEAD];
                self.frames += 1;
                if is_empty_data(head) {
                    at += HEAD;
                } else {
                    self.left = HEAD + length(head);
                }
            }
        }
        kept
    }
}

fn length(head: &[u8]) -> usize {
    u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize
}

/// On stream 0 it is a fault, which is h2's to find.
fn is_empty_data(head: &[u8]) -> bool {
    head[..EMPTY.len()] == EMPTY && head[EMPTY.len()..] != [0; HEAD - EMPTY.len()]
}

impl<IO: AsyncRead + Unpin> Sieve<IO> {
    /// Reads where there is room for a head at least; `false` where nothing is left of it, `true` also at the end.
    fn poll_sift(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        let before = buf.filled().len();
        buf.put_slice(&self.head[..self.held]);
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        let has_come = buf.filled().len() - before > self.held;
        let kept = if has_come { self.sift(&mut buf.filled_mut()[before..]) } else { 0 };
        buf.set_filled(before + kept);
        outcome.map_ok(|()| kept > 0 || !has_come)
    }

    /// Reads a head, for a buffer that has too little room; `false` at the end.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut part = ReadBuf::new(&mut self.head[self.held..]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        self.held += count;
        if self.held == HEAD {
            self.held = 0;
            if !is_empty_data(&self.head) {
                (self.left, self.handed_on) = (length(&self.head), 0);
            }
        }
        Poll::Ready(Ok(count > 0))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Sieve<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.frames >= MANY {
            this.frames = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if this.handed_on < HEAD {
                let count = buf.remaining().min(HEAD - this.handed_on);
                buf.put_slice(&this.head[this.handed_on..this.handed_on + count]);
                this.handed_on += count;
                return Poll::Ready(Ok(()));
            }
            if this.left > 0 || buf.remaining() >= HEAD {
                if ready!(this.poll_sift(cx, buf))? {
                    return Poll::Ready(Ok(()));
                }
            } else if !ready!(this.poll_head(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Sieve<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Gives out its pieces one a read, then the end.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    fn frame(kind: u8, flags: u8, stream: u8, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        [&size[1..], &[kind, flags, 0, 0, 0, stream], &vec![kind; length]].concat()
    }

    fn any_frame() -> impl Strategy<Value = (Vec<u8>, bool)> {
        let dropped = (1..9_u8).prop_map(|stream| (frame(0, 0, stream, 0), false));
        let empty = prop::sample::select(vec![frame(0, 1, 3, 0), frame(0, 8, 3, 1), frame(0, 0, 0, 0), frame(4, 1, 0, 0)]);
        let full = (0..9_u8, 1..40_usize).prop_map(|(kind, length)| frame(kind, 0, 1, length));
        prop_oneof![dropped, empty.prop_map(|frame| (frame, true)), full.prop_map(|frame| (frame, true))]
    }

    proptest! {
        #[test]
        fn all_else_passes_unchanged_in_every_split(
            frames in prop::collection::vec(any_frame(), 0..12),
            cuts in prop::collection::vec(1..60_usize, 1..8),
            rooms in prop::collection::vec(1..80_usize, 1..8),
            is_client in any::<bool>(),
        ) {
            let preface = if is_client { vec![b'P'; PREFACE] } else { Vec::new() };
            let sent = [preface.clone(), frames.iter().flat_map(|(frame, _)| frame.clone()).collect()].concat();
            let expected = [preface, frames.iter().filter(|(_, stays)| *stays).flat_map(|(frame, _)| frame.clone()).collect()].concat();
            let (mut pieces, mut rest, mut cuts) = (VecDeque::new(), &sent[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                pieces.push_back(piece.to_vec());
                rest = more;
            }
            let mut sieve = if is_client { Sieve::of_client(Pieces(pieces)) } else { Sieve::of_server(Pieces(pieces)) };
            let mut seen = Vec::new();
            for room in rooms.iter().cycle() {
                let mut space = vec![0; *room];
                let mut buf = ReadBuf::new(&mut space);
                let outcome = Pin::new(&mut sieve).poll_read(&mut Context::from_waker(std::task::Waker::noop()), &mut buf);
                prop_assert!(matches!(outcome, Poll::Ready(Ok(()))));
                if buf.filled().is_empty() {
                    break;
                }
                seen.extend_from_slice(buf.filled());
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
