//! Pulse: a client from which nothing comes is asked with a PING whether it is still there (RFC 9113, section 6.7).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Sleep, sleep};

use crate::proxy::patience::Signs;

/// How long the answer may take while nothing else shows that the client is there. A PING waits behind all that was written
/// before it, so a slow client may be long with its answer; that it takes those octets is answer enough until then.
const PATIENCE: Duration = Duration::from_secs(20);

/// The watch over one connection.
pub(super) struct Pulse {
    pings: PingPong,
    timer: Pin<Box<Sleep>>,
    silence: Duration,
    asked: bool,
    signs: Arc<Signs>,
}

impl Pulse {
    /// Asks after `silence`.
    pub(super) fn new(pings: PingPong, silence: Duration, signs: Arc<Signs>) -> Self {
        Self { pings, timer: Box::pin(sleep(silence)), silence, asked: false, signs }
    }

    /// Ready when the client is gone.
    pub(super) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.asked && self.pings.poll_pong(cx).is_ready() {
                self.asked = false;
                self.wait(self.silence);
            }
            ready!(self.timer.as_mut().poll(cx));
            let is_alive = self.signs.look();
            match (self.asked, is_alive) {
                (true, true) => self.wait(PATIENCE),
                (true, false) => return Poll::Ready(()),
                (false, true) => self.wait(self.silence),
                (false, false) => {
                    // Fails only where the connection has ended, which is seen elsewhere.
                    self.asked = self.pings.send_ping(Ping::opaque()).is_ok();
                    self.wait(PATIENCE);
                }
            }
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.timer.set(sleep(duration));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;

    use tokio::time::timeout;

    use super::*;
    use crate::proxy::patience::Patient;

    const SILENCE: Duration = Duration::from_secs(60);

    /// A pulse whose client answers no PING, and what holds both ends.
    async fn unanswered() -> (Pulse, Arc<Signs>, impl Sized) {
        let (near, far) = tokio::io::duplex(4096);
        let near = Patient::new(near, SILENCE);
        let signs = near.signs();
        let client = tokio::spawn(h2::client::handshake(far));
        let mut server = h2::server::handshake(near).await.unwrap();
        let pulse = Pulse::new(server.ping_pong().unwrap(), SILENCE, Arc::clone(&signs));
        (pulse, signs, (server, client.await.unwrap().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_shows_nothing_is_lost() {
        let (mut pulse, signs, _ends) = unanswered().await;
        signs.look();
        let mut lost = poll_fn(|cx| pulse.poll_lost(cx));
        let second = Duration::from_secs(1);
        assert!(timeout(SILENCE + PATIENCE - second, &mut lost).await.is_err(), "it was given up too soon");
        timeout(2 * second, lost).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_whose_answer_is_late_is_not_lost_while_it_takes_or_sends() {
        let (mut pulse, signs, _ends) = unanswered().await;
        let lives = async {
            for _ in 0..100 {
                sleep(PATIENCE / 2).await;
                signs.show();
            }
        };
        tokio::select! {
            () = poll_fn(|cx| pulse.poll_lost(cx)) => panic!("it was given up"),
            () = lives => {}
        }
    }
}
