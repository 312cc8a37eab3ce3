//! `[[route]]`: policies for paths of the tenants' app.

use http::Method;

use super::plans::rate;
use super::section::Section;
use super::tree::Node;
use super::values::{Wrong, choice, expected, list, method, size_within, text, unless_empty};
use crate::model::{Gauge, Rate};

/// A policy for paths of the tenants' app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Path, on the normalised request path; a trailing `*` matches any rest.
    pub path: String,
    /// Methods it applies to; empty is all.
    pub methods: Vec<Method>,
    /// Whether it must be known who asks: an API key of the tenant or a verified user.
    pub needs_auth: bool,
    /// Roles of which a verified user or key needs one; empty asks for none.
    pub roles: Vec<String>,
    /// Scopes of which a token or key needs every one; empty asks for none.
    pub scopes: Vec<String>,
    /// A flag the tenant must have on.
    pub feature: Option<String>,
    /// Plans of which the tenant must have one; empty is all.
    pub plans: Vec<String>,
    /// Octets that a request's body may have here; `None` is `limits.max_body`.
    pub max_body: Option<u64>,
    /// Requests of one tenant that the route takes, beside the rate of its plan.
    pub rate: Option<Rate>,
    /// What the path stands for: its POST adds one and its DELETE takes one, or (storage) it is refused at the limit.
    pub counts: Option<Gauge>,
}

impl Route {
    /// A route for this path that asks for nothing.
    pub fn of(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            methods: Vec::new(),
            needs_auth: false,
            roles: Vec::new(),
            scopes: Vec::new(),
            feature: None,
            plans: Vec::new(),
            max_body: None,
            rate: None,
            counts: None,
        }
    }

    /// Whether somebody must be known for it.
    pub fn asks_who(&self) -> bool {
        self.needs_auth || !self.roles.is_empty() || !self.scopes.is_empty()
    }
}

/// Every route, in the order of the file.
pub(super) fn read(root: &Section<'_>) -> Option<Vec<Route>> {
    if root.find("route").is_none() {
        return Some(Vec::new());
    }
    // Collected twice, so that every route is read before the first wrong one ends it.
    let routes: Vec<Option<Route>> = root.tables("route")?.iter().map(|below| below.as_ref().and_then(route)).collect();
    routes.into_iter().collect()
}

fn route(section: &Section<'_>) -> Option<Route> {
    let path = section.read("path", path);
    let methods = section.maybe("methods", |node| list(node, method));
    let auth = section.maybe("auth", |node| choice(node, &[("optional", false), ("required", true)]));
    let roles = section.maybe("roles", |node| list(node, word));
    let scopes = section.maybe("scopes", |node| list(node, word));
    let feature = section.maybe("feature", |node| unless_empty(node, word));
    let plans = section.maybe("plans", |node| list(node, word));
    let max_body = section.maybe("max_body", |node| size_within(node, 0..=1 << 50, "up to \"1PiB\""));
    let rate = rate(section);
    let counts = section.maybe("counts", |node| {
        let known = [("", None), ("users", Some(Gauge::Users)), ("projects", Some(Gauge::Projects)), ("storage", Some(Gauge::Storage))];
        choice(node, &known)
    });
    section.finish();
    if let (Some(methods), Some(Some(Some(Gauge::Users | Gauge::Projects)))) = (methods.as_ref().and_then(Option::as_ref), &counts)
        && !methods.is_empty()
        && !methods.iter().any(|method| matches!(*method, Method::POST | Method::DELETE))
    {
        section.refuse("counts", "users and projects are counted by POST and DELETE, and `methods` has neither");
    }
    let route = Route {
        path: path?,
        methods: methods?.unwrap_or_default(),
        needs_auth: false,
        roles: roles?.unwrap_or_default(),
        scopes: scopes?.unwrap_or_default(),
        feature: feature?.flatten(),
        plans: plans?.unwrap_or_default(),
        max_body: max_body?,
        rate: rate?,
        counts: counts?.flatten(),
    };
    let auth = auth?;
    if auth == Some(false) && route.asks_who() {
        section.refuse("auth", "roles and scopes are somebody's, so that this route cannot leave open who asks; use \"required\"");
    }
    Some(Route { needs_auth: auth == Some(true) || route.asks_who(), ..route })
}

/// Starts with `/`; a `*` stands at its end only.
fn path(node: &Node) -> Result<String, Wrong> {
    let path = text(node)?;
    let fixed = path.strip_suffix('*').unwrap_or(path);
    let good = fixed.starts_with('/') && fixed.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?#;\\".contains(&byte));
    let is_tidy = !fixed.contains("//") && !fixed.split('/').any(|segment| matches!(segment, "." | ".."));
    if good && is_tidy {
        Ok(path.to_owned())
    } else {
        let what = "a path such as \"/api/*\": it begins with `/`, a `*` stands at its end only, and it has no `//`, dot segments, `;`, `\\` or \
                    octets beyond ASCII (write those as `%C3%BC`)";
        Err(expected(what, node))
    }
}

/// The name of a flag, role, scope or plan.
fn word(node: &Node) -> Result<String, Wrong> {
    let word = text(node)?;
    let good = (1..=100).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if good { Ok(word.to_owned()) } else { Err(expected("a name without spaces and commas", node)) }
}
