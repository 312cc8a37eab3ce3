//! The access log: lines of JSON, handed to the file in blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pingora_proxy::Session;

use crate::Call;

/// A block, and how long a line waits for its block to be full, while others come.
const BLOCK: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// A log that all workers write to.
pub struct Log(Mutex<Pending>);

struct Pending {
    file: File,
    block: Vec<u8>,
    since: Instant,
}

impl Log {
    /// Opens the file to add to it.
    pub fn open(path: &str) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Mutex::new(Pending { file, block: Vec::with_capacity(2 * BLOCK), since: Instant::now() })))
    }

    /// Adds the line of a request that has ended.
    pub fn write(&self, session: &Session, call: &Call, status: u16) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let request = session.req_header();
        let (method, path) = (&request.method, request.uri.path());
        let client = session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
        let client = client.map_or_else(String::new, |address| address.to_string());
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tenant = call.tenant.as_deref().unwrap_or_default();
        // Writing into a vector cannot fail.
        let _ = writeln!(
            pending.block,
            "{{\"time\":{now},\"requestId\":\"{}\",\"tenant\":\"{tenant}\",\"client\":\"{client}\",\"protocol\":\"{:?}\",\
             \"method\":\"{method}\",\"host\":\"{}\",\"path\":\"{}\",\"status\":{status},\"bytesIn\":{},\"bytesOut\":{},\"duration\":{}}}",
            call.id,
            request.version,
            call.host.escape_default(),
            path.escape_default(),
            session.body_bytes_read(),
            session.body_bytes_sent(),
            call.started.elapsed().as_micros(),
        );
        if pending.block.len() >= BLOCK || pending.since.elapsed() > PATIENCE {
            pending.hand_over();
        }
    }
}

impl Pending {
    /// Gives the block to the file. A disk that is full costs lines, not requests.
    fn hand_over(&mut self) {
        let _ = self.file.write_all(&self.block);
        self.block.clear();
        self.since = Instant::now();
    }
}
