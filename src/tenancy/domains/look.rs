//! A look at a domain: proof → routing → CAA → certificate → would the authority find us. The first thing in the way ends it.

use std::net::IpAddr;
use std::time::Duration;

use super::keeper::Keeper;
use super::schedule::{self, Renewal};
use crate::dns::{CaaRule, DnsFailure};
use crate::model::{CustomDomain, Finding, Host, Millis, Reason};
use crate::tls::{Method, OrderFault, Probe, ProbeError, Source, Standing};

/// For a whole look.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a look found.
pub(super) struct Looked {
    /// The claim, with what is known of it now.
    pub found: CustomDomain,
    /// How the authority can validate it, where an order is to be made.
    pub method: Option<Method>,
}

impl Keeper {
    /// Looks; whether the authority would find us only where it `may_probe`: not while an order of this name is under way, whose
    /// answers a probe would take away.
    pub(super) async fn look(&self, claim: &CustomDomain, now: Millis, may_probe: bool) -> Looked {
        let mut found = claim.clone();
        // What a tenant's name servers keep us waiting for is bounded as a whole.
        let looked = match tokio::time::timeout(PATIENCE, self.look_at(&mut found, now, may_probe)).await {
            Ok(looked) => looked,
            Err(_) => {
                found = claim.clone();
                Err(Finding::new(Reason::DnsUnavailable, format!("the name servers of {} take too long to answer", claim.name)))
            }
        };
        let is_known = !matches!(&looked, Err(finding) if finding.reason == Reason::DnsUnavailable);
        if is_known {
            found.checked_at = Some(now);
        }
        let method = looked.as_ref().ok().copied().flatten();
        found.hostname = looked.err();
        match &found.hostname {
            None => (found.right_since, found.was_right) = (found.right_since.or(Some(now)), true),
            Some(_) if is_known => found.right_since = None,
            Some(_) => {}
        }
        let chance = fastrand::f64();
        found.check_at = match (&found.hostname, &found.certificate, found.order_at) {
            // A renewal that is due and has to wait is no reason to look before that.
            (None, None, order_at) => {
                schedule::recheck(&found, now, self.tenants.config.domains.recheck, chance).max(order_at.unwrap_or(now))
            }
            (None, Some(_), Some(order_at)) if order_at > now => order_at,
            _ => schedule::next_look(&found, now, chance),
        };
        Looked { found, method }
    }

    /// What stands in the way of the name; else how a certificate can be ordered, where one is due.
    async fn look_at(&self, found: &mut CustomDomain, now: Millis, may_probe: bool) -> Result<Option<Method>, Finding> {
        if may_probe && found.certificate.as_ref().is_some_and(|finding| finding.reason == Reason::Ordering) {
            // Nothing is ordered any more, or it is ordered again below.
            found.certificate = None;
        }
        self.prove(found, now).await?;
        let Some(certificates) = &self.certificates else { return Ok(None) };
        let addresses = self.route(&found.name).await?;
        let problem = certificates.problem_of(found.name.as_str());
        let standing = certificates.standing(found.name.as_str());
        if self.is_in_files(standing, now) || self.issuer.is_none() {
            found.certificate = without_authority(standing, problem, now);
            return Ok(None);
        }
        if !self.follow_caa(found).await? || !self.is_due(found, standing, now).await || !may_probe {
            return Ok(None);
        }
        let method = self.probe(found, &addresses).await?;
        found.certificate = Some(Finding::new(Reason::Ordering, "an order at the certificate authority waits for its turn"));
        Ok(Some(method))
    }

    /// Ownership: the record in DNS, or a certificate in files, which someone else has proved it to.
    async fn prove(&self, found: &mut CustomDomain, now: Millis) -> Result<(), Finding> {
        if self.tenants.directory.proves(found.name.as_str()) {
            found.missing_since = None;
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
            let missing_since = *found.missing_since.get_or_insert(now);
            if now >= missing_since.plus(self.tenants.config.domains.lapse) {
                (found.proved_at, found.missing_since, found.lapsed_at) = (None, None, Some(now));
                (found.certificate, found.renew_at) = (None, None);
            }
        }
        let mut missing = match texts.first() {
            None => self.misplaced(found, &proof).await,
            Some(text) => mismatch(&name, text, &proof),
        };
        // A pair would be as good, and someone has tried that.
        if let Some(problem) = self.certificates.as_ref().and_then(|certificates| certificates.problem_of(found.name.as_str())) {
            missing.detail = format!("{}; and {problem}", missing.detail);
        }
        Err(missing)
    }

    /// There is no record; many panels add the zone to a name that has it already.
    async fn misplaced(&self, found: &CustomDomain, proof: &str) -> Finding {
        let name = found.proof_name();
        let plain = Finding::new(Reason::OwnershipMissing, format!("there is no TXT record at {name}"));
        let Some(zone) = psl::domain_str(found.name.as_str()) else { return plain };
        let doubled = format!("{name}.{zone}");
        let is_there = self.texts(&doubled).await.is_ok_and(|texts| texts.iter().any(|text| text == proof));
        if !is_there {
            return plain;
        }
        let short = name.strip_suffix(zone).unwrap_or(&name).trim_end_matches('.');
        let step = format!("Enter the record's name as {short}: your DNS provider adds .{zone} by itself.");
        Finding::new(Reason::OwnershipMissing, format!("the TXT record is at {doubled}, not at {name}")).with_next_step(step)
    }

