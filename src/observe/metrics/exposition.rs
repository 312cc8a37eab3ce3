//! The names, help texts and order in which the numbers are shown (OpenMetrics 1.0).

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Unit;

use super::events;
use super::numbers::{
    ADMIN_REFUSALS, BOUNDS, CLASSES, CODES, Cell, Counter, DOMAIN_STATUSES, Durations, LISTENERS, Numbers, OWNERS, REASONS, SOURCES,
    STATUSES,
};

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), Error> {
        let out = &mut encoder;
        self.requests(out)?;
        self.connections(out)?;
        self.fold(out)?;
        self.journal(out)?;
        gauges(out, "gatehouse_tenants", "Tenants, by status", labelled("status", &STATUSES, |place| self.tenants[place].get()))?;
        self.domains(out)?;
        self.revenue.encode(out)?;
        events::encode(out, self.endpoints())?;
        self.process(out)
    }
}

impl Numbers {
    fn requests(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let mut family = out.encode_descriptor(
            "gatehouse_requests",
            "Requests that ended, by class of status and by who caused the outcome",
            None,
            MetricType::Counter,
        )?;
        for (class, status) in CLASSES.iter().enumerate() {
            for (place, owner) in OWNERS.iter().enumerate() {
                let count = self.sum(|cell| &cell.requests[class][place]);
                ConstCounter::new(count).encode(family.encode_family(&[("status", *status), ("owner", owner.as_str())])?)?;
            }
        }
        let codes = labelled("code", &CODES, |place| self.sum(|cell| &cell.refusals[place]));
        counters(out, "gatehouse_refusals", "Answers that the gateway made itself, by code", codes)?;
        self.durations(out, "gatehouse_request_duration", "From a request's head to the end of its response body", |cell| &cell.durations)?;
        let bytes = [("in", self.sum(|cell| &cell.bytes_in)), ("out", self.sum(|cell| &cell.bytes_out))];
        let bytes = bytes.map(|(direction, count)| (("direction", direction), count));
        counters(out, "gatehouse_bytes", "Body octets from (in) and to (out) clients", bytes)?;
        let upstream = [("false", self.sum(|cell| &cell.upstream_opened)), ("true", self.sum(|cell| &cell.upstream_reused))];
        let upstream = upstream.map(|(reused, count)| (("reused", reused), count));
        counters(out, "gatehouse_upstream_connections", "Requests sent upstream, by whether their connection was open already", upstream)
    }

    fn connections(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        // Closed is read before opened, so that the difference is never negative.
        let closed: [u64; LISTENERS.len()] = std::array::from_fn(|place| self.closed[place].get());
        let opened: [u64; LISTENERS.len()] = std::array::from_fn(|place| self.opened[place].get());
        let open = labelled("listener", &LISTENERS, |place| opened[place].saturating_sub(closed[place]));
        gauges(out, "gatehouse_connections", "Client connections that are open", open)?;
        let opened = labelled("listener", &LISTENERS, |place| opened[place]);
        counters(out, "gatehouse_connections_opened", "Client connections that were opened", opened)?;
        let closed = labelled("listener", &LISTENERS, |place| closed[place]);
        counters(out, "gatehouse_connections_closed", "Client connections that were closed", closed)?;
        let refused = labelled("reason", &REASONS, |place| self.connections_refused[place].get());
        counters(out, "gatehouse_connections_refused", "Connections refused before any request", refused)?;
        let refused = labelled("reason", &ADMIN_REFUSALS, |place| self.admin_refused[place].get());
        counters(out, "gatehouse_admin_refused", "Calls of the admin API that were refused for who made them", refused)
    }

    fn fold(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let (fold, help) = (&self.fold, "What one fold of the usage journal into the store took");
        histogram(out, "gatehouse_fold_duration", help, std::iter::once(&fold.durations))?;
        single(out, "gatehouse_fold_rows", "Rows of usage written to the store", &fold.rows)?;
        single(out, "gatehouse_fold_failures", "Folds that failed and are repeated", &fold.failures)?;
        gauge(out, "gatehouse_fold_failing", "1 while usage does not get from the journal to the store", &fold.failing)?;
        let last = ConstGauge::new(fold.last_success.get() as f64 / 1000.0);
        let help = "When the last fold succeeded, in seconds since the epoch; 0 = not yet";
        let kind = MetricType::Gauge;
        last.encode(out.encode_descriptor("gatehouse_fold_last_success_timestamp", help, Some(&Unit::Seconds), kind)?)
    }

