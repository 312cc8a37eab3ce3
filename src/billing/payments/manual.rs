//! No provider: an operator takes the money and records it.

use async_trait::async_trait;

use super::{Charge, Charged, Customer, PaymentError, PaymentMethod, Payments, Refund, Refunded};
use crate::model::Money;

/// Payments that an operator records.
#[derive(Debug, Default, Clone, Copy)]
pub struct Manual;

#[async_trait]
impl Payments for Manual {
    fn name(&self) -> &'static str {
        "manual"
    }

    fn collects(&self) -> bool {
        false
    }

    async fn save_customer(&self, _: &Customer, _: &str) -> Result<String, PaymentError> {
        Err(collects_nothing())
    }

    async fn attach(&self, _: &str, _: &str, _: &str) -> Result<PaymentMethod, PaymentError> {
        Err(collects_nothing())
    }

    async fn charge(&self, _: &Charge) -> Result<Charged, PaymentError> {
        Err(collects_nothing())
    }

    async fn find(&self, _: &Charge) -> Result<Option<Charged>, PaymentError> {
        Err(collects_nothing())
    }

    async fn payment(&self, _: &str, _: Option<(Money, &str)>) -> Result<Charged, PaymentError> {
        Err(collects_nothing())
    }

    async fn refund(&self, refund: &Refund) -> Result<Refunded, PaymentError> {
        Ok(Refunded { id: refund.key.clone() })
    }
}

fn collects_nothing() -> PaymentError {
    PaymentError::NotSupported("billing.provider is \"manual\": payments are recorded by an operator, nothing is collected".to_owned())
}
