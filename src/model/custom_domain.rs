//! A tenant's claim on a domain of its own: what proves it, what the last look at it found, and how that adds up.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{Host, Millis, TenantId, hex};

/// An authority that has failed so often in a row, for some two hours, is not just down for a moment.
const MANY_FAILURES: u32 = 7;
/// A missing record is no news for so long after the claim: people need time, and DNS does.
const PATIENCE_DAYS: i64 = 1;

/// A claim on a domain, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomDomain {
    /// The name.
    pub name: Host,
    /// Who claims it.
    pub tenant_id: TenantId,
    /// Random, so that each claim needs a proof of its own.
    pub nonce: String,
    /// Since when.
    pub claimed_at: Millis,
    /// Since when its record in DNS proves it; none before that, and none again once the proof has lapsed.
    #[serde(default)]
    pub proved_at: Option<Millis>,
    /// Since when looks have found the proof gone, where the last one did.
    #[serde(default)]
    pub missing_since: Option<Millis>,
    /// What stands in the way of the name; none once proof, routing and what else is needed were found.
    #[serde(default)]
    pub hostname: Option<Finding>,
    /// What stands in the way of its certificate.
    #[serde(default)]
    pub certificate: Option<Finding>,
    /// What the audit log last said of it: that it is served, or that someone has to act.
    #[serde(default)]
    pub told: Option<DomainStatus>,
    /// Since when it was last found to be as it should be; none since it was last found not to be.
    #[serde(default)]
    pub right_since: Option<Millis>,
    /// It has been as it should be, once at least.
    #[serde(default)]
    pub was_right: bool,
    /// When its proof lapsed, where it did.
    #[serde(default)]
    pub lapsed_at: Option<Millis>,
    /// When DNS was last looked at and answered.
    #[serde(default)]
    pub checked_at: Option<Millis>,
    /// When it is looked at next.
    pub check_at: Millis,
    /// Orders of a certificate that failed in a row.
    #[serde(default)]
    pub failed_orders: u32,
    /// No order before this.
    #[serde(default)]
    pub order_at: Option<Millis>,
    /// Directory of the authority that issued its certificate.
    #[serde(default)]
    pub issued_by: Option<String>,
    /// When that was.
    #[serde(default)]
    pub issued_at: Option<Millis>,
    /// Certificates in a row that each came soon after the one before.
    #[serde(default)]
    pub soon_again: u32,
    /// Someone wants a new certificate now.
    #[serde(default)]
    pub renew_now: bool,
    /// When its certificate is to be renewed.
    #[serde(default)]
    pub renew_at: Option<Millis>,
    /// When the authority is asked again whether that should be another time.
    #[serde(default)]
    pub ask_renewal_at: Option<Millis>,
    /// `max-age` of Strict-Transport-Security in seconds, where the domain's owner wants that.
    #[serde(default)]
    pub hsts_max_age: Option<u32>,
}

/// What a look found in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// For programs.
    pub reason: Reason,
    /// For people: what was found.
    pub detail: String,
    /// What gets it on from here, where that is more than the reason tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step: Option<String>,
}

/// What can stand in the way of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Nobody has looked yet.
    Unchecked,
    /// DNS did not answer, or with an error: nothing is known, so nothing has failed.
    DnsUnavailable,
    /// There is no TXT record with a proof.
    OwnershipMissing,
    /// There is one, with another value.
    OwnershipMismatch,
    /// The name has no address.
    AddressMissing,
    /// The name leads elsewhere.
    AddressElsewhere,
    /// A CAA record forbids the certificate authority (RFC 8659).
    CaaForbids,
    /// Nobody answers where the authority would ask.
    ChallengeUnreachable,
    /// Someone else answers there.
    ChallengeIntercepted,
    /// An order is being made, or waits for its turn.
    Ordering,
    /// The hourly budget of orders is used up.
    BudgetSpent,
    /// The authority cannot be reached, or fails.
    AuthorityUnavailable,
    /// What is configured is no authority, or not one to be trusted.
    AuthorityMisconfigured,
    /// The authority asks to wait.
    AuthorityLimits,
    /// The authority refused the order or could not validate the name.
    AuthorityRefuses,
    /// Certificates come from files, and none of them covers the name.
    CertificateMissing,
    /// The certificate's time is over.
    CertificateExpired,
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// The tenant, whose domain it is: DNS records.
    Tenant,
    /// Whoever runs the gateway.
    Operator,
}

