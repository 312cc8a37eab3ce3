//! hyper's clients on the cases: its bare connections over both versions of HTTP, and reqwest.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::{Either, join_all, select};
use http::header::{CONTENT_LENGTH, HOST, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use super::cases::{self, Case};
use super::places::{Place, Places};
use super::verdict::{Verdict, latin1, octets_of, pairs, pattern, shown};
use crate::support::raw::{Io, within};

type Body = BoxBody<Bytes, std::io::Error>;
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Interim = Arc<Mutex<Vec<Value>>>;

/// One connection.
enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// An exchange that runs.
struct Exchange {
    /// The pieces of the request's body; dropping it ends the body.
    body: Option<mpsc::Sender<Frame<Bytes>>>,
    answer: tokio::task::JoinHandle<hyper::Result<Response<Incoming>>>,
    /// Interim responses, where hyper shows them.
    interim: Option<Interim>,
    /// Told with each interim response.
    told: Arc<Notify>,
}

/// All verdicts of hyper's own client, on a connection for each case.
pub async fn hyper_verdicts(places: &Places) -> Vec<Verdict> {
    let at = |place: &Place| {
        let place = place.clone();
        let tls = places.trusting(if place.way == "h2" { "h2" } else { "http/1.1" });
        async move {
            let mut verdicts = Vec::new();
            for case in cases::all().into_iter().filter(|case| is_done(case, &place)) {
                let io = place.connect(&tls).await;
                let outcome = tokio::time::timeout(std::time::Duration::from_secs(60), run(io, &place, &case)).await;
                let outcome = outcome.unwrap_or_else(|_| Err("no end of it".into()));
                verdicts.push(place.verdict("hyper", &case, outcome.unwrap_or_else(|error| json!({"failed": format!("{error:?}")}))));
            }
            verdicts
        }
    };
    join_all(places.all.iter().map(at)).await.concat()
}

fn is_done(case: &Case, place: &Place) -> bool {
    // hyper shows no interim responses over HTTP/2, and neither follows nor keeps anything.
    let unable: &[&str] = if place.way == "h2" { &["follow", "jar", "expect"] } else { &["follow", "jar"] };
    !place.without.contains(&case.name.as_str()) && !unable.contains(&case.kind)
}

async fn run(io: Box<dyn Io>, place: &Place, case: &Case) -> Result<Value, Failure> {
    let mut sender = Sender::over(io, place.way == "h2").await?;
    match case.kind {
        "expect" => expect(&mut sender, place, case).await,
        "early" => {
            let mut exchange = sender.begin(place, case, &case.target)?;
            exchange.send(pattern(1000)).await;
            let status = exchange.head().await?.status().as_u16();
            Ok(json!({"note": format!("answered {status} while the upload ran")}))
        }
        "mirror" => mirror(&mut sender, place, case).await,
        "many" => {
            let mut statuses = BTreeSet::new();
            for count in 0..200 {
                let exchange = sender.begin(place, case, &format!("{}?{count}", case.target))?;
                statuses.insert(exchange.outcome().await?["status"].to_string());
                sender.ready().await?;
            }
            Ok(json!({"note": statuses}))
        }
        "events" => events(&mut sender, place, case).await,
        _ => {
            let mut exchange = sender.begin(place, case, &case.target)?;
            if let Some(upload) = &case.body {
                let octets = pattern(upload.octets);
                for half in octets.chunks(octets.len().div_ceil(2).max(1)) {
                    exchange.send(half.to_vec()).await;
                }
                if !upload.trailers.is_empty() {
                    exchange.send_frame(Frame::trailers(map(&upload.trailers)?)).await;
                }
            }
            exchange.body = None;
            exchange.outcome().await
        }
    }
}

async fn expect(sender: &mut Sender, place: &Place, case: &Case) -> Result<Value, Failure> {
    let mut exchange = sender.begin(place, case, &case.target)?;
    let told = Arc::clone(&exchange.told);
    let answered = match select(Box::pin(told.notified()), &mut exchange.answer).await {
        Either::Left(_) => None,
        Either::Right((answer, _)) => Some(answer??),
    };
    if let Some(answer) = answered {
        let mut outcome = whole(answer).await?;
        outcome["note"] = json!("the body was not sent");
        return Ok(outcome);
    }
    exchange.send(pattern(1000)).await;
    exchange.body = None;
    let mut outcome = exchange.outcome().await?;
    outcome["note"] = json!("the body was sent after the 100");
    Ok(outcome)
}

async fn mirror(sender: &mut Sender, place: &Place, case: &Case) -> Result<Value, Failure> {
    let mut exchange = sender.begin(place, case, &case.target)?;
    exchange.send("piece 0".into()).await;
    let mut answer = exchange.head().await?.into_body();
    let mut pieces = Vec::new();
    while pieces.len() < 6 {
        let Some(frame) = answer.frame().await else { break };
        pieces.push(latin1(&frame?.into_data().unwrap_or_default()));
        if pieces.len() < 6 {
            exchange.send(format!("piece {}", pieces.len()).into()).await;
        }
    }
    Ok(json!({"note": pieces}))
}

async fn events(sender: &mut Sender, place: &Place, case: &Case) -> Result<Value, Failure> {
    let name = format!("hyper-{}-{}", place.way, place.server);
    let mut answer = sender.begin(place, case, &format!("/events/{name}"))?.head().await?.into_body();
    let mut events = Vec::new();
    while let Some(frame) = answer.frame().await {
        let event = frame?.into_data().unwrap_or_default();
        if event.is_empty() {
            // The end of the stream, which HTTP/2 may tell so.
            continue;
        }
        events.push(latin1(&event));
        // Over a connection of its own.
        reqwest::get(format!("http://127.0.0.1:{}/next/{name}", place.app)).await?;
    }
    Ok(json!({"note": events}))
}

impl Sender {
    async fn over(io: Box<dyn Io>, two: bool) -> hyper::Result<Self> {
        if two {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            let (sender, driver) = builder.max_header_list_size(262_144).handshake(TokioIo::new(io)).await?;
            tokio::spawn(driver);
            return Ok(Self::Two(sender));
        }
        let (sender, driver) = http1::Builder::new().max_buf_size(262_144).handshake(TokioIo::new(io)).await?;
        tokio::spawn(driver);
        Ok(Self::One(sender))
    }

    async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::One(sender) => sender.ready().await,
            Self::Two(sender) => sender.ready().await,
        }
    }

    fn begin(&mut self, place: &Place, case: &Case, target: &str) -> Result<Exchange, Failure> {
        let (pieces, body) = upload(case);
        let mut request = Request::builder().method(case.method.as_str()).body(body)?;
        *request.headers_mut() = map(&case.headers)?;
        if let Some(upload) = &case.body {
            if !upload.chunked {
                request.headers_mut().insert(CONTENT_LENGTH, upload.octets.into());
            }
            for (name, _) in &upload.trailers {
                request.headers_mut().append(TRAILER, HeaderValue::from_str(name)?);
            }
        }
        let (interim, told) = (Interim::default(), Arc::new(Notify::new()));
        let answer = match self {
            Self::One(sender) => {
                if case.body.as_ref().is_some_and(|upload| upload.chunked) {
                    // Else it sends no body with GET.
                    request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                }
                *request.uri_mut() = target.parse()?;
                request.headers_mut().insert(HOST, HeaderValue::from_str(place.authority())?);
                let (kept, tell) = (Arc::clone(&interim), Arc::clone(&told));
                hyper::ext::on_informational(&mut request, move |response| {
                    kept.lock().expect("not poisoned").push(json!([response.status().as_u16(), pairs(response.headers())]));
                    tell.notify_one();
                });
                tokio::spawn(sender.send_request(request))
            }
            Self::Two(sender) => {
                *request.version_mut() = Version::HTTP_2;
                *request.uri_mut() = format!("https://{}{target}", place.authority()).parse()?;
                tokio::spawn(sender.send_request(request))
            }
        };
        let interim = matches!(self, Self::One(_)).then_some(interim);
        Ok(Exchange { body: pieces, answer, interim, told })
    }
}

