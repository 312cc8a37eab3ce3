//! Stripe over its REST API: customers, payment methods, payments without the customer present, refunds. Every request that changes
//! something carries an Idempotency-Key, and every request the version of the API that this file was written for.

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use super::amounts::{amount, least, unit};
use super::declines::is_hard;
use super::http::{Answer, Http};
use super::{Charge, Chargeable, Charged, Customer, PaymentError, PaymentMethod, Payments, Refund, Refunded};
use crate::model::Money;

/// What a payment is for, in its metadata.
pub(super) const METADATA_INVOICE: &str = "gatehouse_invoice";
/// Which attempt made it.
const METADATA_ATTEMPT: &str = "gatehouse_attempt";
/// Payments of a customer that are looked through, the newest first.
const MOST_LISTED: usize = 100;

/// Payments through Stripe.
pub struct Stripe(Http);

impl Stripe {
    /// Speaks through `http`.
    pub const fn new(http: Http) -> Self {
        Self(http)
    }

    async fn post(&self, path: &str, form: &[(&str, &str)], key: &str) -> Result<Answer, PaymentError> {
        self.0.call(Method::POST, path, Some((form, key))).await
    }

    async fn get(&self, path: &str) -> Result<Answer, PaymentError> {
        self.0.call(Method::GET, path, None).await
    }
}

#[async_trait]
impl Payments for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn collects(&self) -> bool {
        true
    }

    fn chargeable(&self, currency: &str) -> Chargeable {
        Chargeable { unit: unit(currency), least: least(currency) }
    }

    async fn save_customer(&self, customer: &Customer, key: &str) -> Result<String, PaymentError> {
        let mut form = vec![("metadata[gatehouse_tenant]", customer.tenant.as_str())];
        form.extend(customer.name.as_deref().map(|name| ("name", name)));
        form.extend(customer.email.as_deref().map(|email| ("email", email)));
        form.extend(customer.country.as_deref().map(|country| ("address[country]", country)));
        let made = self.post("/v1/customers", &form, key).await?.done()?;
        text(&made, "id")
    }

    async fn attach(&self, customer: &str, method: &str, key: &str) -> Result<PaymentMethod, PaymentError> {
        let path = format!("/v1/payment_methods/{}/attach", path_segment(method)?);
        let attached = self.post(&path, &[("customer", customer)], key).await?.done()?;
        let (brand, last) = (attached["card"]["brand"].as_str(), attached["card"]["last4"].as_str());
        let shown = match (brand, last) {
            (Some(brand), Some(last)) => format!("{brand} •••• {last}"),
            _ => attached["type"].as_str().unwrap_or("payment method").to_owned(),
        };
        let kind = attached["type"].as_str().unwrap_or("card").to_owned();
        Ok(PaymentMethod { id: text(&attached, "id")?, kind, shown })
    }

    async fn charge(&self, charge: &Charge) -> Result<Charged, PaymentError> {
        let amount = amount(charge.amount, &charge.currency)?.to_string();
        let currency = charge.currency.to_ascii_lowercase();
        let (invoice, attempt) = (format!("metadata[{METADATA_INVOICE}]"), format!("metadata[{METADATA_ATTEMPT}]"));
        let form = [
            ("amount", amount.as_str()),
            ("currency", currency.as_str()),
            ("customer", charge.customer.as_str()),
            ("payment_method", charge.method.as_str()),
            // Said, because with none Stripe takes all that an account has, and wants a page to send customers back to.
            ("payment_method_types[0]", charge.kind.as_str()),
            ("confirm", "true"),
            ("off_session", "true"),
            (invoice.as_str(), charge.invoice.as_str()),
            (attempt.as_str(), charge.key.as_str()),
            ("metadata[gatehouse_number]", charge.number.as_str()),
            ("metadata[gatehouse_tenant]", charge.tenant.as_str()),
        ];
        let answer = self.post("/v1/payment_intents", &form, &charge.key).await?;
        match &answer {
            Answer::Declined(error) => Ok(declined(error, error["payment_intent"]["id"].as_str())),
            _ => outcome(&answer.done()?),
        }
    }

    async fn find(&self, charge: &Charge) -> Result<Option<Charged>, PaymentError> {
        let path = format!("/v1/payment_intents?customer={}&limit={MOST_LISTED}", path_segment(&charge.customer)?);
        let listed = self.get(&path).await?.done()?;
        let all = listed["data"].as_array().ok_or_else(|| PaymentError::Unavailable("its answer has no `data`".to_owned()))?;
        let found = all.iter().find(|intent| intent["metadata"][METADATA_ATTEMPT] == charge.key.as_str());
        // Not confirmed yet: its request is still at work, and the same key waits for it.
        found.filter(|intent| intent["status"] != "requires_confirmation").map(outcome).transpose()
    }

    async fn payment(&self, id: &str, of: Option<(Money, &str)>) -> Result<Charged, PaymentError> {
        let path = format!("/v1/payment_intents/{}", path_segment(id)?);
        let intent = self.get(&path).await?.done()?;
        if let Some((wanted, currency)) = of
            && (intent["amount"] != amount(wanted, currency)?
                || !intent["currency"].as_str().is_some_and(|it| it.eq_ignore_ascii_case(currency)))
        {
            let (is, of) = (&intent["amount"], intent["currency"].as_str().unwrap_or_default());
            return Err(PaymentError::Refused(format!("the payment {id} is of {is} in {of}, and {} are owed", wanted.shown(currency))));
        }
        outcome(&intent)
    }

    async fn refund(&self, refund: &Refund) -> Result<Refunded, PaymentError> {
        let amount = amount(refund.amount, &refund.currency)?.to_string();
        let form = [("payment_intent", refund.payment.as_str()), ("amount", amount.as_str())];
        let made = self.post("/v1/refunds", &form, &refund.key).await?.done()?;
        match made["status"].as_str() {
            Some("failed" | "canceled") => {
                Err(PaymentError::Refused(format!("the refund has {}", made["status"].as_str().unwrap_or("failed"))))
            }
            _ => Ok(Refunded { id: text(&made, "id")? }),
        }
    }
}

