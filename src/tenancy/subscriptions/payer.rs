//! What a tenant's money is collected from, and what the provider tells of it by itself.

use aws_lc_rs::digest;
use serde_json::json;

use super::Biller;
use super::collect::{Outcome, amount_of, system};
use crate::billing::payments::{Customer, PaymentError};
use crate::model::subscription::{Method, Payer};
use crate::model::{InvoiceId, Millis, Tenant, hex};
use crate::store::{Key, Precondition, Table, Tx};
use crate::tenancy::{Cause, Change, TenancyError, Versioned};

/// A message of the provider, whose sender is certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The provider's name of it; a second one with the same name is the same.
    pub id: String,
    /// The provider's name of what it is about.
    pub object: String,
    /// Whether it is about a payment; of others nothing but receipt is told.
    pub is_payment: bool,
    /// The invoice that it names: that of a charge whose answer was lost is found by nothing else.
    pub invoice: Option<InvoiceId>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It was acted on, now or before.
    Done,
    /// What it is about is not ours, or not yet: it is to be sent again.
    Unknown,
}

/// Why a payment method is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PayerError {
    /// The provider does not take it.
    #[error(transparent)]
    Provider(#[from] PaymentError),
    /// The tenant cannot be changed.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
}

impl Biller {
    /// The tenant with this payment method; what is open is collected from it at once. The customer is made where there is none.
    pub async fn with_method(&self, current: &Versioned<Tenant>, method: &str, cause: &Cause) -> Result<Change, PayerError> {
        let tenant = &current.value;
        let known = tenant.subscription.payer.as_ref().map(|payer| payer.customer.clone());
        let customer = match known {
            Some(customer) => customer,
            None => {
                let billing = &tenant.billing;
                let customer = Customer {
                    tenant: tenant.id.to_string(),
                    name: billing.name.clone().or_else(|| Some(tenant.name.clone())),
                    email: billing.email.clone(),
                    country: billing.country.clone(),
                };
                self.payments().save_customer(&customer, &key_of(&customer)).await?
            }
        };
        let attached = self.payments().attach(&customer, method, &format!("gatehouse-attach-{customer}-{method}")).await?;
        let change = self.work(current, cause, |work| {
            let before = work.tenant.subscription.payer.as_ref().and_then(|payer| payer.shown.clone());
            let after = json!({"paymentMethod": attached.shown});
            let method = Method { id: attached.id.clone(), kind: attached.kind.clone() };
            let payer = Payer { customer: customer.clone(), method: Some(method), shown: Some(attached.shown.clone()) };
            work.tenant.subscription.payer = Some(payer);
            work.tenant.subscription.open.iter_mut().filter(|owed| !owed.is_trying).for_each(|owed| owed.try_at = Some(cause.now));
            let owner = (Key::new(Table::ProviderObjects, customer.clone()), work.tenant.id.to_string().into_bytes());
            work.tx().puts.push(owner);
            work.note("payment_method.set", Some(json!({"paymentMethod": before})), Some(after));
            Ok(())
        })?;
        Ok(change)
    }

    /// The tenant without a payment method.
    pub fn without_method(&self, current: &Versioned<Tenant>, cause: &Cause) -> Result<Change, TenancyError> {
        self.work(current, cause, |work| {
            if let Some(payer) = &mut work.tenant.subscription.payer
                && payer.method.take().is_some()
            {
                let before = json!({"paymentMethod": payer.shown.take()});
                work.note("payment_method.removed", Some(before), None);
            }
            Ok(())
        })
    }

    /// Acts on a message once. What it says is not believed: the payment is asked for anew.
    pub async fn receive(&self, message: &Message, now: Millis) -> Result<Received, PayerError> {
        let store = &self.tenants().store;
        let seen = Key::new(Table::ProviderEvents, message.id.clone());
        if store.get(&seen).await.map_err(TenancyError::from)?.is_some() {
            return Ok(Received::Done);
        }
        let owner = Key::new(Table::ProviderObjects, message.object.clone());
        let owner = store.get(&owner).await.map_err(TenancyError::from)?;
        if owner.is_some() && !message.is_payment {
            return Ok(Received::Done);
        }
        let id = match owner {
            Some(owner) => String::from_utf8_lossy(&owner.value).parse::<InvoiceId>().ok(),
            None => message.invoice.filter(|_| message.is_payment),
        };
        let Some(id) = id else { return Ok(Received::Unknown) };
        let Some((tenant, invoice)) = self.invoice(id).await? else { return Ok(Received::Unknown) };
        let said = match self.payments().payment(&message.object, amount_of(&invoice.value)).await {
            Err(error @ PaymentError::Refused(_)) => {
                tracing::warn!(invoice = %id, %error, "a message names a payment that is none of the invoice");
                return Ok(Received::Unknown);
            }
            said => said?,
        };
        let tx = Tx {
            preconditions: vec![Precondition::Absent(seen.clone())],
            puts: vec![(seen, json!({"time": now}).to_string().into_bytes())],
            ..Tx::default()
        };
        self.settle(tenant.value.id, &Outcome { invoice: id, said: Ok(said), is_told: true, tx }, system(now).now).await?;
        Ok(Received::Done)
    }
}

/// The same customer has the same key; with another address it is another request.
fn key_of(customer: &Customer) -> String {
    let facts = json!([customer.name, customer.email, customer.country]).to_string();
    let digest = hex(digest::digest(&digest::SHA256, facts.as_bytes()).as_ref());
    format!("gatehouse-customer-{}-{}", customer.tenant, digest.get(..16).unwrap_or_default())
}
