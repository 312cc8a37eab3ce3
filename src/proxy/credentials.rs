//! Credentials: gatehouse's own API keys are found, checked and taken off; everything else belongs to the app.

use std::sync::Arc;

use crate::access::{is_gatehouse_key, key_hash};
use crate::message::{Fields, Name, NameSet};
use crate::model::{ApiKey, Millis};
use crate::tenancy::Directory;

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
pub fn presented(fields: &Fields, directory: &Directory, now: Millis) -> Presented {
    let mut keys = keys_in(fields);
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
pub fn remove_keys(fields: &mut Fields) {
    if fields.has_any(NameSet::of(&[Name::Authorization, Name::XApiKey, Name::Odd])) {
        // Also where it was not looked for, because another spelling is another name to the gateway.
        fields.retain(|field| key_in(Name::spelt(field.text), field.value).is_none());
    }
}

fn keys_in(fields: &Fields) -> impl Iterator<Item = &str> {
    let of = |name| fields.all(name).filter_map(move |value| key_in(name, value));
    of(Name::Authorization).chain(of(Name::XApiKey))
}

/// The key in a field, right or wrong; the scheme's name has no case (RFC 9110, section 11.1).
fn key_in(name: Name, value: &[u8]) -> Option<&str> {
    let text = || std::str::from_utf8(value).ok().map(str::trim);
    let key = match name {
        Name::XApiKey => text()?,
        Name::Authorization => {
            let (scheme, key) = text()?.split_once([' ', '\t'])?;
            Some(key.trim_start()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?
        }
        _ => return None,
    };
    is_gatehouse_key(key).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gatehouse_keys_are_taken_off() {
        let mut fields = Fields::new();
        fields.push(Name::Authorization, "Basic YTpi");
        fields.push(Name::Authorization, "bearer  gh_live_x");
        fields.push(Name::XApiKey, "gh_test_y");
        fields.push_as(b"X_Api.Key", b"gh_test_z");
        assert_eq!(keys_in(&fields).collect::<Vec<_>>(), ["gh_live_x", "gh_test_y"]);
        remove_keys(&mut fields);
        assert_eq!(fields.all(Name::Authorization).collect::<Vec<_>>(), [b"Basic YTpi"]);
        assert!(!fields.has(Name::XApiKey) && !fields.has(Name::Odd));
    }
}
