//! API keys of a tenant: issued, rotated and revoked as changes. The secret leaves with the answer and is kept nowhere.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::change::{encode, tenant_key};
use super::walk::Walk;
use super::{Cause, Change, FieldError, KeyChange, TenancyError, Tenants, Versioned};
use crate::access;
use crate::model::{ApiKey, KeyId, KeyMode, Millis, Status, Tenant, TenantId, hex};
use crate::store::{Key, Precondition, Store, StoreError, Table, Tx};

const MAX_WORDS: usize = 32;
/// The longest that a key may go on beside the one that takes its place.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Uses that are written down in one commit.
const USES: usize = 500;

/// What a key shall be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What its owner calls it, 1 to 100 characters.
    pub name: String,
    /// Roles that a request with it has.
    pub roles: Vec<String>,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// From when on it is refused; in the future.
    pub expires_at: Option<Millis>,
    /// What it is for.
    pub mode: KeyMode,
}

/// Draws a key for the tenant; the secret is returned this once.
pub fn issue_key(current: &Versioned<Tenant>, new: &NewKey, cause: &Cause) -> Result<(Change, ApiKey, SecretString), TenancyError> {
    let tenant = &current.value;
    if tenant.status == Status::Deleted {
        return Err(TenancyError::Transition { from: Status::Deleted, verb: "given keys", hint: "; restore it first" });
    }
    check(new, cause.now)?;
    let (key, secret) = draw(tenant.id, new, cause.now);
    let mut change = put_new(current, &key)?;
    change.tx.audit.push(cause.audit("key.created", tenant.id, None, Some(facts(&key))));
    change.keys.push(KeyChange::Shown(Box::new(key.clone())));
    Ok((change, key, secret))
}

/// Draws a key in the place of another, with its name, roles and scopes. The other one goes on for `overlap`, or until it expires
/// where that is sooner, so that whoever uses it has time to change; the new one lives as long as the old one was to live, unless
/// `expires_at` says when it ends.
pub fn rotate_key(
    current: &Versioned<Tenant>,
    old: &Versioned<ApiKey>,
    overlap: Duration,
    expires_at: Option<Millis>,
    cause: &Cause,
) -> Result<(Change, ApiKey, SecretString), TenancyError> {
    let before = &old.value;
    if before.expires_at.is_some_and(|at| at <= cause.now) {
        let detail = "the key has expired; a new one is made with POST …/keys";
        return Err(TenancyError::Invalid(vec![FieldError::new("", "key_expired", detail)]));
    }
    let (name, roles, scopes) = (before.name.clone(), before.roles.clone(), before.scopes.clone());
    // Keys of earlier versions do not say it.
    let lifetime = before.lifetime.or_else(|| before.expires_at.map(|at| at.0 - before.created_at.0));
    let expires_at = expires_at.or_else(|| lifetime.map(|lifetime| Millis(cause.now.0.saturating_add(lifetime))));
    let new = NewKey { name, roles, scopes, expires_at, mode: before.mode() };
    check(&new, cause.now)?;
    let (mut key, secret) = draw(before.tenant_id, &new, cause.now);
    key.rotated_from = Some(before.id);
    let end = cause.now.plus(overlap);
    let ending = ApiKey { expires_at: Some(before.expires_at.map_or(end, |at| at.min(end))), ..before.clone() };
    let mut change = put_new(current, &key)?;
    let place = record_key(before.tenant_id, before.id);
    change.tx.preconditions.push(Precondition::Unchanged(place.clone(), old.version));
    change.tx.puts.push((place, encode(&ending)?));
    let after = json!({"old": facts(&ending), "new": facts(&key)});
    change.tx.audit.push(cause.audit("key.rotated", before.tenant_id, Some(facts(before)), Some(after)));
    change.keys.extend([ending, key.clone()].map(|key| KeyChange::Shown(Box::new(key))));
    Ok((change, key, secret))
}

fn draw(tenant: TenantId, new: &NewKey, now: Millis) -> (ApiKey, SecretString) {
    let issued = access::new_key(new.mode);
    let key = ApiKey {
        id: KeyId::new(now),
        tenant_id: tenant,
        name: new.name.trim().to_owned(),
        prefix: issued.prefix,
        last_four: Some(issued.last_four),
        hash: hex(&issued.hash),
        roles: new.roles.clone(),
        scopes: new.scopes.clone(),
        created_at: now,
        expires_at: new.expires_at,
        lifetime: new.expires_at.map(|at| at.0 - now.0),
        rotated_from: None,
    };
    (key, issued.secret)
}

