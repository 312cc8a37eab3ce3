//! The header of the PROXY protocol, versions 1 and 2, as HAProxy's specification (`doc/proxy-protocol.txt`) has it. Octets
//! in, verdict out: it does not depend on how they came, and octets that come later do not change it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::{FromStr, Split};

use thiserror::Error;

/// After so many octets there is a verdict in any case: the longest line of version 1, with its end (section 2.1). The
/// addresses of version 2 come sooner.
pub const DECIDED: usize = 107;

const LINE: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 2, before the addresses: command, family, and the length of what follows.
const FIXED: usize = 4;

/// What the first octets of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of them belong to a header that goes on.
    Partial,
    /// Whose connection it is, and how long the header is: in version 2, longer than what was needed to know.
    Known {
        /// Octets, from the first one on.
        len: usize,
        /// Whose.
        source: Source,
    },
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A client of the proxy.
    Client(IpAddr),
    /// The proxy itself, such as for a health check (LOCAL).
    Proxy,
    /// That of somebody whom the proxy does not name (UNKNOWN, AF_UNSPEC, AF_UNIX).
    Untold,
}

/// Why the octets are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Another protocol, most likely.
    #[error("it does not begin with a PROXY header")]
    Missing,
    /// Version 1, section 2.1.
    #[error("its PROXY line is not well-formed")]
    Line,
    /// Version 1, section 2.1.
    #[error("its PROXY line is longer than 107 octets")]
    TooLong,
    /// Version 2, 13th octet.
    #[error("its PROXY header is of an unknown version or command ({0:#04x})")]
    Command(u8),
    /// Version 2, 14th octet.
    #[error("its PROXY header is of an unknown family or protocol ({0:#04x})")]
    Family(u8),
    /// Version 2, 15th and 16th octet.
    #[error("its PROXY header is too short for its addresses ({0} octets)")]
    Length(usize),
}

/// Judges the octets that a connection begins with.
pub fn verdict(octets: &[u8]) -> Result<Verdict, Malformed> {
    if let Some(rest) = octets.strip_prefix(LINE) {
        version_1(rest)
    } else if let Some(rest) = octets.strip_prefix(SIGNATURE) {
        version_2(rest)
    } else if LINE.starts_with(octets) || SIGNATURE.starts_with(octets) {
        Ok(Verdict::Partial)
    } else {
        Err(Malformed::Missing)
    }
}

fn version_1(rest: &[u8]) -> Result<Verdict, Malformed> {
    let room = DECIDED - LINE.len();
    let Some(end) = rest.iter().take(room).position(|octet| *octet == b'\n') else {
        return if rest.len() < room { Ok(Verdict::Partial) } else { Err(Malformed::TooLong) };
    };
    let line = rest.get(..end).and_then(|line| std::str::from_utf8(line.strip_suffix(b"\r")?).ok());
    let source = line.and_then(source_in).ok_or(Malformed::Line)?;
    Ok(Verdict::Known { len: LINE.len() + end + 1, source })
}

fn source_in(line: &str) -> Option<Source> {
    let mut words = line.split(' ');
    match words.next()? {
        "TCP4" => addresses::<Ipv4Addr>(words),
        "TCP6" => addresses::<Ipv6Addr>(words),
        // Whatever follows has no meaning.
        "UNKNOWN" => Some(Source::Untold),
        _ => None,
    }
}

/// The first of two addresses, which two ports follow.
fn addresses<A: FromStr + Into<IpAddr>>(mut words: Split<'_, char>) -> Option<Source> {
    let source: A = words.next()?.parse().ok()?;
    words.next()?.parse::<A>().ok()?;
    let well_formed = is_port(words.next()?) && is_port(words.next()?) && words.next().is_none();
    well_formed.then(|| Source::Client(source.into()))
}

/// The standard library would also read `+80` and `080`.
fn is_port(word: &str) -> bool {
    word.bytes().all(|octet| octet.is_ascii_digit()) && (word == "0" || !word.starts_with('0')) && word.parse::<u16>().is_ok()
}

fn version_2(rest: &[u8]) -> Result<Verdict, Malformed> {
    let is_own = match rest.first() {
        None => return Ok(Verdict::Partial),
        Some(0x20) => true,
        Some(0x21) => false,
        Some(other) => return Err(Malformed::Command(*other)),
    };
    let Some(kind) = rest.get(1) else { return Ok(Verdict::Partial) };
    // With LOCAL, the family and all else is to be ignored.
    let family = if is_own { Family::Unspecified } else { Family::of(*kind).ok_or(Malformed::Family(*kind))? };
    let Some(Ok(length)) = rest.get(2..FIXED).map(<[u8; 2]>::try_from) else { return Ok(Verdict::Partial) };
    let length = usize::from(u16::from_be_bytes(length));
    if length < family.octets() {
        return Err(Malformed::Length(length));
    }
    let addresses = rest.get(FIXED..).unwrap_or_default();
    let source = match family {
        Family::V4 => addresses.first_chunk::<4>().map(|octets| Source::Client(Ipv4Addr::from(*octets).into())),
        Family::V6 => addresses.first_chunk::<16>().map(|octets| Source::Client(Ipv6Addr::from(*octets).into())),
        Family::Unspecified | Family::Unix => Some(if is_own { Source::Proxy } else { Source::Untold }),
    };
    let known = |source| Verdict::Known { len: SIGNATURE.len() + FIXED + length, source };
    Ok(source.map_or(Verdict::Partial, known))
}

/// Of the addresses in version 2.
#[derive(Debug, Clone, Copy)]
enum Family {
    Unspecified,
    V4,
    V6,
    Unix,
}

impl Family {
    /// Values without a meaning have to be refused. UDP is as good as TCP: the client of a proxy may speak HTTP/3.
    const fn of(kind: u8) -> Option<Self> {
        match (kind >> 4, kind & 0x0f) {
            (4.., _) | (_, 3..) => None,
            (0, _) | (_, 0) => Some(Self::Unspecified),
            (1, _) => Some(Self::V4),
            (2, _) => Some(Self::V6),
            (3, _) => Some(Self::Unix),
        }
    }

    /// Both addresses with their ports.
    const fn octets(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::V4 => 12,
            Self::V6 => 36,
            Self::Unix => 216,
        }
    }
}
