//! A load of HTTP/1.1 in clear that knows for each request which answer is right, and ends at the first that is not.
//!
//! `drive to=ADDRESS host=tenant-{}.example:80 tenants=1 path=/100 length=100 connections=64 seconds=5`
//!
//! - `tenants=N`: requests go to N hosts in turn; `{}` stands for the number.
//! - `refused=100 stranger=HOST`: each hundredth request goes to a host of nobody, and must be refused with 404.
//! - `rate=N`: so many requests a second, each due at its own time whether those before it were answered or not (exponential
//!   gaps, the same in each run). A request that finds no free connection waits; its latency counts from when it was due. Without a rate,
//!   each connection asks again as soon as it was answered.
//!   Where a request has waited for a second, the proxy cannot keep up (`overloaded`): what waits is dropped and no more is asked.
//! - `answers=N`: ends after so many answers, not after a time.
//!
//! Figures go to stdout, as JSON: answers, refused ones, and latencies in microseconds.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use helpers::head::Head;
use helpers::{Arguments, Poller, Trouble, end, not_yet};

/// How long answers may take after the last request.
const PATIENCE: Duration = Duration::from_secs(20);
/// A request that has waited so long shows that more come than go.
const LATE: Duration = Duration::from_secs(1);
const ROOM: usize = 256 * 1024;

/// What is asked, and how often.
struct Plan {
    to: String,
    requests: Vec<Vec<u8>>,
    stranger: Vec<u8>,
    refused: u64,
    length: usize,
    rate: f64,
    until: Duration,
    answers: u64,
}

/// A request under way.
struct Asked {
    due: Duration,
    status: u16,
}

struct Connection {
    stream: TcpStream,
    came: Vec<u8>,
    asked: Option<Asked>,
}

struct Drive {
    plan: Plan,
    poller: Poller,
    connections: Vec<Connection>,
    /// Connections without a request, the longest idle first.
    idle: VecDeque<usize>,
    /// Requests that are due and found no connection.
    waiting: VecDeque<Duration>,
    sent: u64,
    started: Instant,
    latencies: Vec<u64>,
    refused: u64,
    reconnects: u64,
    overloaded: bool,
    room: Vec<u8>,
}

