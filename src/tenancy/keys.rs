//! API keys of a tenant: issued and revoked as changes. The secret leaves with the answer and is kept nowhere.

use secrecy::SecretString;
use serde_json::json;

use super::change::{encode, tenant_key};
use super::{Cause, Change, FieldError, KeyChange, TenancyError, Versioned};
use crate::access;
use crate::model::{ApiKey, KeyId, Millis, Status, Tenant, TenantId, hex};
use crate::store::{Key, Precondition, Table};

const MAX_WORDS: usize = 32;

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
}

/// Draws a key for the tenant; the secret is returned this once.
pub fn issue_key(current: &Versioned<Tenant>, new: &NewKey, cause: &Cause) -> Result<(Change, ApiKey, SecretString), TenancyError> {
    let tenant = &current.value;
    if tenant.status == Status::Deleted {
        return Err(TenancyError::Transition { from: Status::Deleted, verb: "given keys", hint: "; restore it first" });
    }
    check(new, cause.now)?;
    let issued = access::new_key();
    let key = ApiKey {
        id: KeyId::new(cause.now),
        tenant_id: tenant.id,
        name: new.name.trim().to_owned(),
        prefix: issued.prefix,
        hash: hex(&issued.hash),
        roles: new.roles.clone(),
        scopes: new.scopes.clone(),
        created_at: cause.now,
        expires_at: new.expires_at,
    };
    let mut change = Change::nothing(current);
    // The tenant must still be what it was: no key is issued for a tenant that is deleted at the same moment.
    change.tx.preconditions.push(Precondition::Unchanged(tenant_key(tenant.id), current.version));
    change.tx.preconditions.push(Precondition::Absent(record_key(tenant.id, key.id)));
    change.tx.puts.push((record_key(tenant.id, key.id), encode(&key)?));
    change.tx.audit.push(cause.audit("key.created", tenant.id, None, Some(facts(&key))));
    change.key = Some(KeyChange::Issued(key.clone()));
    Ok((change, key, issued.secret))
}

/// Takes a key away.
pub fn revoke_key(current: &Versioned<Tenant>, key: &Versioned<ApiKey>, cause: &Cause) -> Change {
    let id = key.value.id;
    let mut change = Change::nothing(current);
    change.tx.preconditions.push(Precondition::Unchanged(record_key(current.value.id, id), key.version));
    change.tx.deletes.push(record_key(current.value.id, id));
    change.tx.audit.push(cause.audit("key.revoked", current.value.id, Some(facts(&key.value)), None));
    change.key = Some(KeyChange::Revoked(id));
    change
}

/// Where a key is stored.
pub(super) fn record_key(tenant: TenantId, key: KeyId) -> Key {
    Key::new(Table::Keys, format!("{tenant}/{key}"))
}

fn facts(key: &ApiKey) -> serde_json::Value {
    json!({"id": key.id, "name": key.name, "prefix": key.prefix, "roles": key.roles, "scopes": key.scopes, "expiresAt": key.expires_at})
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
