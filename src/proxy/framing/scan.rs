//! Where in the stream of requests the next octet lies.
//!
//! The scanner is given the octets that were not approved yet and says how many of them may pass: those of one request, until
//! its response has ended. Its verdict does not depend on how the stream was split into reads.

use super::body::Chunked;
use super::head::{Framing, Judged, judge};
use super::{FramingLimits, FramingState};

/// Whether the stream is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Good so far.
    Sound,
    /// A head asked for a WebSocket; what follows waits for the answer, is not HTTP and is not looked at.
    Upgraded,
    /// A head was refused; nothing passes any more.
    Refused,
    /// A chunked body was malformed; nothing passes any more.
    Broken(&'static str),
}

#[derive(Debug)]
enum At {
    Head,
    /// Octets of a body of known length that are still to come.
    Length(u64),
    Chunked(Chunked),
    End(Standing),
}

#[derive(Debug)]
pub(super) struct Scanner {
    limits: FramingLimits,
    at: At,
    /// Octets of the current head that were already judged to be only a part.
    judged: usize,
    /// Octets of the current head in which its end was looked for.
    searched: usize,
}

/// A head that is larger than this is judged no more at the end of each of its lines, which would take a time that grows with
/// its square.
const LARGE: usize = 16 * 1024;

impl Scanner {
    pub(super) const fn new(limits: FramingLimits) -> Self {
        Self { limits, at: At::Head, judged: 0, searched: 0 }
    }

    pub(super) const fn standing(&self) -> Standing {
        match self.at {
            At::End(standing) => standing,
            _ => Standing::Sound,
        }
    }

    /// Whether the client may be sending what nobody will read: the rest of a body, what follows a bad request, or a request
    /// that is `held` and that nobody has looked at.
    pub(super) const fn expects_more(&self, held: &[u8]) -> bool {
        match self.at {
            At::Head => self.judged == 0 && !held.is_empty(),
            At::End(Standing::Sound | Standing::Upgraded) => false,
            At::Length(_) | At::Chunked(_) | At::End(_) => true,
        }
    }

    /// While the next octet has to wait for the end of a response, or for the one that switches: how many octets may be held.
    pub(super) fn read_ahead(&self, state: &FramingState) -> Option<usize> {
        let waits = match self.at {
            At::Head => state.is_in_flight(),
            At::End(Standing::Upgraded) => !state.has_switched() && state.is_in_flight(),
            At::Length(_) | At::Chunked(_) | At::End(_) => false,
        };
        waits.then_some(self.limits.max_head)
    }

    /// How many of `bytes` may pass. While the stream is sound, the rest is to be given again: with more, if it is a part of
    /// a head; when the response has ended, if a request is in flight.
    pub(super) fn scan(&mut self, bytes: &[u8], state: &FramingState) -> usize {
        let mut passed = 0;
        while passed < bytes.len() {
            let rest = &bytes[passed..];
            if self.read_ahead(state).is_some() {
                break;
            }
            match &mut self.at {
                At::Head => match self.head(rest, state) {
                    0 => break,
                    count => passed += count,
                },
                At::Length(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    passed += count;
                    *left -= count as u64;
                    if *left == 0 {
                        self.at = At::Head;
                    }
                }
                At::Chunked(chunked) => {
                    let (count, outcome) = chunked.advance(rest, &self.limits);
                    passed += count;
                    match outcome {
                        Ok(false) => {}
                        Ok(true) => self.at = At::Head,
                        Err(reason) => self.at = At::End(Standing::Broken(reason)),
                    }
                }
                At::End(Standing::Upgraded) => passed = bytes.len(),
                At::End(_) => break,
            }
        }
        passed
    }

    /// The length of the head at the start of `rest`; 0 if it is not complete or not good.
    fn head(&mut self, rest: &[u8], state: &FramingState) -> usize {
        if !self.is_worth_judging(rest) {
            return 0;
        }
        match judge(rest, &self.limits) {
            Judged::Partial => {
                self.judged = rest.len();
                state.head_held_back();
                0
            }
            Judged::Bad(violation) => {
                state.head_refused(violation);
                self.at = At::End(Standing::Refused);
                0
            }
            Judged::Complete { len, framing } => {
                (self.judged, self.searched) = (0, 0);
                state.head_passed(matches!(framing, Framing::Upgrade));
                self.at = match framing {
                    Framing::Length(0) => At::Head,
                    Framing::Length(length) => At::Length(length),
                    Framing::Chunked => At::Chunked(Chunked::new()),
                    Framing::Upgrade => At::End(Standing::Upgraded),
                };
                len
            }
        }
    }

    /// A head that trickles in is parsed again only when it has grown by half, has reached the limit, or a line has ended; the
    /// empty line, where it is large. So its cost stays near to linear.
    fn is_worth_judging(&mut self, rest: &[u8]) -> bool {
        let is_large = rest.len() > LARGE;
        // The empty line may begin in what was searched.
        let fresh = rest.get(self.searched.saturating_sub(if is_large { 2 } else { 0 })..).unwrap_or(rest);
        let ends = if is_large { ends_in_empty_line(fresh) } else { fresh.contains(&b'\n') };
        self.searched = rest.len();
        ends || rest.len() >= self.limits.max_head || rest.len() - self.judged.min(rest.len()) > self.judged / 2
    }
}

/// Whether a line of `octets` ends in front of an empty one.
fn ends_in_empty_line(octets: &[u8]) -> bool {
    octets.windows(2).any(|pair| pair == b"\n\n") || octets.windows(3).any(|three| three == b"\n\r\n")
}
