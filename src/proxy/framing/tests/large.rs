//! Heads that are larger than what is judged line by line.

use super::*;

const LARGE: FramingLimits = FramingLimits { max_head: 256 * 1024, max_headers: 100, max_target: 128 };

/// What the guard passes of `head`, given in pieces of `size` octets, and whether it refused it.
fn pass_in_pieces(head: &str, size: usize) -> (usize, bool) {
    let state = Arc::new(FramingState::new(crate::clock::instant()));
    let pieces = head.as_bytes().chunks(size).map(<[u8]>::to_vec).collect();
    let mut guard = Guarded::new(Pieces(pieces), Arc::clone(&state), LARGE);
    let mut space = vec![0; 512 * 1024];
    let mut buf = ReadBuf::new(&mut space);
    let outcome = Pin::new(&mut guard).poll_read(&mut Context::from_waker(std::task::Waker::noop()), &mut buf);
    assert!(matches!(outcome, Poll::Ready(Ok(()))));
    (buf.filled().len(), state.violation_of(0).is_some())
}

#[test]
fn a_large_head_passes_however_it_comes() {
    let fields: String = (0..40).map(|number| format!("x-{number}: {}\r\n", "y".repeat(1500))).collect();
    for (end, is_good) in [("\r\n", true), ("x y\r\n\r\n", false)] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}{end}");
        // Pieces of these sizes end everywhere around the empty line.
        for size in (1490..1530).chain(1..5).chain([head.len() - 1, head.len() - 2, head.len() - 3]) {
            let (passed, refused) = pass_in_pieces(&head, size);
            assert_eq!((refused, passed == head.len()), (!is_good, is_good), "pieces of {size}");
        }
    }
}
