//! Reports: what the app says of the tenant's usage in the head of its final answer. It is for the gateway and never reaches a
//! client; a client's own fields of these names mean nothing.

use http::HeaderMap;

use super::context::Exchange;
use crate::message::{Fields, Name, NameSet};
use crate::metering::short_hash;
use crate::model::Gauge;
use crate::tenancy::{Shift, TenantRuntime};

const GAUGES: [(Gauge, Name); 3] =
    [(Gauge::Storage, Name::XUsageStorage), (Gauge::Users, Name::XUsageUsers), (Gauge::Projects, Name::XUsageProjects)];

/// All names of reports.
const REPORTS: NameSet = NameSet::of(&[Name::XUsageStorage, Name::XUsageUsers, Name::XUsageProjects, Name::XUsageUser]);

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
pub fn take_reports(exchange: &Exchange, tenant: &TenantRuntime, fields: &mut Fields) -> Reported {
    let mut reported = Reported::default();
    if !fields.has_any(REPORTS) {
        return reported;
    }
    let (journal, worker) = (&exchange.worker.journal, &exchange.worker);
    for (gauge, name) in GAUGES {
        for value in values(fields, name) {
            let Some(delta) = delta(&value) else {
                cannot_read(exchange, name, &value);
                continue;
            };
            let now = worker.clock.now();
            // Without a key it cannot fail.
            let _ = tenant.gauges(now).report(journal, (gauge, Shift::By(delta)), tenant.at(now), None);
            reported.0.push(gauge);
        }
    }
    for value in values(fields, Name::XUsageUser) {
        let user = value.trim_ascii();
        if user.is_empty() {
            cannot_read(exchange, Name::XUsageUser, &value);
            continue;
        }
        let now = worker.clock.now();
        let _ = tenant.gauges(now).report_user(journal, short_hash(&[user]), tenant.at(now), None);
    }
    reported
}

/// Takes reports off where they are not for anyone: in interim answers and in trailers.
pub fn strip_reports(fields: &mut Fields) {
    fields.remove_all(REPORTS);
}

/// Likewise of trailers.
pub fn strip_reports_of(trailers: &mut HeaderMap) {
    for name in GAUGES.map(|(_, name)| name).into_iter().chain([Name::XUsageUser]) {
        trailers.remove(name.text());
    }
}

/// All values of a field, which is taken off.
fn values(fields: &mut Fields, name: Name) -> Vec<Vec<u8>> {
    let values = fields.all(name).map(<[u8]>::to_vec).collect();
    fields.remove(name);
    values
}

/// A number with or without its sign, or several of them in a list, as fields with the same name may be joined.
fn delta(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    text.split(',').try_fold(0_i64, |sum, number| {
        let number = number.trim();
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        sum.checked_add(number.parse().ok()?)
    })
}

fn cannot_read(exchange: &Exchange, name: Name, value: &[u8]) {
    let (field, value) = (name.text(), String::from_utf8_lossy(value));
    let tenant = exchange.facts.as_ref().map(|facts| facts.tenant.slug.to_string());
    exchange.worker.troubles.tell(|left_out| {
        let request_id = exchange.id.as_str();
        tracing::warn!(tenant, request_id, left_out, field, ?value, "a report of the app cannot be read; it is left out");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_are_whole_numbers_with_or_without_a_sign() {
        let read = |text: &str| delta(text.as_bytes());
        for (text, wanted) in [("+1", 1), ("-1048576", -1_048_576), ("7", 7), (" +3 ", 3), ("0", 0), ("+1, -3", -2)] {
            assert_eq!(read(text), Some(wanted), "{text}");
        }
        for text in ["", "+", "1.5", "1e3", "0x10", "+-1", "ten", "1,", "9223372036854775808", "+ 1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
