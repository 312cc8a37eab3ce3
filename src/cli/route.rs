//! `gatehouse route explain`: which of the configured policies hold for a request, and why the others do not.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::settings::{Output, Settings, WrongUsage};
use crate::access::{Miss, first_match, miss, readings};
use crate::config::{self, Config};

/// Which rule for paths (`[[route]]`) holds for a request, and why
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse route explain GET /api/analytics/x\n  gatehouse route explain POST https://acme.example.com/api//projects -o json"
)]
pub(super) struct Route {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Reads the configuration and tells which route holds for each way to read the path, what it asks for, and why others do not fit
    #[command(after_help = "Example:\n  gatehouse route explain GET \"/x/..%2fapi/analytics/y\" -c my.toml")]
    Explain {
        /// Such as GET
        method: String,
        /// A path, or a URL of which the path counts
        url: String,
        /// For people, or for programs
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
        #[command(flatten)]
        settings: Settings,
    },
}

impl Route {
    pub fn execute(self) -> anyhow::Result<()> {
        let Verb::Explain { method, url, output, settings } = self.verb;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| WrongUsage(format!("`{method}` is no method")))?;
        let path = path_of(&url)?;
        let config = settings.load()?;
        let explained = explain(&config, &method, &path);
        let text = match output {
            Output::Json => format!("{explained:#}\n"),
            Output::Table => shown(&explained),
        };
        Ok(super::print(&text)?)
    }
}

/// The path as it is sent: a library would tidy it up, which is what is to be explained.
fn path_of(url: &str) -> Result<String, WrongUsage> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path { Ok(path.to_owned()) } else { Err(WrongUsage(format!("`{url}` is no path and no URL; write it like /api/projects"))) }
}

fn explain(config: &Config, method: &Method, path: &str) -> Value {
    let routes = &config.routes;
    let reading = |reading: &str| {
        let found = first_match(routes, method, reading);
        let until = found.map_or(routes.len(), |(place, _)| place);
        let skipped = routes.iter().take(until).enumerate().map(|(place, route)| {
            let why = match miss(route, method, reading) {
                Some(Miss::Method) => format!("{method} is none of its methods {}", names(&route.methods)),
                _ => "its path is another".to_owned(),
            };
            json!({"route": place + 1, "path": route.path, "why": why})
        });
        let holds = found.map(|(place, route)| json!({"route": place + 1, "path": route.path, "asks": asks(route)}));
        json!({"path": reading, "holds": holds, "skipped": skipped.collect::<Vec<_>>()})
    };
    json!({"method": method.as_str(), "path": path, "readings": readings(path).iter().map(|path| reading(path)).collect::<Vec<_>>()})
}

/// What a route asks for, in words.
fn asks(route: &config::Route) -> Vec<String> {
    let mut asks = Vec::new();
    let list = |words: &[String]| words.join(", ");
    if route.needs_auth {
        asks.push("an API key of the tenant or a verified user, else 401 unauthenticated".to_owned());
    }
    if !route.roles.is_empty() {
        asks.push(format!("one of the roles {}, else 403 forbidden", list(&route.roles)));
    }
    if !route.scopes.is_empty() {
        asks.push(format!("every one of the scopes {}, else 403 forbidden", list(&route.scopes)));
    }
    asks.extend(route.feature.iter().map(|feature| format!("the feature {feature}, else 403 feature_disabled")));
    if !route.plans.is_empty() {
        asks.push(format!("one of the plans {}, else 403 feature_disabled", list(&route.plans)));
    }
    asks.extend(route.max_body.map(|octets| format!("a body of at most {octets} octets, else 413 body_too_large")));
    asks.extend(
        route
            .rate
            .map(|rate| format!("at most {} a second, {} at once, of one tenant, else 429 rate_limited", rate.per_second, rate.burst)),
    );
    asks.extend(route.counts.map(|gauge| format!("a place of {} where it adds one, else 403 plan_limit_reached", gauge.name())));
    asks
}

fn names(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

/// For people.
fn shown(explained: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut out = String::new();
    let readings = list(&explained["readings"]);
    // Writing to a String does not fail.
    if readings.len() > 1 {
        let _ = writeln!(out, "Apps may read {} in {} ways; what holds for any of them holds.\n", text(&explained["path"]), readings.len());
    }
    for reading in readings {
        let _ = writeln!(out, "{} {}", text(&explained["method"]), text(&reading["path"]));
        for skipped in list(&reading["skipped"]) {
            let _ = writeln!(out, "  route {} ({}) does not fit: {}", skipped["route"], text(&skipped["path"]), text(&skipped["why"]));
        }
        let holds = &reading["holds"];
        if holds.is_null() {
            let _ = writeln!(out, "  no route: nothing is asked for");
            continue;
        }
        let _ = writeln!(out, "  route {} ({}) holds", holds["route"], text(&holds["path"]));
        let asks = list(&holds["asks"]);
        if asks.is_empty() {
            let _ = writeln!(out, "    nothing is asked for");
        }
        for ask in asks {
            let _ = writeln!(out, "    asks for {}", text(&ask));
        }
    }
    out
}
