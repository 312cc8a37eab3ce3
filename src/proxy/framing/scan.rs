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
}

impl Scanner {
    pub(super) const fn new(limits: FramingLimits) -> Self {
        Self { limits, at: At::Head, judged: 0 }
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
                self.judged = 0;
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

    /// A head that trickles in is parsed again only when a line has ended, it has grown by half or it has reached the limit:
    /// its cost stays near to linear.
    fn is_worth_judging(&self, rest: &[u8]) -> bool {
        let fresh = rest.get(self.judged..).unwrap_or(rest);
        rest.len() >= self.limits.max_head || fresh.len() > self.judged / 2 || fresh.contains(&b'\n')
    }
}
