//! `[[route]]`: policies for paths of the tenants' app.

use super::Route;
use super::section::Section;
use super::tree::Node;
use super::values::{Wrong, choice, expected, list, method, text, unless_empty};
use http::Method;

use crate::model::Gauge;

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
    let feature = section.maybe("feature", |node| unless_empty(node, word));
    let roles = section.maybe("roles", |node| list(node, word));
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
    Some(Route {
        path: path?,
        methods: methods?.unwrap_or_default(),
        feature: feature?.flatten(),
        roles: roles?.unwrap_or_default(),
        counts: counts?.flatten(),
    })
}

/// Starts with `/`; a `*` stands at its end only.
fn path(node: &Node) -> Result<String, Wrong> {
    let path = text(node)?;
    let fixed = path.strip_suffix('*').unwrap_or(path);
    let good = fixed.starts_with('/') && fixed.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?#".contains(&byte));
    if good {
        Ok(path.to_owned())
    } else {
        Err(expected("a path such as \"/api/*\": it begins with `/`, and a `*` stands at its end only", node))
    }
}

/// The name of a flag or role.
fn word(node: &Node) -> Result<String, Wrong> {
    let word = text(node)?;
    let good = (1..=100).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if good { Ok(word.to_owned()) } else { Err(expected("a name without spaces and commas", node)) }
}
