//! The certificate of the base domain and its wildcard, where no file is given for it: an authority issues it, and looks for its
//! proof in DNS, because there is no other way to a wildcard.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::change::encode;
use super::domains::schedule::{self, Renewal};
use super::{Cause, TenancyError};
use crate::clock::{Clock, SystemClock};
use crate::dns::{Dns, Updater};
use crate::model::{Host, Millis};
use crate::store::{Key, Store, Table, Tx};
use crate::tls::{Certificates, IssuedRecord, Issuer, Method, OrderError, OrderFault, OrderRequest, Zone};

/// How long a record is waited for until the zone's servers have it.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(250);

/// Orders it and keeps it fresh.
pub struct BaseCertificate {
    store: Arc<dyn Store>,
    issuer: Arc<Issuer>,
    certificates: Arc<Certificates>,
    records: Records,
    names: [String; 2],
    plan: Mutex<Plan>,
}

/// When what is due.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    failed: u32,
    order_at: Option<Millis>,
    renewal: Renewal,
    is_foreign: bool,
}

/// The records of DNS-01.
struct Records {
    updater: Updater,
    dns: Option<Dns>,
}

impl BaseCertificate {
    /// Serves the one that is stored.
    pub async fn load(
        store: Arc<dyn Store>,
        (issuer, certificates): (Arc<Issuer>, Arc<Certificates>),
        (updater, dns): (Updater, Option<Dns>),
        base_domain: &Host,
    ) -> Result<Self, TenancyError> {
        let names = [base_domain.to_string(), format!("*.{base_domain}")];
        let stored = store.get(&key(&names)).await?;
        certificates.set_base(&names[1], stored.as_ref().map(|record| &*record.value));
        // One of another authority is replaced at once.
        let is_foreign = stored.is_some_and(|record| IssuedRecord::directory_of(&record.value).as_deref() != Some(issuer.directory()));
        let plan = Mutex::new(Plan { is_foreign, ..Plan::default() });
        let records = Records { updater, dns };
        Ok(Self { store, issuer, certificates, records, names, plan })
    }

    /// Orders it where that is due.
    pub async fn look_after(&self) -> Result<(), TenancyError> {
        let now = SystemClock.now();
        let mut plan = *self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = self.is_due(&mut plan, now).await;
        let ordered = if is_due { Some(self.order().await?) } else { None };
        match ordered {
            Some(Ok(())) => {
                tracing::info!(names = ?self.names, "the certificate of the base domain was issued");
                // Whatever the authority says of the new one, it is not replaced at once.
                plan = Plan { order_at: Some(Millis(now.0 + 3_600_000)), ..Plan::default() };
            }
            Some(Err(error)) => {
                plan.failed = plan.failed.saturating_add(1);
                let least = if error.fault == OrderFault::Limits { Duration::from_secs(3600) } else { Duration::ZERO };
                plan.order_at = Some(schedule::next_order(plan.failed, least, now, fastrand::f64()));
                tracing::error!(failed = plan.failed, %error, "the certificate of the base domain was not issued");
            }
            None => {}
        }
        // One task looks after it, so nobody else has written a plan meanwhile.
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
        Ok(())
    }

    async fn is_due(&self, plan: &mut Plan, now: Millis) -> bool {
        if plan.order_at.is_some_and(|at| at > now) {
            return false;
        }
        let Some((certificate, standing)) = self.certificates.base() else { return true };
        if plan.is_foreign {
            return true;
        }
        if plan.renewal.is_to_be_asked_about(now) {
            match self.issuer.renewal_window(&certificate, now).await {
                Ok(Some(window)) => plan.renewal.follow(window, now, fastrand::f64()),
                // Once a day is enough for who has nothing to tell.
                Ok(None) | Err(_) => plan.renewal.ask_at = Some(now.plus_days(1)),
            }
        }
        plan.renewal.plan(standing, fastrand::f64()) <= now
    }

    async fn order(&self) -> Result<Result<(), OrderError>, TenancyError> {
        let is_foreign = self.plan.lock().unwrap_or_else(PoisonError::into_inner).is_foreign;
        let old = self.certificates.base().filter(|_| !is_foreign).map(|(certificate, _)| certificate);
        let request = OrderRequest {
            sealed_for: &self.names[1],
            names: &self.names,
            method: Method::Dns01,
            zone: Some(&self.records),
            replaces: old.as_ref(),
        };
        let issued = match self.issuer.order(request).await {
            Ok(issued) => issued,
            Err(error) => return Ok(Err(error)),
        };
        let record = encode(&IssuedRecord::new(issued.chain, &issued.sealed_key, SystemClock.now(), self.issuer.directory()))?;
        let row = Cause::of("system", SystemClock.now()).audit("certificate.issued", None, None, Some(json!({"names": self.names})));
        self.store.commit(Tx { puts: vec![(key(&self.names), record.clone())], audit: vec![row], ..Tx::default() }).await?;
        self.certificates.set_base(&self.names[1], Some(&record));
        Ok(Ok(()))
    }
}

#[async_trait]
impl Zone for Records {
    async fn set(&self, name: &str, value: &str) -> Result<(), OrderError> {
        self.updater.add_text(name, value).await.map_err(|error| OrderError::unavailable(error.to_string()))?;
        let Some(dns) = &self.dns else { return Ok(()) };
        let seen = tokio::time::timeout(SEEN_WITHIN, async {
            loop {
                if dns.texts(name).await.is_ok_and(|texts| texts.iter().any(|text| text == value)) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        seen.await.map_err(|_| OrderError::unavailable(format!("the record {name} was set and is not seen in DNS")))
    }

    async fn unset(&self, name: &str, value: &str) {
        if let Err(error) = self.updater.remove_text(name, value).await {
            tracing::warn!(name, %error, "a record that proved the base domain cannot be removed");
        }
    }
}

fn key(names: &[String; 2]) -> Key {
    Key::new(Table::Certificates, names[1].as_str())
}
