//! HTTP/2 frame by frame, where a client of the h2 crate does not tell what came (RFC 9113, section 4).

use super::raw::Raw;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
/// END_HEADERS and END_STREAM.
const WHOLE: u8 = 5;

impl Raw {
    /// Opens an HTTP/2 connection with one request, `GET /` of the tenant acme.
    pub async fn begin_http2(&mut self) {
        self.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        self.frame(SETTINGS, 0, 0, b"").await;
        // GET, https and / of the static table; :authority as a literal.
        let host = b"acme.example.localhost";
        let block = [&[0x82, 0x87, 0x84, 0x41, host.len() as u8], &host[..]].concat();
        self.frame(HEADERS, WHOLE, 1, &block).await;
    }

    /// Reads up to a GOAWAY, answering pings; how many heads of answers came before it, and its error code.
    pub async fn goaway(&mut self) -> (u32, u32) {
        let mut heads = 0;
        loop {
            let head = self.take(9).await;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let payload = self.take(length).await;
            match (head[3], head[4] & ACK) {
                (HEADERS, _) => heads += 1,
                (PING, 0) => self.frame(PING, ACK, 0, &payload).await,
                (GOAWAY, _) => return (heads, u32::from_be_bytes(payload[4..8].try_into().expect("four octets"))),
                _ => {}
            }
        }
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        self.send([&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()).await;
    }
}
