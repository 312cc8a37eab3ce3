//! Numbers of revenue, in the one currency that a gateway bills in.

use std::fmt::Error;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Revenue as a scrape shows it; amounts are in the currency's major unit.
#[derive(Debug, Clone, PartialEq)]
pub struct RevenueNumbers {
    /// ISO 4217 code.
    pub currency: String,
    /// Recurring revenue by the month.
    pub mrr: f64,
    /// By the year.
    pub arr: f64,
    /// What is owed.
    pub open: f64,
    /// Of it, what is overdue.
    pub overdue: f64,
    /// Tenants that pay.
    pub customers: i64,
    /// How revenue has moved in this month: in which way, by how much a month, of how many tenants.
    pub moved: [(&'static str, f64, i64); 5],
    /// Trials by their state, those that ended in this month.
    pub trials: [(&'static str, i64); 3],
    /// Invoices that were issued since the process started.
    pub issued: u64,
}

/// What was set last.
#[derive(Debug, Default)]
pub(super) struct Revenue(Mutex<Option<RevenueNumbers>>);

impl Revenue {
    pub(super) fn set(&self, numbers: RevenueNumbers) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(numbers);
    }

    pub(super) fn encode(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let Some(told) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return Ok(()) };
        let currency = ("currency", told.currency.as_str());
        for (name, help, value) in [
            ("gatehouse_revenue_mrr", "Recurring revenue by the month, in the currency's major unit", told.mrr),
            ("gatehouse_revenue_arr", "Recurring revenue by the year, in the currency's major unit", told.arr),
            ("gatehouse_revenue_open", "What is owed on open invoices, in the currency's major unit", told.open),
            ("gatehouse_revenue_overdue", "What is overdue or was declined, in the currency's major unit", told.overdue),
            ("gatehouse_paying_customers", "Tenants that pay", told.customers as f64),
        ] {
            gauges(out, name, help, &[(&[currency], value)])?;
        }
        let ways = told.moved.map(|(way, ..)| [currency, ("movement", way)]);
        let amounts: Vec<Row<'_>> = ways.iter().zip(told.moved).map(|(labels, (_, amount, _))| (labels.as_slice(), amount)).collect();
        let tenants: Vec<Row<'_>> =
            ways.iter().zip(told.moved).map(|(labels, (.., tenants))| (labels.as_slice(), tenants as f64)).collect();
        gauges(out, "gatehouse_revenue_moved", "How recurring revenue by the month has moved in this month", &amounts)?;
        gauges(out, "gatehouse_customers_moved", "Tenants whose recurring revenue has moved in this month", &tenants)?;
        let states = told.trials.map(|(state, _)| [("state", state)]);
        let trials: Vec<Row<'_>> = states.iter().zip(told.trials).map(|(labels, (_, count))| (labels.as_slice(), count as f64)).collect();
        gauges(out, "gatehouse_trials", "Trials that run, and those that ended in this month", &trials)?;
        let help = "Invoices issued since the process started";
        let issued = out.encode_descriptor("gatehouse_invoices_issued", help, None, MetricType::Counter)?;
        ConstCounter::new(told.issued).encode(issued)
    }
}

/// Labels and value of one line.
type Row<'a> = (&'a [(&'a str, &'a str)], f64);

fn gauges(out: &mut DescriptorEncoder, name: &str, help: &str, rows: &[Row<'_>]) -> Result<(), Error> {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}
