//! One certificate chain with its key: read from two files, checked, and the names it covers. What a handshake needs is made of
//! it when the first asks for it ([`super::Ready`]), because most of many thousand certificates are idle.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;

use super::chains::{Chains, Rest};
use super::{CertificateError, Source, Standing};
use crate::model::{Host, Millis};
use crate::tls::vault::Vault;

/// Larger files are no certificates; reading them would only cost memory.
const LARGEST_FILE: u64 = 1 << 20;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A certificate that fits its key.
pub struct Pair {
    /// Its own, for as long as the process runs.
    pub id: u64,
    leaf: Box<[u8]>,
    /// What the authority sent with it; shared with other certificates of the same one.
    rest: Arc<Rest>,
    key: Key,
    /// dNSNames of subjectAltName in lower case: hosts, and wildcards of one label (`*.example.com`).
    pub names: Box<[Box<str>]>,
    /// From when on it is valid.
    pub not_before: Millis,
    /// Until when it is valid.
    pub not_after: Millis,
}

enum Key {
    Plain(PrivateKeyDer<'static>),
    /// For this name; opened by the vault.
    Sealed(Box<str>, Box<[u8]>),
}

/// A certificate cannot be got ready for a handshake.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(String);

impl Pair {
    /// Reads and checks two PEM files.
    pub fn read(cert: &Path, key: &Path, chains: &Chains) -> Result<Self, CertificateError> {
        let bad_cert = |reason: String| CertificateError::Certificate { path: cert.to_owned(), reason };
        let bad_key = |reason: String| CertificateError::Key { path: key.to_owned(), reason };

        let (leaf, rest) = split(&read_file(cert)?).map_err(bad_cert)?;
        let facts = facts(&leaf).map_err(bad_cert)?;
        let der = PrivateKeyDer::from_pem_slice(&read_file(key)?).map_err(|error| bad_key(told(error)))?;
        let signer = any_supported_type(&der).map_err(|error| bad_key(error.to_string()))?;
        match CertifiedKey::new(vec![leaf.clone()], signer).keys_match() {
            // A key that does not tell its public half cannot be compared.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(CertificateError::Mismatch { cert: cert.to_owned(), key: key.to_owned() });
            }
            Err(error) => return Err(bad_cert(error.to_string())),
        }
        Ok(Self::new(&leaf, chains.shared(rest), Key::Plain(der), facts))
    }

    /// A certificate that an authority issued for `name`, as a PEM chain, with its sealed key.
    pub fn issued(name: &str, chain: &str, sealed: &[u8], chains: &Chains) -> Result<Self, String> {
        let (leaf, rest) = split(chain.as_bytes())?;
        let facts = facts(&leaf)?;
        Ok(Self::new(&leaf, chains.shared(rest), Key::Sealed(name.into(), sealed.into()), facts))
    }

    fn new(leaf: &[u8], rest: Arc<Rest>, key: Key, Facts { names, not_before, not_after }: Facts) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { id, leaf: leaf.into(), rest, key, names: names.into(), not_before, not_after }
    }

    /// What handshakes use.
    pub fn ready(&self, vault: Option<&Vault>) -> Result<CertifiedKey, NotReady> {
        let failed = |error: &dyn std::fmt::Display| NotReady(error.to_string());
        let signer = match &self.key {
            Key::Plain(der) => any_supported_type(der),
            Key::Sealed(name, sealed) => {
                let vault = vault.ok_or_else(|| failed(&"there is no key to open its private key with"))?;
                let der = vault.open(name, sealed).map_err(|error| failed(&error))?;
                any_supported_type(&PrivateKeyDer::try_from(der).map_err(|error| failed(&error))?)
            }
        };
        let chain = std::iter::once(CertificateDer::from(self.leaf.to_vec())).chain(self.rest.iter().cloned());
        Ok(CertifiedKey::new(chain.collect(), signer.map_err(|error| failed(&error))?))
    }

    /// The certificate itself.
    pub fn leaf(&self) -> CertificateDer<'_> {
        CertificateDer::from(&*self.leaf)
    }

    /// Whether one of its names is `name`, or, with `by_wildcard`, a wildcard right above it.
    pub fn covers(&self, name: &str, by_wildcard: bool) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|known| match known.strip_prefix("*.") {
            Some(above) => by_wildcard && parent == Some(above),
            None => !by_wildcard && **known == *name,
        })
    }

    /// How names stand that it is served for.
    pub fn standing(&self, source: Source) -> Standing {
        Standing { source, not_before: self.not_before, not_after: self.not_after }
    }

    /// Whether it may be relied on at `now`.
    pub fn is_valid_at(&self, now: Millis) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The same certificates, and so the same key.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.leaf == other.leaf && self.rest == other.rest
    }
}

