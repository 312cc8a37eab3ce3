//! A look at a domain: proof → routing → CAA → certificate → would the authority find us. The first thing in the way ends it.

use super::keeper::Keeper;
use super::schedule;
use crate::dns::{CaaRule, DnsFailure};
use crate::model::{CustomDomain, Finding, Host, Millis, Reason};
use crate::tls::{Method, OrderFault, Probe, ProbeError, Source, Standing};

use std::net::IpAddr;

/// What a look found.
pub(super) struct Looked {
    /// The claim, with what is known of it now.
    pub found: CustomDomain,
    /// How the authority can validate it, where an order is to be made.
    pub method: Option<Method>,
}

impl Keeper {
    /// Looks.
    pub(super) async fn look(&self, claim: &CustomDomain, now: Millis) -> Looked {
        let mut found = claim.clone();
        let looked = self.look_at(&mut found, now).await;
        let is_known = !matches!(&looked, Err(finding) if finding.reason == Reason::DnsUnavailable);
        if is_known {
            found.checked_at = Some(now);
        }
        let method = looked.as_ref().ok().copied().flatten();
        found.hostname = looked.err();
        let chance = fastrand::f64();
        found.check_at = match (&found.hostname, &found.certificate, found.order_at) {
            (None, None, _) => schedule::recheck(&found, now, self.tenants.config.domains.recheck, chance),
            (None, Some(_), Some(order_at)) if order_at > now => order_at,
            _ => schedule::next_look(&found, now, chance),
        };
        Looked { found, method }
    }

    /// What stands in the way of the name; else how a certificate can be ordered, where one is due.
    async fn look_at(&self, found: &mut CustomDomain, now: Millis) -> Result<Option<Method>, Finding> {
        self.prove(found, now).await?;
        let Some(certificates) = &self.certificates else { return Ok(None) };
        let addresses = self.route(&found.name).await?;
        let standing = certificates.standing(found.name.as_str());
        if self.is_in_files(standing, now) || self.issuer.is_none() {
            found.certificate = without_authority(standing, certificates.problem_of(found.name.as_str()), now);
            return Ok(None);
        }
        self.follow_caa(found).await?;
        if !self.is_due(found, standing, now).await {
            return Ok(None);
        }
        let method = self.probe(found, &addresses).await?;
        found.certificate = Some(Finding::new(Reason::Ordering, "an order at the certificate authority waits for its turn"));
        Ok(Some(method))
    }

    /// Ownership: the record in DNS, or a certificate in files, which someone else has proved it to.
    async fn prove(&self, found: &mut CustomDomain, now: Millis) -> Result<(), Finding> {
        if self.tenants.directory.proves(found.name.as_str()) {
            return Ok(());
        }
        let (name, proof) = (found.proof_name(), found.proof());
        let texts = self.texts(&name).await.map_err(unknown)?;
        if texts.contains(&proof) {
            found.proved_at.get_or_insert(now);
            found.missing_since = None;
            return Ok(());
        }
        if found.is_proved() {
            let lapse = i64::try_from(self.tenants.config.domains.lapse.as_millis()).unwrap_or(i64::MAX);
            if now.0 - found.missing_since.get_or_insert(now).0 >= lapse {
                (found.proved_at, found.missing_since) = (None, None);
                (found.certificate, found.renew_at) = (None, None);
            }
        }
        Err(match texts.first() {
            None => Finding::new(Reason::OwnershipMissing, format!("there is no TXT record at {name}")),
            Some(text) => {
                let text: String = text.chars().take(80).filter(|char| !char.is_control()).collect();
                Finding::new(Reason::OwnershipMismatch, format!("the TXT record at {name} says \"{text}\""))
            }
        })
    }

    /// Routing: every address of the name is ours, where it is known which those are.
    async fn route(&self, name: &Host) -> Result<Vec<IpAddr>, Finding> {
        let addresses = self.addresses(name.as_str()).await.map_err(unknown)?;
        if addresses.is_empty() {
            return Err(Finding::new(Reason::AddressMissing, format!("{name} has no address")));
        }
        let own = self.own_addresses().await.map_err(unknown)?;
        if own.is_empty() && self.issuer.is_some() {
            let detail = format!("nobody says where this gateway is: {} has no address, and domains.addresses is empty", self.target());
            return Err(Finding::new(Reason::DnsUnavailable, detail));
        }
        let elsewhere: Vec<String> = addresses.iter().filter(|address| !own.contains(address)).map(ToString::to_string).collect();
        if own.is_empty() || elsewhere.is_empty() {
            return Ok(addresses);
        }
        let own: Vec<String> = own.iter().map(ToString::to_string).collect();
        let detail = format!("{name} leads to {}, and this gateway is at {}", elsewhere.join(", "), own.join(", "));
        Err(Finding::new(Reason::AddressElsewhere, detail))
    }

    async fn follow_caa(&self, found: &mut CustomDomain) -> Result<(), Finding> {
        let (Some(issuer), Some(dns)) = (&self.issuer, &self.dns) else { return Ok(()) };
        let rule = dns.caa(found.name.as_str()).await.map_err(unknown)?;
        if rule == CaaRule::Anyone {
            return Ok(());
        }
        let names = match issuer.identities().await {
            Ok(names) => names,
            Err(error) => {
                found.certificate = Some(Finding::new(Reason::AuthorityUnavailable, error.to_string()));
                // Nothing is known of the name that forbids it; the order will tell.
                return Ok(());
            }
        };
        if rule.allows(&names) {
            return Ok(());
        }
        let detail = match rule {
            CaaRule::Only { at, issuers } if issuers.is_empty() => format!("the CAA record of {at} lets no certificate authority issue"),
            CaaRule::Only { at, issuers } => format!("the CAA record of {at} allows {} and not {}", issuers.join(", "), shown(&names)),
            CaaRule::Unknown { at, property } => format!("the CAA record of {at} has the critical property `{property}`, which is unknown"),
            CaaRule::Anyone => return Ok(()),
        };
        Err(Finding::new(Reason::CaaForbids, detail))
    }

