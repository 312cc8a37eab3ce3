//! A change to a tenant as data: computed by pure functions, committed and published by [`Tenants`](super::Tenants).

use serde_json::Value;

use super::domains::{claim, release};
use crate::model::{ApiKey, CustomDomain, Host, KeyId, Millis, Status, Tenant, TenantId};
use crate::store::{AuditRow, Key, Precondition, StoreError, Table, Tx, Version};

/// A value with the version it was read at.
#[derive(Debug, Clone)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version.
    pub version: Version,
}

/// A move that is not committed yet. Without puts, deletes and audit rows it is a move to where the tenant is already.
#[derive(Debug)]
pub struct Change {
    /// As it will be.
    pub tenant: Tenant,
    /// The version it was computed from; `None` for a new tenant.
    pub base: Option<Version>,
    /// What is committed.
    pub tx: Tx,
    /// What happens to API keys.
    pub keys: Vec<KeyChange>,
    /// Other tenants that it changes as well.
    pub others: Vec<Tenant>,
    /// Custom domains that are claimed or released by it.
    pub domains: Vec<Host>,
}

/// What happens to an API key.
#[derive(Debug)]
pub enum KeyChange {
    /// It becomes usable, or its end is another.
    Shown(Box<ApiKey>),
    /// It becomes useless.
    Revoked(KeyId),
}

/// Who wants something, when, why, and through which request.
#[derive(Debug, Clone)]
pub struct Cause {
    /// The name of an operator, `admin`, `loopback`, `system`, …
    pub actor: String,
    /// The address that the request came from, where there is one.
    pub source: Option<String>,
    /// The request, where there is one.
    pub request_id: Option<String>,
    /// Why, in the words of who wants it.
    pub reason: Option<String>,
    /// Billing time.
    pub now: Millis,
}

/// What is wrong with one member of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body; `/query/<name>` for a query parameter.
    pub pointer: String,
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// Why a tenant did not change.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// What was asked for cannot be.
    #[error("{}", first_detail(.0))]
    Invalid(Vec<FieldError>),
    /// A slug or a domain is someone else's.
    #[error("{}", first_detail(.0))]
    Taken(Vec<FieldError>),
    /// The tenant's state does not allow it.
    #[error("a tenant that is {} cannot be {verb}{hint}", .from.as_str())]
    Transition {
        /// Where it is.
        from: Status,
        /// What was wanted, as a participle.
        verb: &'static str,
        /// What to do instead; begins with punctuation, or is empty.
        hint: &'static str,
    },
    /// An invoice does not allow it.
    #[error("{0}")]
    Invoice(String),
    /// Someone else changed it meanwhile; reading it again and trying once more may work.
    #[error("the tenant was changed by someone else meanwhile")]
    Conflict,
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for TenancyError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl FieldError {
    /// What is wrong where.
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}

impl Cause {
    /// Without a request: what `actor`, a part of the gateway, does by itself.
    pub fn of(actor: &str, now: Millis) -> Self {
        Self { actor: actor.to_owned(), source: None, request_id: None, reason: None, now }
    }

    /// An audit row for what this causes, to a tenant or to none.
    pub fn audit(&self, action: &str, tenant: impl Into<Option<TenantId>>, before: Option<Value>, after: Option<Value>) -> AuditRow {
        AuditRow {
            time: self.now,
            actor: self.actor.clone(),
            source: self.source.clone(),
            action: action.to_owned(),
            tenant_id: tenant.into(),
            before,
            after,
            request_id: self.request_id.clone(),
            reason: self.reason.clone(),
        }
    }
}

impl Change {
    /// A new tenant with its slug and domain.
    pub(super) fn insert(tenant: Tenant) -> Result<Self, TenancyError> {
        let key = tenant_key(tenant.id);
        let mut tx = Tx { preconditions: vec![Precondition::Absent(key.clone())], ..Tx::default() };
        tx.puts.push((key, encode(&tenant)?));
        let mut change = Self { tenant, base: None, tx, keys: Vec::new(), others: Vec::new(), domains: Vec::new() };
        change.claim_names()?;
        Ok(change)
    }

    /// `current` becomes `tenant`, unless someone else changes it first.
    pub(super) fn update(current: &Versioned<Tenant>, tenant: Tenant) -> Result<Self, TenancyError> {
        let key = tenant_key(tenant.id);
        let tx = Tx {
            preconditions: vec![Precondition::Unchanged(key.clone(), current.version)],
            puts: vec![(key, encode(&tenant)?)],
            ..Tx::default()
        };
        Ok(Self { tenant, base: Some(current.version), tx, keys: Vec::new(), others: Vec::new(), domains: Vec::new() })
    }

    /// Everything stays as it is.
    pub(super) fn nothing(current: &Versioned<Tenant>) -> Self {
        let tenant = current.value.clone();
        Self { tenant, base: Some(current.version), tx: Tx::default(), keys: Vec::new(), others: Vec::new(), domains: Vec::new() }
    }

    /// Takes the tenant's slug, and claims its domain.
    pub(super) fn claim_names(&mut self) -> Result<(), TenancyError> {
        let slug = Key::new(Table::Slugs, self.tenant.slug.as_str());
        self.tx.preconditions.push(Precondition::Absent(slug.clone()));
        self.tx.puts.push((slug, self.tenant.id.to_string().into_bytes()));
        if let Some(domain) = self.tenant.custom_domain.clone() {
            claim(self, domain)?;
        }
        Ok(())
    }

    /// Leaves the tenant's slug and domains to others.
    pub(super) fn release_names(&mut self, claims: &[CustomDomain]) {
        self.tx.deletes.push(Key::new(Table::Slugs, self.tenant.slug.as_str()));
        for domain in claims {
            self.release_domain(&domain.name);
        }
    }

    /// Leaves a domain to others.
    pub(super) fn release_domain(&mut self, name: &Host) {
        release(self, name);
    }

    /// True where it claims this custom domain.
    pub fn claims_domain(&self, name: &Host) -> bool {
        self.tx.puts.iter().any(|(key, _)| key.table == Table::Domains && key.id == name.as_str())
    }

    /// True where there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.tx.puts.is_empty() && self.tx.deletes.is_empty() && self.tx.audit.is_empty()
    }
}

/// Where a tenant is stored.
pub(super) fn tenant_key(id: TenantId) -> Key {
    Key::new(Table::Tenants, id.to_string())
}

/// A record's bytes.
pub(super) fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, TenancyError> {
    serde_json::to_vec(value).map_err(|error| TenancyError::Store(StoreError::Refused(error.to_string())))
}

/// A record's value.
pub(super) fn decode<T: serde::de::DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, TenancyError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = format!("the record {:?}/{} cannot be read: {error}; restore it from a backup", key.table, key.id);
        TenancyError::Store(StoreError::Damaged(text))
    })
}

fn first_detail(errors: &[FieldError]) -> &str {
    errors.first().map_or("the request is not valid", |error| error.detail.as_str())
}