/// The tenant must still be what it was: no key is issued for a tenant that is deleted at the same moment.
fn put_new(current: &Versioned<Tenant>, key: &ApiKey) -> Result<Change, TenancyError> {
    let mut change = Change::nothing(current);
    let place = record_key(key.tenant_id, key.id);
    change.tx.preconditions.push(Precondition::Unchanged(tenant_key(key.tenant_id), current.version));
    change.tx.preconditions.push(Precondition::Absent(place.clone()));
    change.tx.puts.push((place, encode(key)?));
    Ok(change)
}

/// Takes a key away.
pub fn revoke_key(current: &Versioned<Tenant>, key: &Versioned<ApiKey>, cause: &Cause) -> Change {
    let id = key.value.id;
    let mut change = Change::nothing(current);
    change.tx.preconditions.push(Precondition::Unchanged(record_key(current.value.id, id), key.version));
    change.tx.deletes.push(record_key(current.value.id, id));
    change.tx.deletes.push(use_key(current.value.id, id));
    change.tx.audit.push(cause.audit("key.revoked", current.value.id, Some(facts(&key.value)), None));
    change.keys.push(KeyChange::Revoked(id));
    change
}

/// Where a key is stored.
pub(super) fn record_key(tenant: TenantId, key: KeyId) -> Key {
    Key::new(Table::Keys, format!("{tenant}/{key}"))
}

fn use_key(tenant: TenantId, key: KeyId) -> Key {
    Key::new(Table::KeyUses, format!("{tenant}/{key}"))
}

/// Writes down when keys were last used. It is no privileged operation, and no request waits for it.
pub async fn write_key_uses(store: &dyn Store, uses: Vec<(TenantId, KeyId, Millis)>) -> Result<(), StoreError> {
    for part in uses.chunks(USES) {
        let puts = part.iter().map(|(tenant, key, at)| (use_key(*tenant, *key), at.0.to_string().into_bytes())).collect();
        store.commit(Tx { puts, ..Tx::default() }).await?;
    }
    Ok(())
}

/// At the start: what earlier processes knew of it.
pub(super) async fn load_key_uses(tenants: &Tenants) -> Result<(), TenancyError> {
    let mut walk = Walk::over(Table::KeyUses);
    while let Some(records) = walk.next(&*tenants.store).await? {
        for record in records {
            let key = record.key.id.split('/').nth(1).and_then(|id| id.parse::<KeyId>().ok());
            let at = std::str::from_utf8(&record.value).ok().and_then(|text| text.parse::<i64>().ok());
            if let (Some(key), Some(at)) = (key, at) {
                tenants.directory.remember_key_used(key, Millis(at));
            }
        }
    }
    Ok(())
}

fn facts(key: &ApiKey) -> serde_json::Value {
    json!({"id": key.id, "name": key.name, "prefix": key.prefix, "lastFour": key.last_four, "roles": key.roles, "scopes": key.scopes, "expiresAt": key.expires_at})
}

fn check(new: &NewKey, now: Millis) -> Result<(), TenancyError> {
    let mut errors = Vec::new();
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        errors.push(FieldError::new("/name", "invalid", "a key's name has 1 to 100 characters"));
    }
    for (member, words) in [("roles", &new.roles), ("scopes", &new.scopes)] {
        if words.len() > MAX_WORDS {
            errors.push(FieldError::new(format!("/{member}"), "too_long", format!("at most {MAX_WORDS} {member}")));
        }
        for (index, word) in words.iter().enumerate().filter(|(_, word)| !is_word(word)) {
            let detail = format!("`{}` is not a word of 1 to 64 letters, digits or `_ . : / * -`", word.escape_debug());
            errors.push(FieldError::new(format!("/{member}/{index}"), "invalid", detail));
        }
    }
    if new.expires_at.is_some_and(|at| at <= now) {
        errors.push(FieldError::new("/expiresAt", "invalid", "a key must expire in the future (epoch milliseconds)"));
    }
    if errors.is_empty() { Ok(()) } else { Err(TenancyError::Invalid(errors)) }
}

/// Roles travel in a comma-separated header, so they hold no comma, space or control character.
fn is_word(word: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/*-".contains(&byte);
    (1..=64).contains(&word.len()) && word.bytes().all(ok)
}