    /// Whether a certificate is to be ordered now. Follows what the authority says about the renewal of the one that is there.
    async fn is_due(&self, found: &mut CustomDomain, standing: Option<Standing>, now: Millis) -> bool {
        let issued = standing.filter(|standing| standing.source == Source::Acme);
        if let Some(issued) = issued {
            self.plan_renewal(found, issued, now).await;
            if found.renew_at.is_some_and(|renew_at| renew_at > now) {
                found.certificate = None;
                return false;
            }
        }
        // Until then the last failure stands.
        found.order_at.is_none_or(|order_at| order_at <= now)
    }

    async fn plan_renewal(&self, found: &mut CustomDomain, issued: Standing, now: Millis) {
        let name = found.name.as_str();
        if found.ask_renewal_at.is_none_or(|at| at <= now)
            && let (Some(issuer), Some(certificate)) = (&self.issuer, self.certificates.as_ref().and_then(|all| all.issued(name)))
        {
            match issuer.renewal_window(&certificate, now).await {
                Ok(Some(window)) => {
                    found.ask_renewal_at = Some(window.ask_at);
                    if found.renew_at.is_none_or(|at| at > window.end || (at < window.start && at.0 != 0)) {
                        found.renew_at = Some(schedule::within(window.start, window.end, fastrand::f64()));
                    }
                }
                Ok(None) => {}
                Err(error) if error.fault == OrderFault::Unavailable => {
                    tracing::debug!(domain = name, %error, "the authority does not say when to renew");
                }
                Err(error) => tracing::warn!(domain = name, %error, "the authority refuses to say when to renew"),
            }
        }
        found.renew_at.get_or_insert_with(|| schedule::renewal(issued.not_before, issued.not_after, fastrand::f64()));
    }

    async fn probe(&self, found: &CustomDomain, addresses: &[IpAddr]) -> Result<Method, Finding> {
        // The other way after an order that failed.
        let preferred = if found.failed_orders.is_multiple_of(2) { Method::Http01 } else { Method::TlsAlpn01 };
        let Some(issuer) = &self.issuer else { return Ok(preferred) };
        let (http_port, https_port) = (self.own.http_port, self.own.https_port);
        let probe = Probe { name: &found.name, addresses, http_port, https_port };
        issuer.probe(&probe, preferred).await.map_err(|error| match error {
            ProbeError::Unreachable(detail) => Finding::new(Reason::ChallengeUnreachable, detail),
            ProbeError::Intercepted(detail) => Finding::new(Reason::ChallengeIntercepted, detail),
        })
    }

    fn is_in_files(&self, standing: Option<Standing>, now: Millis) -> bool {
        standing.is_some_and(|standing| standing.source == Source::Files && standing.is_valid_at(now))
    }

    pub(super) async fn texts(&self, name: &str) -> Result<Vec<String>, DnsFailure> {
        self.dns.as_ref().ok_or_else(|| nobody(name, "TXT"))?.texts(name).await
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        self.dns.as_ref().ok_or_else(|| nobody(name, "A"))?.addresses(name).await
    }

    /// The gateway's addresses as the world sees them; none where nobody says.
    pub(super) async fn own_addresses(&self) -> Result<Vec<IpAddr>, DnsFailure> {
        let config = &self.tenants.config;
        if !config.domains.addresses.is_empty() {
            return Ok(config.domains.addresses.clone());
        }
        let mut own = self.addresses(self.target().as_str()).await?;
        own.extend(self.own.listening.iter().filter(|address| !address.is_unspecified()));
        own.sort();
        own.dedup();
        Ok(own)
    }

    /// What a CNAME record points to.
    pub(super) fn target(&self) -> &Host {
        let config = &self.tenants.config;
        config.domains.cname_target.as_ref().unwrap_or(&config.tenancy.base_domain)
    }
}

fn unknown(failure: DnsFailure) -> Finding {
    Finding::new(Reason::DnsUnavailable, failure.to_string())
}

fn nobody(name: &str, kind: &'static str) -> DnsFailure {
    DnsFailure { name: name.to_owned(), kind, reason: "no name servers are known".to_owned() }
}

fn shown(names: &[String]) -> String {
    if names.is_empty() { "the one that is configured".to_owned() } else { names.join(", ") }
}

/// What is in the way where certificates come from files alone.
fn without_authority(standing: Option<Standing>, problem: Option<String>, now: Millis) -> Option<Finding> {
    match (standing, problem) {
        (Some(standing), _) if standing.is_valid_at(now) => None,
        (Some(_), _) => Some(Finding::new(Reason::CertificateExpired, "the certificate in tls.cert_dir is not valid now")),
        (None, Some(problem)) => Some(Finding::new(Reason::CertificateMissing, problem)),
        (None, None) => Some(Finding::new(Reason::CertificateMissing, "no certificate in tls.cert_dir covers it")),
    }
}
