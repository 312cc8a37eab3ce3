//! All that the gateway may change between a client and a server, in one place: everything else has to be the same.

use serde_json::{Value, json};

use super::verdict::Verdict;

/// Fields that the gateway adds to what the app is asked, each exactly once.
const ADDED_TO_REQUESTS: [&str; 9] = [
    "x-tenant-id",
    "x-tenant-slug",
    "x-tenant-plan",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "traceparent",
];

/// What each connection says for itself: it ends with the connection (RFC 9110, section 7.6.1), or frames its message
/// (RFC 9112, section 6).
const OF_ONE_CONNECTION: [&str; 7] =
    ["connection", "http2-settings", "keep-alive", "proxy-authorization", "te", "transfer-encoding", "upgrade"];

/// A verdict without what the contract lets differ, and what breaks the contract by itself.
pub struct Reduced {
    pub outcome: Value,
    pub faults: Vec<String>,
}

/// Reduces a verdict that came by the place with this authority, to be compared with one that came by `way`, on a case whose
/// request says or does not say `TE: trailers`.
pub fn reduced(verdict: &Verdict, authority: &str, takes_trailers: bool, way: &str) -> Reduced {
    let through = verdict.way != "direct";
    // The place itself differs: its port and, with TLS, its scheme.
    let text = verdict.outcome.to_string().replace(authority, "app.example").replace("https://app.example", "http://app.example");
    let mut outcome: Value = serde_json::from_str(&text).expect("JSON");
    let mut faults = Vec::new();
    if !outcome["failed"].is_null() {
        // Each library has words of its own for each version of HTTP.
        return Reduced { outcome: json!("failed"), faults };
    }
    // Some clients take an interim response for the answer.
    let is_interim = outcome["status"].as_u64().is_some_and(|status| status < 200);
    if outcome["headers"].is_array() {
        let seen = outcome["body"].as_str().and_then(|body| serde_json::from_str::<Value>(body).ok());
        outcome["headers"] = response_fields(&outcome["headers"], through && !is_interim, seen.is_some(), &mut faults);
        if let Some(mut seen) = seen.filter(|seen| seen["method"].is_string()) {
            let is_empty = seen["octets"] == 0;
            seen["headers"] = request_fields(&seen["headers"], through, is_empty, &mut faults);
            // A server gets the path alone, and has to take it in a whole URL as well (RFC 9112, section 3.2).
            if let Some(path) = seen["target"].as_str().and_then(|target| target.strip_prefix("http://app.example")) {
                seen["target"] = path.into();
            }
            seen["trailers"] = listed(&fields(&seen["trailers"]));
            outcome["body"] = seen;
        }
    }
    if way == "h2" || takes_trailers {
        outcome["trailers"] = listed(&fields(&outcome["trailers"]));
    } else {
        // Over HTTP/1.1 only who says that it takes trailers gets them (RFC 9110, section 6.5.1).
        let given = outcome["trailers"].as_array().is_some_and(|list| !list.is_empty());
        if through && given {
            faults.push(format!("trailers that nobody asked for: {}", outcome["trailers"]));
        }
        outcome["trailers"] = json!([]);
    }
    for interim in outcome["informational"].as_array_mut().into_iter().flatten() {
        interim[1] = listed(&fields(&interim[1]));
    }
    Reduced { outcome, faults }
}

/// A response's head without what the gateway adds and what belongs to its connection; `is_echo` where the app tells in it what it has
/// seen.
pub fn response_fields(of: &Value, through: bool, is_echo: bool, faults: &mut Vec<String>) -> Value {
    let mut fields = fields(of);
    if through {
        take_once(&mut fields, "x-request-id", faults);
        // Made where the app has no clock (RFC 9110, section 6.6.1).
        take_once(&mut fields, "date", faults);
    }
    fields.retain(|(name, _)| name != "date" && !OF_ONE_CONNECTION.contains(&name.as_str()));
    for (_, value) in fields.iter_mut().filter(|(name, _)| is_echo && name == "content-length") {
        // What the app has seen is longer behind the gateway.
        "some".clone_into(value);
    }
    listed(&fields)
}

/// What the app has seen without what the gateway adds and what belongs to the connection.
pub fn request_fields(of: &Value, through: bool, is_empty: bool, faults: &mut Vec<String>) -> Value {
    let mut fields = fields(of);
    if !through {
        join_cookies(&mut fields);
    } else {
        for name in ADDED_TO_REQUESTS {
            take_once(&mut fields, name, faults);
        }
        match fields.iter().rposition(|(name, _)| name == "via") {
            Some(at) if fields[at].1.ends_with(" gatehouse") => drop(fields.remove(at)),
            _ => faults.push("no Via of the gateway".to_owned()),
        }
    }
    // Said of a POST without a body, where the client says nothing (RFC 9110, section 8.6).
    fields.retain(|(name, value)| !(is_empty && name == "content-length" && value == "0"));
    // What Connection names belongs to the connection as well.
    let private: Vec<String> = fields.iter().filter(|(name, _)| name == "connection").map(|(_, value)| value.to_lowercase()).collect();
    let is_private = |name: &str| private.iter().any(|list| list.split(',').any(|item| item.trim() == name));
    fields.retain(|(name, _)| !OF_ONE_CONNECTION.contains(&name.as_str()) && !is_private(name));
    listed(&fields)
}

fn take_once(fields: &mut Vec<(String, String)>, name: &str, faults: &mut Vec<String>) {
    let before = fields.len();
    fields.retain(|(known, _)| known != name);
    if before - fields.len() != 1 {
        faults.push(format!("{name} {} times", before - fields.len()));
    }
}

/// One Cookie, as every client sends it; a client of HTTP/2 may have split it (RFC 9113, section 8.2.3).
fn join_cookies(fields: &mut Vec<(String, String)>) {
    let cookies: Vec<String> = fields.iter().filter(|(name, _)| name == "cookie").map(|(_, value)| value.clone()).collect();
    if cookies.len() > 1 {
        fields.retain(|(name, _)| name != "cookie");
        fields.push(("cookie".to_owned(), cookies.join("; ")));
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
}

/// Names in lower case, as they mean the same in any (RFC 9110, section 5.1), and those of one name in their order: between
/// different names there is none (section 5.3). White space around a value is not of it (RFC 9112, section 5.1).
pub fn fields(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut fields: Vec<_> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1]).trim_matches([' ', '\t']).to_owned()))
        .collect();
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    fields
}

fn listed(fields: &[(String, String)]) -> Value {
    fields.iter().map(|(name, value)| json!([name, value])).collect()
}
