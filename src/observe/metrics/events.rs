//! Numbers of events to the operator's systems: one set for each endpoint of the configuration.

use std::fmt::Error;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::numbers::Counter;

/// How an attempt to deliver an event ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// The endpoint has it.
    Delivered,
    /// It failed and is repeated.
    Retried,
    /// It failed, and is not repeated any more.
    Failed,
}

/// In the order of [`EventOutcome`].
const OUTCOMES: [&str; 3] = ["delivered", "retried", "failed"];

/// The numbers of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointNumbers {
    name: String,
    pending: Counter,
    deliveries: [Counter; OUTCOMES.len()],
}

impl EndpointNumbers {
    pub(super) fn new(name: String) -> Self {
        Self { name, pending: Counter::default(), deliveries: Default::default() }
    }

    pub(super) fn is_of(&self, name: &str) -> bool {
        self.name == name
    }

    pub(super) fn ended(&self, outcome: EventOutcome) {
        self.deliveries[outcome as usize].add(1);
    }

    pub(super) fn set_pending(&self, pending: usize) {
        self.pending.set(pending as u64);
    }
}

/// Shows them; nothing where no endpoint is configured.
pub(super) fn encode(out: &mut DescriptorEncoder, endpoints: &[EndpointNumbers]) -> Result<(), Error> {
    if endpoints.is_empty() {
        return Ok(());
    }
    let help = "Events that an endpoint is still to get";
    let mut family = out.encode_descriptor("gatehouse_events_pending", help, None, MetricType::Gauge)?;
    for endpoint in endpoints {
        ConstGauge::new(endpoint.pending.get()).encode(family.encode_family(&[("endpoint", endpoint.name.as_str())])?)?;
    }
    let help = "Attempts to deliver an event, by endpoint and by how they ended";
    let mut family = out.encode_descriptor("gatehouse_event_deliveries", help, None, MetricType::Counter)?;
    for endpoint in endpoints {
        for (outcome, count) in OUTCOMES.iter().zip(&endpoint.deliveries) {
            let labels = [("endpoint", endpoint.name.as_str()), ("outcome", *outcome)];
            ConstCounter::new(count.get()).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}
