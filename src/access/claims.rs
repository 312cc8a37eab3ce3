//! Claims: what is read from a token whose signature is good, and what must hold of it (RFC 7519, section 4.1).

use serde_json::{Map, Value};

use super::token::TokenFault;
use crate::model::{Issuer, Millis};

/// Characters of a user's name that fit into a header field.
const MOST_USER: usize = 255;
/// Roles or scopes of one token.
const MOST_WORDS: usize = 128;
/// Characters of one of them.
const MOST_WORD: usize = 100;
/// Characters of all roles or scopes of a token together, as they may stand in one field; those beyond are left out.
const MOST_TEXT: usize = 2048;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// What a token says of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Id or slug of the tenant, where the issuer names tenants.
    pub tenant: Option<Box<str>>,
    /// For `X-User-Id`.
    pub user: Box<str>,
    /// In the order of the token.
    pub roles: Box<[String]>,
    /// What it may be used for.
    pub scopes: Box<[String]>,
    /// From when on it is refused, leeway included.
    pub not_after: Millis,
}

/// Reads them; `now` is real time.
pub fn read(claims: &Claims, issuer: &Issuer, now: Millis) -> Result<Said, TokenFault> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer.issuer.as_str()) {
        return Err(TokenFault::Issuer);
    }
    let leeway = i64::from(issuer.leeway_seconds) * 1000;
    let not_after = moment(claims.get("exp").ok_or(TokenFault::NoExpiry)?)?.saturating_add(leeway);
    if now.0 >= not_after {
        return Err(TokenFault::Expired);
    }
    if let Some(begin) = claims.get("nbf")
        && now.0 < moment(begin)?.saturating_sub(leeway)
    {
        return Err(TokenFault::NotYet);
    }
    if !names_us(claims.get("aud"), &issuer.audience) {
        return Err(TokenFault::Audience);
    }
    let tenant = match &issuer.tenant_claim {
        None => None,
        Some(path) => Some(find(claims, path).and_then(Value::as_str).ok_or(TokenFault::NoTenant)?.into()),
    };
    let user = find(claims, &issuer.user_claim).and_then(Value::as_str).filter(|user| is_user(user)).ok_or(TokenFault::NoUser)?;
    let roles = words(find(claims, &issuer.roles_claim));
    let scopes = words(find(claims, &issuer.scopes_claim));
    Ok(Said { tenant, user: user.into(), roles, scopes, not_after: Millis(not_after) })
}

/// A claim by its name, else by its path: `realm_access.roles` is `roles` in `realm_access`.
pub fn find<'c>(claims: &'c Claims, path: &str) -> Option<&'c Value> {
    if let Some(claim) = claims.get(path) {
        return Some(claim);
    }
    let (first, rest) = path.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

/// Seconds since the epoch, fractions allowed (RFC 7519, section 2: NumericDate), as milliseconds.
fn moment(claim: &Value) -> Result<i64, TokenFault> {
    let seconds = claim.as_f64().filter(|seconds| seconds.is_finite()).ok_or(TokenFault::Malformed)?;
    // Beyond the range it becomes its end, which is as far away.
    Ok((seconds * 1000.0) as i64)
}

/// `aud` is one name or a list of them; one of ours must be among them.
fn names_us(claim: Option<&Value>, ours: &[String]) -> bool {
    let is_ours = |name: &Value| name.as_str().is_some_and(|name| ours.iter().any(|our| our == name));
    match claim {
        Some(Value::Array(names)) => names.iter().any(is_ours),
        Some(name) => is_ours(name),
        None => false,
    }
}

/// A list of words, or a text of them with spaces or commas between. What cannot stand in a list in a header field is none.
fn words(claim: Option<&Value>) -> Box<[String]> {
    let is_word = |word: &&str| (1..=MOST_WORD).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    let mut found: Vec<String> = match claim {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).filter(is_word).map(str::to_owned).collect(),
        Some(Value::String(text)) => text.split([' ', ',']).filter(is_word).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let mut length = 0;
    found.truncate(MOST_WORDS);
    found.retain(|word| {
        length += word.len() + 1;
        length <= MOST_TEXT
    });
    found.into()
}

/// Visible ASCII, with single spaces at most inside, so that it arrives as it was said.
fn is_user(user: &str) -> bool {
    let plain = user.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    (1..=MOST_USER).contains(&user.len()) && plain && user.trim() == user
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn said(change: Value) -> Result<Said, TokenFault> {
        let mut issuer = Issuer::usual("https://id.example".to_owned(), vec!["app".to_owned()]);
        issuer.tenant_claim = Some("org.slug".to_owned());
        issuer.roles_claim = "https://id.example/roles".to_owned();
        let mut claims = json!({"iss": "https://id.example", "aud": "app", "exp": NOW + 60, "sub": "u1", "org": {"slug": "acme"}});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: Claims =
            claims.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()).map(|(n, v)| (n.clone(), v.clone())).collect();
        read(&claims, &issuer, Millis(NOW * 1000))
    }

    #[test]
    fn what_is_said_is_read_by_name_and_by_path() {
        let full = said(json!({"https://id.example/roles": ["admin", "a,b", 7, "", "owner"], "scope": "read  write"})).unwrap();
        assert_eq!((full.tenant.as_deref(), &*full.user), (Some("acme"), "u1"));
        assert_eq!(
            (&*full.roles, &*full.scopes),
            (&["admin".to_owned(), "owner".to_owned()][..], &["read".to_owned(), "write".to_owned()][..])
        );
        assert_eq!(full.not_after, Millis((NOW + 90) * 1000));
        assert_eq!(&*said(json!({"https://id.example/roles": "admin,owner"})).unwrap().roles, ["admin", "owner"]);
    }

    #[test]
    fn times_hold_with_the_leeway_and_no_longer() {
        for (change, expected) in [
            (json!({"exp": NOW - 29}), None),
            (json!({"exp": NOW - 30}), Some(TokenFault::Expired)),
            (json!({"exp": f64::from(i32::MAX) + 0.5}), None),
            (json!({"exp": -1}), Some(TokenFault::Expired)),
            (json!({"exp": 1e300}), None),
            (json!({"exp": "9999999999"}), Some(TokenFault::Malformed)),
            (json!({"exp": null}), Some(TokenFault::NoExpiry)),
            (json!({"nbf": NOW + 30}), None),
            (json!({"nbf": NOW + 31}), Some(TokenFault::NotYet)),
            (json!({"nbf": "0"}), Some(TokenFault::Malformed)),
        ] {
            assert_eq!(said(change.clone()).err(), expected, "{change}");
        }
    }

    #[test]
    fn what_is_not_for_us_or_names_nobody_is_refused() {
        for (change, expected) in [
            (json!({"iss": "https://id.example/"}), TokenFault::Issuer),
            (json!({"aud": "App"}), TokenFault::Audience),
            (json!({"aud": ["x", "y"]}), TokenFault::Audience),
            (json!({"aud": null}), TokenFault::Audience),
            (json!({"aud": {"app": true}}), TokenFault::Audience),
            (json!({"org": {"slug": ["acme"]}}), TokenFault::NoTenant),
            (json!({"org": null}), TokenFault::NoTenant),
            (json!({"sub": 7}), TokenFault::NoUser),
            (json!({"sub": "a\nb"}), TokenFault::NoUser),
            (json!({"sub": " a"}), TokenFault::NoUser),
            (json!({"sub": ""}), TokenFault::NoUser),
        ] {
            assert_eq!(said(change.clone()).err(), Some(expected), "{change}");
        }
        assert!(said(json!({"aud": ["x", "app"]})).is_ok());
    }
}