/// Whether a chain is for all of these names and this key, and valid: nobody but the authority has looked at it.
pub fn check_issued(chain: &str, names: &[String], key: &[u8], now: Millis) -> Result<(), String> {
    let (leaf, _) = split(chain.as_bytes())?;
    let facts = facts(&leaf)?;
    if let Some(missing) = names.iter().find(|name| facts.names.iter().all(|known| **known != ***name)) {
        return Err(format!("the certificate is not for {missing}"));
    }
    if now < facts.not_before || now >= facts.not_after {
        return Err("the certificate is not valid now; is this machine's clock right?".to_owned());
    }
    let der = PrivateKeyDer::try_from(key.to_vec()).map_err(str::to_owned)?;
    let signer = any_supported_type(&der).map_err(|error| error.to_string())?;
    CertifiedKey::new(vec![leaf], signer).keys_match().map_err(|_| "the certificate is for another key".to_owned())
}

struct Facts {
    names: Vec<Box<str>>,
    not_before: Millis,
    not_after: Millis,
}

/// The first certificate of a PEM chain, and the others.
fn split(text: &[u8]) -> Result<(CertificateDer<'static>, Rest), String> {
    let mut chain = CertificateDer::pem_slice_iter(text);
    let leaf = chain.next().ok_or_else(|| "there is no CERTIFICATE section".to_owned())?.map_err(told)?;
    Ok((leaf, chain.collect::<Result<_, _>>().map_err(told)?))
}

/// In words: markers are text, and not numbers.
fn told(error: pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => format!("the end is missing: {}", String::from_utf8_lossy(&end_marker)),
        error => error.to_string(),
    }
}

fn facts(leaf: &CertificateDer<'_>) -> Result<Facts, String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).map_err(|error| error.to_string())?;
    let alternatives = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
    let listed = alternatives.iter().flat_map(|found| &found.value.general_names);
    let names = listed.filter_map(|name| match name {
        GeneralName::DNSName(name) => dns_name(name),
        _ => None,
    });
    let names: Vec<Box<str>> = names.collect();
    if names.is_empty() {
        return Err("its subjectAltName holds no DNS name, and clients look at nothing else".to_owned());
    }
    let millis = |time: &x509_parser::time::ASN1Time| Millis(time.timestamp().saturating_mul(1000));
    let validity = parsed.validity();
    Ok(Facts { names, not_before: millis(&validity.not_before), not_after: millis(&validity.not_after) })
}

/// A host, or a wildcard whose first label is `*` and nothing else (RFC 6125, section 6.4.3); other forms match nothing.
fn dns_name(name: &str) -> Option<Box<str>> {
    match name.strip_prefix("*.") {
        Some(parent) => Host::parse(parent).ok().map(|parent| format!("*.{parent}").into()),
        None => Host::parse(name).ok().map(|host| host.as_str().into()),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |reason: String| CertificateError::Read { path: path.to_owned(), reason };
    // Before it is opened: opening a pipe would wait for its other end.
    let about = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !about.is_file() || about.len() > LARGEST_FILE {
        return Err(failed("it is not a file of at most 1 MiB".to_owned()));
    }
    let mut content = Vec::with_capacity(about.size() as usize + 1);
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    file.take(LARGEST_FILE).read_to_end(&mut content).map_err(|error| failed(error.to_string()))?;
    Ok(content)
}
