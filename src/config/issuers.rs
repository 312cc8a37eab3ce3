//! `[[issuer]]` and `[tokens]`: whose tokens are taken as proof of who a user is, and how often their keys are fetched.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::tree::Node;
use super::values::{Wrong, choice, duration, duration_or_none, expected, list, one_or_more, path, switch, text, unless_empty};
use crate::model::issuer::key_url;
use crate::model::{Issuer, KeySource, TokenAlgorithm};

/// Issuers of all tenants; more than that nobody has.
const MOST_ISSUERS: usize = 32;
/// A key file is small.
const MOST_OCTETS: u64 = 512 * 1024;
/// Clocks that differ by more are wrong.
const LONGEST_LEEWAY: Duration = Duration::from_secs(300);

/// How keys are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Where the issuer does not say how long they are good.
    pub refresh: Duration,
    /// The soonest that a token with an unknown key leads to another attempt.
    pub refresh_at_most_every: Duration,
}

/// Reads `[tokens]`.
pub(super) fn tokens(section: &Section<'_>) -> Option<Tokens> {
    let refresh = section.read("refresh", duration);
    let refresh_at_most_every = section.read("refresh_at_most_every", duration);
    section.finish();
    Some(Tokens { refresh: refresh?, refresh_at_most_every: refresh_at_most_every? })
}

/// Every issuer, in the order of the file.
pub(super) fn read(root: &Section<'_>) -> Option<Vec<Issuer>> {
    if root.find("issuer").is_none() {
        return Some(Vec::new());
    }
    let tables = root.tables("issuer")?;
    if tables.len() > MOST_ISSUERS {
        root.refuse("issuer", format!("there are more than {MOST_ISSUERS} issuers"));
    }
    // Collected twice, so that every issuer is read before the first wrong one ends it.
    let issuers: Vec<Option<Issuer>> = tables.iter().map(|below| below.as_ref().and_then(issuer)).collect();
    issuers.into_iter().collect()
}

fn issuer(section: &Section<'_>) -> Option<Issuer> {
    let name = section.read("issuer", name);
    let audience = section.read("audience", |node| {
        let names = one_or_more(node, name_of)?;
        if names.is_empty() { Err(expected("at least one name, as tokens for somebody else must not be taken", node)) } else { Ok(names) }
    });
    let url = section.maybe("jwks_url", |node| unless_empty(node, url));
    let file = section.maybe("jwks_file", |node| unless_empty(node, path));
    let algorithms = section.maybe("algorithms", |node| list(node, |node| choice(node, &TokenAlgorithm::ALL)));
    let tenant_claim = section.maybe("tenant_claim", claim);
    let user_claim = section.maybe("user_claim", claim);
    let roles_claim = section.maybe("roles_claim", claim);
    let scopes_claim = section.maybe("scopes_claim", claim);
    let leeway = section.maybe("leeway", |node| {
        let leeway = duration_or_none(node)?;
        if leeway <= LONGEST_LEEWAY { Ok(leeway) } else { Err(expected("at most \"5m\"", node)) }
    });
    let forward = section.maybe("forward", switch);
    section.finish();
    let keys = source(section, url?.flatten(), file?.flatten());
    let usual = Issuer::usual(name?, audience?);
    if keys == Some(KeySource::Discovered)
        && let Err(error) = key_url(&usual.issuer)
    {
        section.refuse("issuer", format!("its keys are found below this URL: {error}; or say where they are with `jwks_url`"));
    }
    Some(Issuer {
        keys: keys?,
        algorithms: algorithms?.filter(|list| !list.is_empty()).unwrap_or_else(|| usual.algorithms.clone()),
        // An issuer of all tenants has to say which one a user belongs to.
        tenant_claim: Some(tenant_claim?.unwrap_or_else(|| "tenant".to_owned())),
        user_claim: user_claim?.unwrap_or_else(|| usual.user_claim.clone()),
        roles_claim: roles_claim?.unwrap_or_else(|| usual.roles_claim.clone()),
        scopes_claim: scopes_claim?.unwrap_or_else(|| usual.scopes_claim.clone()),
        leeway_seconds: leeway?.map_or(usual.leeway_seconds, |leeway| u32::try_from(leeway.as_secs()).unwrap_or(u32::MAX)),
        forward: forward?.unwrap_or(usual.forward),
        ..usual
    })
}

/// The file is read here, so that a wrong one is told with its place.
fn source(section: &Section<'_>, url: Option<String>, file: Option<PathBuf>) -> Option<KeySource> {
    match (url, file) {
        (None, None) => Some(KeySource::Discovered),
        (Some(url), None) => Some(KeySource::Url(url)),
        (None, Some(file)) => match given(&file) {
            Ok(keys) => Some(KeySource::Given(keys)),
            Err(problem) => {
                section.refuse("jwks_file", format!("{}: {problem}", file.display()));
                None
            }
        },
        (Some(_), Some(_)) => {
            section.refuse("jwks_file", "the keys come from `jwks_url` or from `jwks_file`; leave one out");
            None
        }
    }
}

fn given(file: &PathBuf) -> Result<serde_json::Value, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > MOST_OCTETS {
        return Err(format!("has {size} octets, more than a JWK set has"));
    }
    let octets = std::fs::read(file).map_err(|error| error.to_string())?;
    serde_json::from_slice(&octets).map_err(|error| format!("is no JWK set: {error}"))
}

/// What `iss` says: any text of visible characters (RFC 7519, section 2: StringOrURI).
fn name(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let good = (1..=500).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err(expected("the `iss` of its tokens, such as \"https://login.example.com\"", node)) }
}

fn url(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    key_url(text).map(|_| text.to_owned()).map_err(|error| Wrong::at(node, error.to_string()))
}

fn name_of(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    if (1..=500).contains(&text.len()) { Ok(text.to_owned()) } else { Err(expected("a name that tokens have in `aud`", node)) }
}

/// A claim by its name or its path, such as `realm_access.roles`.
fn claim(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let good = (1..=200).contains(&text.len()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(expected("the name of a claim, such as \"tenant\" or \"realm_access.roles\"", node)) }
}
