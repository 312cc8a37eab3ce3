//! The keeper of custom domains: looks at them, writes down what it finds, and orders their certificates.
//!
//! What it promises: no order without a proof, and none while DNS says that it would fail; what is found is shown to the data
//! plane only after it is stored.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::look::Looked;
use super::needed::Known;
use super::queue::{Budget, FairQueue};
use super::records::{Domains, show};
use super::{claims, schedule};
use crate::clock::{Clock, SystemClock};
use crate::dns::{Dns, DnsFailure};
use crate::model::{CustomDomain, Host, Millis, Reason, TenantId};
use crate::store::{Key, Table, Tx};
use crate::tenancy::{Cause, TenancyError, Tenants};
use crate::tls::{Certificates, Issuer};

/// Where the gateway is found.
#[derive(Debug, Clone)]
pub struct Own {
    /// Addresses that it listens on, where those are not all.
    pub listening: Vec<IpAddr>,
    /// Where an authority asks for HTTP-01.
    pub http_port: u16,
    /// Where it asks for TLS-ALPN-01.
    pub https_port: u16,
}

/// Looks after custom domains.
pub struct Keeper {
    pub(super) tenants: Arc<Tenants>,
    pub(super) domains: Domains,
    pub(super) dns: Option<Dns>,
    /// Where TLS is on.
    pub(super) certificates: Option<Arc<Certificates>>,
    /// Where there is an authority.
    pub(super) issuer: Option<Arc<Issuer>>,
    pub(super) own: Own,
    pub(super) orders: Mutex<FairQueue<TenantId, Host>>,
    pub(super) budget: Mutex<Budget<TenantId>>,
    /// The gateway's own addresses.
    pub(super) known: Mutex<Known>,
}

impl Keeper {
    /// For the tenants' domains. Without `dns` nothing can be looked up, and nothing fails for it.
    pub fn new(
        tenants: Arc<Tenants>,
        dns: Option<Dns>,
        (certificates, issuer): (Option<Arc<Certificates>>, Option<Arc<Issuer>>),
        own: Own,
    ) -> Self {
        let per_hour = tenants.config.tls.acme.orders_per_hour as usize;
        let (orders, budget) = (Mutex::default(), Mutex::new(Budget::new(per_hour)));
        Self { domains: tenants.domains(), tenants, dns, certificates, issuer, own, orders, budget, known: Mutex::default() }
    }

    /// Whether tenants may have domains of their own.
    pub fn is_on(&self) -> bool {
        self.tenants.config.tenancy.custom_domains
    }

    /// Whether there is an authority to order from.
    pub fn orders_certificates(&self) -> bool {
        self.issuer.is_some()
    }

    /// Claims on domains.
    pub fn domains(&self) -> &Domains {
        &self.domains
    }

