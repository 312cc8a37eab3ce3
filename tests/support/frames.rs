//! HTTP/2 frame by frame, where a client of the h2 crate does not tell what came (RFC 9113, section 4).

use super::raw::Raw;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const WHOLE: u8 = END_STREAM | END_HEADERS;
/// Of the static table of field names and values (RFC 7541, appendix A).
const GET: u8 = 0x82;
const POST: u8 = 0x83;

impl Raw {
    /// Opens an HTTP/2 connection with one request, `GET /` of the tenant acme.
    pub async fn begin_http2(&mut self) {
        self.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        self.frame(SETTINGS, 0, 0, b"").await;
        self.get(1).await;
    }

    /// The same, where no window ever closes.
    pub async fn begin_http2_with_wide_windows(&mut self) {
        const INITIAL_WINDOW_SIZE: u8 = 4;
        const WIDE: u32 = (1 << 31) - 1;
        self.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        self.frame(SETTINGS, 0, 0, &[&[0, INITIAL_WINDOW_SIZE], &WIDE.to_be_bytes()[..]].concat()).await;
        self.frame(WINDOW_UPDATE, 0, 0, &(WIDE - 65_535).to_be_bytes()).await;
        self.get(1).await;
    }

    /// `GET /` of the tenant acme.
    pub async fn get(&mut self, stream: u32) {
        self.head_of(GET, WHOLE, stream, "/").await;
    }

    /// The same of another path.
    pub async fn get_path(&mut self, stream: u32, path: &str) {
        self.head_of(GET, WHOLE, stream, path).await;
    }

    /// `POST /` of the tenant acme, with a body to follow.
    pub async fn post(&mut self, stream: u32) {
        self.head_of(POST, END_HEADERS, stream, "/").await;
    }

    async fn head_of(&mut self, method: u8, flags: u8, stream: u32, path: &str) {
        // Method and https of the static table; :path and :authority as literals that are not indexed.
        let host = b"acme.example.localhost";
        let path = [&[0x04, path.len() as u8], path.as_bytes()].concat();
        let block = [&[method, 0x87][..], &path, &[0x01, host.len() as u8], host].concat();
        self.frame(HEADERS, flags, stream, &block).await;
    }

    /// Many pieces of a body, of one octet each.
    pub async fn octets(&mut self, stream: u32, count: usize) {
        let one = frame(DATA, 0, stream, b"x");
        self.send(one.repeat(count)).await;
    }

    /// Many pieces of a body that say nothing.
    pub async fn empty_pieces(&mut self, stream: u32, count: usize) {
        self.send(frame(DATA, 0, stream, b"").repeat(count)).await;
    }

    /// The end of a body.
    pub async fn last_octet(&mut self, stream: u32) {
        self.frame(DATA, END_STREAM, stream, b"x").await;
    }

    /// Reads content until so many streams have ended or so many octets have come, a frame whenever `pace` says. None may be
    /// reset.
    pub async fn content(&mut self, ends: usize, octets: usize, pace: &mut tokio::time::Interval) {
        let (mut seen, mut ended) = (0, 0);
        while ended < ends && seen < octets {
            let head = self.take(9).await;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let payload = self.take(length).await;
            assert_ne!(head[3], RST_STREAM, "a stream is reset: {payload:?}");
            if head[3] == DATA {
                (seen, ended) = (seen + length, ended + usize::from(head[4] & END_STREAM));
                pace.tick().await;
            }
        }
    }

    /// Reads up to an end of `stream`: None where the connection is told to end, otherwise the first octet of the answer's
    /// fields, if one came.
    pub async fn end_of(&mut self, stream: u32) -> Option<Option<u8>> {
        let mut status = None;
        loop {
            let head = self.take(9).await;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let payload = self.take(length).await;
            let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            match head[3] {
                HEADERS if number == stream => status = payload.first().copied(),
                GOAWAY => return None,
                _ => {}
            }
            let ends = head[3] == RST_STREAM || (matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0);
            if number == stream && ends {
                return Some(status);
            }
        }
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
        self.send(frame(kind, flags, stream, payload)).await;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