/// How a domain stands as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainStatus {
    /// Requests to it are served.
    Serving,
    /// Nobody needs to do more than was asked for.
    InProgress,
    /// Someone must act; `nextStep` says who and how.
    Stuck,
}

impl CustomDomain {
    /// A new claim; `nonce` is random.
    pub fn claim(name: Host, tenant_id: TenantId, nonce: String, now: Millis) -> Self {
        Self {
            name,
            tenant_id,
            nonce,
            claimed_at: now,
            proved_at: None,
            missing_since: None,
            hostname: Some(Finding::new(Reason::Unchecked, "its DNS records have not been looked at yet")),
            right_since: None,
            was_right: false,
            lapsed_at: None,
            certificate: None,
            told: None,
            checked_at: None,
            check_at: now,
            failed_orders: 0,
            order_at: None,
            issued_by: None,
            issued_at: None,
            soon_again: 0,
            renew_now: false,
            renew_at: None,
            ask_renewal_at: None,
            hsts_max_age: None,
        }
    }

    /// The same claim by another tenant, which proves its right to it.
    pub fn taken_over(&self, tenant_id: TenantId, now: Millis) -> Self {
        let claim = Self::claim(self.name.clone(), tenant_id, self.nonce.clone(), now);
        let hostname = Some(Finding::new(Reason::Unchecked, "it is proved; where it leads is looked at next"));
        Self { proved_at: Some(now), hostname, ..claim }
    }

    /// True once its owner has proved it, and while that holds.
    pub const fn is_proved(&self) -> bool {
        self.proved_at.is_some()
    }

    /// Where the proof is looked for.
    pub fn proof_name(&self) -> String {
        format!("_gatehouse.{}", self.name)
    }

    /// What the record says that proves it for `tenant`: other for each claim and each tenant, so that nobody's record
    /// proves anybody else's claim, or a later one.
    pub fn proof_for(&self, tenant: TenantId) -> String {
        let text = format!("gatehouse-domain\n{}\n{tenant}\n{}", self.name, self.nonce);
        let hash = digest::digest(&digest::SHA256, text.as_bytes());
        format!("gatehouse-verification={}", hex(hash.as_ref().iter().take(16)))
    }

    /// The same for the tenant that claims it.
    pub fn proof(&self) -> String {
        self.proof_for(self.tenant_id)
    }

    /// How it stands. `serves` says that requests to it find the tenant, and that a valid certificate is there where one is
    /// needed.
    pub fn status(&self, serves: bool, now: Millis) -> DomainStatus {
        DomainStatus::of(serves, self.needs(now))
    }

    /// Who has to act; none where it goes on by itself, or all is well.
    pub fn needs(&self, now: Millis) -> Option<Actor> {
        self.finding().and_then(|finding| finding.reason.needs(now < self.fresh_until(), self.failed_orders))
    }

    /// Until when a record that is not there is no news. A domain that was right once had it.
    pub fn fresh_until(&self) -> Millis {
        if self.was_right || self.lapsed_at.is_some() { self.claimed_at } else { self.claimed_at.plus_days(PATIENCE_DAYS) }
    }

    /// What stands in the way first.
    pub fn finding(&self) -> Option<&Finding> {
        self.hostname.as_ref().or(self.certificate.as_ref())
    }
}

impl Finding {
    /// What was found.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), next_step: None }
    }

    /// With what gets it on from here.
    pub fn with_next_step(self, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), ..self }
    }
}

