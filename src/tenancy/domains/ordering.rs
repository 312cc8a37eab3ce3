//! Orders: whose turn it is, the order itself, and what its end means for the domain.

use std::sync::PoisonError;
use std::time::Duration;

use super::keeper::{Keeper, system, tell};
use super::look::Looked;
use super::schedule;
use crate::clock::{Clock, SystemClock};
use crate::model::{CustomDomain, Finding, Host, Millis, Reason};
use crate::store::{Key, Table, Tx};
use crate::tenancy::change::encode;
use crate::tenancy::{TenancyError, Versioned};
use crate::tls::{Issued, IssuedRecord, Issuer, Method, OrderError, OrderFault, OrderRequest};

/// An authority that asks to wait is left alone for so long at least.
const LEFT_ALONE: Duration = Duration::from_secs(3600);
/// Certificates of one name that follow each other within this many milliseconds are too many, if there are more.
const SOON: i64 = 3_600_000;

impl Keeper {
    /// The name whose turn it is. It is said with [`order_done`](Self::order_done) when its order has ended.
    pub fn next_order(&self) -> Option<Host> {
        // A tenant has half of the places at most, so that one whose orders take long leaves some to others.
        self.orders().pop(self.orders_at_once().div_ceil(2))
    }

    /// How many orders there may be at the same time.
    pub fn orders_at_once(&self) -> usize {
        self.tenants.config.tls.acme.orders_at_once
    }

    /// Its order has ended.
    pub fn order_done(&self, name: &Host) {
        self.orders().done(name);
    }

    /// Looks once more, and orders a certificate where all is as it should be.
    pub async fn order(&self, name: &Host) -> Result<(), TenancyError> {
        let (Some(issuer), Some(claim)) = (&self.issuer, self.domains.get(name).await?) else { return Ok(()) };
        let Looked { found, method } = self.look(&claim.value, SystemClock.now(), true).await;
        let Some(method) = method else { return self.settle(&claim, &found, Tx::default(), &|_| ()).await };
        if let Err(until) = self.take_from_budget(&found) {
            return self.settle(&claim, &found, Tx::default(), &|claim| wait(claim, until)).await;
        }
        let is_its_own = found.issued_by.as_deref() == self.directory();
        match self.order_from(issuer, (name, is_its_own), method).await {
            Ok(issued) => self.keep(&claim, &found, issued).await,
            Err(error) => {
                tracing::warn!(domain = %name, failed = found.failed_orders + 1, %error, "a certificate was not issued");
                self.settle(&claim, &found, Tx::default(), &|claim| fail(claim, &error)).await
            }
        }
    }

    async fn order_from(&self, issuer: &Issuer, (name, is_its_own): (&Host, bool), method: Method) -> Result<Issued, OrderError> {
        // Another authority knows nothing of it.
        let old = self.certificates.as_ref().filter(|_| is_its_own).and_then(|certificates| certificates.issued(name.as_str()));
        let names = [name.to_string()];
        issuer.order(OrderRequest { sealed_for: name.as_str(), names: &names, method, zone: None, replaces: old.as_ref() }).await
    }

    /// Stores the certificate with the claim, unless that is gone; then it is served.
    async fn keep(&self, claim: &Versioned<CustomDomain>, found: &CustomDomain, issued: Issued) -> Result<(), TenancyError> {
        let (now, directory) = (SystemClock.now(), self.directory().unwrap_or_default());
        let record = IssuedRecord::new(issued.chain, &issued.sealed_key, now, directory);
        let after = serde_json::json!({"domain": found.name});
        let tx = Tx {
            puts: vec![(Key::new(Table::Certificates, found.name.as_str()), encode(&record)?)],
            audit: vec![system().audit("certificate.issued", found.tenant_id, None, Some(after))],
            ..Tx::default()
        };
        tracing::info!(domain = %found.name, "a certificate was issued");
        self.settle(claim, found, tx, &|claim| succeed(claim, directory, now)).await
    }