    /// Routing: every address of the name is ours, where it is known which those are.
    async fn route(&self, name: &Host) -> Result<Vec<IpAddr>, Finding> {
        let addresses = self.addresses(name.as_str()).await.map_err(unknown)?;
        if addresses.is_empty() {
            return Err(self.without_address(name).await);
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

    /// A name without an address may be an alias of one that has none.
    async fn without_address(&self, name: &Host) -> Finding {
        let alias = match &self.dns {
            Some(dns) => dns.alias(name.as_str()).await.ok().flatten(),
            None => None,
        };
        match alias {
            Some(alias) if alias == self.target().as_str() => {
                let detail = format!("{name} is an alias of {alias}, as it should be, and {alias} has no address");
                Finding::new(Reason::AddressMissing, detail)
                    .with_next_step("It is the gateway's operator who has to give that name an address.")
            }
            Some(alias) => Finding::new(Reason::AddressMissing, format!("{name} is an alias of {alias}, which has no address")),
            None => Finding::new(Reason::AddressMissing, format!("{name} has no address")),
        }
    }

    /// Whether the authority may issue; false where nobody knows what it is called.
    async fn follow_caa(&self, found: &mut CustomDomain) -> Result<bool, Finding> {
        let (Some(issuer), Some(dns)) = (&self.issuer, &self.dns) else { return Ok(true) };
        let rule = dns.caa(found.name.as_str()).await.map_err(unknown)?;
        if rule == CaaRule::Anyone {
            return Ok(true);
        }
        let names = match issuer.identities().await {
            Ok(names) => names,
            Err(error) => {
                found.certificate = Some(Finding::new(Reason::AuthorityUnavailable, error.to_string()));
                return Ok(false);
            }
        };
        if rule.allows(&names) {
            return Ok(true);
        }
        let detail = match rule {
            CaaRule::Only { at, issuers } if issuers.is_empty() => format!("the CAA record of {at} lets no certificate authority issue"),
            CaaRule::Only { at, issuers } => format!("the CAA record of {at} allows {} and not {}", issuers.join(", "), shown(&names)),
            CaaRule::Unknown { at, property } => format!("the CAA record of {at} has the critical property `{property}`, which is unknown"),
            CaaRule::Anyone => return Ok(true),
        };
        let finding = Finding::new(Reason::CaaForbids, detail);
        let Some(name) = names.first() else { return Err(finding) };
        Err(finding.with_next_step(format!("Add the CAA record 0 issue \"{name}\" to {}, or remove those that forbid it.", found.name)))
    }

    /// Whether a certificate is to be ordered now. Follows what the authority says about the renewal of the one that is there.
    async fn is_due(&self, found: &mut CustomDomain, standing: Option<Standing>, now: Millis) -> bool {
        let issued = standing.filter(|standing| standing.source == Source::Acme);
        if let Some(issued) = issued {
            self.plan_renewal(found, issued, now).await;
            let is_wanted = found.renew_now || !issued.is_valid_at(now) || found.issued_by.as_deref() != self.directory();
            if !is_wanted && found.renew_at.is_some_and(|renew_at| renew_at > now) {
                found.certificate = None;
                return false;
            }
        }
        // Until then the last failure stands.
        found.order_at.is_none_or(|order_at| order_at <= now)
    }

    async fn plan_renewal(&self, found: &mut CustomDomain, issued: Standing, now: Millis) {
        let name = found.name.as_str();
        let mut renewal = Renewal { at: found.renew_at, ask_at: found.ask_renewal_at };
        if renewal.is_to_be_asked_about(now)
            && let (Some(issuer), Some(certificate)) = (&self.issuer, self.certificates.as_ref().and_then(|all| all.issued(name)))
        {
            match issuer.renewal_window(&certificate, now).await {
                Ok(Some(window)) => renewal.follow(window, now, fastrand::f64()),
                Ok(None) => {}
                Err(error) if error.fault == OrderFault::Unavailable => {
                    tracing::debug!(domain = name, %error, "the authority does not say when to renew");
                }
                Err(error) => tracing::warn!(domain = name, %error, "the authority refuses to say when to renew"),
            }
        }
        renewal.plan(issued, fastrand::f64());
        (found.renew_at, found.ask_renewal_at) = (renewal.at, renewal.ask_at);
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

    /// Of the authority.
    pub(super) fn directory(&self) -> Option<&str> {
        self.issuer.as_ref().map(|issuer| issuer.directory())
    }

    /// What a CNAME record points to.
    pub(super) fn target(&self) -> &Host {
        let config = &self.tenants.config;
        config.domains.cname_target.as_ref().unwrap_or(&config.tenancy.base_domain)
    }
}

/// What is there instead of the proof, and what may have gone wrong with it.
fn mismatch(name: &str, text: &str, proof: &str) -> Finding {
    let shown: String = text.chars().take(80).filter(|char| !char.is_control()).collect();
    let cut = if text.chars().count() > 80 { "…" } else { "" };
    let finding = Finding::new(Reason::OwnershipMismatch, format!("the TXT record at {name} says \"{shown}{cut}\""));
    let bare = text.trim_matches(['"', '\'', ' ']);
    if bare == proof && bare != text {
        return finding.with_next_step(format!("Enter the value without the quotes: {proof}"));
    }
    if proof.ends_with(bare) && bare.len() >= 32 {
        return finding.with_next_step(format!("Enter the whole value: {proof}"));
    }
    finding
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
