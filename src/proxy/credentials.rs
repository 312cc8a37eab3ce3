//! Credentials: gatehouse's own API keys and the tokens of issuers that are known are found and checked; everything else belongs
//! to the app. Keys are taken off before the request goes on, tokens where their issuer says so.

use std::sync::Arc;

use super::context::Worker;
use crate::access::{Identity, Unverified, Verifier, cache_key, is_gatehouse_key, key_hash};
use crate::clock::{Clock, SystemClock};
use crate::message::{Fields, Name, NameSet};
use crate::model::Millis;
use crate::tenancy::LiveKey;

/// What a request shows of credentials that gatehouse knows.
#[derive(Clone)]
pub enum Presented {
    /// None of them.
    Nothing,
    /// One that is not good, or two that differ; what the client is told.
    Wrong(&'static str),
    /// A good key.
    Key(Arc<LiveKey>),
    /// A good token.
    User(Arc<Identity>),
}

/// What a wrong key is told, wherever it is shown.
pub const WRONG_KEY: &str = "The API key is not one that was issued, or it was revoked or has expired.";
const TWO_KEYS: &str = "The request has two different API keys; send one.";
const TWO_TOKENS: &str = "The request has two different tokens; send one.";
const KEY_AND_TOKEN: &str = "The request has an API key and a token; send one of them.";

/// Looks up the key, or verifies the token, that a request shows. `own` verify tokens of the tenant's own issuers. `now` is the time
/// by which keys expire; tokens go by real time.
pub fn presented(worker: &Worker, fields: &Fields, own: &[Arc<Verifier>], now: Millis) -> Presented {
    if !fields.has(Name::Authorization) && !fields.has(Name::XApiKey) {
        return Presented::Nothing;
    }
    let by = [own, worker.directory.verifiers()];
    let token = if by.iter().all(|verifiers| verifiers.is_empty()) { Presented::Nothing } else { token_in(worker, fields, by) };
    let mut keys = keys_in(fields);
    let Some(text) = keys.next() else { return token };
    if keys.any(|other| other != text) {
        return Presented::Wrong(TWO_KEYS);
    }
    match key_hash(text).and_then(|hash| worker.directory.key(&hash)) {
        _ if !matches!(token, Presented::Nothing) => Presented::Wrong(KEY_AND_TOKEN),
        Some(entry) if entry.key.expires_at.is_none_or(|at| at > now) => Presented::Key(entry),
        _ => Presented::Wrong(WRONG_KEY),
    }
}

/// Takes gatehouse's own keys off; what belongs to the app stays. A token of `user` stays where its issuer lets the app have it.
pub fn remove_own(fields: &mut Fields, user: Option<&Identity>) {
    if fields.has_any(NameSet::of(&[Name::Authorization, Name::XApiKey, Name::Odd])) {
        let keeps_tokens = user.is_none_or(|user| user.by.issuer().forward);
        // Also where it was not looked for, because another spelling is another name to the gateway.
        fields.retain(|field| {
            let name = Name::spelt(field.text);
            key_in(name, field.value).is_none() && (keeps_tokens || name != Name::Authorization || bearer(field.value).is_none())
        });
    }
}

/// The one token of a known issuer.
fn token_in(worker: &Worker, fields: &Fields, by: [&[Arc<Verifier>]; 2]) -> Presented {
    let mut found: Option<(&str, Presented)> = None;
    for text in fields.all(Name::Authorization).filter_map(bearer).filter(|text| !is_gatehouse_key(text)) {
        if found.as_ref().is_some_and(|(known, _)| *known == text) {
            continue;
        }
        match (&found, verified(worker, text, by)) {
            (_, Presented::Nothing) => {}
            (Some(_), _) => return Presented::Wrong(TWO_TOKENS),
            (None, presented) => found = Some((text, presented)),
        }
    }
    found.map_or(Presented::Nothing, |(_, presented)| presented)
}

/// What a token comes to: nothing where none of the issuers is its own.
fn verified(worker: &Worker, text: &str, by: [&[Arc<Verifier>]; 2]) -> Presented {
    let now = SystemClock.now();
    let hash = cache_key(text);
    if let Some(known) = worker.tokens.borrow_mut().get(&hash, &by, now) {
        return Presented::User(known);
    }
    let Some(token) = Unverified::read(text) else { return Presented::Nothing };
    let Some(issuer) = token.issuer() else { return Presented::Nothing };
    let mut outcome = Presented::Nothing;
    for verifier in by.into_iter().flatten().filter(|verifier| verifier.issuer().issuer == issuer) {
        match verifier.verify(&token, now) {
            Ok(identity) => {
                let identity = Arc::new(identity);
                worker.tokens.borrow_mut().put(hash, Arc::clone(&identity));
                return Presented::User(identity);
            }
            // Of the tenant's own issuer and a common one with the same name, the first says what is wrong.
            Err(fault) if matches!(outcome, Presented::Nothing) => outcome = Presented::Wrong(fault.detail()),
            Err(_) => {}
        }
    }
    outcome
}

fn keys_in(fields: &Fields) -> impl Iterator<Item = &str> {
    let of = |name| fields.all(name).filter_map(move |value| key_in(name, value));
    of(Name::Authorization).chain(of(Name::XApiKey))
}

/// The key in a field, right or wrong.
fn key_in(name: Name, value: &[u8]) -> Option<&str> {
    let key = match name {
        Name::XApiKey => std::str::from_utf8(value).ok()?.trim(),
        Name::Authorization => bearer(value)?,
        _ => return None,
    };
    is_gatehouse_key(key).then_some(key)
}

/// What follows `Bearer` (RFC 6750, section 2.1); the scheme's name has no case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(value).ok()?.trim().split_once([' ', '\t'])?;
    Some(token.trim_start()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gatehouse_keys_are_taken_off() {
        let mut fields = Fields::new();
        fields.push(Name::Authorization, "Basic YTpi");
        fields.push(Name::Authorization, "bearer  gh_live_x");
        fields.push(Name::Authorization, "Bearer a.b.c");
        fields.push(Name::XApiKey, "gh_test_y");
        fields.push_as(b"X_Api.Key", b"gh_test_z");
        assert_eq!(keys_in(&fields).collect::<Vec<_>>(), ["gh_live_x", "gh_test_y"]);
        remove_own(&mut fields, None);
        assert_eq!(fields.all(Name::Authorization).collect::<Vec<_>>(), [&b"Basic YTpi"[..], b"Bearer a.b.c"]);
        assert!(!fields.has(Name::XApiKey) && !fields.has(Name::Odd));
    }
}
