//! A strict reader of the chunked transfer coding (RFC 9112, section 7.1): it tells data from framing, finds the end of a body
//! and refuses whatever another server could read in another way.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::FramingLimits;

/// Octets of the extensions of one chunk; nobody uses them.
const MAX_EXTENSION: u16 = 256;
/// Hexadecimal digits of a chunk's size.
const MAX_SIZE_DIGITS: u8 = 16;

type Step = Result<State, &'static str>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
    },
    Extension {
        octets: u16,
    },
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line that ends the body.
    LineStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
}

/// The place in a chunked body.
#[derive(Debug)]
pub struct Chunked {
    state: State,
    /// The size of the chunk while it is read, then the octets of the chunk that are still to come.
    left: u64,
    /// The trailer section as far as it has come, without the empty line at its end.
    trailers: Vec<u8>,
    trailer_lines: usize,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size { digits: 0 }, left: 0, trailers: Vec::new(), trailer_lines: 0 }
    }
}

impl Chunked {
    /// Goes over the framing at the start of `bytes`, up to data or to the end: how many octets of it are good. After an error
    /// the same is found again in the octets behind them.
    pub fn pass_framing(&mut self, bytes: &[u8], limits: &FramingLimits) -> (usize, Result<(), &'static str>) {
        for (at, octet) in bytes.iter().enumerate() {
            if matches!(self.state, State::Data | State::Done) {
                return (at, Ok(()));
            }
            match self.step(*octet, limits) {
                Ok(state) => self.state = state,
                Err(reason) => return (at, Err(reason)),
            }
        }
        (bytes.len(), Ok(()))
    }

    /// How many of `available` octets that come next are data; they are taken.
    pub fn take_data(&mut self, available: usize) -> usize {
        if self.state != State::Data {
            return 0;
        }
        let count = available.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= count as u64;
        if self.left == 0 {
            self.state = State::DataCr;
        }
        count
    }

    /// Whether the body has ended.
    pub fn has_ended(&self) -> bool {
        self.state == State::Done
    }

    /// Whether fields have come after the last chunk.
    pub fn has_trailers(&self) -> bool {
        !self.trailers.is_empty()
    }

    /// The fields after the last chunk, if there are any; to be asked for once, at the end.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        let section = std::mem::take(&mut self.trailers);
        let mut trailers = HeaderMap::new();
        for line in section.split(|octet| *octet == b'\n') {
            let Some(colon) = line.iter().position(|octet| *octet == b':') else { continue };
            let name = HeaderName::from_bytes(&line[..colon]);
            // Each line was checked as it came: a token, a colon, octets of a value.
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
                trailers.append(name, value);
            }
        }
        (!trailers.is_empty()).then_some(trailers)
    }

    fn step(&mut self, octet: u8, limits: &FramingLimits) -> Step {
        match (self.state, octet) {
            (State::Size { digits }, _) => self.size(digits, octet),
            (State::Extension { .. }, b'\r') => Ok(State::SizeLf),
            (State::Extension { octets }, b'\t' | b' '..=b'~') if octets < MAX_EXTENSION => Ok(State::Extension { octets: octets + 1 }),
            (State::Extension { .. }, _) => Err("bad chunk extension"),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::LineStart),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0 }),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::LineStart | State::TrailerName | State::TrailerValue | State::TrailerLf, _) => self.trailer(octet, limits),
            _ => Err("bad end of a chunk"),
        }
    }

    fn size(&mut self, digits: u8, octet: u8) -> Step {
        let value = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            b'A'..=b'F' => octet - b'A' + 10,
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

    fn trailer(&mut self, octet: u8, limits: &FramingLimits) -> Step {
        if self.trailers.len() >= limits.max_head {
            return Err("trailers too large");
        }
        let state = self.trailer_state(octet, limits)?;
        if state != State::EndLf {
            self.trailers.push(octet);
        }
        Ok(state)
    }

    fn trailer_state(&mut self, octet: u8, limits: &FramingLimits) -> Step {
        match (self.state, octet) {
            (State::LineStart, b'\r') => Ok(State::EndLf),
            (State::LineStart, _) if is_token(octet) => {
                self.trailer_lines += 1;
                if self.trailer_lines > limits.max_headers.min(super::head::MAX_HEADERS) {
                    return Err("too many trailers");
                }
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) if is_token(octet) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::LineStart),
            _ => Err("bad trailer"),
        }
    }
}

/// RFC 9110, section 5.6.2: tchar.
const fn is_token(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(octet, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}
