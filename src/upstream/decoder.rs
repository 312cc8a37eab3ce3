//! Response bodies: where they end, and what of the read buffer belongs to them (RFC 9112, sections 6 and 7).

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::head::{MAX_FIELDS, has_whole_line_ends};
use crate::message::Fields;

/// Octets of the extensions of one chunk; nobody uses them.
const MAX_EXTENSION: u16 = 256;
/// Hexadecimal digits of a chunk's size.
const MAX_SIZE_DIGITS: u8 = 16;
/// Up to this many octets are copied out of the read buffer; more take a part of the buffer itself with them.
const MAX_COPY: usize = 4096;

/// The place in a body.
#[derive(Debug)]
pub(super) enum Decoder {
    /// So many octets are to come.
    Length(u64),
    /// Chunks are to come. In a box, because most bodies have a length and are moved from hand to hand.
    Chunked(Box<Chunked>),
    /// Everything until the connection closes.
    UntilClose,
}

/// What the octets so far amount to.
#[derive(Debug)]
pub(super) enum Step {
    /// A piece of the body.
    Data(Bytes),
    /// Read on.
    More,
    /// The body has ended.
    End,
}

impl Decoder {
    pub(super) fn chunked() -> Self {
        Self::Chunked(Box::new(Chunked { state: State::Size { digits: 0 }, left: 0, trailers: None, broken: None }))
    }

    /// Takes the next piece off `read`. Framing right behind it is read as well, so that [`has_ended`](Self::has_ended)
    /// tells with the last piece that it is the last.
    pub(super) fn step(&mut self, read: &mut BytesMut, max_trailers: usize) -> Result<Step, &'static str> {
        match self {
            Self::Length(0) => Ok(Step::End),
            Self::Length(left) => Ok(take(read, left)),
            Self::Chunked(chunked) => chunked.step(read, max_trailers),
            Self::UntilClose => {
                let mut endless = u64::MAX;
                Ok(take(read, &mut endless))
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.state == State::Done,
            Self::UntilClose => false,
        }
    }

    /// The trailer section, after the end.
    pub(super) fn take_trailers(&mut self) -> Option<HeaderMap> {
        match self {
            Self::Chunked(chunked) => chunked.trailers.take(),
            Self::Length(_) | Self::UntilClose => None,
        }
    }
}

/// Takes what there is, up to `left`.
fn take(read: &mut BytesMut, left: &mut u64) -> Step {
    let count = read.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
    if count == 0 {
        return Step::More;
    }
    *left -= count as u64;
    if count > MAX_COPY {
        return Step::Data(read.split_to(count).freeze());
    }
    let piece = Bytes::copy_from_slice(&read[..count]);
    read.advance(count);
    Step::Data(piece)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
    },
    /// White space after a size, which only an extension may follow.
    Space {
        octets: u16,
    },
    Extension {
        octets: u16,
    },
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers {
        scanned: usize,
    },
    Done,
}

/// The place in a chunked body. Extensions are dropped.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// The size of the chunk while it is read, then the octets of the chunk that are still to come.
    left: u64,
    trailers: Option<HeaderMap>,
    /// What was found wrong behind a piece of data that had to be handed out first.
    broken: Option<&'static str>,
}

impl Chunked {
    fn step(&mut self, read: &mut BytesMut, max_trailers: usize) -> Result<Step, &'static str> {
        if let Some(reason) = self.broken {
            return Err(reason);
        }
        self.pass_framing(read, max_trailers)?;
        if self.state == State::Done {
            return Ok(Step::End);
        }
        if self.state != State::Data {
            return Ok(Step::More);
        }
        let piece = take(read, &mut self.left);
        if self.left == 0 {
            self.state = State::DataCr;
            self.broken = self.pass_framing(read, max_trailers).err();
        }
        Ok(piece)
    }

    /// Goes over everything that is not data.
    fn pass_framing(&mut self, read: &mut BytesMut, max_trailers: usize) -> Result<(), &'static str> {
        let mut at = 0;
        while let Some(octet) = read.get(at) {
            match self.state {
                State::Data | State::Trailers { .. } | State::Done => break,
                _ => self.state = self.next(*octet)?,
            }
            at += 1;
        }
        read.advance(at);
        if let State::Trailers { scanned } = self.state {
            self.read_trailers(read, scanned, max_trailers)?;
        }
        Ok(())
    }

    fn next(&mut self, octet: u8) -> Result<State, &'static str> {
        match (self.state, octet) {
            (State::Size { digits }, _) => self.size(digits, octet),
            (State::Space { octets }, b'\t' | b' ') if octets < MAX_EXTENSION => Ok(State::Space { octets: octets + 1 }),
            (State::Space { octets }, b';') => Ok(State::Extension { octets }),
            (State::Space { .. }, _) => Err("white space after a chunk size"),
            (State::Extension { .. }, b'\r') => Ok(State::SizeLf),
            (State::Extension { octets }, b'\t' | b' '..=b'~') if octets < MAX_EXTENSION => Ok(State::Extension { octets: octets + 1 }),
            (State::Extension { .. }, _) => Err("bad chunk extension"),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::Trailers { scanned: 0 }),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0 }),
            _ => Err("bad end of a chunk"),
        }
    }

    fn size(&mut self, digits: u8, octet: u8) -> Result<State, &'static str> {
        let value = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            b'A'..=b'F' => octet - b'A' + 10,
            b'\t' | b' ' if digits > 0 => return Ok(State::Space { octets: 1 }),
            b';' if digits > 0 => return Ok(State::Extension { octets: 0 }),
            b'\r' if digits > 0 => return Ok(State::SizeLf),
            _ => return Err("bad chunk size"),
        };
        if digits == MAX_SIZE_DIGITS {
            return Err("chunk size too large");
        }
        self.left = (self.left << 4) | u64::from(value);
        Ok(State::Size { digits: digits + 1 })
    }

    /// Reads the trailer section as a whole, once it is there as a whole.
    fn read_trailers(&mut self, read: &mut BytesMut, scanned: usize, max_trailers: usize) -> Result<(), &'static str> {
        match (read.first(), read.get(1)) {
            (Some(b'\r'), Some(b'\n')) => {
                read.advance(2);
                self.state = State::Done;
                return Ok(());
            }
            (Some(b'\r'), Some(_)) => return Err("bad end of a chunked body"),
            _ => {}
        }
        let from = scanned.saturating_sub(3);
        let end = read[from..].windows(4).position(|four| four == b"\r\n\r\n").map(|at| from + at + 4);
        if end.unwrap_or(read.len()) > max_trailers {
            return Err("trailers too large");
        }
        let Some(end) = end else {
            self.state = State::Trailers { scanned: read.len() };
            return Ok(());
        };
        self.trailers = Some(parse_trailers(&read[..end])?);
        read.advance(end);
        self.state = State::Done;
        Ok(())
    }
}

fn parse_trailers(section: &[u8]) -> Result<HeaderMap, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(section, &mut fields) {
        Ok(httparse::Status::Complete((length, fields))) if length == section.len() && has_whole_line_ends(section, fields) => {
            let mut trailers = Fields::new();
            for field in fields.iter() {
                trailers.push_as(field.name.as_bytes(), field.value);
            }
            Ok(trailers.to_map())
        }
        _ => Err("bad trailers"),
    }
}
