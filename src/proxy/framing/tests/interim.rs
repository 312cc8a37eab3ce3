//! Interim responses that are written beneath hyper.

use std::task::Waker;

use super::*;

#[tokio::test]
async fn a_part_that_has_gone_out_is_followed_by_its_rest() {
    let (near, mut far) = tokio::io::duplex(16);
    let state = Arc::new(FramingState::new(crate::clock::instant()));
    let mut guard = Guarded::new(near, Arc::clone(&state), LIMITS);
    let mut hints = Response::new(());
    *hints.status_mut() = http::StatusCode::EARLY_HINTS;
    hints.headers_mut().insert("link", http::HeaderValue::from_static("</style.css>; rel=preload"));
    state.inform(&hints);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut guard).poll_flush(&mut cx).is_pending(), "there is room for a part only");
    // hyper says 100 when the body is first asked for, which may be now.
    let proceeds = async move {
        guard.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        guard.flush().await.unwrap();
    };
    let mut seen = String::new();
    let (_, outcome) = tokio::join!(proceeds, far.read_to_string(&mut seen));
    outcome.unwrap();
    assert_eq!(seen, "HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
}
