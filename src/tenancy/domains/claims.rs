//! Claims as changes: a domain is added, removed or taken over by who proves it; nothing is committed.
//!
//! Each of them writes the tenant as well. So a claim is never made for a tenant that is deleted at the same moment, and
//! whoever changes a tenant knows all its claims.

use serde_json::json;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::model::{CustomDomain, Host, Tenant, TenantId};
use crate::store::{Key, Precondition, Table, Tx};
use crate::tenancy::change::{encode, tenant_key};
use crate::tenancy::{Cause, Change, TenancyError, Versioned, provisioning, rules};

/// Gives a tenant one more domain, which it has to prove. Its first is its `customDomain`.
pub fn add_domain(
    current: &Versioned<Tenant>,
    claims: &[CustomDomain],
    text: &str,
    config: &Config,
    cause: &Cause,
) -> Result<(Change, CustomDomain), TenancyError> {
    provisioning::not_deleted(&current.value)?;
    let name = rules::domain(text, "/domain", config).map_err(|error| TenancyError::Invalid(vec![error]))?;
    if let Some(mine) = claims.iter().find(|claim| claim.name == name) {
        return Ok((Change::nothing(current), mine.clone()));
    }
    let mut change = with_first(current, name.clone(), cause)?;
    let domain = claim(&mut change, name)?;
    change.tx.audit.push(cause.audit("domain.added", current.value.id, None, Some(json!({"domain": domain.name}))));
    Ok((change, domain))
}

/// Takes a domain from a tenant, with its certificate and key. Where it was the `customDomain`, the oldest other one is that now.
pub fn remove_domain(current: &Versioned<Tenant>, claims: &[CustomDomain], name: &Host, cause: &Cause) -> Result<Change, TenancyError> {
    let mut tenant = current.value.clone();
    leave(&mut tenant, claims, name);
    tenant.updated_at = cause.now;
    let mut change = Change::update(current, tenant)?;
    release(&mut change, name);
    change.tx.audit.push(cause.audit("domain.removed", current.value.id, Some(json!({"domain": name})), None));
    Ok(change)
}

/// Gives a tenant a domain that another claims and has not proved, because this one has.
pub fn take_over(
    current: &Versioned<Tenant>,
    (loser, claims, claimed): (&Versioned<Tenant>, &[CustomDomain], &Versioned<CustomDomain>),
    cause: &Cause,
) -> Result<(Change, CustomDomain), TenancyError> {
    let name = &claimed.value.name;
    let mut former = loser.value.clone();
    leave(&mut former, claims, name);
    former.updated_at = cause.now;
    let mut change = with_first(current, name.clone(), cause)?;
    let domain = claimed.value.taken_over(current.value.id, SystemClock.now());
    change.tx.preconditions.push(Precondition::Unchanged(tenant_key(former.id), loser.version));
    change.tx.preconditions.push(Precondition::Unchanged(claim_key(name), claimed.version));
    change.tx.puts.push((tenant_key(former.id), encode(&former)?));
    change.tx.deletes.extend([index_key(former.id, name), Key::new(Table::Certificates, name.as_str())]);
    put(&mut change.tx, &domain)?;
    let taken = json!({"domain": name, "reason": "taken_over", "detail": "another tenant has proved that it is its own"});
    let (lost, won) = (json!({"domain": name}), json!({"domain": name, "claimedBefore": former.id}));
    change.tx.audit.push(cause.audit("domain.lost", former.id, Some(lost), Some(taken)));
    change.tx.audit.push(cause.audit("domain.added", current.value.id, None, Some(won)));
    let verified = json!({"domain": name});
    change.tx.audit.push(cause.audit("domain.verified", current.value.id, None, Some(verified)));
    change.others.push(former);
    change.domains.push(name.clone());
    Ok((change, domain))
}

/// Claims a name for the change's tenant.
pub(in crate::tenancy) fn claim(change: &mut Change, name: Host) -> Result<CustomDomain, TenancyError> {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    // The machine's time, not that of billing: DNS follows no test clock.
    let domain = CustomDomain::claim(name, change.tenant.id, nonce, SystemClock.now());
    change.tx.preconditions.push(Precondition::Absent(claim_key(&domain.name)));
    put(&mut change.tx, &domain)?;
    change.domains.push(domain.name.clone());
    Ok(domain)
}

/// Leaves a name of the change's tenant to others. Its certificate and key go as well.
pub(in crate::tenancy) fn release(change: &mut Change, name: &Host) {
    let of_name = [claim_key(name), index_key(change.tenant.id, name), Key::new(Table::Certificates, name.as_str())];
    change.tx.deletes.extend(of_name);
    change.domains.push(name.clone());
}

/// A tenant without this domain: the oldest of its others is its `customDomain` then.
fn leave(tenant: &mut Tenant, claims: &[CustomDomain], name: &Host) {
    if tenant.custom_domain.as_ref() == Some(name) {
        let others = claims.iter().filter(|claim| claim.name != *name);
        tenant.custom_domain = others.min_by_key(|claim| claim.claimed_at).map(|claim| claim.name.clone());
    }
}

/// Where a claim is stored.
pub(super) fn claim_key(name: &Host) -> Key {
    Key::new(Table::Domains, name.as_str())
}

/// Where it is found by its tenant.
pub(super) fn index_key(tenant: TenantId, name: &Host) -> Key {
    Key::new(Table::DomainsByTenant, format!("{tenant}/{name}"))
}

/// Writes a claim, and where it is found by its tenant.
pub(super) fn put(tx: &mut Tx, domain: &CustomDomain) -> Result<(), TenancyError> {
    tx.puts.push((claim_key(&domain.name), encode(domain)?));
    tx.puts.push((index_key(domain.tenant_id, &domain.name), Vec::new()));
    Ok(())
}

/// The tenant, changed now, with this `customDomain` where it has none.
fn with_first(current: &Versioned<Tenant>, name: Host, cause: &Cause) -> Result<Change, TenancyError> {
    let mut tenant = current.value.clone();
    tenant.custom_domain.get_or_insert(name);
    tenant.updated_at = cause.now;
    Change::update(current, tenant)
}