impl Exchange {
    async fn send(&mut self, octets: Vec<u8>) {
        self.send_frame(Frame::data(octets.into())).await;
    }

    /// A connection that is gone is for whoever reads the answer to find out.
    async fn send_frame(&mut self, frame: Frame<Bytes>) {
        if let Some(body) = &self.body {
            let _ = body.send(frame).await;
        }
    }

    async fn head(&mut self) -> Result<Response<Incoming>, Failure> {
        Ok((&mut self.answer).await??)
    }

    async fn outcome(mut self) -> Result<Value, Failure> {
        let answer = self.head().await?;
        let mut outcome = whole(answer).await?;
        if let Some(interim) = self.interim {
            outcome["informational"] = interim.lock().expect("not poisoned").clone().into();
        }
        Ok(outcome)
    }
}

async fn whole(answer: Response<Incoming>) -> Result<Value, Failure> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().map(pairs).unwrap_or_default();
    Ok(json!({
        "status": parts.status.as_u16(), "headers": pairs(&parts.headers), "body": shown(&body.to_bytes()), "trailers": trailers,
    }))
}

fn upload(case: &Case) -> (Option<mpsc::Sender<Frame<Bytes>>>, Body) {
    if case.body.is_none() {
        return (None, Empty::new().map_err(|never| match never {}).boxed());
    }
    let (sender, mut receiver) = mpsc::channel(1);
    let frames = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context).map(|frame| frame.map(Ok)));
    (Some(sender), BodyExt::boxed(StreamBody::new(frames)))
}