impl Reason {
    /// As JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::DnsUnavailable => "dns_unavailable",
            Self::OwnershipMissing => "ownership_missing",
            Self::OwnershipMismatch => "ownership_mismatch",
            Self::AddressMissing => "address_missing",
            Self::AddressElsewhere => "address_elsewhere",
            Self::CaaForbids => "caa_forbids",
            Self::ChallengeUnreachable => "challenge_unreachable",
            Self::ChallengeIntercepted => "challenge_intercepted",
            Self::Ordering => "ordering",
            Self::BudgetSpent => "budget_spent",
            Self::AuthorityUnavailable => "authority_unavailable",
            Self::AuthorityMisconfigured => "authority_misconfigured",
            Self::AuthorityLimits => "authority_limits",
            Self::AuthorityRefuses => "authority_refuses",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateExpired => "certificate_expired",
        }
    }

    /// Who has to act, where it does not go on by itself. A record that is not there yet is waited for while the claim is `fresh`,
    /// and so is an authority that has failed only `failed` times.
    pub const fn needs(self, fresh: bool, failed: u32) -> Option<Actor> {
        match self {
            Self::OwnershipMissing | Self::AddressMissing if fresh => None,
            Self::OwnershipMissing | Self::OwnershipMismatch | Self::AddressMissing | Self::AddressElsewhere | Self::CaaForbids => {
                Some(Actor::Tenant)
            }
            Self::AuthorityUnavailable if failed < MANY_FAILURES => None,
            Self::ChallengeUnreachable
            | Self::ChallengeIntercepted
            | Self::AuthorityUnavailable
            | Self::AuthorityMisconfigured
            | Self::AuthorityRefuses
            | Self::CertificateMissing
            | Self::CertificateExpired => Some(Actor::Operator),
            Self::Unchecked | Self::DnsUnavailable | Self::Ordering | Self::BudgetSpent | Self::AuthorityLimits => None,
        }
    }
}

impl DomainStatus {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Serving, Self::InProgress, Self::Stuck];

    /// Of a domain that is served or not, and that someone has to act for or nobody.
    pub const fn of(serves: bool, needs: Option<Actor>) -> Self {
        match needs {
            _ if serves => Self::Serving,
            Some(_) => Self::Stuck,
            None => Self::InProgress,
        }
    }

    /// As JSON writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::InProgress => "in_progress",
            Self::Stuck => "stuck",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(reason: Reason) -> CustomDomain {
        let name = Host::parse("shop.acme.com").unwrap();
        let mut domain = CustomDomain::claim(name, TenantId::from_bytes([1; 16]), "n1".to_owned(), Millis(0));
        domain.hostname = Some(Finding::new(reason, ""));
        domain
    }

    #[test]
    fn a_proof_is_of_one_name_one_tenant_and_one_claim() {
        let domain = claim(Reason::Unchecked);
        let again = CustomDomain { nonce: "n2".to_owned(), ..domain.clone() };
        let other = CustomDomain { name: Host::parse("shop.acme.org").unwrap(), ..domain.clone() };
        let proofs = [domain.proof(), again.proof(), other.proof(), domain.proof_for(TenantId::from_bytes([2; 16]))];
        for (at, proof) in proofs.iter().enumerate() {
            assert!(!proofs[..at].contains(proof) && proof.len() == 23 + 32, "{proof}");
        }
        assert_eq!(domain.taken_over(TenantId::from_bytes([2; 16]), Millis(5)).proof(), proofs[3], "what it had to set stays right");
    }

    #[test]
    fn a_missing_record_is_waited_for_a_day_a_wrong_one_is_not_and_what_could_not_be_checked_has_not_failed() {
        let (early, late) = (Millis(1_000), Millis(0).plus_days(2));
        let status = |reason, now| claim(reason).status(false, now);
        for reason in [Reason::OwnershipMissing, Reason::AddressMissing] {
            assert_eq!(status(reason, early), DomainStatus::InProgress);
            assert_eq!(status(reason, late), DomainStatus::Stuck);
        }
        for reason in [Reason::OwnershipMismatch, Reason::AddressElsewhere, Reason::CaaForbids, Reason::ChallengeIntercepted] {
            assert_eq!(status(reason, early), DomainStatus::Stuck);
        }
        for reason in [Reason::DnsUnavailable, Reason::AuthorityUnavailable, Reason::Ordering] {
            assert_eq!(status(reason, late), DomainStatus::InProgress);
        }
        let served = claim(Reason::AddressElsewhere);
        assert_eq!((served.status(true, late), served.needs(late)), (DomainStatus::Serving, Some(Actor::Tenant)));
        let lapsed = CustomDomain { lapsed_at: Some(Millis(500)), ..claim(Reason::OwnershipMissing) };
        assert_eq!(lapsed.status(false, early), DomainStatus::Stuck, "it had the record once");
        let down = CustomDomain { failed_orders: MANY_FAILURES, ..claim(Reason::AuthorityUnavailable) };
        assert_eq!((down.status(false, late), down.needs(late)), (DomainStatus::Stuck, Some(Actor::Operator)));
    }
}
