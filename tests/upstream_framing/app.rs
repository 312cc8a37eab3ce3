//! An app that answers with octets of the test's own, and tells on which of its connections it did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the app does after its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It closes the connection.
    Close,
    /// It takes the next request on the same connection.
    Stay,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Script {
    pub says: Vec<u8>,
    pub then: Then,
    /// Where the octets begin that come together in any case.
    pub together: usize,
}

/// It runs until it is dropped. `/case/<n>` gets script number n, everything else its own path as a proper answer.
pub struct App {
    pub url: String,
    /// The connection that a path was asked for on, the last time.
    asked: Arc<Mutex<HashMap<String, usize>>>,
    task: tokio::task::JoinHandle<()>,
}

impl App {
    /// With these answers; `octet_by_octet` if each octet is to be a write of its own.
    pub async fn start(scripts: Vec<Script>, octet_by_octet: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (scripts, asked) = (Arc::new(scripts), Arc::<Mutex<HashMap<_, _>>>::default());
        let kept = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            for number in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                stream.set_nodelay(true).unwrap();
                let (scripts, asked) = (Arc::clone(&scripts), Arc::clone(&kept));
                tasks.spawn(async move {
                    let mut served = Served { stream, number, octet_by_octet };
                    while served.answer_one(&scripts, &asked).await.is_some() {}
                });
            }
        });
        Self { url, asked, task }
    }

    /// Whether two paths were asked for on the same connection.
    pub fn on_one_connection(&self, one: &str, other: &str) -> bool {
        let asked = self.asked.lock().unwrap();
        asked[one] == asked[other]
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Served {
    stream: TcpStream,
    number: usize,
    octet_by_octet: bool,
}

impl Served {
    /// None when the connection has ended.
    async fn answer_one(&mut self, scripts: &[Script], asked: &Mutex<HashMap<String, usize>>) -> Option<()> {
        let path = self.path().await?;
        asked.lock().unwrap().insert(path.clone(), self.number);
        let Some(case) = path.strip_prefix("/case/") else {
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len());
            return self.stream.write_all(answer.as_bytes()).await.ok();
        };
        let Script { says, then, together } = &scripts[case.parse::<usize>().unwrap()];
        let (alone, together) = says.split_at(if self.octet_by_octet { *together } else { 0 });
        for octet in alone {
            self.stream.write_all(&[*octet]).await.ok()?;
            tokio::task::yield_now().await;
        }
        self.stream.write_all(together).await.ok()?;
        (*then == Then::Stay).then_some(())
    }

    /// The path of the next request, which has no body.
    async fn path(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let text = String::from_utf8(head).unwrap();
        Some(text.split(' ').nth(1).unwrap().to_owned())
    }
}