    fn journal(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let journal = &self.journal;
        gauge(out, "gatehouse_journal_failing", "1 while the usage journal cannot be kept ahead of its need", &journal.failing)?;
        single(out, "gatehouse_journal_failures", "Upkeeps of the usage journal that failed and are repeated", &journal.failures)?;
        gauge(out, "gatehouse_journal_free_slots", "Tenants' days that the usage journal still takes", &journal.free_slots)?;
        let help = "Files of the usage journal that nobody has a slot in, the spare included";
        gauge(out, "gatehouse_journal_unused_segments", help, &journal.unused_segments)?;
        gauge(out, "gatehouse_journal_free_reports", "Reports that the usage journal still takes", &journal.free_reports)
    }

    fn domains(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let domains = labelled("status", &DOMAIN_STATUSES, |place| self.domains[place].get());
        gauges(out, "gatehouse_domains", "Custom domains, by how they stand", domains)?;
        let certificates = labelled("source", &SOURCES, |place| self.certificates[place].get());
        gauges(out, "gatehouse_certificates", "Certificates that are served, by where they come from", certificates)?;
        let help = "Pairs in tls.cert_dir that cannot be used as they are";
        gauge(out, "gatehouse_certificate_pairs_unusable", help, &self.bad_pairs)?;
        let soonest = ConstGauge::new(self.soonest_expiry.get() as f64 / 1000.0);
        let help = "When the first of the certificates that are served ends, in seconds since the epoch; 0 = there is none";
        soonest.encode(out.encode_descriptor("gatehouse_certificate_soonest_expiry", help, Some(&Unit::Seconds), MetricType::Gauge)?)
    }

    fn process(&self, out: &mut DescriptorEncoder) -> Result<(), Error> {
        let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        info.encode(out.encode_descriptor("gatehouse_build", "The build that runs", None, MetricType::Info)?)?;
        let start = ConstGauge::new(self.started.0 as f64 / 1000.0);
        let help = "When the process started, in seconds since the epoch";
        start.encode(out.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?)
    }

    fn durations(&self, out: &mut DescriptorEncoder, name: &str, help: &str, of: impl Fn(&Cell) -> &Durations) -> Result<(), Error> {
        histogram(out, name, help, self.cells().map(of))
    }
}

type Label = (&'static str, &'static str);

fn labelled<const N: usize>(key: &'static str, list: &[&'static str; N], count: impl Fn(usize) -> u64) -> [(Label, u64); N] {
    std::array::from_fn(|place| ((key, list[place]), count(place)))
}

fn counters<const N: usize>(out: &mut DescriptorEncoder, name: &str, help: &str, values: [(Label, u64); N]) -> Result<(), Error> {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (label, value) in values {
        ConstCounter::new(value).encode(family.encode_family(&[label])?)?;
    }
    Ok(())
}

fn gauges<const N: usize>(out: &mut DescriptorEncoder, name: &str, help: &str, values: [(Label, u64); N]) -> Result<(), Error> {
    let mut family = out.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (label, value) in values {
        ConstGauge::new(value).encode(family.encode_family(&[label])?)?;
    }
    Ok(())
}

fn single(out: &mut DescriptorEncoder, name: &str, help: &str, counter: &Counter) -> Result<(), Error> {
    ConstCounter::new(counter.get()).encode(out.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(out: &mut DescriptorEncoder, name: &str, help: &str, value: &Counter) -> Result<(), Error> {
    ConstGauge::new(value.get()).encode(out.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// Seconds, summed over `parts`. The count is the sum of the buckets, so that they agree whatever is added meanwhile.
fn histogram<'n>(out: &mut DescriptorEncoder, name: &str, help: &str, parts: impl Iterator<Item = &'n Durations>) -> Result<(), Error> {
    let bounds = BOUNDS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::INFINITY]);
    let mut buckets: Vec<(f64, u64)> = bounds.map(|bound| (bound, 0)).collect();
    let mut micros: u64 = 0;
    for part in parts {
        for ((_, total), count) in buckets.iter_mut().zip(&part.buckets) {
            *total += count.get();
        }
        micros = micros.wrapping_add(part.micros.get());
    }
    let count = buckets.iter().map(|(_, count)| count).sum();
    let mut metric = out.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    metric.encode_histogram::<NoLabelSet>(micros as f64 / 1e6, count, &buckets, None)
}
