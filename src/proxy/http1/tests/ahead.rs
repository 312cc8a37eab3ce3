//! What a client sends ahead waits until the response before it has ended, and does not hide that the client has left.

use proptest::prelude::*;

use super::splits::{any_good, split};
use super::verdicts::BAD;
use super::*;

/// A client that never stops; counts what was read.
struct Endless(usize);

impl Holds for Endless {}

impl Sighted for Endless {
    fn look(&self) -> Sight {
        Sight::Here
    }
}

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

fn staying(stream: &str, cuts: &[usize]) -> Stand<Wire> {
    Stand::new(Wire::sending(split(stream.as_bytes(), cuts)).staying(), End::Final)
}

proptest! {
    #[test]
    fn each_request_waits_for_the_answer_before_it(
        requests in prop::collection::vec(any_good().prop_filter("it goes on", |(good, _)| !good.contains("HTTP/1.0")), 1..5),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let stream: String = requests.iter().map(|(request, _)| request.as_str()).collect();
        let mut stand = staying(&stream, &cuts);
        for number in 1..=requests.len() {
            prop_assert!(stand.poll().is_pending());
            prop_assert_eq!((stand.desk.asked.borrow().len(), stand.desk.read.borrow().len()), (number, number));
            prop_assert_eq!(stand.state.phase(), Phase::InRequest);
            stand.answer_one();
        }
        prop_assert!(stand.poll().is_pending());
        prop_assert_eq!(stand.desk.asked.borrow().len(), requests.len());
        prop_assert_eq!(stand.served.reader().held(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_bad_head_is_not_judged_before_the_answer_to_the_request_before_it() {
    let mut stand = staying(&format!("{}{}", GOOD[0], BAD[0].0), &[]);
    assert!(stand.poll().is_pending());
    assert_eq!((stand.state.violation(), stand.desk.asked.borrow().len()), (None, 1));
    stand.answer_one();
    assert!(stand.poll().is_pending());
    assert!(matches!(stand.state.violation(), Some(Violation::BadRequest(_))));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_although_it_has_sent_more() {
    for next in [GOOD[0], BAD[0].0, "GET / HT", ""] {
        let stream = format!("{}{next}", GOOD[8]);
        for cuts in [&[][..], &[20, GOOD[8].len(), GOOD[8].len() + 3]] {
            let mut stand = Stand::new(Wire::sending(split(stream.as_bytes(), cuts)), End::Final);
            let Poll::Ready(Over::Broken(error)) = stand.poll() else { panic!("it is served") };
            assert_eq!((error.kind(), stand.desk.asked.borrow().len()), (io::ErrorKind::UnexpectedEof, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_no_more_gets_its_answers_where_it_may_still_listen() {
    let wire = Wire::sending([[GOOD[0], GOOD[8]].concat().into_bytes()]);
    let got = Rc::clone(&wire.got);
    let mut stand = Stand::new(wire, End::Tolerated);
    assert!(stand.poll().is_pending());
    stand.answer_one();
    assert!(stand.poll().is_pending());
    stand.answer_one();
    assert!(matches!(poll_fn(|cx| stand.served.poll(cx)).await, Over::Ended));
    assert_eq!(String::from_utf8_lossy(&got.borrow()).matches("HTTP/1.1 200 OK").count(), 2);
    // Who gets nothing for a while is believed to be gone.
    let mut stand = Stand::new(Wire::sending([GOOD[0].into()]), End::Tolerated);
    assert!(matches!(poll_fn(|cx| stand.served.poll(cx)).await, Over::Broken(_)));
}

#[tokio::test]
async fn what_is_read_ahead_is_bounded() {
    let (mut endless, mut reader, state) = (Endless(0), reader(LIMITS), State::new(instant()));
    for turn in 1..=100 {
        assert!(matches!(reader.poll_next(&mut endless, &mut noop(), &state), Poll::Ready(Ok(Next::Request(_)))));
        for _ in 0..3 {
            assert!(reader.poll_gone(&mut endless, &mut noop()).is_pending());
        }
        let ahead = endless.0 - turn * GOOD[0].len();
        assert_eq!(ahead, reader.held().0);
        assert!(ahead <= CHUNK, "{ahead} octets are held");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_others_leaves_its_buffer_to_those() {
    let mut stand = staying(GOOD[0], &[]);
    assert!(stand.poll().is_pending());
    assert_eq!(stand.served.reader().held(), (0, 0));
    assert_eq!(stand.buffers.kept(), (1, 0));
    stand.answer_one();
    assert!(stand.poll().is_pending());
    assert_eq!((stand.served.reader().held(), stand.buffers.kept()), ((0, 0), (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_request_for_a_websocket_waits_for_the_answer() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    for cuts in [&[][..], &[head.len(), head.len() + 2]] {
        let mut stand = staying(&format!("{head}\0\0 not HTTP \n\n"), cuts);
        assert!(stand.poll().is_pending());
        assert!(stand.state.asked_for_websocket());
        assert_eq!(&*stand.served.reader().take_rest(), b"\0\0 not HTTP \n\n");
    }
}
