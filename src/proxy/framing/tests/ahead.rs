//! What a client sends ahead waits until the response before it has ended, and does not hide that the client has left.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::splits::{any_good, split};
use super::*;

/// Gives out its pieces one a read, and then nothing: the client waits.
struct Patiently(Pieces);

impl AsyncRead for Patiently {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.0.0.is_empty() { Poll::Pending } else { Pin::new(&mut self.0).poll_read(cx, buf) }
    }
}

/// A client that never stops; counts what was read.
struct Endless(usize);

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = GOOD[0].as_bytes();
        while buf.remaining() > 0 {
            buf.put_slice(&stream[self.0 % stream.len()..][..1]);
            self.0 += 1;
        }
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Reader<IO> {
    guard: Guarded<IO>,
    state: Arc<FramingState>,
    wakes: Arc<Wakes>,
    room: usize,
}

impl<IO: AsyncRead + Unpin> Reader<IO> {
    fn new(io: IO, room: usize) -> Self {
        let state = Arc::new(FramingState::new(crate::clock::instant()));
        Self { guard: Guarded::new(io, Arc::clone(&state), LIMITS), state, wakes: Arc::default(), room }
    }

    fn read(&mut self) -> Poll<io::Result<Vec<u8>>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let mut space = vec![0; self.room];
        let mut buf = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.guard).poll_read(&mut Context::from_waker(&waker), &mut buf))?;
        Poll::Ready(Ok(buf.filled().to_vec()))
    }

    /// What passes until there is nothing more to be had.
    fn read_all(&mut self) -> Vec<u8> {
        let mut passed = Vec::new();
        while let Poll::Ready(outcome) = self.read() {
            passed.extend(outcome.unwrap());
        }
        passed
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

fn patiently(stream: &[u8], cuts: &[usize]) -> Patiently {
    Patiently(Pieces(split(stream, cuts).into_iter().filter(|piece| !piece.is_empty()).collect()))
}

proptest! {
    #[test]
    fn each_request_waits_for_the_answer_before_it_and_passes_unchanged(
        requests in prop::collection::vec(any_good(), 1..5),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
        room in 1..600_usize,
    ) {
        // More than is read ahead would not come before it is needed, either.
        let mut reader = Reader::new(patiently(requests.concat().as_bytes(), &cuts), room);
        for request in &requests {
            let passed = reader.read_all();
            prop_assert_eq!(passed.escape_ascii().to_string(), request.as_bytes().escape_ascii().to_string());
            prop_assert_eq!(reader.state.phase(), Phase::InRequest);
            answer(&reader.state);
        }
        prop_assert_eq!(reader.read_all(), b"");
        prop_assert!(reader.guard.held.is_empty());
    }
}

#[test]
fn a_bad_head_is_not_judged_before_the_answer_to_the_request_before_it() {
    let mut reader = Reader::new(patiently(format!("{}{}", GOOD[0], BAD[0].0).as_bytes(), &[]), 4096);
    assert_eq!(reader.read_all(), GOOD[0].as_bytes());
    assert_eq!(reader.state.violation_of(1), None);
    answer(&reader.state);
    assert_eq!(reader.read_all(), SYNTHETIC_HEAD);
    assert!(matches!(reader.state.violation_of(1), Some(Violation::BadRequest(_))));
}

#[test]
fn the_end_of_the_stream_is_told_although_octets_are_held() {
    for next in [GOOD[0], BAD[0].0, "GET / HT"] {
        let stream = format!("{}{next}", GOOD[8]);
        for cuts in [&[][..], &[20, GOOD[8].len(), GOOD[8].len() + 3]] {
            let pieces = split(stream.as_bytes(), cuts).into_iter().filter(|piece| !piece.is_empty()).collect();
            let mut reader = Reader::new(Pieces(pieces), 4096);
            let mut passed = Vec::new();
            loop {
                match reader.read() {
                    Poll::Ready(Ok(octets)) if octets.is_empty() => break,
                    Poll::Ready(Ok(octets)) => passed.extend(octets),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!((passed.as_slice(), reader.state.phase()), (GOOD[8].as_bytes(), Phase::InRequest));
        }
    }
}

#[test]
fn what_follows_a_request_for_a_websocket_waits_for_the_answer_that_switches() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let frames = "\0\0 not HTTP \n\n";
    for cuts in [&[][..], &[head.len(), head.len() + 2]] {
        let mut reader = Reader::new(patiently(format!("{head}{frames}").as_bytes(), cuts), 4096);
        assert_eq!(reader.read_all(), head.as_bytes());
        reader.state.switch();
        assert_eq!(reader.read_all(), frames.as_bytes());
        assert!(reader.guard.held.is_empty());
    }
    let mut left = Reader::new(Pieces([format!("{head}{frames}").into_bytes()].into()), 4096);
    assert!(matches!(left.read(), Poll::Ready(Ok(octets)) if octets == head.as_bytes()));
    assert!(matches!(left.read(), Poll::Ready(Ok(octets)) if octets.is_empty()));
}

#[test]
fn what_is_read_ahead_is_bounded() {
    for room in [64, LIMITS.max_head, 3 * LIMITS.max_head] {
        let mut reader = Reader::new(Endless(0), room);
        for turn in 1..=100 {
            assert_eq!(reader.read_all(), GOOD[0].as_bytes());
            let ahead = reader.guard.io.0 - turn * GOOD[0].len();
            assert_eq!(ahead, reader.guard.held.len());
            assert!(ahead <= room.max(LIMITS.max_head), "{ahead} octets are held, {room} fit into a read");
            assert!(reader.read().is_pending());
            assert_eq!(reader.guard.io.0 - turn * GOOD[0].len(), ahead);
            answer(&reader.state);
        }
    }
}

#[test]
fn who_waits_with_octets_held_is_woken_by_the_end_of_the_response() {
    let mut reader = Reader::new(patiently([GOOD[0], GOOD[8], "GET"].concat().as_bytes(), &[]), 4096);
    for (request, woken) in [(GOOD[0], 1), (GOOD[8], 2)] {
        assert_eq!(reader.read_all(), request.as_bytes());
        assert_eq!(reader.wakes(), woken - 1);
        answer(&reader.state);
        assert_eq!(reader.wakes(), woken);
    }
    // The rest of a head is waited for, not a response.
    assert_eq!(reader.read_all(), b"");
    assert!(matches!(reader.state.phase(), Phase::ReadingHead { .. }));
}

#[test]
fn a_client_that_sends_nothing_ahead_costs_no_buffer_and_no_wake_up() {
    let mut reader = Reader::new(patiently(GOOD[0].as_bytes(), &[]), 4096);
    assert_eq!(reader.read_all(), GOOD[0].as_bytes());
    assert_eq!(reader.guard.held.capacity(), 0);
    answer(&reader.state);
    assert_eq!(reader.wakes(), 0);
}

#[tokio::test]
async fn hyper_answers_many_requests_sent_at_once_in_their_order() {
    let stream: String = (0..1000).map(|at| format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let answers = serve(format!("{stream}GET / HTTP/1.1\r\n\r\n").as_bytes()).await;
    let wanted: String = (0..1000).map(|at| format!("<{at} /{at} b\"\">")).collect();
    assert_eq!(answers, format!("{wanted}<1000 refused: no Host>"));
}
