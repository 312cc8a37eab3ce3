//! Issuers of tokens that are believed for one tenant alone, so that an enterprise may bring its own identity provider.
//!
//! Tokens of one issuer for one audience are one tenant's: two tenants that both believed them would let in each other's users. So
//! each pair is claimed like a slug, and an issuer that is believed for all tenants cannot be one's own without a claim that names the
//! tenant.

use std::collections::BTreeSet;

use aws_lc_rs::digest;

use super::change::Change;
use super::provisioning::{finish, not_deleted};
use super::{Cause, FieldError, TenancyError, Versioned};
use crate::access::KeySet;
use crate::config::Config;
use crate::model::issuer::key_url;
use crate::model::{Issuer, KeySource, Tenant, hex};
use crate::store::{Key, Precondition, Table};

/// Issuers of one tenant.
const MOST: usize = 8;
/// Names that `aud` may have.
const MOST_AUDIENCES: usize = 16;
/// Seconds that clocks may differ.
const LONGEST_LEEWAY: u32 = 300;
/// Octets of keys that are given, since they are a part of the tenant's record.
const MOST_KEY_OCTETS: usize = 32 * 1024;

/// The tenant with these issuers, and no others.
pub fn set_issuers(current: &Versioned<Tenant>, issuers: Vec<Issuer>, config: &Config, cause: &Cause) -> Result<Change, TenancyError> {
    not_deleted(&current.value)?;
    let errors = faults(&issuers, config);
    if !errors.is_empty() {
        return Err(TenancyError::Invalid(errors));
    }
    let (before, after) = (claims(&current.value.issuers), claims(&issuers));
    let tenant = Tenant { issuers, ..current.value.clone() };
    let mut change = finish(current, &[], tenant, "tenant.issuers_changed", cause)?;
    change.tx.deletes.extend(before.difference(&after).map(|claim| place(claim)));
    for claim in after.difference(&before) {
        change.tx.preconditions.push(Precondition::Absent(place(claim)));
        change.tx.puts.push((place(claim), current.value.id.to_string().into_bytes()));
    }
    Ok(change)
}

/// Where the pairs of issuers are claimed that a tenant leaves to others.
pub(super) fn claimed(issuers: &[Issuer]) -> Vec<Key> {
    claims(issuers).iter().map(|claim| place(claim)).collect()
}

/// Whether an issuer of one tenant takes tokens of one that is for all, without looking whose they are: one token may be for several
/// audiences.
pub(super) fn takes_common(own: &Issuer, common: &Issuer) -> bool {
    own.tenant_claim.is_none() && own.issuer == common.issuer
}

/// What is claimed: issuer and audience.
fn claims(issuers: &[Issuer]) -> BTreeSet<String> {
    let pair = |issuer: &Issuer, audience: &String| {
        let text = format!("{}\n{audience}", issuer.issuer);
        hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    };
    issuers.iter().flat_map(|issuer| issuer.audience.iter().map(move |audience| pair(issuer, audience))).collect()
}

fn place(claim: &str) -> Key {
    Key::new(Table::TenantIssuers, claim)
}

fn faults(issuers: &[Issuer], config: &Config) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if issuers.len() > MOST {
        errors.push(FieldError::new("/issuers", "too_long", format!("a tenant has at most {MOST} issuers")));
    }
    for (index, issuer) in issuers.iter().enumerate() {
        let mut fault =
            |member: &str, code, detail: String| errors.push(FieldError::new(format!("/issuers/{index}/{member}"), code, detail));
        let is_name = |text: &str| (1..=500).contains(&text.len()) && !text.chars().any(char::is_control);
        if !is_name(&issuer.issuer) || !issuer.issuer.bytes().all(|byte| byte.is_ascii_graphic()) {
            fault("issuer", "invalid", "the `iss` of its tokens, such as `https://login.acme.com`".to_owned());
        }
        if !(1..=MOST_AUDIENCES).contains(&issuer.audience.len()) || !issuer.audience.iter().all(|name| is_name(name)) {
            fault("audience", "invalid", format!("1 to {MOST_AUDIENCES} names, of which tokens have one in `aud`"));
        }
        if let Some((member, detail)) = key_fault(issuer) {
            fault(member, "invalid", detail);
        }
        for (member, claim) in [
            ("tenantClaim", issuer.tenant_claim.as_deref()),
            ("userClaim", Some(issuer.user_claim.as_str())),
            ("rolesClaim", Some(issuer.roles_claim.as_str())),
            ("scopesClaim", Some(issuer.scopes_claim.as_str())),
        ] {
            if claim.is_some_and(|claim| claim.len() > 200 || !is_name(claim)) {
                fault(member, "invalid", "the name of a claim, such as `roles` or `realm_access.roles`".to_owned());
            }
        }
        if issuer.algorithms.is_empty() {
            fault("algorithms", "invalid", "at least one algorithm; leave `algorithms` out for all that are safe".to_owned());
        }
        if issuer.leeway_seconds > LONGEST_LEEWAY {
            fault("leewaySeconds", "invalid", format!("at most {LONGEST_LEEWAY}"));
        }
        if config.issuers.iter().any(|common| takes_common(issuer, common)) {
            let detail = "tokens of this issuer are believed for all tenants ([[issuer]] in the configuration): name the claim that says which tenant a user belongs to";
            fault("tenantClaim", "issuer_shared", detail.to_owned());
        }
    }
    errors
}

/// What is wrong with where the keys come from.
fn key_fault(issuer: &Issuer) -> Option<(&'static str, String)> {
    match &issuer.keys {
        KeySource::Discovered => key_url(&issuer.issuer)
            .err()
            .map(|error| ("issuer", format!("its keys are found below it: {error}; or say where they are with `jwksUrl`"))),
        KeySource::Url(url) => key_url(url).err().map(|error| ("jwksUrl", error.to_string())),
        KeySource::Given(keys) if keys.to_string().len() > MOST_KEY_OCTETS => Some(("jwks", format!("at most {MOST_KEY_OCTETS} octets"))),
        KeySource::Given(keys) => KeySet::given(keys.clone()).err().map(|error| ("jwks", error.to_string())),
    }
}
