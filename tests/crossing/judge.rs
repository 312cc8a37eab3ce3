//! What came of a row against what shall: which apps heard of it, in whose name, and what the client was told.

use serde_json::Value;

use super::ask::{Got, ask};
use super::issuers::roles_of;
use super::row::{Row, Sent, Want, Way};
use super::world::{Heard, SECRET, World};

/// Fields of another path than the one that is asked for.
const OTHER_PATHS: [&str; 2] = ["x-original-url", "x-rewrite-url"];
/// Names that the gateway alone says; an app that reads `_` and `.` as `-` sees no other spelling either.
const CONTEXT: [&str; 3] = ["x-tenant-id", "x-tenant-slug", "x-tenant-plan"];
const RESERVED: [&str; 8] =
    ["x-tenant-id", "x-tenant-slug", "x-tenant-plan", "x-tenant-features", "x-tenant-context", "x-user-id", "x-user-roles", "x-request-id"];

/// How the rows of a table went.
#[derive(Default)]
pub struct Verdict {
    pub rows: usize,
    pub asks: usize,
    pub served: usize,
    /// Of them, those of the victim itself.
    pub victim: u64,
    /// Somebody was touched who must not be.
    pub crossings: Vec<String>,
    /// Nobody was, but the answer is not the documented one.
    pub faults: Vec<String>,
}

impl Verdict {
    /// Asks each row and judges it.
    pub async fn of(world: &World, table: &str, rows: &[Row]) -> Self {
        let mut verdict = Self { rows: rows.len(), ..Self::default() };
        for row in rows {
            let protocol = if row.is_http2() { "h2" } else { "http/1.1" };
            let name = format!("{table} | {} | {protocol}, {:?}", row.name, row.way);
            let got = ask(world, row).await;
            verdict.judge(world, &name, row, &got);
        }
        println!(
            "{table}: {} rows, {} requests, {} of them served, {} crossings, {} other faults",
            verdict.rows,
            verdict.asks,
            verdict.served,
            verdict.crossings.len(),
            verdict.faults.len()
        );
        verdict
    }

    /// Adds another table's.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.asks += other.asks;
        self.served += other.served;
        self.victim += other.victim;
        self.crossings.extend(other.crossings);
        self.faults.extend(other.faults);
    }

    fn judge(&mut self, world: &World, name: &str, row: &Row, got: &[Got]) {
        let heard = world.heard();
        let mut wanted = Vec::new();
        for ((sent, want), got) in row.asks.iter().zip(got) {
            self.asks += 1;
            let may_be_heard = match want {
                Want::Served(slug) | Want::Nobody(slug) => Some((*slug, None)),
                Want::Known(slug, user) => Some((*slug, Some(*user))),
                _ => None,
            };
            if let Some((slug, user)) = may_be_heard {
                self.served += u64::from(matches!(got, Got::Answer { status: 200, .. })) as usize;
                self.victim += u64::from(slug == "globex");
                wanted.push((slug, user));
            }
            if !is(want, got) {
                self.faults.push(format!("{name}: wanted {want:?}, got {got:?}, sent {}", text(sent)));
            }
            if let Got::Answer { body, .. } = got
                && body.contains(SECRET)
                && *want != Want::Answered("globex")
            {
                self.crossings.push(format!("{name}: the client was told {body}"));
            }
        }
        // Whom the row may touch, each once for each request; what is missing was told above.
        let targets: Vec<String> = row.asks.iter().map(|(sent, _)| target(sent)).collect();
        for heard in heard {
            if let Some(fault) = strange(world, row, &heard) {
                self.crossings.push(format!("{name}: {fault}: {heard:?}"));
            }
            if !targets.contains(&heard.target) {
                self.faults.push(format!("{name}: the target is {} and not of {targets:?}", heard.target));
            }
            match wanted.iter().position(|(slug, user)| *slug == heard.app && *user == heard.field("x-user-id")) {
                Some(at) => drop(wanted.remove(at)),
                None => self.crossings.push(format!("{name}: {} heard {heard:?}", heard.app)),
            }
        }
    }
}

fn is(want: &Want, got: &Got) -> bool {
    let document = |body: &str| serde_json::from_str::<Value>(body).unwrap_or_default();
    match (want, got) {
        (Want::Served(slug), Got::Answer { status: 200, body }) => document(body)["app"] == *slug,
        (Want::Known(slug, _), Got::Answer { status: 200, body }) => document(body)["app"] == *slug,
        (Want::Nobody(slug), Got::Answer { status, body }) => match status {
            200 => document(body)["app"] == *slug,
            _ => matches!(status, 400 | 401 | 403 | 431),
        },
        (Want::NotServed, Got::Answer { status, .. }) => matches!(status, 400 | 401 | 403 | 404 | 431),
        (Want::Done, Got::Answer { status, .. }) => matches!(status, 200 | 201),
        (Want::Answered(slug), Got::Answer { status: 200, body }) => document(body)["slug"] == *slug,
        (Want::Refused(status, code), Got::Answer { status: found, body }) => status == found && document(body)["code"] == *code,
        (Want::Ended | Want::Nobody(_) | Want::NotServed, Got::Ended) | (Want::NotConnected, Got::NotConnected) => true,
        _ => false,
    }
}

