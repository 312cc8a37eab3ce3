//! `kill -9` at any moment under load: each call that a client received is counted, none twice, and octets within what buffers
//! hold.
//!
//! Six rounds here. Many of them, and those of a run that failed once more (the moments and the mix, not the machine's timing):
//!
//! ```text
//! KILL_ROUNDS=200 cargo nextest run kills
//! KILL_SEED=1234 cargo nextest run kills
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastrand::Rng;
use futures_util::future::join_all;
use http::{Method, Response, Version};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::connect::H2Streams;
use crate::support::upstream::{RunningUpstream, full};
use crate::support::{Answer, Connection, TestGateway, Upstream, eventually, tenant, within_one_day_for};

const PLACES: u64 = 10_000_000;
const SMALL: usize = 3_000;
/// More than everything between the gateway and a client holds.
const LARGE: usize = 2 << 20;
/// Streams of one HTTP/2 connection at a time.
const STREAMS: u64 = 3;
const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// Each of HTTP/1.1: two at work, one that reads no further than the first octets. The same of HTTP/2.
const WORKING: u64 = 2;
const PAUSED: u64 = 1;

/// What a client lets the system hold for it: asked for, and what Linux makes of it.
const RECEIVE: u32 = 128 << 10;
const RECEIVED: u64 = 2 * RECEIVE as u64;
/// What can be counted and never reach the client, of a connection: 64 KiB in TLS, 64 KiB unsent in the system
/// (`TCP_NOTSENT_LOWAT`) and as much as one write brings beyond it, what is on its way, and a piece of 32 KiB that HTTP/1.1 holds.
const OF_CONNECTION: u64 = (64 + 64 + 64 + 32) * 1024 + RECEIVED;
/// The same of a stream of HTTP/2: 64 KiB that are ahead of the connection, and a piece.
const OF_STREAM: u64 = (64 + 32) * 1024;
const OVERSHOOT: u64 = 2 * (WORKING + PAUSED) * OF_CONNECTION + (WORKING * STREAMS + PAUSED) * OF_STREAM;

/// What the clients of a tenant know in the end.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    /// Calls received whole.
    whole: u64,
    /// Calls that were under way at the kill.
    begun: u64,
    /// Body octets received, those of calls that were cut included.
    octets: u64,
}

impl Known {
    fn add(&mut self, other: Self) {
        self.whole += other.whole;
        self.begun += other.begun;
        self.octets += other.octets;
    }

    fn ended(&mut self, octets: usize, whole: bool, length: usize) {
        assert!(!whole || octets == length, "{octets} of {length} octets came as a whole answer");
        self.whole += u64::from(whole);
        self.begun += u64::from(!whole);
        self.octets += octets as u64;
    }
}

/// What a client needs.
#[derive(Clone)]
struct Client {
    rng: Rng,
    /// Calls received whole, by all.
    counted: Arc<AtomicU64>,
    /// True once the gateway is dead: who had paused reads on.
    dead: watch::Receiver<bool>,
}

impl Client {
    fn path(&mut self) -> (&'static str, usize) {
        if self.rng.u8(..8) == 0 { ("/large", LARGE) } else { ("/small", SMALL) }
    }

