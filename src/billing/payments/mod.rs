//! Payment providers behind one small trait. It knows amounts, customers and ids, and nothing of tenants' lives.

mod amounts;
mod declines;
pub mod http;
pub mod manual;
pub mod stripe;
pub mod webhook;

use async_trait::async_trait;

use super::invoicing::Chargeable;
use crate::model::Money;

pub use http::Http;
pub use manual::Manual;
pub use stripe::Stripe;

/// Takes money and gives it back.
#[async_trait]
pub trait Payments: Send + Sync + 'static {
    /// As JSON and logs name it: `manual`, `stripe`.
    fn name(&self) -> &'static str;

    /// Whether it can take money by itself from a stored payment method.
    fn collects(&self) -> bool;

    /// What amounts it can take by itself.
    fn chargeable(&self, _currency: &str) -> Chargeable {
        Chargeable::default()
    }

    /// Makes the customer, once for each key; its id.
    async fn save_customer(&self, customer: &Customer, key: &str) -> Result<String, PaymentError>;

    /// Attaches a payment method to a customer.
    async fn attach(&self, customer: &str, method: &str, key: &str) -> Result<PaymentMethod, PaymentError>;

    /// Takes an amount, once for each key of a charge, whoever asks how often.
    async fn charge(&self, charge: &Charge) -> Result<Charged, PaymentError>;

    /// What became of a charge that was asked for before; none where it was not made, or is still being made.
    async fn find(&self, charge: &Charge) -> Result<Option<Charged>, PaymentError>;

    /// How a payment stands now; refused where it is of another amount or currency than `of`, where that is known.
    async fn payment(&self, id: &str, of: Option<(Money, &str)>) -> Result<Charged, PaymentError>;

    /// Gives an amount of a payment back, once for each key.
    async fn refund(&self, refund: &Refund) -> Result<Refunded, PaymentError>;
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Customer {
    /// The tenant's id.
    pub tenant: String,
    /// The company or person.
    pub name: Option<String>,
    /// Where receipts go.
    pub email: Option<String>,
    /// ISO 3166 code.
    pub country: Option<String>,
}

/// What is collected from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod {
    /// The provider's name of it.
    pub id: String,
    /// Its kind by the provider's names, such as `card`.
    pub kind: String,
    /// As people know it, such as `visa •••• 4242`.
    pub shown: String,
}

/// An amount to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The same key is the same charge.
    pub key: String,
    /// Id of the invoice.
    pub invoice: String,
    /// Its number.
    pub number: String,
    /// Id of the tenant.
    pub tenant: String,
    /// The provider's customer.
    pub customer: String,
    /// The provider's payment method.
    pub method: String,
    /// Its kind by the provider's names, such as `card`.
    pub kind: String,
    /// How much.
    pub amount: Money,
    /// ISO 4217 code.
    pub currency: String,
}

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charged {
    /// The money was taken.
    Succeeded {
        /// The provider's name of the payment.
        payment: String,
    },
    /// It takes its time.
    Processing {
        /// The provider's name of the payment.
        payment: String,
    },
    /// It was not taken.
    Declined {
        /// The provider's name of the payment, where there is one.
        payment: Option<String>,
        /// Why, such as `insufficient_funds`.
        code: String,
        /// The same for people.
        message: String,
        /// Trying again makes no sense.
        is_hard: bool,
    },
}

/// An amount to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The same key is the same refund.
    pub key: String,
    /// The provider's name of the payment.
    pub payment: String,
    /// How much.
    pub amount: Money,
    /// ISO 4217 code.
    pub currency: String,
}

/// What was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refunded {
    /// The provider's name of the refund.
    pub id: String,
}

/// Why a provider did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentError {
    /// Nobody knows whether it happened; asking again with the same key tells.
    #[error("the payment provider is not available: {0}")]
    Unavailable(String),
    /// Our request or our key is wrong; repeating it changes nothing.
    #[error("the payment provider refuses: {0}")]
    Refused(String),
    /// This provider cannot do it.
    #[error("{0}")]
    NotSupported(String),
}