impl Drive {
    fn new(plan: Plan, connections: usize) -> Result<Self, Trouble> {
        let poller = Poller::new()?;
        let connections = (0..connections).map(|number| connect(&plan.to, &poller, number)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            idle: (0..connections.len()).collect(),
            plan,
            poller,
            connections,
            waiting: VecDeque::new(),
            sent: 0,
            started: Instant::now(),
            latencies: Vec::with_capacity(1 << 20),
            refused: 0,
            reconnects: 0,
            overloaded: false,
            room: vec![0; ROOM],
        })
    }

    /// Asks until the plan is fulfilled, and waits for all answers.
    fn run(&mut self) -> Result<(), Trouble> {
        self.started = Instant::now();
        let mut gaps = Gaps::new(self.plan.rate);
        let mut next = Duration::ZERO;
        loop {
            let now = self.started.elapsed();
            let over = now >= self.plan.until || self.due() >= self.plan.answers;
            if self.plan.rate > 0.0 {
                while next <= now && next < self.plan.until {
                    self.waiting.push_back(next);
                    next += gaps.next();
                }
                if self.waiting.front().is_some_and(|&due| now.saturating_sub(due) > LATE) {
                    self.overloaded = true;
                    self.plan.until = now;
                    self.waiting.clear();
                }
            } else if !over {
                let room = self.idle.len().min((self.plan.answers - self.due()) as usize);
                self.waiting.extend(std::iter::repeat_n(now, room.saturating_sub(self.waiting.len())));
            }
            while !self.waiting.is_empty() && !self.idle.is_empty() {
                let (Some(due), Some(number)) = (self.waiting.pop_front(), self.idle.pop_front()) else { break };
                self.ask(number, due)?;
            }
            if over && self.waiting.is_empty() && self.idle.len() == self.connections.len() {
                return Ok(());
            }
            if now > self.plan.until.saturating_add(PATIENCE) {
                return Err(format!("{} requests were not answered", self.waiting.len() + self.connections.len() - self.idle.len()).into());
            }
            let end = if over { now + PATIENCE } else { self.plan.until };
            self.wait(if self.plan.rate > 0.0 && next < self.plan.until { next } else { end }.saturating_sub(now))?;
        }
    }

    /// Requests that were sent or wait to be.
    fn due(&self) -> u64 {
        self.sent + self.waiting.len() as u64
    }

    fn wait(&mut self, time: Duration) -> Result<(), Trouble> {
        let ready: Vec<usize> = self.poller.wait(Some(time))?.collect();
        for number in ready {
            self.read(number)?;
        }
        Ok(())
    }

    fn ask(&mut self, number: usize, due: Duration) -> Result<(), Trouble> {
        self.sent += 1;
        let strange = self.plan.refused > 0 && self.sent.is_multiple_of(self.plan.refused);
        let request =
            if strange { &self.plan.stranger } else { &self.plan.requests[(self.sent % self.plan.requests.len() as u64) as usize] };
        let connection = &mut self.connections[number];
        connection.asked = Some(Asked { due, status: if strange { 404 } else { 200 } });
        // A request fits into the buffer of a socket that has none before it.
        Ok(connection.stream.write_all(request)?)
    }

    fn read(&mut self, number: usize) -> Result<(), Trouble> {
        let connection = &mut self.connections[number];
        match connection.stream.read(&mut self.room) {
            Ok(0) if connection.asked.is_none() => return self.reconnect(number),
            Ok(0) => return Err("a connection ended before its answer".into()),
            Ok(many) => connection.came.extend_from_slice(&self.room[..many]),
            Err(error) if not_yet(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let Some(head) = Head::read(&connection.came) else { return Ok(()) };
        let body = head.content_length().ok_or("an answer does not tell its length")?;
        if connection.came.len() < head.length + body {
            return Ok(());
        }
        let asked = connection.asked.take().ok_or("an answer to nothing")?;
        let right = head.status() == asked.status && (asked.status != 200 || body == self.plan.length);
        if !right || connection.came.len() > head.length + body {
            return Err(format!("a wrong answer: {}, {body} octets, where {} was due", head.first, asked.status).into());
        }
        let closes = head.closes();
        connection.came.clear();
        if asked.status == 200 {
            self.latencies.push((self.started.elapsed() - asked.due).as_nanos() as u64);
        } else {
            self.refused += 1;
        }
        self.idle.push_back(number);
        if closes { self.reconnect(number) } else { Ok(()) }
    }

    /// A connection that the proxy closed rightly, between answers.
    fn reconnect(&mut self, number: usize) -> Result<(), Trouble> {
        self.reconnects += 1;
        self.connections[number] = connect(&self.plan.to, &self.poller, number)?;
        Ok(())
    }

    fn print(mut self) {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let at = |share: f64| self.latencies.get((last as f64 * share).round() as usize).map_or(0.0, |&time| time as f64 / 1000.0);
        println!(
            "{{\"answers\":{},\"refused\":{},\"sent\":{},\"reconnects\":{},\"seconds\":{:.3},\"p50\":{:.1},\"p99\":{:.1},\"p999\":{:.1},\"overloaded\":{}}}",
            self.latencies.len(),
            self.refused,
            self.sent,
            self.reconnects,
            self.started.elapsed().as_secs_f64(),
            at(0.5),
            at(0.99),
            at(0.999),
            self.overloaded,
        );
    }
}

fn connect(to: &str, poller: &Poller, number: usize) -> Result<Connection, Trouble> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    poller.watch(&stream, number)?;
    Ok(Connection { stream, came: Vec::new(), asked: None })
}

/// Gaps between requests of many who know nothing of each other.
struct Gaps {
    mean: f64,
    state: u64,
}

impl Gaps {
    fn new(rate: f64) -> Self {
        Self { mean: if rate > 0.0 { 1.0 / rate } else { 0.0 }, state: 0x9e37_79b9_7f4a_7c15 }
    }

    fn next(&mut self) -> Duration {
        // xorshift64: its 53 upper bits are a share of one, never all of it.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let share = (self.state >> 11) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-(1.0 - share).ln() * self.mean)
    }
}

fn request(path: &str, host: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

fn plan(arguments: &Arguments) -> Result<Plan, Trouble> {
    let (path, host): (String, String) = (arguments.get("path")?, arguments.get("host")?);
    let answers = arguments.get_or("answers", u64::MAX)?;
    let seconds = if answers == u64::MAX { arguments.get("seconds")? } else { 3600 };
    Ok(Plan {
        to: arguments.get("to")?,
        requests: (0..arguments.get_or("tenants", 1)?).map(|at: u32| request(&path, &host.replace("{}", &at.to_string()))).collect(),
        stranger: request(&path, &arguments.get_or("stranger", String::new())?),
        refused: arguments.get_or("refused", 0)?,
        length: arguments.get("length")?,
        rate: arguments.get_or("rate", 0.0)?,
        until: Duration::from_secs(seconds),
        answers,
    })
}

fn run() -> Result<(), Trouble> {
    // Requests are due at microseconds, and the kernel would wake this 50 of them late to save wake-ups.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let arguments = Arguments::of_program();
    let mut drive = Drive::new(plan(&arguments)?, arguments.get("connections")?)?;
    drive.run()?;
    drive.print();
    Ok(())
}

fn main() -> ExitCode {
    end("drive", run())
}
