//! A payment provider of a test: what gatehouse uses of Stripe's API, on a port of its own. It keeps to idempotency keys as Stripe does,
//! and answers, declines, hangs and forgets as the test says.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use gatehouse::billing::payments::webhook::sign;
use gatehouse::clock::{Clock, SystemClock};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The key that is let in.
pub const KEY: &str = "sk_test_51HnobodysRealKey";
/// What webhooks are signed with.
pub const SECRET: &str = "whsec_nobodysRealSecret";

/// What becomes of a request that would otherwise be done and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The card is declined, with this code.
    Decline(&'static str),
    /// Nothing is done; this status is answered.
    Fail(u16),
    /// Nothing is done, and nothing is answered.
    Hang,
    /// It is done, and nothing is answered.
    Hold,
    /// It is done, and the connection is closed instead of an answer.
    Close,
    /// The payment takes its time, until [`decide`](FakeStripe::decide).
    TakeTime,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub form: BTreeMap<String, String>,
    pub key: Option<String>,
    pub version: Option<String>,
    pub authorization: Option<String>,
}

/// It runs until it is dropped.
pub struct FakeStripe {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    turns: VecDeque<(&'static str, String, Turn)>,
    /// Bodies and answers by their key.
    keys: HashMap<String, (Bytes, (u16, Value))>,
    intents: Vec<Value>,
    refunds: Vec<Value>,
    customers: usize,
    lists_nothing: bool,
}

impl FakeStripe {
    /// Starts it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                connections.spawn(async move { drop(connection.await) });
            }
        });
        Self { address, state, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What becomes of the next POST whose path begins like this and whose body contains this text; after those said before.
    pub fn will(&self, path: &'static str, containing: &str, turn: Turn) {
        self.state().turns.push_back((path, containing.to_owned(), turn));
    }

    /// Payments are made and not listed: as if there were too many newer ones.
    pub fn lists_nothing(&self) {
        self.state().lists_nothing = true;
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// The POSTs to a path.
    pub fn posts(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.method == Method::POST && seen.path == path).collect()
    }

    /// A payment that somebody else has made in the same account.
    pub fn has(&self, intent: Value) {
        self.state().intents.push(intent);
    }

    /// All payments, the first first.
    pub fn intents(&self) -> Vec<Value> {
        self.state().intents.clone()
    }

    /// Amounts that were taken.
    pub fn taken(&self) -> Vec<i64> {
        let succeeded = |intent: &Value| (intent["status"] == "succeeded").then(|| intent["amount"].as_i64().expect("an amount"));
        self.state().intents.iter().filter_map(succeeded).collect()
    }

    /// Amounts that were given back.
    pub fn given_back(&self) -> Vec<i64> {
        self.state().refunds.iter().map(|refund| refund["amount"].as_i64().expect("an amount")).collect()
    }

    /// Payments that take their time have come to this.
    pub fn decide(&self, declined: Option<&str>) {
        for intent in self.state().intents.iter_mut().filter(|intent| intent["status"] == "processing") {
            conclude(intent, declined);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message about an object, as Stripe writes them.
pub fn event(id: &str, kind: &str, object: &Value) -> String {
    json!({"id": id, "object": "event", "type": kind, "livemode": false, "data": {"object": object}}).to_string()
}

/// The field that goes with it.
pub fn signature(body: &str) -> String {
    sign(&SecretString::from(SECRET), body.as_bytes(), SystemClock.now())
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let field = |name: &str| parts.headers.get(name).map(|value| value.to_str().expect("a readable field").to_owned());
    let seen = Seen {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        form: url::form_urlencoded::parse(&body).into_owned().collect(),
        key: field("idempotency-key"),
        version: field("stripe-version"),
        authorization: field("authorization"),
    };
    let (turn, (status, answer)) = state.lock().expect("not poisoned").take(&seen, &parts.uri, &body);
    match turn {
        Some(Turn::Hang | Turn::Hold) => std::future::pending().await,
        Some(Turn::Close) => Err(io::Error::other("as the test wants")),
        _ => {
            let mut response = Response::new(Full::new(Bytes::from(answer.to_string())));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok(response)
        }
    }
}

impl State {
    fn take(&mut self, seen: &Seen, uri: &http::Uri, body: &Bytes) -> (Option<Turn>, (u16, Value)) {
        self.seen.push(seen.clone());
        if seen.authorization.as_deref() != Some(&format!("Bearer {KEY}")) {
            return (None, error(401, "invalid_request_error", "Invalid API Key provided"));
        }
        if seen.method == Method::GET {
            return (None, self.get(&seen.path, uri.query().unwrap_or_default()));
        }
        let key = seen.key.clone().unwrap_or_default();
        match self.keys.get(&key) {
            Some((before, _)) if before != body => {
                let text = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
                return (None, error(400, "idempotency_error", text));
            }
            Some((_, answer)) => return (None, answer.clone()),
            None => {}
        }
        let text = String::from_utf8_lossy(body);
        let at = self.turns.iter().position(|(path, part, _)| seen.path.starts_with(path) && text.contains(part.as_str()));
        let turn = at.and_then(|at| self.turns.remove(at)).map(|(_, _, turn)| turn);
        match turn {
            Some(Turn::Fail(status @ 400..500)) => return (turn, error(status, "invalid_request_error", "An error of this test")),
            Some(Turn::Fail(status)) => return (turn, error(status, "api_error", "An error of this test")),
            Some(Turn::Hang) => return (turn, (0, Value::Null)),
            _ => {}
        }
        let answer = self.post(seen, turn);
        self.keys.insert(key, (body.clone(), answer.clone()));
        (turn, answer)
    }

    fn get(&self, path: &str, query: &str) -> (u16, Value) {
        let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if path == "/v1/payment_intents" {
            let of = |intent: &&Value| !self.lists_nothing && query.get("customer").is_none_or(|customer| intent["customer"] == **customer);
            let data: Vec<Value> = self.intents.iter().rev().filter(of).cloned().collect();
            return (200, json!({"object": "list", "has_more": false, "data": data}));
        }
        let id = path.strip_prefix("/v1/payment_intents/").unwrap_or_default();
        let found = self.intents.iter().find(|intent| intent["id"] == id);
        found.map_or_else(|| error(404, "invalid_request_error", "No such payment_intent"), |intent| (200, intent.clone()))
    }

    fn post(&mut self, seen: &Seen, turn: Option<Turn>) -> (u16, Value) {
        let form = |name: &str| seen.form.get(name).cloned();
        let attached = seen.path.strip_prefix("/v1/payment_methods/").and_then(|rest| rest.strip_suffix("/attach"));
        match (seen.path.as_str(), attached, turn) {
            (_, Some(_), Some(Turn::Decline(code))) => card_error(code, None),
            (_, Some(id), _) => {
                let card = json!({"brand": "visa", "last4": "4242"});
                (200, json!({"id": id, "object": "payment_method", "type": "card", "card": card, "customer": form("customer")}))
            }
            ("/v1/customers", ..) => {
                self.customers += 1;
                (200, json!({"id": format!("cus_{}", self.customers), "object": "customer", "name": form("name")}))
            }
            ("/v1/payment_intents", ..) => self.charge(seen, turn),
            ("/v1/refunds", ..) => {
                let amount: i64 = form("amount").and_then(|amount| amount.parse().ok()).expect("an amount");
                let refund = json!({"id": format!("re_{}", self.refunds.len() + 1), "object": "refund", "amount": amount,
                    "payment_intent": form("payment_intent"), "status": "succeeded"});
                self.refunds.push(refund.clone());
                (200, refund)
            }
            _ => error(404, "invalid_request_error", "Unrecognized request URL"),
        }
    }

    fn charge(&mut self, seen: &Seen, turn: Option<Turn>) -> (u16, Value) {
        let form = |name: &str| seen.form.get(name).cloned();
        let metadata: BTreeMap<&str, &str> = seen.form.iter().filter_map(|(name, value)| Some((member(name)?, value.as_str()))).collect();
        let mut intent = json!({
            "id": format!("pi_{}", self.intents.len() + 1), "object": "payment_intent", "status": "processing",
            "amount": form("amount").and_then(|amount| amount.parse::<i64>().ok()).expect("an amount"), "currency": form("currency"),
            "customer": form("customer"), "payment_method": form("payment_method"), "metadata": metadata, "last_payment_error": null,
        });
        match turn {
            Some(Turn::TakeTime) => {}
            Some(Turn::Decline(code)) => conclude(&mut intent, Some(code)),
            _ => conclude(&mut intent, None),
        }
        self.intents.push(intent.clone());
        match turn {
            Some(Turn::Decline(code)) => card_error(code, Some(&intent)),
            _ => (200, intent),
        }
    }
}

fn member(name: &str) -> Option<&str> {
    name.strip_prefix("metadata[")?.strip_suffix(']')
}

fn conclude(intent: &mut Value, declined: Option<&str>) {
    match declined {
        None => intent["status"] = json!("succeeded"),
        Some(code) => {
            intent["status"] = json!("requires_payment_method");
            intent["last_payment_error"] = card_error(code, None).1["error"].take();
        }
    }
}

fn card_error(code: &str, intent: Option<&Value>) -> (u16, Value) {
    let message = "Your card was declined.";
    let error = json!({"type": "card_error", "code": "card_declined", "decline_code": code, "message": message, "payment_intent": intent});
    (402, json!({"error": error}))
}

fn error(status: u16, kind: &str, message: &str) -> (u16, Value) {
    (status, json!({"error": {"type": kind, "message": message}}))
}
