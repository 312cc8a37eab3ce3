//! Reports: what the app says of the tenant's usage in the head of its final answer. It is for the gateway and never reaches a
//! client; a client's own fields of these names mean nothing.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::Exchange;
use crate::metering::short_hash;
use crate::model::Gauge;
use crate::tenancy::{Shift, TenantRuntime};

const USER: HeaderName = HeaderName::from_static("x-usage-user");
const GAUGES: [(Gauge, HeaderName); 3] = [
    (Gauge::Storage, HeaderName::from_static("x-usage-storage")),
    (Gauge::Users, HeaderName::from_static("x-usage-users")),
    (Gauge::Projects, HeaderName::from_static("x-usage-projects")),
];

/// Which gauges an answer has reported.
#[derive(Debug, Default)]
pub struct Reported(Vec<Gauge>);

impl Reported {
    /// Whether it has reported this one.
    pub fn has(&self, gauge: Gauge) -> bool {
        self.0.contains(&gauge)
    }
}

/// Takes what is reported off the head of an answer, into the journal: before any octet of the answer goes to the client.
pub fn take_reports(exchange: &Exchange, tenant: &TenantRuntime, headers: &mut HeaderMap) -> Reported {
    let mut reported = Reported::default();
    let (journal, worker) = (&exchange.worker.journal, &exchange.worker);
    for (gauge, name) in &GAUGES {
        for value in values(headers, name) {
            let Some(delta) = delta(&value) else {
                cannot_read(exchange, name, &value);
                continue;
            };
            let now = worker.clock.now();
            // Without a key it cannot fail.
            let _ = tenant.gauges(now).report(journal, (*gauge, Shift::By(delta)), tenant.at(now), None);
            reported.0.push(*gauge);
        }
    }
    for value in values(headers, &USER) {
        let user = value.as_bytes().trim_ascii();
        if user.is_empty() {
            cannot_read(exchange, &USER, &value);
            continue;
        }
        let now = worker.clock.now();
        let _ = tenant.gauges(now).report_user(journal, short_hash(&[user]), tenant.at(now), None);
    }
    reported
}

/// Takes reports off where they are not for anyone: in interim answers and in trailers.
pub fn strip_reports(headers: &mut HeaderMap) {
    for (_, name) in &GAUGES {
        headers.remove(name);
    }
    headers.remove(&USER);
}

/// All values of a field, which is taken off. Nearly always there are none, which allocates nothing.
fn values(headers: &mut HeaderMap, name: &HeaderName) -> Vec<HeaderValue> {
    if !headers.contains_key(name) {
        return Vec::new();
    }
    let values = headers.get_all(name).iter().cloned().collect();
    headers.remove(name);
    values
}

/// A number with or without its sign, or several of them in a list, as fields with the same name may be joined.
fn delta(value: &HeaderValue) -> Option<i64> {
    let text = value.to_str().ok()?;
    text.split(',').try_fold(0_i64, |sum, number| {
        let number = number.trim();
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        sum.checked_add(number.parse().ok()?)
    })
}

fn cannot_read(exchange: &Exchange, name: &HeaderName, value: &HeaderValue) {
    let tenant = exchange.facts.as_ref().map(|facts| facts.tenant.slug.to_string());
    exchange.worker.troubles.tell(|left_out| {
        let request_id = exchange.id.as_str();
        tracing::warn!(tenant, request_id, left_out, field = %name, ?value, "a report of the app cannot be read; it is left out");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_are_whole_numbers_with_or_without_a_sign() {
        let read = |text: &'static str| delta(&HeaderValue::from_static(text));
        for (text, wanted) in [("+1", 1), ("-1048576", -1_048_576), ("7", 7), (" +3 ", 3), ("0", 0), ("+1, -3", -2)] {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        for text in ["", "+", "1.5", "1e3", "0x10", "+-1", "ten", "1,", "9223372036854775808", "+ 1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
