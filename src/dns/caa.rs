//! Who may issue certificates for a name: CAA records (RFC 8659).

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::rdata::CAA;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{DnsFailure, ask, parent};

/// What the nearest CAA records upwards of a name say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaaRule {
    /// Anyone may.
    Anyone,
    /// Only those may; nobody where the list is empty.
    Only {
        /// Whose records these are.
        at: String,
        /// Names of authorities, such as `letsencrypt.org`.
        issuers: Vec<String>,
    },
    /// A record that must be understood says something that no authority here knows.
    Unknown {
        /// Whose record it is.
        at: String,
        /// Its property.
        property: String,
    },
}

impl CaaRule {
    /// Whether an authority with these names may. Where its names are not known, it is left to it, unless nobody may.
    pub fn allows(&self, authority: &[String]) -> bool {
        match self {
            Self::Anyone => true,
            Self::Only { issuers, .. } if authority.is_empty() => !issuers.is_empty(),
            Self::Only { issuers, .. } => issuers.iter().any(|issuer| authority.iter().any(|name| name.eq_ignore_ascii_case(issuer))),
            Self::Unknown { .. } => false,
        }
    }
}

/// Climbs from `name` to its top-level domain; the first set that is not empty decides (section 3).
pub(super) async fn rule(recursive: &TokioResolver, name: &str) -> Result<CaaRule, DnsFailure> {
    let mut at = Some(name);
    while let Some(candidate) = at {
        let records = ask(recursive, candidate, RecordType::CAA, "CAA").await?;
        let set: Vec<&CAA> =
            records.iter().filter_map(|record| if let RData::CAA(caa) = &record.data { Some(caa) } else { None }).collect();
        if !set.is_empty() {
            return Ok(of(candidate, &set));
        }
        at = parent(candidate);
    }
    Ok(CaaRule::Anyone)
}

fn of(at: &str, set: &[&CAA]) -> CaaRule {
    let known = |tag: &str| {
        ["issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone"].iter().any(|it| tag.eq_ignore_ascii_case(it))
    };
    if let Some(strange) = set.iter().find(|caa| caa.issuer_critical && !known(&caa.tag)) {
        return CaaRule::Unknown { at: at.to_owned(), property: strange.tag.clone() };
    }
    let issue: Vec<&&CAA> = set.iter().filter(|caa| caa.tag.eq_ignore_ascii_case("issue")).collect();
    if issue.is_empty() {
        return CaaRule::Anyone;
    }
    // Parameters follow a semicolon; a value without a name is one that nobody has (section 4.2).
    let issuer = |caa: &&&CAA| {
        let text = String::from_utf8_lossy(&caa.value);
        let mut parts = text.split(';');
        let name = parts.next().unwrap_or_default().trim().trim_end_matches('.');
        // Where it names ways to validate, one of ours has to be among them (RFC 8657, section 4).
        let takes_ours = parts.filter_map(|part| part.split_once('=')).all(|(key, value)| {
            let ways = value.trim().split(',').map(str::trim).any(|way| way == "http-01" || way == "tls-alpn-01");
            !key.trim().eq_ignore_ascii_case("validationmethods") || ways
        });
        (!name.is_empty() && takes_ours).then(|| name.to_ascii_lowercase())
    };
    CaaRule::Only { at: at.to_owned(), issuers: issue.iter().filter_map(issuer).collect() }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::caa::KeyValue;

    use super::*;

    fn issue(name: Option<&str>) -> CAA {
        CAA::new_issue(false, name.map(|name| Name::from_ascii(name).unwrap()), Vec::new())
    }

    #[test]
    fn the_issue_records_of_a_set_say_who_may() {
        let ours = ["letsencrypt.org".to_owned()];
        let rule = |set: &[CAA]| of("acme.com", &set.iter().collect::<Vec<_>>());
        assert!(rule(&[issue(Some("other.example")), issue(Some("LetsEncrypt.org"))]).allows(&ours));
        assert!(!rule(&[issue(Some("other.example"))]).allows(&ours));
        assert!(!rule(&[issue(None)]).allows(&ours) && !rule(&[issue(None)]).allows(&[]), "nobody may");
        assert!(rule(&[issue(Some("other.example"))]).allows(&[]), "an authority that has no name decides itself");
        assert!(rule(&[CAA::new_issuewild(false, None, Vec::new())]).allows(&ours), "only about wildcards");
        let by_dns = KeyValue::new("validationmethods", "dns-01");
        let only = CAA::new_issue(false, Some(Name::from_ascii("letsencrypt.org").unwrap()), vec![by_dns]);
        assert!(!rule(&[only]).allows(&ours), "it may, but not in our way");
        let mut strange = issue(None);
        (strange.tag, strange.issuer_critical) = ("tbs".to_owned(), true);
        assert!(!rule(&[strange, issue(Some("letsencrypt.org"))]).allows(&ours));
    }
}