fn map(fields: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_bytes(&octets_of(value))?);
    }
    Ok(headers)
}

/// All verdicts of reqwest, with one client a place.
pub async fn reqwest_verdicts(places: &Places) -> Vec<Verdict> {
    let at = |place: &Place| {
        let place = place.clone();
        let version = place.way == "h2";
        let client = |follow: bool| {
            places.tls.client_with(|builder| {
                let policy = if follow { reqwest::redirect::Policy::limited(5) } else { reqwest::redirect::Policy::none() };
                let builder = builder.redirect(policy);
                if version { builder.http2_max_header_list_size(262_144) } else { builder.http1_only() }
            })
        };
        let (plain, following) = (client(false), client(true));
        async move {
            let mut verdicts = Vec::new();
            let kinds = ["exchange", "follow"];
            for case in cases::all().into_iter().filter(|case| is_done_by_reqwest(case, &place, kinds)) {
                let client = if case.kind == "follow" { &following } else { &plain };
                let outcome = within("reqwest ends", ask(client, &place, &case)).await;
                verdicts.push(place.verdict("reqwest", &case, outcome.unwrap_or_else(|error| json!({"failed": format!("{error:?}")}))));
            }
            verdicts
        }
    };
    join_all(places.all.iter().filter(|place| place.way != "clear").map(at)).await.concat()
}

fn is_done_by_reqwest(case: &Case, place: &Place, kinds: [&str; 2]) -> bool {
    // It sends no body without a length with GET, but over HTTP/2.
    let is_other = place.way == "h2" && case.name == "a GET with a body without a length";
    !is_other && !place.without.contains(&case.name.as_str()) && kinds.contains(&case.kind)
}

async fn ask(client: &reqwest::Client, place: &Place, case: &Case) -> Result<Value, Failure> {
    let method = reqwest::Method::from_bytes(case.method.as_bytes())?;
    let mut request = client.request(method, format!("{}{}", place.url, case.target)).headers(map(&case.headers)?);
    if let Some(upload) = &case.body {
        let octets = pattern(upload.octets);
        request = if upload.chunked {
            request.body(reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(octets)])))
        } else {
            request.body(octets)
        };
    }
    let response = request.send().await?;
    let expected = if place.way == "h2" { Version::HTTP_2 } else { Version::HTTP_11 };
    if response.version() != expected && response.version() != Version::HTTP_10 {
        return Err(format!("{:?}", response.version()).into());
    }
    let (status, headers, url) = (response.status().as_u16(), pairs(response.headers()), response.url().to_string());
    let body = shown(&response.bytes().await?);
    let note = if case.kind == "follow" { json!(url) } else { Value::Null };
    Ok(json!({"status": status, "headers": headers, "body": body, "trailers": [], "informational": [], "note": note}))
}
