//! A request's body whose beginning is kept until the app has answered. A stream that the app refuses, or that came after its
//! GOAWAY, was provably not begun (RFC 9113, section 8.7), and can be sent again as long as all that was taken of its body is
//! here: in practice, the message of a call of gRPC.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// Octets that are kept at most.
const KEPT: usize = 64 * 1024;

/// A body that can be begun again.
pub(super) struct Replay<B> {
    body: B,
    /// What was taken, as long as that is all of it.
    kept: Option<Kept>,
    /// How many pieces of that were given out since it was begun anew.
    given: usize,
    ended: bool,
}

#[derive(Default)]
struct Kept {
    pieces: Vec<Piece>,
    octets: usize,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    fn of(frame: &Frame<Bytes>) -> Option<Self> {
        let data = frame.data_ref().cloned().map(Self::Data);
        data.or_else(|| frame.trailers_ref().cloned().map(Self::Trailers))
    }

    fn frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }
}

impl<B> Replay<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, kept: Some(Kept::default()), given: 0, ended: false }
    }

    /// Begins anew; None where that cannot be.
    pub(super) fn begin_again(self) -> Option<Self> {
        self.kept.is_some().then_some(Self { given: 0, ..self })
    }

    /// It will not be begun anew.
    pub(super) fn forget(&mut self) {
        // What was not given out yet is still to come.
        if self.kept.as_ref().is_some_and(|kept| self.given == kept.pieces.len()) {
            self.kept = None;
        }
    }

    fn next_kept(&mut self) -> Option<Piece> {
        let piece = self.kept.as_ref()?.pieces.get(self.given)?.clone();
        self.given += 1;
        Some(piece)
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(kept) = &mut self.kept else { return };
        kept.octets += frame.data_ref().map_or(0, Bytes::len);
        match Piece::of(frame).filter(|_| kept.octets <= KEPT) {
            Some(piece) => {
                kept.pieces.push(piece);
                self.given += 1;
            }
            None => self.kept = None,
        }
    }

    fn is_given(&self) -> bool {
        self.kept.as_ref().is_none_or(|kept| self.given == kept.pieces.len())
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Replay<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if let Some(piece) = this.next_kept() {
            return Poll::Ready(Some(Ok(piece.frame())));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => this.keep(frame),
            Some(Err(_)) => this.kept = None,
            None => this.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_given() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_given() { self.body.size_hint() } else { SizeHint::default() }
    }
}
