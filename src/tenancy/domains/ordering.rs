//! Orders: whose turn it is, the order itself, and what its end means for the domain.

use std::sync::PoisonError;
use std::time::Duration;

use super::keeper::{Keeper, system};
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
        let Looked { found, method } = self.look(&claim.value, SystemClock.now()).await;
        let Some(method) = method else { return self.note(&claim, found).await };
        if let Err(until) = self.take_from_budget(&found) {
            return self.note(&claim, waiting(found, until)).await;
        }
        match self.order_from(issuer, name, method).await {
            Ok(issued) => self.keep(&claim, found, issued).await,
            Err(error) => {
                tracing::warn!(domain = %name, failed = found.failed_orders + 1, %error, "a certificate was not issued");
                self.note(&claim, failed(found, &error)).await
            }
        }
    }

    async fn order_from(&self, issuer: &Issuer, name: &Host, method: Method) -> Result<Issued, OrderError> {
        let old = self.certificates.as_ref().and_then(|certificates| certificates.issued(name.as_str()));
        let names = [name.to_string()];
        issuer.order(OrderRequest { sealed_for: name.as_str(), names: &names, method, zone: None, replaces: old.as_ref() }).await
    }

    /// Stores the certificate with the claim as it is now, unless the claim is gone; then it is served.
    async fn keep(&self, claim: &Versioned<CustomDomain>, found: CustomDomain, issued: Issued) -> Result<(), TenancyError> {
        let now = SystemClock.now();
        let record = IssuedRecord::new(issued.chain, &issued.sealed_key, now);
        let done = CustomDomain {
            certificate: None,
            failed_orders: 0,
            order_at: None,
            renew_at: None,
            ask_renewal_at: None,
            check_at: now,
            ..found
        };
        let mut current = claim.clone();
        loop {
            let mut tx = Tx { puts: vec![(Key::new(Table::Certificates, done.name.as_str()), encode(&record)?)], ..Tx::default() };
            let after = serde_json::json!({"domain": done.name});
            tx.audit.push(system().audit("certificate.issued", done.tenant_id, None, Some(after)));
            if self.domains.save(&current, &done, tx).await? {
                tracing::info!(domain = %done.name, "a certificate was issued");
                return Ok(());
            }
            // Someone looked at it meanwhile, or it is gone: then so is the certificate, which nobody has seen.
            match self.domains.get(&done.name).await? {
                Some(newer) if newer.value.nonce == done.nonce && newer.value.tenant_id == done.tenant_id => current = newer,
                _ => return Ok(()),
            }
        }
    }

    /// Writes down what was found; whoever changed the claim meanwhile knows better.
    async fn note(&self, claim: &Versioned<CustomDomain>, found: CustomDomain) -> Result<(), TenancyError> {
        let mut current = claim.clone();
        while !self.domains.save(&current, &found, Tx::default()).await? {
            match self.domains.get(&found.name).await? {
                Some(newer) if newer.value.nonce == found.nonce && newer.value.tenant_id == found.tenant_id => current = newer,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Renewals are not held up: a name that is served stays so.
    fn take_from_budget(&self, found: &CustomDomain) -> Result<(), Millis> {
        if self.certificates.as_ref().is_some_and(|certificates| certificates.issued(found.name.as_str()).is_some()) {
            return Ok(());
        }
        // Taking one leaves it whole.
        self.budget.lock().unwrap_or_else(PoisonError::into_inner).take(found.tenant_id, SystemClock.now())
    }
}

fn waiting(found: CustomDomain, until: Millis) -> CustomDomain {
    let detail = "this hour's orders (tls.acme.orders_per_hour) are used up, or this tenant's share of them";
    CustomDomain { certificate: Some(Finding::new(Reason::BudgetSpent, detail)), order_at: Some(until), check_at: until, ..found }
}

fn failed(found: CustomDomain, error: &OrderError) -> CustomDomain {
    let (reason, least) = match error.fault {
        OrderFault::Unavailable => (Reason::AuthorityUnavailable, Duration::ZERO),
        OrderFault::Limits => (Reason::AuthorityLimits, LEFT_ALONE),
        OrderFault::Refuses => (Reason::AuthorityRefuses, Duration::ZERO),
    };
    let failed_orders = found.failed_orders.saturating_add(1);
    let at = schedule::next_order(failed_orders, least, SystemClock.now(), fastrand::f64());
    let certificate = Some(Finding::new(reason, error.detail.clone()));
    CustomDomain { certificate, failed_orders, order_at: Some(at), check_at: at, ..found }
}
