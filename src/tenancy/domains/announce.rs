//! What the audit log says of how a domain stands: that it is served, or that it is not and someone has to act. Each is said when
//! it becomes so, in the commit that finds it out.

use serde_json::{Value, json};

use super::keeper::{Keeper, system};
use crate::model::{CustomDomain, DomainStatus, Millis};
use crate::store::{Key, Table, Tx};

impl Keeper {
    /// Adds the row, where there is something new to say, to the commit that stores `found`.
    pub(super) fn announce(&self, found: &mut CustomDomain, tx: &mut Tx, now: Millis) {
        // As it will be once this is committed.
        let certificate = Key::new(Table::Certificates, found.name.as_str());
        let is_issued = tx.puts.iter().any(|(key, _)| *key == certificate);
        let serves = self.is_verified(found) && (is_issued || self.has_certificate(found.name.as_str(), now));
        if let Some((action, after)) = news(found, serves, now) {
            tx.audit.push(system().audit(action, found.tenant_id, None, Some(after)));
        }
    }
}

/// What is to be said, where it is another thing than the last one.
fn news(found: &mut CustomDomain, serves: bool, now: Millis) -> Option<(&'static str, Value)> {
    let status = found.status(serves, now);
    if status == DomainStatus::InProgress || found.told == Some(status) {
        return None;
    }
    found.told = Some(status);
    Some(match found.finding().filter(|_| status == DomainStatus::Stuck) {
        Some(finding) => {
            let (reason, by) = (finding.reason, found.needs(now));
            ("domain.failed", json!({"domain": found.name, "reason": reason, "detail": finding.detail, "needsActionBy": by}))
        }
        None => ("domain.active", json!({"domain": found.name})),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::{Finding, Host, Reason, TenantId};

    #[test]
    fn each_turn_is_told_once() {
        let now = Millis(1_000_000);
        let mut domain = CustomDomain::claim(Host::parse("shop.acme.com").unwrap(), TenantId::from_bytes([1; 16]), "n".to_owned(), now);
        let said = |domain: &mut CustomDomain, serves| news(domain, serves, now).map(|(action, after)| (action, after["reason"].clone()));
        assert_eq!(said(&mut domain, false), None, "nobody has looked yet");
        domain.hostname = Some(Finding::new(Reason::OwnershipMismatch, "another one"));
        assert_eq!(said(&mut domain, false), Some(("domain.failed", json!("ownership_mismatch"))));
        assert_eq!(said(&mut domain, false), None);
        domain.hostname = None;
        assert_eq!(said(&mut domain, true), Some(("domain.active", Value::Null)));
        domain.hostname = Some(Finding::new(Reason::AddressElsewhere, "served all the same"));
        assert_eq!(said(&mut domain, true), None);
        domain.hostname = Some(Finding::new(Reason::DnsUnavailable, "nothing is known"));
        assert_eq!(said(&mut domain, false), None);
        (domain.hostname, domain.lapsed_at) = (Some(Finding::new(Reason::OwnershipMissing, "gone")), Some(now));
        assert_eq!(said(&mut domain, false), Some(("domain.failed", json!("ownership_missing"))));
        domain.hostname = None;
        assert_eq!(said(&mut domain, true), Some(("domain.active", Value::Null)), "again");
    }
}
