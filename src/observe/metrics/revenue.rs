//! Numbers of revenue: one set for each currency that anything is paid or owed in.

use std::fmt::Error;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::numbers::Counter;

/// What one currency comes to, in its major unit.
#[derive(Debug, Clone, PartialEq)]
pub struct RevenueNumbers {
    /// ISO 4217 code.
    pub currency: String,
    /// Recurring revenue by the month.
    pub mrr: f64,
    /// What is owed.
    pub open: f64,
    /// Of it, what is overdue.
    pub overdue: f64,
    /// Tenants that pay.
    pub customers: i64,
}

/// Name, help text and value of a gauge.
type Gauge = (&'static str, &'static str, fn(&RevenueNumbers) -> f64);

/// All of it, set as a whole.
#[derive(Debug, Default)]
pub(super) struct Revenue {
    by_currency: Mutex<Vec<RevenueNumbers>>,
    invoices: Counter,
}

impl Revenue {
    pub(super) fn set(&self, by_currency: Vec<RevenueNumbers>, invoices: u64) {
        *self.by_currency.lock().unwrap_or_else(PoisonError::into_inner) = by_currency;
        self.invoices.set(invoices);
    }

    pub(super) fn encode(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let rows = self.by_currency.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let gauges: [Gauge; 4] = [
            ("gatehouse_revenue_mrr", "Recurring revenue by the month, in the currency's major unit", |row| row.mrr),
            ("gatehouse_revenue_open", "What is owed on open invoices, in the currency's major unit", |row| row.open),
            ("gatehouse_revenue_overdue", "What is overdue or was declined, in the currency's major unit", |row| row.overdue),
            ("gatehouse_paying_customers", "Tenants that pay", |row| row.customers as f64),
        ];
        for (name, help, value) in gauges {
            let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for row in &rows {
                ConstGauge::new(value(row)).encode(family.encode_family(&[("currency", row.currency.as_str())])?)?;
            }
        }
        let help = "Invoices issued since the process started";
        ConstCounter::new(self.invoices.get()).encode(out.encode_descriptor(
            "gatehouse_invoices_issued",
            help,
            None,
            MetricType::Counter,
        )?)
    }
}
