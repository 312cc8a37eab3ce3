//! Compares verdicts: direct with what the case expects, and through the gateway with direct.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cases::{self, Case, Expect};
use super::contract::{Reduced, reduced};
use super::places::Places;
use super::verdict::Verdict;

/// Fails unless every verdict is what it has to be; prints a line for each case of each client and server.
pub fn judge(places: &Places, verdicts: &[Verdict]) {
    let table: BTreeMap<_, _> = verdicts.iter().map(|verdict| (verdict.key(), verdict)).collect();
    let cases: BTreeMap<String, Case> = cases::all().into_iter().map(|case| (case.name.clone(), case)).collect();
    let reduce = |verdict: &Verdict, way: &str| {
        let authority = places.authority(&verdict.server, &verdict.way);
        let takes_trailers = cases[&verdict.case].headers.iter().any(|(name, value)| name == "te" && value == "trailers");
        reduced(verdict, authority, takes_trailers, way)
    };
    let (mut faults, mut lines) = (Vec::new(), BTreeMap::<_, Vec<&str>>::new());
    for verdict in verdicts {
        let Verdict { client, server, way, case, .. } = verdict;
        let Reduced { outcome, faults: broken } = reduce(verdict, way);
        let mut wrong = broken;
        if way == "direct" {
            match (is_expected(&cases[case].expect, &verdict.outcome), peculiar(client, server, case)) {
                (true, None) | (false, Some(_)) => {}
                (true, Some(why)) => wrong.push(format!("this is said to be peculiar: {why}")),
                (false, None) => wrong.push(verdict.outcome.to_string()),
            }
        } else {
            let direct = (baseline(client).to_owned(), server.clone(), "direct".to_owned(), case.clone());
            let direct = table.get(&direct).unwrap_or_else(|| panic!("no direct verdict: {direct:?}"));
            if is_by_chance(&cases[case].expect, &[direct, verdict]) {
                continue;
            }
            let mut expected = reduce(direct, way).outcome;
            if expected.is_object() && outcome["informational"].is_null() {
                // The client does not show interim responses over this version of HTTP.
                expected["informational"] = Value::Null;
            }
            wrong.extend(differences("", &expected, &outcome));
            if !wrong.is_empty() && !verdict.outcome["failed"].is_null() {
                wrong.push(verdict.outcome.to_string());
            }
        }
        let line = lines.entry((client, case, server)).or_default();
        line.push(way);
        if !wrong.is_empty() {
            line.push("(!)");
            faults.push(format!("{client} → {server}, {way}: {case}\n    {}", wrong.join("\n    ")));
        }
    }
    for ((client, case, server), ways) in lines {
        eprintln!("{client} → {server}: {case}: {}", ways.join(" "));
    }
    let names: BTreeSet<&String> = faults.iter().collect();
    assert!(faults.is_empty(), "{} of {} verdicts:\n{}", names.len(), verdicts.len(), faults.join("\n"));
}

/// Why a client gets something else from a server than the case expects, also directly.
fn peculiar(client: &str, server: &str, case: &str) -> Option<&'static str> {
    match client {
        "http.client" | "requests" if case.starts_with("early hints") && server != "hyper" => Some("it takes a 103 for the answer"),
        "fetch" if case == "fields that one connection owns" => Some("it does not let Connection be set"),
        "fetch" if case.starts_with("GET with a body") || case.starts_with("a GET with a body") => Some("it sends no body with GET"),
        _ => None,
    }
}

/// Whose direct verdict a client's is compared with: Node's HTTP/2 client speaks nothing that the servers understand.
fn baseline(client: &str) -> &str {
    if client == "http2" { "http" } else { client }
}

fn is_expected(expect: &Expect, outcome: &Value) -> bool {
    match expect {
        Expect::Status(status) => outcome["status"] == *status,
        Expect::Note(note) => outcome["note"] == *note,
        Expect::Failed => !outcome["failed"].is_null(),
        Expect::Anything => true,
    }
}

/// A server that knows no such method answers and closes its connection, with what it has not read of the body: the system then
/// resets the connection, and whether the answer or the reset is seen first is chance, directly as well.
fn is_by_chance(expect: &Expect, verdicts: &[&Verdict]) -> bool {
    let is_cut = |verdict: &&Verdict| !verdict.outcome["failed"].is_null() || verdict.outcome["status"] == 502;
    matches!(expect, Expect::Anything) && verdicts.iter().any(is_cut)
}

/// Where two outcomes differ, each in a line.
pub fn differences(at: &str, direct: &Value, through: &Value) -> Vec<String> {
    match (direct, through) {
        _ if direct == through => Vec::new(),
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            names.into_iter().flat_map(|name| differences(&format!("{at}.{name}"), &direct[name], &through[name])).collect()
        }
        (Value::Array(one), Value::Array(other)) if at.ends_with("headers") => {
            let only =
                |of: &[Value], not: &[Value]| of.iter().filter(|field| !not.contains(field)).map(short).collect::<Vec<_>>().join(" ");
            vec![format!("{at}: direct {}; through {}", only(one, other), only(other, one))]
        }
        _ => vec![format!("{at}: direct {}; through {}", short(direct), short(through))],
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    text.char_indices().nth(300).map_or(text.clone(), |(at, _)| format!("{}…", &text[..at]))
}
