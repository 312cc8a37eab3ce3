//! The body of a request as its stream brings it.
//!
//! What it promises: while the app does not take it, what has come lies here in few pieces, however small its DATA frames were:
//! h2 keeps some hundreds of octets for each frame, and ends a connection on which too many wait. The client's window opens as
//! the app takes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::{Response, StatusCode};
use http_body::Frame;

use super::Side;

/// A piece that is smaller is laid together with its neighbours.
const SMALL: usize = 1024;

/// A body over HTTP/2.
pub struct StreamBody {
    arrivals: Option<Rc<RefCell<Arrivals>>>,
    side: Rc<Side>,
    /// The client waits to hear that the body is wanted (RFC 9110, section 10.1.1).
    awaited: bool,
}

/// Takes in what comes while nobody asks for it.
pub(super) struct Intake(Weak<RefCell<Arrivals>>);

struct Arrivals {
    stream: RecvStream,
    at: At,
    /// What was taken in: whole pieces, and small ones after them.
    pieces: VecDeque<Bytes>,
    small: BytesMut,
    failed: Option<h2::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Data,
    Trailers,
    End,
}

impl StreamBody {
    /// `awaited` says that the client waits for a 100 before it sends.
    pub(super) fn new(stream: RecvStream, side: Rc<Side>, awaited: bool) -> Self {
        let arrivals = (!stream.is_end_stream()).then(|| Rc::new(RefCell::new(Arrivals::new(stream))));
        Self { arrivals, side, awaited }
    }

    /// Takes in for this body, as long as it is there; None where nothing comes.
    pub(super) fn intake(&self) -> Option<Intake> {
        self.arrivals.as_ref().map(|arrivals| Intake(Rc::downgrade(arrivals)))
    }

    /// Whether all of it was handed out.
    pub fn is_end(&self) -> bool {
        self.arrivals.as_ref().is_none_or(|arrivals| arrivals.borrow().is_end())
    }

    /// The next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if std::mem::take(&mut self.awaited) {
            self.side.inform(interim(StatusCode::CONTINUE));
        }
        match &self.arrivals {
            Some(arrivals) => arrivals.borrow_mut().poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if !self.is_end() {
            self.side.leave_request();
        }
    }
}

fn interim(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

impl Intake {
    /// To be called when the stream's task has nothing else to do; that task is woken when more has come.
    pub(super) fn take_in(&self, cx: &mut Context<'_>) {
        if let Some(arrivals) = self.0.upgrade() {
            arrivals.borrow_mut().take_in(cx);
        }
    }
}

impl Arrivals {
    fn new(stream: RecvStream) -> Self {
        Self { stream, at: At::Data, pieces: VecDeque::new(), small: BytesMut::new(), failed: None }
    }

    fn is_end(&self) -> bool {
        self.at == At::End && self.pieces.is_empty() && self.small.is_empty() && self.failed.is_none()
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(piece) = self.held() {
            return Poll::Ready(Some(Ok(self.hand_out(piece))));
        }
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if self.at == At::Data
            && let Some(data) = ready!(self.poll_data(cx)).transpose()?
        {
            return Poll::Ready(Some(Ok(self.hand_out(data))));
        }
        if self.at == At::Trailers {
            let trailers = ready!(self.stream.poll_trailers(cx));
            self.at = At::End;
            return Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)));
        }
        Poll::Ready(None)
    }

    /// The next piece of the stream's data; None at their end.
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let data = ready!(self.stream.poll_data(cx));
        match &data {
            Some(Ok(_)) if !self.stream.is_end_stream() => {}
            Some(_) => self.at = At::End,
            None => self.at = At::Trailers,
        }
        Poll::Ready(data)
    }

    fn take_in(&mut self, cx: &mut Context<'_>) {
        while self.at == At::Data {
            match self.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) if data.len() < SMALL => self.small.extend_from_slice(&data),
                Poll::Ready(Some(Ok(data))) => {
                    if !self.small.is_empty() {
                        self.pieces.push_back(self.small.split().freeze());
                    }
                    self.pieces.push_back(data);
                }
                Poll::Ready(Some(Err(error))) => self.failed = Some(error),
                Poll::Ready(None) => {}
                Poll::Pending => return,
            }
        }
    }

    fn held(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front();
        piece.or_else(|| (!self.small.is_empty()).then(|| self.small.split().freeze()))
    }

    fn hand_out(&mut self, data: Bytes) -> Frame<Bytes> {
        // Whoever asks for a piece takes it; the client may send as much again. A stream that is over needs no window.
        let _ = self.stream.flow_control().release_capacity(data.len());
        Frame::data(data)
    }
}