    /// Asks over HTTP/1.1 until the connection fails.
    async fn over_http1(mut self, mut connection: Connection) -> Known {
        let mut known = Known::default();
        loop {
            let (path, length) = self.path();
            let (octets, whole) = match connection.begin(Method::GET, path, &[], "").await {
                Ok(response) => self.read(response, false).await,
                Err(_) => (0, false),
            };
            known.ended(octets, whole, length);
            if !whole {
                return known;
            }
            self.counted.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Asks for an app that is down until the connection fails; every call is given back.
    async fn in_vain(self, mut connection: Connection) -> Known {
        let mut known = Known { begun: 1, ..Known::default() };
        while let Ok(answer) = connection.send(Method::GET, "/", &[], "").await {
            answer.expect(502);
            known.whole += 1;
        }
        known
    }

    /// Asks for something large, and reads on only when the gateway is dead.
    async fn paused(mut self, mut connection: Connection) -> Known {
        let mut known = Known::default();
        let (octets, whole) = match connection.begin(Method::GET, "/large", &[], "").await {
            Ok(response) => self.read(response, true).await,
            Err(_) => (0, false),
        };
        known.ended(octets, whole, LARGE);
        known
    }

    /// Asks over several streams of HTTP/2 at a time until the connection fails.
    async fn over_http2(mut self, mut connection: H2Streams, streams: u64, pauses: bool) -> Known {
        let mut known = Known::default();
        loop {
            let mut asked = Vec::new();
            for _ in 0..streams {
                let (path, length) = if pauses { ("/large", LARGE) } else { self.path() };
                match connection.begin_with("GET", path, false, |request| request).await {
                    Ok((response, _)) => asked.push((response, length)),
                    // Not sent, most likely; but nobody can know.
                    Err(_) => known.begun += 1,
                }
            }
            let failed = (asked.len() as u64) < streams;
            let read = asked.into_iter().map(|(response, length)| {
                let mut client = self.clone();
                async move {
                    match response.await {
                        Ok(response) => (client.read_stream(response, pauses).await, length),
                        Err(_) => ((0, false), length),
                    }
                }
            });
            let read = join_all(read).await;
            for ((octets, whole), length) in &read {
                known.ended(*octets, *whole, *length);
            }
            self.counted.fetch_add(read.iter().filter(|((_, whole), _)| *whole).count() as u64, Ordering::SeqCst);
            if failed || read.iter().any(|((_, whole), _)| !whole) {
                return known;
            }
        }
    }

    /// How many octets of a body came, and whether that was all of it.
    async fn read(&mut self, response: Response<hyper::body::Incoming>, pauses: bool) -> (usize, bool) {
        assert_eq!(response.status(), 200);
        let (mut body, mut octets) = (response.into_body(), 0);
        loop {
            match body.frame().await {
                Some(Ok(frame)) => octets += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) => return (octets, false),
                None => return (octets, true),
            }
            if pauses {
                self.dead.wait_for(|dead| *dead).await.unwrap();
            }
        }
    }

    /// The same of a stream of HTTP/2.
    async fn read_stream(&mut self, response: Response<h2::RecvStream>, pauses: bool) -> (usize, bool) {
        assert_eq!(response.status(), 200);
        let (mut body, mut octets) = (response.into_body(), 0);
        loop {
            match body.data().await {
                Some(Ok(data)) => {
                    octets += data.len();
                    // The connection may be gone by now.
                    let _ = body.flow_control().release_capacity(data.len());
                }
                Some(Err(_)) => return (octets, false),
                None => return (octets, true),
            }
            if pauses {
                self.dead.wait_for(|dead| *dead).await.unwrap();
            }
        }
    }
}

/// Answers with something small or large.
async fn app() -> RunningUpstream {
    let (small, large) = (Bytes::from(vec![b's'; SMALL]), Bytes::from(vec![b'l'; LARGE]));
    let app = Upstream::with(move |request| {
        let body = full(if request.uri().path() == "/large" { large.clone() } else { small.clone() });
        async { Response::new(body) }
    });
    app.start().await
}

/// A connection whose client lets the system hold little for it.
async fn narrow(gateway: &TestGateway) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(RECEIVE).unwrap();
    let address: SocketAddr = gateway.https.unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Starts a tenant's clients.
async fn clients(gateway: &TestGateway, slug: &str, client: &mut Client, set: &mut JoinSet<Known>) {
    for nth in 0..WORKING + PAUSED {
        let pauses = nth >= WORKING;
        let one = gateway.connect_over(narrow(gateway).await, Version::HTTP_11, slug).await;
        let two = gateway.h2_streams_over(narrow(gateway).await, slug).await;
        let mut another = || Client { rng: client.rng.fork(), ..client.clone() };
        let (of_one, of_two) = (another(), another());
        if pauses {
            set.spawn(of_one.paused(one));
        } else {
            set.spawn(of_one.over_http1(one));
        }
        set.spawn(of_two.over_http2(two, if pauses { 1 } else { STREAMS }, pauses));
    }
}

/// What a tenant's clients knew after all rounds, and what the gateway said then.
#[derive(Debug, Default, Clone, Copy)]
struct Account {
    calls: u64,
    octets: u64,
    aborted: u64,
}

impl Account {
    /// Compares what is counted with what the clients know of this round. One more call is made, to see the places that are left.
    async fn settle(&mut self, gateway: &TestGateway, slug: &str, known: Known, what: &str) {
        let usage = gateway.usage(slug).await;
        let number = |name: &str| usage[name].as_u64().unwrap();
        let (calls, octets) = (number("apiCalls") - self.calls, number("bandwidth") - self.octets);
        assert!(known.whole <= calls && calls <= known.whole + known.begun, "{what}: {calls} calls counted of {known:?}");
        assert!(known.octets <= octets && octets <= known.octets + OVERSHOOT, "{what}: {octets} octets counted of {known:?}");
        // Admitted = metered + given back + aborted: what was under way is not billed, but keeps its place.
        let taken = places_before(&gateway.get(slug, "/small").await.expect(200));
        let aborted = taken - number("apiCalls") - self.aborted;
        assert!(aborted + calls <= known.whole + known.begun, "{what}: {calls} calls and {aborted} aborted ones of {known:?}");
        *self = Self { calls: number("apiCalls") + 1, octets: number("bandwidth") + SMALL as u64, aborted: self.aborted + aborted };
    }
}

/// Places of the day that were taken before this call, which keeps its own only if the app has answered.
fn places_before(answer: &Answer) -> u64 {
    let (_, left) = answer.header("ratelimit").split_once("\"day\";r=").unwrap();
    PLACES - left.split(';').next().unwrap().parse::<u64>().unwrap() - u64::from(answer.status == 200)
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Waits for a moment of the round, but for some calls at least; then the process is dead.
async fn kill(gateway: &mut TestGateway, after: Duration, counted: &AtomicU64) {
    let begun = Instant::now();
    eventually("the moment has come", || async { (begun.elapsed() >= after && counted.load(Ordering::SeqCst) > 0).then_some(()) }).await;
    gateway.signal("KILL");
    gateway.ended().await;
}

#[tokio::test]
async fn kills_at_any_moment_lose_no_call_that_a_client_received_and_count_none_twice() {
    let (rounds, seed) = (variable("KILL_ROUNDS").unwrap_or(6), variable("KILL_SEED").unwrap_or_else(|| fastrand::u64(..)));
    eprintln!("KILL_SEED={seed}");
    within_one_day_for(60 + 3 * rounds).await;
    let origin = app().await;
    // Nothing listens there, so that each of its calls is given back.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let down = tenant("down").calls_per_day(PLACES).with("upstream", format!("http://{}", nobody.local_addr().unwrap()));
    let mut gateway = TestGateway::to(&origin).tenant(tenant("idle")).tenant(down);
    for slug in TENANTS {
        gateway = gateway.tenant(tenant(slug).calls_per_day(PLACES));
    }
    let mut gateway = gateway.start().await;
    let (mut accounts, mut rng, mut total) = ([Account::default(); TENANTS.len()], Rng::with_seed(seed), Known::default());
    // Of the app that is down: calls that a kill met.
    let mut lost = 0;
    for round in 0..rounds {
        let (told, dead) = watch::channel(false);
        let mut client = Client { rng: rng.fork(), counted: Arc::default(), dead };
        let mut sets: [JoinSet<Known>; TENANTS.len()] = Default::default();
        for (slug, set) in TENANTS.into_iter().zip(&mut sets) {
            clients(&gateway, slug, &mut client, set).await;
        }
        let vain = Client { rng: rng.fork(), ..client.clone() }.in_vain(gateway.connect(Version::HTTP_11, "down").await);
        let vain = tokio::spawn(vain);
        let after = Duration::from_millis(rng.u64(10..1_000));
        kill(&mut gateway, after, &client.counted).await;
        told.send_replace(true);
        gateway.start_again().await;
        for ((slug, set), account) in TENANTS.into_iter().zip(sets).zip(&mut accounts) {
            let mut known = Known::default();
            set.join_all().await.into_iter().for_each(|one| known.add(one));
            account.settle(&gateway, slug, known, &format!("{slug} in round {round}, killed after {after:?}")).await;
            total.add(known);
        }
        let vain = vain.await.unwrap();
        let taken = places_before(&gateway.get("down", "/").await.expect(502)) - lost;
        assert!(taken <= vain.begun, "round {round}: {taken} places are not given back of {vain:?}");
        lost += taken;
        let balance = gateway.admin(Method::GET, "/admin/usage/verify", Value::Null).await.expect(200).json();
        assert_eq!((&balance["closes"], &balance["open"]), (&true.into(), &serde_json::json!([])), "round {round}: {balance}");
        assert_eq!((&gateway.usage("down").await["apiCalls"], &gateway.usage("idle").await["apiCalls"]), (&0.into(), &0.into()));
    }
    eprintln!("{rounds} kills: {total:?}");
    assert!(total.whole > 20 * rounds && total.begun > rounds, "{total:?} is no load");
    let numbers = async |gateway: &TestGateway| {
        let mut numbers: Vec<Value> = Vec::new();
        for slug in TENANTS {
            let usage = gateway.usage(slug).await;
            numbers.extend(["apiCalls", "bandwidth"].map(|name| usage[name].clone()));
        }
        numbers
    };
    let before = numbers(&gateway).await;
    assert!(gateway.stop().await.success());
    gateway.start_again().await;
    assert_eq!(before, numbers(&gateway).await, "nothing is added later, by a fold or another start");
}

#[tokio::test]
async fn what_a_client_does_not_read_is_counted_as_far_as_buffers_take_it_and_no_kill_changes_that() {
    within_one_day_for(60).await;
    let origin = app().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("one")).tenant(tenant("two")).start().await;
    let mut one = gateway.connect_over(narrow(&gateway).await, Version::HTTP_11, "one").await;
    let mut two = gateway.h2_streams_over(narrow(&gateway).await, "two").await;
    let mut one = one.begin(Method::GET, "/large", &[], "").await.unwrap().into_body();
    let (two, _) = two.begin("GET", "/large", false).await;
    let mut two = two.await.unwrap().into_body();
    let first_of_one = one.frame().await.unwrap().unwrap().into_data().unwrap().len() as u64;
    let first_of_two = two.data().await.unwrap().unwrap().len() as u64;
    let mut counted = [0, 0];
    for ((slug, read), counted) in [("one", first_of_one), ("two", first_of_two)].into_iter().zip(&mut counted) {
        *counted = at_rest(&gateway, slug).await;
        assert!(read <= *counted && *counted <= read + OF_CONNECTION + OF_STREAM, "{slug}: {read} octets were read of {counted} counted");
    }
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    for (slug, counted) in ["one", "two"].into_iter().zip(counted) {
        let usage = gateway.usage(slug).await;
        assert_eq!((usage["apiCalls"].as_u64(), usage["bandwidth"].as_u64()), (Some(1), Some(counted)), "{slug}");
    }
}

/// The octets that are counted, once they stay.
async fn at_rest(gateway: &TestGateway, slug: &str) -> u64 {
    const STILL: usize = 25;
    let seen = std::cell::RefCell::new(Vec::new());
    eventually("the buffers are full", || async {
        let now = gateway.usage(slug).await["bandwidth"].as_u64().unwrap();
        let mut seen = seen.borrow_mut();
        if seen.last() != Some(&now) {
            seen.clear();
        }
        seen.push(now);
        (seen.len() == STILL).then_some(now)
    })
    .await
}
