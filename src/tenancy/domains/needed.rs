//! What the owner of a domain has to do: the DNS records it needs, and the next step out of whatever is in the way.

use std::net::IpAddr;
use std::sync::PoisonError;

use super::keeper::Keeper;
use crate::clock::{Clock, SystemClock};
use crate::model::{CustomDomain, Millis, Reason};

/// Addresses of the gateway are looked up again after a minute.
const FRESH: i64 = 60_000;

/// A DNS record to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededRecord {
    /// `TXT`, `CNAME`, `A`, `AAAA` or `ALIAS`.
    pub kind: &'static str,
    /// Its full name.
    pub name: String,
    /// What it says.
    pub value: String,
    /// What it is for.
    pub why: &'static str,
}

impl Keeper {
    /// The records that a domain needs: one that proves it, and one or more that lead its visitors here.
    pub async fn needed_records(&self, claim: &CustomDomain) -> Vec<NeededRecord> {
        let mut records = vec![self.proof_record(claim, claim.proof())];
        let name = claim.name.to_string();
        if !is_apex(&name) {
            let why = "leads visitors of the domain to this gateway";
            records.push(NeededRecord { kind: "CNAME", name, value: self.target().to_string(), why });
            return records;
        }
        let own = self.known_addresses().await;
        if own.is_empty() {
            let why = "leads visitors here; a name like this one cannot have a CNAME, so use what your DNS provider offers instead: \
                       ALIAS, ANAME or a flattened CNAME";
            records.push(NeededRecord { kind: "ALIAS", name, value: self.target().to_string(), why });
            return records;
        }
        for address in own {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            let why = "leads visitors here; a name like this one cannot have a CNAME, so it needs every one of these addresses";
            records.push(NeededRecord { kind, name: name.clone(), value: address.to_string(), why });
        }
        records
    }

    /// The record that proves a claim with this proof.
    pub fn proof_record(&self, claim: &CustomDomain, proof: String) -> NeededRecord {
        let why = "proves that the domain is yours; leave it in place, it is looked at again from time to time";
        NeededRecord { kind: "TXT", name: claim.proof_name(), value: proof, why }
    }

    async fn known_addresses(&self) -> Vec<IpAddr> {
        let now = SystemClock.now();
        {
            // Replaced as a whole.
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, addresses)) = &*known
                && now.0 - at.0 < FRESH
            {
                return addresses.clone();
            }
        }
        let Ok(addresses) = self.own_addresses().await else {
            // What was known is better than nothing, and nobody is asked again for a while.
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let addresses = known.take().map(|(_, addresses)| addresses).unwrap_or_default();
            *known = Some((now, addresses.clone()));
            return addresses;
        };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, addresses.clone()));
        addresses
    }
}

/// Addresses, and when they were looked up.
pub(super) type Known = Option<(Millis, Vec<IpAddr>)>;

/// What gets a domain on from here; none where nothing is in the way.
pub fn next_step(claim: &CustomDomain) -> Option<String> {
    if let Some(step) = &claim.finding()?.next_step {
        return Some(step.clone());
    }
    let name = &claim.name;
    let by_itself = || "Nothing: it is tried again by itself.".to_owned();
    Some(match claim.finding()?.reason {
        Reason::Unchecked if !claim.is_proved() => {
            "Set the records that `records` shows. They are looked at again and again, and at once with `verify`.".to_owned()
        }
        Reason::Unchecked | Reason::DnsUnavailable | Reason::Ordering | Reason::BudgetSpent => by_itself(),
        Reason::AuthorityUnavailable | Reason::AuthorityLimits => by_itself(),
        Reason::OwnershipMissing => format!("Set the TXT record {} to {}.", claim.proof_name(), claim.proof()),
        Reason::OwnershipMismatch => format!("Change the TXT record {} to {}, or add one that says so.", claim.proof_name(), claim.proof()),
        Reason::AddressMissing => format!("Set the record of {name} that `records` shows."),
        Reason::AddressElsewhere => {
            format!("Change the record of {name} to the one that `records` shows, and remove other addresses. A proxy in front must pass everything on under its own name.")
        }
        Reason::CaaForbids => "Add a CAA record that allows the certificate authority (0 issue \"…\"), or remove those that forbid it.".to_owned(),
        Reason::ChallengeUnreachable => {
            "Let connections from everywhere reach the gateway's http and https ports (listen.public_http_port, listen.public_https_port). Where \
             only the gateway itself cannot reach its own address, set tls.acme.self_probe = false."
                .to_owned()
        }
        Reason::ChallengeIntercepted => {
            "Something in front of the gateway answers in its place; let /.well-known/acme-challenge/ pass, or point the name to the gateway itself."
                .to_owned()
        }
        Reason::AuthorityMisconfigured => {
            "Correct tls.acme.directory, or give the root of its certificate in tls.acme.ca_file, and restart.".to_owned()
        }
        Reason::AuthorityRefuses => "Read what the certificate authority says in `detail`. It is tried again by itself, and at once with `verify`.".to_owned(),
        Reason::CertificateMissing => format!("Put {name}.crt and {name}.key into tls.cert_dir, or set tls.mode = \"acme\"."),
        Reason::CertificateExpired => format!("Replace {name}.crt and {name}.key in tls.cert_dir."),
    })
}

/// Whether it is what one registers: the label right below a public suffix.
fn is_apex(name: &str) -> bool {
    psl::domain_str(name) == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_registers_is_an_apex_whatever_it_is_registered_under() {
        for apex in ["acme.com", "acme.co.uk", "acme.github.io", "acme.test"] {
            assert!(is_apex(apex), "{apex}");
            assert!(!is_apex(&format!("shop.{apex}")), "{apex}");
        }
    }
}
