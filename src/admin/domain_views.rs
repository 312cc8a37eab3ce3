//! How custom domains look in JSON: what they need, how they stand, what is in the way and what to do about it.

use serde::Serialize;
use utoipa::ToSchema;

use super::AdminState;
use crate::clock::{Clock, SystemClock};
use crate::model::{Actor, CustomDomain, Host, Millis, Reason, TenantId};
use crate::tenancy::{NeededRecord, next_step};
use crate::tls::Source;

/// A domain of a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Domain)]
pub struct DomainView {
    /// The name.
    #[schema(value_type = String)]
    pub domain: Host,
    /// Whose it is.
    #[schema(value_type = String)]
    pub tenant_id: TenantId,
    /// The slug of that tenant.
    pub tenant_slug: Option<String>,
    /// `serving`, `in_progress` or `stuck`: then someone has to act.
    #[schema(value_type = String, example = "in_progress")]
    pub status: &'static str,
    /// Who has to act, or the domain gets (or is) stuck: `tenant` for DNS records, `operator` for the rest. Also while it is still
    /// served.
    #[schema(value_type = Option<String>, example = "tenant")]
    pub needs_action_by: Option<Actor>,
    /// What is in the way, for programs.
    #[schema(value_type = Option<String>, example = "ownership_missing")]
    pub reason: Option<Reason>,
    /// The same for people: what was found.
    pub detail: Option<String>,
    /// What gets it on from here.
    pub next_step: Option<String>,
    /// When it is tried again by itself.
    #[schema(value_type = Option<i64>)]
    pub retry_at: Option<Millis>,
    /// Whether it is proved; only then requests to it find the tenant.
    pub verified: bool,
    /// How the name stands.
    pub hostname: HostnameView,
    /// How its certificate stands.
    pub certificate: CertificateView,
    /// Seconds for which its visitors insist on TLS after a visit, where it says that.
    pub hsts_max_age: Option<u32>,
    /// The DNS records it needs.
    pub records: Vec<RecordView>,
    /// When it was claimed.
    #[schema(value_type = i64)]
    pub created_at: Millis,
}

/// How a name stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DomainHostname)]
pub struct HostnameView {
    /// `pending_ownership`, `pending_routing`, `active`, or `lapsing`: served, though its proof is gone.
    #[schema(value_type = String, example = "pending_ownership")]
    pub state: &'static str,
    /// When DNS was last looked at and answered.
    #[schema(value_type = Option<i64>)]
    pub checked_at: Option<Millis>,
    /// Since when it is proved.
    #[schema(value_type = Option<i64>)]
    pub verified_at: Option<Millis>,
    /// When it is served no more, unless its proof is set again.
    #[schema(value_type = Option<i64>)]
    pub lapses_at: Option<Millis>,
}

/// How a certificate stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DomainCertificate)]
pub struct CertificateView {
    /// `none`, `ordering`, `failed`, `active`, `expired`, or `not_needed` where something in front ends TLS.
    #[schema(value_type = String, example = "none")]
    pub state: &'static str,
    /// `acme` or `files`.
    pub source: Option<&'static str>,
    /// From when on it is valid.
    #[schema(value_type = Option<i64>)]
    pub not_before: Option<Millis>,
    /// Until when.
    #[schema(value_type = Option<i64>)]
    pub not_after: Option<Millis>,
    /// When it is renewed.
    #[schema(value_type = Option<i64>)]
    pub renew_at: Option<Millis>,
    /// What its last order came to, where that failed; what is wrong with a file.
    pub detail: Option<String>,
}

/// A DNS record to set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DomainRecord)]
pub struct RecordView {
    /// `TXT`, `CNAME`, `A`, `AAAA`, or `ALIAS` for what a provider has instead of a CNAME at an apex.
    pub r#type: &'static str,
    /// Its full name.
    pub name: String,
    /// What it says.
    pub value: String,
    /// What it is for.
    pub why: &'static str,
}

impl From<NeededRecord> for RecordView {
    fn from(NeededRecord { kind, name, value, why }: NeededRecord) -> Self {
        Self { r#type: kind, name, value, why }
    }
}

impl AdminState {
    /// A claim as it stands.
    pub async fn domain_view(&self, claim: &CustomDomain) -> DomainView {
        let now = SystemClock.now();
        let finding = claim.finding();
        let waits = claim.hostname.is_some() || claim.certificate.is_some();
        DomainView {
            domain: claim.name.clone(),
            tenant_id: claim.tenant_id,
            tenant_slug: self.tenants.directory.by_id(claim.tenant_id).map(|tenant| tenant.facts().tenant.slug.to_string()),
            needs_action_by: claim.needs(now),
            status: claim.status(self.keeper.serves(claim.name.as_str(), now), now).as_str(),
            reason: finding.map(|finding| finding.reason),
            detail: finding.map(|finding| finding.detail.clone()),
            next_step: next_step(claim),
            retry_at: waits.then_some(claim.check_at),
            verified: self.keeper.is_verified(claim),
            hostname: self.hostname_view(claim),
            certificate: self.certificate_view(claim, now),
            hsts_max_age: claim.hsts_max_age,
            records: self.keeper.needed_records(claim).await.into_iter().map(RecordView::from).collect(),
            created_at: claim.claimed_at,
        }
    }

    fn hostname_view(&self, claim: &CustomDomain) -> HostnameView {
        let state = match &claim.hostname {
            _ if !self.keeper.is_verified(claim) => "pending_ownership",
            _ if claim.missing_since.is_some() => "lapsing",
            None => "active",
            // Nobody knows better than when it was last found right.
            Some(finding) if finding.reason == Reason::DnsUnavailable && claim.right_since.is_some() => "active",
            Some(_) => "pending_routing",
        };
        HostnameView {
            state,
            checked_at: claim.checked_at,
            verified_at: claim.proved_at,
            lapses_at: claim.missing_since.map(|since| since.plus(self.config.domains.lapse)),
        }
    }

    fn certificate_view(&self, claim: &CustomDomain, now: Millis) -> CertificateView {
        let standing = self.keeper.certificates().and_then(|certificates| certificates.standing(claim.name.as_str()));
        let state = match (standing, claim.certificate.as_ref().map(|finding| finding.reason)) {
            _ if self.keeper.certificates().is_none() => "not_needed",
            (Some(standing), _) if standing.is_valid_at(now) => "active",
            (Some(_), _) => "expired",
            (None, Some(Reason::Ordering | Reason::BudgetSpent)) => "ordering",
            (None, Some(Reason::CertificateMissing)) | (None, None) => "none",
            (None, Some(_)) => "failed",
        };
        // What is wrong with a file shows though the certificate before it is still served.
        let of_file = || self.keeper.certificates().and_then(|certificates| certificates.problem_of(claim.name.as_str()));
        let detail = claim.certificate.as_ref().map(|finding| finding.detail.clone()).or_else(of_file);
        CertificateView {
            state,
            source: standing.map(|standing| match standing.source {
                Source::Files => "files",
                Source::Acme => "acme",
            }),
            not_before: standing.map(|standing| standing.not_before),
            not_after: standing.map(|standing| standing.not_after),
            renew_at: if claim.renew_now { Some(now) } else { claim.renew_at },
            detail,
        }
    }
}
