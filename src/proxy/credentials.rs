//! Credentials: gatehouse's own API keys are found, checked and taken off; everything else belongs to the app.

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::access::{is_gatehouse_key, key_hash};
use crate::model::{ApiKey, Millis};
use crate::tenancy::Directory;

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request shows of gatehouse's own credentials.
#[derive(Debug, Clone)]
pub enum Presented {
    /// None of them.
    Nothing,
    /// One that was never issued, is revoked or expired, or two that differ.
    Wrong,
    /// A good one.
    Key(Arc<ApiKey>),
}

/// Looks up the key that a request shows.
pub fn presented(headers: &HeaderMap, directory: &Directory, now: Millis) -> Presented {
    let mut keys = keys_in(headers);
    let Some(text) = keys.next() else { return Presented::Nothing };
    if keys.any(|other| other != text) {
        return Presented::Wrong;
    }
    match key_hash(text).and_then(|hash| directory.key(&hash)) {
        Some(key) if key.expires_at.is_none_or(|at| at > now) => Presented::Key(key),
        _ => Presented::Wrong,
    }
}

/// Takes gatehouse's own keys off; what belongs to the app stays.
pub fn remove_keys(headers: &mut HeaderMap) {
    for name in [&AUTHORIZATION, &X_API_KEY] {
        if !headers.get_all(name).iter().any(|value| key_in(name, value).is_some()) {
            continue;
        }
        let kept: Vec<HeaderValue> = headers.get_all(name).iter().filter(|value| key_in(name, value).is_none()).cloned().collect();
        headers.remove(name);
        for value in kept {
            headers.append(name, value);
        }
    }
}

fn keys_in(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let of = |name: &'static HeaderName| headers.get_all(name).iter().filter_map(move |value| key_in(name, value));
    of(&AUTHORIZATION).chain(of(&X_API_KEY))
}

/// The key in a field value, right or wrong; the scheme's name has no case (RFC 9110, section 11.1).
fn key_in<'v>(name: &HeaderName, value: &'v HeaderValue) -> Option<&'v str> {
    let text = value.to_str().ok()?.trim();
    let text = if *name == AUTHORIZATION {
        let (scheme, key) = text.split_once([' ', '\t'])?;
        Some(key.trim_start()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?
    } else {
        text
    };
    is_gatehouse_key(text).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gatehouse_keys_are_taken_off() {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("bearer  gh_live_x"));
        headers.append(&X_API_KEY, HeaderValue::from_static("gh_test_y"));
        assert_eq!(keys_in(&headers).collect::<Vec<_>>(), ["gh_live_x", "gh_test_y"]);
        remove_keys(&mut headers);
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Basic YTpi"]);
        assert!(!headers.contains_key(&X_API_KEY));
    }
}
