//! What no library lets its user send, octet by octet: pipelining, absolute targets, HTTP/1.0, a client that ends its side.

use serde_json::{Value, json};

use super::cases::target_of;
use super::contract::reduced;
use super::judge::differences;
use super::places::{Place, Places};
use super::verdict::{Verdict, latin1};
use crate::support::raw::{Head, Message};
use crate::support::{Raw, within};

/// How the names of talks begin in which the client ends its side.
const ENDS: &str = "a client that ends its side";

/// One side of a talk with a server.
struct Talk {
    name: &'static str,
    steps: Vec<Step>,
    takes_trailers: bool,
}

/// In what is sent, `{host}` is the place's host and port, `{origin}` its URL, `{nine}` asks for nine octets and `{trailers}` for
/// trailers.
enum Step {
    Send(&'static str),
    /// An answer with its body.
    Message,
    /// An answer that has none.
    Head,
    /// The server closes.
    Closed,
    /// The client says that it sends no more.
    Finish,
    /// All that comes until the server closes is the body of an answer.
    UntilClosed,
}

use Step::{Closed, Finish, Head as Bare, Message as Whole, Send, UntilClosed};

fn talk(name: &'static str, steps: Vec<Step>) -> Talk {
    Talk { name, steps, takes_trailers: false }
}

fn talks() -> Vec<Talk> {
    vec![
        talk(
            "pipelined requests are answered in their order",
            vec![
                Send(concat!(
                    "GET /1 HTTP/1.1\r\nHost: {host}\r\n\r\nPOST /2 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc",
                    "PUT /3 HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                    "GET /4 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                )),
                Whole,
                Whole,
                Whole,
                Whole,
                Closed,
            ],
        ),
        talk(
            "answers without a body do not disturb those that follow",
            vec![
                Send(
                    "HEAD {nine} HTTP/1.1\r\nHost: {host}\r\n\r\nGET /next/none HTTP/1.1\r\nHost: {host}\r\n\r\nGET /3 HTTP/1.1\r\nHost: {host}\r\n\r\n",
                ),
                Bare,
                Bare,
                Whole,
            ],
        ),
        talk(
            "a client that closes after its answer",
            vec![Send("GET /last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"), Whole, Closed],
        ),
        talk("HTTP/1.0", vec![Send("GET /ten HTTP/1.0\r\nHost: {host}\r\n\r\n"), UntilClosed]),
        talk("a target that is a whole URL", vec![Send("GET {origin}/whole?url=1 HTTP/1.1\r\nHost: {host}\r\n\r\n"), Whole]),
        talk("OPTIONS of the server itself", vec![Send("OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n"), Whole]),
        talk("an empty line before a request", vec![Send("\r\nGET /after HTTP/1.1\r\nHost: {host}\r\n\r\n"), Whole]),
        talk(
            "extensions of chunks",
            vec![
                Send(
                    "POST /up HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n2;c=\"d\"\r\nde\r\n0;e\r\n\r\n",
                ),
                Whole,
            ],
        ),
        talk(
            "names in any case, white space around values",
            vec![Send("GET /odd HTTP/1.1\r\nhOST:{host}\r\nX-MiXeD:\t a  b \t\r\nx-none:\r\nX-MIXED: c\r\n\r\n"), Whole],
        ),
        talk("two fields of cookies", vec![Send("GET /c HTTP/1.1\r\nHost: {host}\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"), Whole]),
        talk(
            "an upgrade that is not taken",
            vec![
                Send(
                    "GET /u HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
                ),
                Whole,
            ],
        ),
        talk(
            "a body that waits for the 100",
            vec![Send("POST /up HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"), Bare, Send("abc"), Whole],
        ),
        talk("a client that ends its side", vec![Send("GET /half HTTP/1.1\r\nHost: {host}\r\n\r\n"), Finish, Whole, Closed]),
        talk(
            "a client that ends its side after an upload",
            vec![Send("POST /half HTTP/1.1\r\nHost: {host}\r\nContent-Length: 3\r\n\r\nabc"), Finish, Whole, Closed],
        ),
        Talk {
            name: "trailers of an answer",
            takes_trailers: true,
            steps: vec![Send("GET {trailers} HTTP/1.1\r\nHost: {host}\r\nTE: trailers\r\nConnection: TE\r\n\r\n"), Whole],
        },
    ]
}

/// Talks that a server does not take part in, directly.
fn is_spared(server: &str, talk: &str) -> bool {
    match server {
        // They give up the request of a client that has ended its side.
        "node" | "aiohttp" => talk.starts_with(ENDS),
        // It closes.
        "stdlib" => talk == "an empty line before a request",
        _ => false,
    }
}

/// Talks that the gateway does not take part in: over TLS a client that has ended its side is taken for gone.
fn is_refused(way: &str, talk: &str) -> bool {
    way == "tls" && talk.starts_with(ENDS)
}

/// Fails unless every talk goes through the gateway as it goes directly, with every server.
pub async fn judge_talks(places: &Places) {
    let mut faults = Vec::new();
    let mut count = 0;
    for direct in places.all.iter().filter(|place| place.way == "direct") {
        for talk in talks() {
            let spared = is_spared(direct.server, talk.name);
            let expected = if spared { None } else { Some(outcomes(places, direct, &talk, &mut faults).await) };
            let is_way = |place: &&Place| place.server == direct.server && matches!(place.way, "clear" | "tls");
            for place in places.all.iter().filter(is_way).filter(|place| !is_refused(place.way, talk.name)) {
                count += 1;
                let found = outcomes(places, place, &talk, &mut faults).await;
                let (found, expected) = (Value::from(found), expected.clone().map_or(Value::Null, Value::from));
                let wrong = if spared { Vec::new() } else { differences("", &expected, &found) };
                println!("wire → {}: {}: {} {}", place.server, talk.name, place.way, if wrong.is_empty() { "" } else { "(!)" });
                faults.extend(wrong.iter().map(|line| format!("wire → {}, {}: {}\n    {line}", place.server, place.way, talk.name)));
            }
        }
    }
    assert!(faults.is_empty() && count > 100, "{} faults in {count} talks:\n{}", faults.len(), faults.join("\n"));
}

/// What the talk brought, reduced by the contract.
async fn outcomes(places: &Places, place: &Place, talk: &Talk, faults: &mut Vec<String>) -> Vec<Value> {
    let io = place.connect(&places.trusting("http/1.1")).await;
    // Told where the test ends in the middle of it.
    eprintln!("talk: {}, {}, {}", talk.name, place.server, place.way);
    let answers = within(talk.name, answers(Raw::over(io), place, talk)).await;
    let mut outcomes = Vec::new();
    for outcome in answers {
        let [client, server, way] = ["wire", place.server, place.way].map(str::to_owned);
        let verdict = Verdict { client, server, way, case: talk.name.to_owned(), outcome };
        let reduced = reduced(&verdict, place.authority(), talk.takes_trailers, place.way);
        faults.extend(reduced.faults.iter().map(|fault| format!("wire → {}, {}: {}\n    {fault}", place.server, place.way, talk.name)));
        outcomes.push(reduced.outcome);
    }
    outcomes
}

async fn answers(mut wire: Raw, place: &Place, talk: &Talk) -> Vec<Value> {
    let mut answers = Vec::new();
    for step in &talk.steps {
        match step {
            Send(text) => wire.send(filled(text, place)).await,
            Finish => wire.finish().await,
            Whole => answers.push(outcome(&wire.message().await)),
            Bare => answers.push(outcome(&bare(wire.head().await))),
            Closed => {
                let rest = wire.rest().await;
                assert!(rest.is_empty(), "{} {}: {}: {}", place.server, place.way, talk.name, latin1(&rest));
            }
            UntilClosed => {
                let head = wire.head().await;
                let mut message = bare(head);
                message.body = wire.rest().await;
                answers.push(outcome(&message));
            }
        }
    }
    answers
}

fn filled(text: &str, place: &Place) -> String {
    let nine = json!({"status": 200, "framing": "length", "octets": 9});
    let trailers = json!({"status": 200, "framing": "chunked", "octets": 5, "trailers": [["x-sum", "abc"]]});
    let text = text.replace("{host}", place.authority()).replace("{origin}", &place.url);
    text.replace("{nine}", &target_of(&nine)).replace("{trailers}", &target_of(&trailers))
}

fn bare(head: Head) -> Message {
    Message { head, body: Vec::new(), trailers: Vec::new() }
}

fn outcome(message: &Message) -> Value {
    let status = message.head.status();
    if status < 200 {
        return json!({"interim": status});
    }
    json!({"status": status, "headers": message.head.fields(), "body": latin1(&message.body), "trailers": message.trailers})
}