    /// Stores what was found, and what has come of the order. Whoever looked at the claim meanwhile knows better than what was found
    /// before; where it is gone or somebody else's, so is what was ordered for it, which nobody has seen.
    async fn settle(
        &self,
        claim: &Versioned<CustomDomain>,
        found: &CustomDomain,
        tx: Tx,
        outcome: &(dyn Fn(&mut CustomDomain) + Send + Sync),
    ) -> Result<(), TenancyError> {
        let (mut current, mut found) = (claim.clone(), found.clone());
        loop {
            let (mut settled, mut with) = (found.clone(), self.lost(&current.value, &found, &system()));
            outcome(&mut settled);
            // A proof that has lapsed leaves nothing to serve.
            let is_kept = settled.is_proved() || self.tenants.directory.proves(settled.name.as_str());
            with.puts.extend(tx.puts.iter().filter(|_| is_kept).cloned());
            with.audit.extend(tx.audit.iter().filter(|_| is_kept).cloned());
            self.announce(&mut settled, &mut with, SystemClock.now());
            if self.domains.save(&current, &settled, with).await? {
                tell(&current.value, &settled);
                return Ok(());
            }
            match self.domains.get(&found.name).await? {
                Some(newer) if newer.value.nonce == found.nonce && newer.value.tenant_id == found.tenant_id => {
                    (found, current) = (newer.value.clone(), newer);
                }
                _ => return Ok(()),
            }
        }
    }

    /// Renewals are not held up: a name that is served stays so. Another authority knows of none, and is not asked for all at once.
    fn take_from_budget(&self, found: &CustomDomain) -> Result<(), Millis> {
        let standing = self.certificates.as_ref().and_then(|certificates| certificates.standing(found.name.as_str()));
        let is_its_own = found.issued_by.as_deref() == self.directory();
        if is_its_own && standing.is_some_and(|standing| standing.is_valid_at(SystemClock.now())) {
            return Ok(());
        }
        // Taking one leaves it whole.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(found.tenant_id, SystemClock.now())
    }
}

fn wait(claim: &mut CustomDomain, until: Millis) {
    let detail = "this hour's orders (tls.acme.orders_per_hour) are used up, or this tenant's share of them";
    claim.certificate = Some(Finding::new(Reason::BudgetSpent, detail));
    (claim.order_at, claim.check_at) = (Some(until), until);
}

fn succeed(claim: &mut CustomDomain, directory: &str, now: Millis) {
    // An authority, or a clock, that wants one after the other is followed ever more slowly.
    let is_soon = claim.issued_at.is_some_and(|before| now.0 - before.0 < SOON);
    claim.soon_again = if is_soon { claim.soon_again.saturating_add(1) } else { 0 };
    claim.order_at = (claim.soon_again > 0).then(|| schedule::next_order(claim.soon_again, Duration::ZERO, now, fastrand::f64()));
    (claim.certificate, claim.failed_orders, claim.renew_now) = (None, 0, false);
    (claim.renew_at, claim.ask_renewal_at, claim.check_at) = (None, None, now);
    (claim.issued_by, claim.issued_at) = (Some(directory.to_owned()), Some(now));
}

fn fail(claim: &mut CustomDomain, error: &OrderError) {
    let (reason, least) = match error.fault {
        OrderFault::Unavailable => (Reason::AuthorityUnavailable, Duration::ZERO),
        OrderFault::Misconfigured => (Reason::AuthorityMisconfigured, Duration::ZERO),
        OrderFault::Limits => (Reason::AuthorityLimits, LEFT_ALONE),
        OrderFault::Refuses => (Reason::AuthorityRefuses, Duration::ZERO),
    };
    claim.failed_orders = claim.failed_orders.saturating_add(1);
    let at = schedule::next_order(claim.failed_orders, least, SystemClock.now(), fastrand::f64());
    claim.certificate = Some(Finding::new(reason, error.detail.clone()));
    (claim.order_at, claim.check_at) = (Some(at), at);
}
