//! Bodies that are read in another task than the connection's, as those of requests that are counted are.

use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::*;

/// Reads the body in a task of its own, and tells what came of it.
struct Elsewhere {
    state: Rc<State>,
    told: Cell<Option<oneshot::Sender<Result<Bytes, String>>>>,
}

impl Answerer for Elsewhere {
    fn answer(&self, _: RequestHead, body: Inbound) -> Handled {
        let (state, told) = (Rc::clone(&self.state), self.told.take().unwrap());
        let reads = tokio::task::spawn_local(async move {
            let read = body.collect().await.map(|body| body.to_bytes()).map_err(|error| error.to_string());
            let _ = told.send(read.clone());
            read
        });
        Handled::Passed(Box::pin(async move {
            let read = reads.await.unwrap().ok();
            state.request_done(instant());
            saying(read)
        }))
    }
}

type Told = oneshot::Receiver<Result<Bytes, String>>;

fn stand<IO: AsyncRead + AsyncWrite + Sighted + Holds + Unpin>(io: IO) -> (Served<IO, Elsewhere>, Told) {
    let (state, buffers) = (Rc::new(State::new(instant())), Rc::<Buffers>::default());
    let reader = Reader::new(LIMITS, Rc::clone(&buffers), End::Final);
    let (told, hears) = oneshot::channel();
    let elsewhere = Elsewhere { state: Rc::clone(&state), told: Cell::new(Some(told)) };
    (Served::new(io, elsewhere, state, reader, Writer::new(buffers, SMALL)), hears)
}

const HEAD: &[u8] = b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn it_arrives_piece_by_piece() {
    let (near, mut far) = tokio::io::duplex(64);
    let (mut served, told) = stand(near);
    let talk = async move {
        far.write_all(HEAD).await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"100 Continue\r\n\r\n") {
            far.read_buf(&mut seen).await.unwrap();
        }
        for chunk in ["5\r\nhello\r\n", "3\r\n", ", w", "\r\n4\r\norld\r\n0\r\n", "\r\n"] {
            far.write_all(chunk.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        far.read_to_end(&mut seen).await.unwrap();
        String::from_utf8(seen).unwrap()
    };
    let all = async { tokio::join!(poll_fn(|cx| served.poll(cx)), talk, told) };
    let (over, seen, told) = LocalSet::new().run_until(all).await;
    assert!(matches!(over, Over::Ended), "{over:?}");
    assert_eq!(told.unwrap().unwrap(), "hello, world");
    assert!(seen.ends_with("\r\n\r\nhello, world"), "{seen}");
}

#[tokio::test]
async fn it_fails_with_the_connection() {
    for stays in [true, false] {
        let (near, mut far) = tokio::io::duplex(1024);
        let (mut served, told) = stand(near);
        let all = async {
            far.write_all(HEAD).await.unwrap();
            far.write_all(b"5\r\nhel").await.unwrap();
            let mut told = std::pin::pin!(told);
            poll_fn(|cx| {
                let _ = served.poll(cx);
                if told.as_mut().poll(cx).is_pending() { Poll::Ready(()) } else { panic!("it has ended") }
            })
            .await;
            tokio::task::yield_now().await;
            if !stays {
                drop(far);
                poll_fn(|cx| served.poll(cx)).await;
            }
            drop(served);
            told.await
        };
        LocalSet::new().run_until(all).await.unwrap().unwrap_err();
    }
}