/// How a PaymentIntent stands (docs.stripe.com/payments/paymentintents/lifecycle).
fn outcome(intent: &Value) -> Result<Charged, PaymentError> {
    let payment = text(intent, "id")?;
    match intent["status"].as_str() {
        Some("succeeded") => Ok(Charged::Succeeded { payment }),
        Some("processing" | "requires_capture") => Ok(Charged::Processing { payment }),
        Some("requires_payment_method" | "requires_confirmation" | "canceled") => {
            Ok(declined(&intent["last_payment_error"], Some(&payment)))
        }
        Some("requires_action") => Ok(Charged::Declined {
            payment: Some(payment),
            code: "authentication_required".to_owned(),
            message: "The customer's bank wants the customer to confirm the payment.".to_owned(),
            is_hard: true,
        }),
        other => Err(PaymentError::Unavailable(format!("it tells of a payment as `{}`", other.unwrap_or("nothing")))),
    }
}

fn declined(error: &Value, payment: Option<&str>) -> Charged {
    let code = error["decline_code"].as_str().or_else(|| error["code"].as_str()).unwrap_or("declined").to_owned();
    Charged::Declined {
        payment: payment.map(str::to_owned),
        is_hard: is_hard(&code),
        message: error["message"].as_str().unwrap_or("The payment was declined.").chars().take(500).collect(),
        code,
    }
}

fn text(object: &Value, member: &str) -> Result<String, PaymentError> {
    let found = object[member].as_str().map(str::to_owned);
    found.ok_or_else(|| PaymentError::Unavailable(format!("its answer has no `{member}`")))
}

/// Ids are letters, digits and `_`; anything else would change the path.
fn path_segment(id: &str) -> Result<&str, PaymentError> {
    let good = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if good { Ok(id) } else { Err(PaymentError::Refused(format!("`{}` is no id", id.escape_debug()))) }
}