/// What an app must not have heard.
fn strange(world: &World, row: &Row, heard: &Heard) -> Option<String> {
    let is_tls = matches!(row.way, Way::Tls(_) | Way::Nameless | Way::Resumed(..));
    let id = match heard.app {
        "acme" if is_tls => Some(&world.ids.acme),
        "globex" if is_tls => Some(&world.ids.globex),
        _ => None,
    };
    for name in CONTEXT {
        let values: Vec<&str> = heard.fields.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        if values.len() != 1 {
            return Some(format!("{name} {} times", values.len()));
        }
        let is_right = match name {
            "x-tenant-id" => id.is_none_or(|id| values[0] == id),
            "x-tenant-slug" => values[0] == heard.app,
            _ => values[0] == format!("of-{}", heard.app),
        };
        if !is_right {
            return Some(format!("{name} is {:?}", values[0]));
        }
    }
    let folded = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    for (name, value) in &heard.fields {
        let is_reserved = RESERVED.contains(&folded(name).as_str());
        if (is_reserved && *name != folded(name)) || OTHER_PATHS.contains(&folded(name).as_str()) {
            return Some(format!("{name} is {value:?}"));
        }
        if value.contains("gh_live_") || value.contains("gh_test_") {
            return Some(format!("{name} has a key"));
        }
        if matches!(folded(name).as_str(), "x-forwarded-host" | "forwarded" | "x-forwarded-server") && value.contains("victim") {
            return Some(format!("{name} is {value:?}"));
        }
    }
    let unwanted = [&RESERVED[..], &OTHER_PATHS, &["authorization", "x-api-key"]].concat();
    let is_unwanted = |name: &&String| unwanted.contains(&folded(name).as_str());
    let trailer = heard.trailers.iter().find(is_unwanted).map(|name| format!("trailer {name}"));
    trailer.or_else(|| strange_user(heard)).or_else(|| strange_context(world, is_tls, heard))
}

/// A user is said once, with the roles that its issuer gave it.
fn strange_user(heard: &Heard) -> Option<String> {
    let said = |name: &str| heard.fields.iter().filter(|(known, _)| known == name).count();
    let (users, roles) = (said("x-user-id"), said("x-user-roles"));
    if users > 1 || roles > users {
        return Some(format!("{users} users, {roles} times roles"));
    }
    let given = heard.field("x-user-id").and_then(roles_of);
    (heard.field("x-user-roles") != given).then(|| format!("the roles are not {given:?}"))
}

/// The signed context says the same as the other fields, and there is one where the gateway signs.
fn strange_context(world: &World, is_signed: bool, heard: &Heard) -> Option<String> {
    let said: Vec<&str> = heard.fields.iter().filter(|(name, _)| name == "x-tenant-context").map(|(_, value)| value.as_str()).collect();
    let context = match (&said[..], is_signed) {
        ([], false) => return None,
        ([said], true) => world.context(said),
        _ => return Some(format!("{} contexts", said.len())),
    };
    let Some(context) = context else { return Some("a context that the gateway has not signed".to_owned()) };
    let is_same = |member: &str, name: &str| context[member].as_str() == heard.field(name);
    let roles: Vec<&str> = context["roles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let is_right = is_same("tenant", "x-tenant-id")
        && is_same("slug", "x-tenant-slug")
        && is_same("plan", "x-tenant-plan")
        && is_same("user", "x-user-id")
        && roles.join(",") == heard.field("x-user-roles").unwrap_or_default();
    (!is_right).then(|| format!("the context is {context}"))
}

fn text(sent: &Sent) -> String {
    match sent {
        Sent::Http1(octets) => format!("{:?}", String::from_utf8_lossy(octets)),
        Sent::Admin(method, path, body) => format!("{method} {path} {body}"),
        Sent::Http2 { head, .. } => {
            let field =
                |(name, value): &(Vec<u8>, Vec<u8>)| format!("{}: {:?}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
            head.iter().map(field).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The path and query that an app shall hear: as they were sent, without a fragment, which is no part of a request.
fn target(sent: &Sent) -> String {
    let sent = match sent {
        Sent::Http1(octets) => String::from_utf8_lossy(octets).split(' ').nth(1).unwrap_or_default().to_owned(),
        Sent::Admin(..) => return String::new(),
        Sent::Http2 { head, .. } => {
            let path = head.iter().find(|(name, _)| name == b":path").map(|(_, value)| value.clone()).unwrap_or_default();
            let path = String::from_utf8_lossy(&path).split('#').next().unwrap_or_default().to_owned();
            if path.starts_with('/') { path } else { format!("/{path}") }
        }
    };
    let absolute = sent.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("https"));
    absolute.map_or_else(|| sent.clone(), |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]).to_owned())
}