    /// Where TLS is on, the certificates.
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.as_ref()
    }

    /// Looks at a domain and writes down what is found; queues its order where it needs one. None where nobody claims it.
    pub async fn check(&self, name: &Host) -> Result<Option<CustomDomain>, TenancyError> {
        self.check_with(name, None, |_| {}).await
    }

    /// The same at somebody's wish: a failed order is not waited for any more.
    pub async fn check_now(&self, name: &Host, cause: &Cause) -> Result<Option<CustomDomain>, TenancyError> {
        self.check_with(name, Some(("domain.checked", cause)), |claim| claim.order_at = None).await
    }

    /// Orders a new certificate though the one that is there is good for a while.
    pub async fn renew(&self, name: &Host, cause: &Cause) -> Result<Option<CustomDomain>, TenancyError> {
        self.check_with(name, Some(("certificate.renewal_requested", cause)), |claim| (claim.order_at, claim.renew_now) = (None, true))
            .await
    }

    async fn check_with(
        &self,
        name: &Host,
        wish: Option<(&str, &Cause)>,
        change: impl Fn(&mut CustomDomain) + Send + Sync,
    ) -> Result<Option<CustomDomain>, TenancyError> {
        loop {
            let Some(claim) = self.domains.get(name).await? else {
                show(&*self.tenants.store, &self.tenants.directory, name).await?;
                return Ok(None);
            };
            let now = SystemClock.now();
            let mut changed = claim.value.clone();
            change(&mut changed);
            let may_probe = !self.orders().knows(name);
            let Looked { mut found, method } = self.look(&changed, now, may_probe).await;
            if self.is_given_up(&found, now) {
                return self.expire(&found).await.map(|()| None);
            }
            let mut tx = self.lost(&claim.value, &found, wish.map_or(&system(), |(_, cause)| cause));
            // What came of it tells of the wish as well.
            if let Some((action, cause)) = wish.filter(|_| tx.audit.is_empty()) {
                tx.audit.push(cause.audit(action, found.tenant_id, None, Some(json!({"domain": name}))));
            }
            self.announce(&mut found, &mut tx, now);
            if self.domains.save(&claim, &found, tx).await? {
                tell(&claim.value, &found);
                if method.is_some() {
                    self.orders().push(found.tenant_id, name.clone());
                }
                return Ok(Some(found));
            }
        }
    }

    /// Whether the domain's record proves it for this tenant, now.
    pub async fn is_proved_for(&self, claim: &CustomDomain, tenant: TenantId) -> Result<bool, DnsFailure> {
        let texts = self.texts(&claim.proof_name()).await?;
        Ok(texts.contains(&claim.proof_for(tenant)))
    }

    /// Whether requests to the domain find its tenant as soon as they are shown it.
    pub fn is_verified(&self, claim: &CustomDomain) -> bool {
        claim.is_proved() || self.tenants.directory.proves(claim.name.as_str())
    }

    /// Whether requests to the domain are served: they find the tenant, and a certificate is there where one is needed.
    pub fn serves(&self, name: &str, now: Millis) -> bool {
        self.tenants.directory.serves_domain(name) && self.has_certificate(name, now)
    }

    /// How many domains stand in each way.
    pub fn by_status(&self, now: Millis) -> [(&'static str, u64); 4] {
        self.tenants.directory.domains_by_status(now, |name| self.has_certificate(name, now))
    }

    pub(super) fn has_certificate(&self, name: &str, now: Millis) -> bool {
        let has = |certificates: &Arc<Certificates>| certificates.standing(name).is_some_and(|standing| standing.is_valid_at(now));
        self.certificates.as_ref().is_none_or(has)
    }

    /// Says on a domain for how long its visitors shall insist on TLS, or that it says nothing of that.
    pub async fn set_hsts(&self, name: &Host, max_age: Option<u32>, cause: &Cause) -> Result<Option<CustomDomain>, TenancyError> {
        loop {
            let Some(claim) = self.domains.get(name).await? else { return Ok(None) };
            let found = CustomDomain { hsts_max_age: max_age, ..claim.value.clone() };
            if found == claim.value {
                return Ok(Some(found));
            }
            let (before, after) =
                (json!({"domain": name, "hstsMaxAge": claim.value.hsts_max_age}), json!({"domain": name, "hstsMaxAge": max_age}));
            let audit = vec![cause.audit("domain.updated", found.tenant_id, Some(before), Some(after))];
            if self.domains.save(&claim, &found, Tx { audit, ..Tx::default() }).await? {
                return Ok(Some(found));
            }
        }
    }

    /// What waits for its order.
    pub(super) fn orders(&self) -> MutexGuard<'_, FairQueue<TenantId, Host>> {
        // A line is whole at every moment.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A proof that has lapsed takes the certificate and its key with it.
    pub(super) fn lost(&self, before: &CustomDomain, found: &CustomDomain, cause: &Cause) -> Tx {
        let mut tx = Tx::default();
        if before.is_proved() && !found.is_proved() {
            tx.deletes.push(Key::new(Table::Certificates, found.name.as_str()));
            tx.audit.push(cause.audit("domain.lapsed", found.tenant_id, Some(json!({"domain": found.name})), None));
        }
        if !before.is_proved() && found.is_proved() {
            tx.audit.push(cause.audit("domain.verified", found.tenant_id, None, Some(json!({"domain": found.name}))));
        }
        tx
    }

    /// A claim that nobody has proved for long, though the record was looked for.
    fn is_given_up(&self, found: &CustomDomain, now: Millis) -> bool {
        let looked_for =
            found.hostname.as_ref().is_some_and(|finding| matches!(finding.reason, Reason::OwnershipMissing | Reason::OwnershipMismatch));
        let since = found.lapsed_at.unwrap_or(found.claimed_at);
        !found.is_proved() && looked_for && now > since.plus(self.tenants.config.domains.keep_unproved)
    }

    async fn expire(&self, found: &CustomDomain) -> Result<(), TenancyError> {
        let Some(tenant) = self.tenants.by_id(found.tenant_id).await? else { return Ok(()) };
        let others = self.domains.of(found.tenant_id).await?;
        // Someone else may have removed it meanwhile.
        if !others.iter().any(|claim| claim.name == found.name && claim.nonce == found.nonce) {
            return Ok(());
        }
        tracing::info!(domain = %found.name, tenant = %tenant.value.slug, "a claim that nobody proved is given up");
        let change = claims::remove_domain(&tenant, &others, &found.name, &system())?;
        self.tenants.apply(change).await.map(|_| ())
    }

    /// Looks at those of these names that are claimed as soon as it can: their files have changed.
    pub fn look_soon(&self, names: &[String]) {
        let now = SystemClock.now();
        names.iter().filter_map(|name| Host::parse(name).ok()).for_each(|name| self.tenants.directory.look_at_domain_from(&name, now));
    }

    /// When a look that failed is tried again.
    pub fn put_off(&self, name: &Host) {
        let until = schedule::next_order(1, Duration::ZERO, SystemClock.now(), fastrand::f64());
        self.tenants.directory.look_at_domain_from(name, until);
    }
}

/// What an operator should know of a domain that was proved; of others, people look at the API.
pub(super) fn tell(before: &CustomDomain, found: &CustomDomain) {
    let reason = |claim: &CustomDomain| claim.finding().map(|finding| finding.reason);
    let domain = &found.name;
    match found.finding() {
        _ if before.is_proved() && !found.is_proved() => tracing::warn!(%domain, "its proof has lapsed; it is served no more"),
        _ if !before.is_proved() || reason(before) == reason(found) => {}
        Some(finding) if finding.reason.needs(false, found.failed_orders).is_some() => {
            tracing::warn!(%domain, reason = finding.reason.as_str(), detail = %finding.detail, "a domain needs someone");
        }
        Some(finding) if finding.reason == Reason::DnsUnavailable => {
            tracing::info!(%domain, detail = %finding.detail, "a domain could not be looked at");
        }
        None if reason(before).is_some_and(|reason| reason.needs(false, before.failed_orders).is_some()) => {
            tracing::info!(%domain, "a domain is as it should be again");
        }
        _ => {}
    }
}

/// What the gateway does by itself.
pub(super) fn system() -> Cause {
    Cause::of("system", SystemClock.now())
}
