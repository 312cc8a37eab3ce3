//! Routes: which of the configured policies hold for a request. For each way to read its path, the first route that fits.

use http::Method;

use super::path::readings;
use crate::config::Route;

/// Why a route does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// Its `path` is another.
    Path,
    /// The method is none of its `methods`.
    Method,
}

/// The routes that hold for a request: for each way to read its path, the first that fits, with its place; if any.
pub fn policies<'r>(routes: &'r [Route], method: &Method, path: &str) -> Vec<Option<(usize, &'r Route)>> {
    if routes.is_empty() {
        return Vec::new();
    }
    readings(path).iter().map(|reading| first_match(routes, method, reading)).collect()
}

/// The first route that fits a path as it is written.
pub fn first_match<'r>(routes: &'r [Route], method: &Method, reading: &str) -> Option<(usize, &'r Route)> {
    routes.iter().enumerate().find(|(_, route)| miss(route, method, reading).is_none())
}

/// Why a route does not fit; `None` where it does.
pub fn miss(route: &Route, method: &Method, reading: &str) -> Option<Miss> {
    if !fits_path(route, reading) {
        return Some(Miss::Path);
    }
    (!fits_method(route, method)).then_some(Miss::Method)
}

/// An app answers HEAD where it answers GET, and does the same work for it. Methods have a case (RFC 9110, section 9.1), but some apps
/// do not look at it.
fn fits_method(route: &Route, method: &Method) -> bool {
    let is = |one: &Method, other: &Method| one.as_str().eq_ignore_ascii_case(other.as_str());
    let is_head = is(method, &Method::HEAD);
    route.methods.is_empty() || route.methods.iter().any(|one| is(one, method) || (is_head && *one == Method::GET))
}

/// `/a/*` is for `/a` as well, `/a` for `/a/`, and `/A` for `/a`: some servers take them for the same.
fn fits_path(route: &Route, path: &str) -> bool {
    match route.path.strip_suffix('*') {
        Some(start) => {
            let begins = path.get(..start.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(start));
            begins || start.strip_suffix('/').is_some_and(|whole| path.eq_ignore_ascii_case(whole))
        }
        None => path.trim_end_matches('/').eq_ignore_ascii_case(route.path.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_first_route_that_fits_decides_and_spellings_do_not_slip_past() {
        let route = |path: &str, methods: &[Method], feature: &str| Route {
            methods: methods.to_vec(),
            feature: Some(feature.to_owned()),
            ..Route::of(path)
        };
        let routes = [route("/a/*", &[Method::GET], "a"), route("/b", &[], "b"), route("/*", &[Method::PUT], "rest")];
        let found = |method: Method, target: &str| {
            let found = policies(&routes, &method, target);
            found.iter().flatten().filter_map(|(_, route)| route.feature.clone()).collect::<Vec<_>>()
        };
        for target in ["/a/x", "/a", "/a/", "//a//x", "/./a/x", "/x/../a/y", "/%61/x", "/a%2fx", "/a;v=1/x", "/A/x", "/a/x/../../b"] {
            assert!(found(Method::GET, target).contains(&"a".to_owned()), "{target}");
        }
        for target in ["/b", "/b/", "//b//", "/B"] {
            assert!(found(Method::POST, target).contains(&"b".to_owned()), "{target}");
        }
        assert_eq!(found(Method::HEAD, "/a/x"), ["a"]);
        for spelling in ["get", "Get", "head"] {
            assert_eq!(found(spelling.parse().unwrap(), "/a/x"), ["a"], "{spelling}");
        }
        assert_eq!(found(Method::PUT, "/a/x"), ["rest"]);
        for target in ["/ab", "/", "/c/a/x"] {
            assert!(found(Method::GET, target).is_empty(), "{target}");
        }
        assert_eq!(found(Method::GET, "/a/../b"), ["a", "b"], "each reading has a policy of its own");
    }
}
