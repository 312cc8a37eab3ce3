//! Certificates for development: a root of one's own, and a certificate for the base domain that it signed.
//!
//! What it promises: what is there and still good is used again, so that a root that was once trusted stays trusted; keys
//! are readable by their owner only, and no file is ever half written. The root is constrained (RFC 5280, section 4.2.1.10)
//! to the base domain, `localhost` and loopback addresses: a stolen key of it cannot pose as any other site. The certificate
//! names no address, for BoringSSL (and so gRPC's libraries) takes none from a root that constrains them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv6Addr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::certificates::{Chains, Pair};
use super::dev_issuer::DevIssuer;
use crate::clock::{Clock, SystemClock};
use crate::model::{Host, Millis};

/// The root's name, as trust stores show it.
const ROOT_NAME: &str = "gatehouse development CA";

const LOCALHOST: &str = "localhost";

/// Ten years.
const ROOT_DAYS: i64 = 3650;

/// Browsers take at most 398 days for a server's certificate.
pub(super) const LEAF_DAYS: i64 = 397;

/// What is there is used again while it is valid for this long.
const LEFT_DAYS: i64 = 30;

/// Why the certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DevCaError {
    /// A file could not be written.
    #[error("`{}` cannot be written: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate or key could not be made.
    #[error("a development certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// Files that were written.
#[derive(Debug, Clone)]
pub struct DevCertificates {
    /// The root to trust.
    pub ca: PathBuf,
    /// Chain.
    pub cert: PathBuf,
    /// Key.
    pub key: PathBuf,
}

/// Writes a root, and a certificate for the base domain and its wildcard signed by it, into `dir`.
pub fn write_dev_certificates(dir: &Path, base_domain: &Host) -> Result<DevCertificates, DevCaError> {
    write_with_root(dir, base_domain).map(|(files, _)| files)
}

/// The same, and what makes further certificates by that root.
pub fn dev_issuer(dir: &Path, base_domain: &Host) -> Result<(DevCertificates, DevIssuer), DevCaError> {
    write_with_root(dir, base_domain).map(|(files, root)| (files, DevIssuer::new(root)))
}

fn write_with_root(dir: &Path, base_domain: &Host) -> Result<(DevCertificates, Issuer<'static, KeyPair>), DevCaError> {
    let now = SystemClock.now();
    fs::create_dir_all(dir).map_err(|source| DevCaError::Write { path: dir.to_owned(), source })?;
    let ca_key = dir.join("dev-ca.key");
    let files = DevCertificates { ca: dir.join("dev-ca.crt"), cert: dir.join("dev.crt"), key: dir.join("dev.key") };

    let root = ca_params(base_domain, now);
    let (signer, is_new) = match stored_root(&files.ca, &ca_key, base_domain, now) {
        Some(key) => (key, false),
        None => {
            let key = KeyPair::generate()?;
            // The key first: a root whose key is missing is made anew, a key without its root likewise.
            write_whole(&ca_key, &key.serialize_pem(), 0o600)?;
            write_whole(&files.ca, &root.self_signed(&key)?.pem(), 0o644)?;
            (key, true)
        }
    };
    let root = Issuer::new(root, signer);
    if is_new || !is_stored_leaf_good(&files, base_domain, now) {
        let key = KeyPair::generate()?;
        let leaf = leaf_for(covered(base_domain), now)?.signed_by(&key, &root)?;
        write_whole(&files.key, &key.serialize_pem(), 0o600)?;
        write_whole(&files.cert, &leaf.pem(), 0o644)?;
    }
    Ok((files, root))
}

fn ca_params(base_domain: &Host, now: Millis) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(ROOT_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName(base_domain.to_string()),
            GeneralSubtree::DnsName(LOCALHOST.to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128)),
        ],
        excluded_subtrees: Vec::new(),
    });
    valid_for(params, ROOT_DAYS, now)
}

/// What a server's certificate for these names says.
pub(super) fn leaf_for(names: Vec<String>, now: Millis) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = named("gatehouse development");
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(valid_for(params, LEAF_DAYS, now))
}

fn covered(base_domain: &Host) -> Vec<String> {
    let mut names = vec![base_domain.to_string(), format!("*.{base_domain}")];
    if base_domain.as_str() != LOCALHOST {
        names.push(LOCALHOST.to_owned());
    }
    names
}

fn named(name: &str) -> DistinguishedName {
    let mut full = DistinguishedName::new();
    full.push(DnType::CommonName, name);
    full
}

/// From an hour ago, since clocks differ.
fn valid_for(mut params: CertificateParams, days: i64, now: Millis) -> CertificateParams {
    let at = |time: Millis| date_time_ymd(1970, 1, 1) + Duration::from_secs(time.0.max(0).unsigned_abs() / 1000);
    let start = Millis(now.0 - 3_600_000);
    params.not_before = at(start);
    params.not_after = at(start.plus_days(days));
    params
}

/// The root's key, where root and key are there, belong together, are for this base domain and outlive a new leaf.
fn stored_root(cert: &Path, key_file: &Path, base_domain: &Host, now: Millis) -> Option<KeyPair> {
    let der = CertificateDer::from_pem_slice(&fs::read(cert).ok()?).ok()?;
    let (_, root) = x509_parser::parse_x509_certificate(&der).ok()?;
    let key = KeyPair::from_pem(&fs::read_to_string(key_file).ok()?).ok()?;
    let expected = ca_params(base_domain, now).self_signed(&key).ok()?;
    let (_, expected) = x509_parser::parse_x509_certificate(expected.der()).ok()?;
    // All but the dates: the same key, names, constraints and what else this version puts into a root.
    let is_same = root.public_key() == expected.public_key()
        && root.subject() == expected.subject()
        && root.issuer() == expected.issuer()
        && root.extensions() == expected.extensions();
    let is_good = is_same && is_signed_by(&root, &root) && lasts(&root, now, LEAF_DAYS);
    // Who could read the key before may have it; trust in it is the developer's to take back.
    (is_good && (is_private(key_file) || fs::set_permissions(key_file, fs::Permissions::from_mode(0o600)).is_ok())).then_some(key)
}

fn is_stored_leaf_good(files: &DevCertificates, base_domain: &Host, now: Millis) -> bool {
    let read = |path: &Path| CertificateDer::from_pem_slice(&fs::read(path).ok()?).ok();
    let (Some(root), Some(leaf)) = (read(&files.ca), read(&files.cert)) else { return false };
    let (Ok((_, root)), Ok((_, leaf))) = (x509_parser::parse_x509_certificate(&root), x509_parser::parse_x509_certificate(&leaf)) else {
        return false;
    };
    let names = [base_domain.to_string(), format!("*.{base_domain}")];
    let covers = |pair: &Pair| names.iter().all(|name| pair.names.iter().any(|known| **known == **name));
    let fits = Pair::read(&files.cert, &files.key, &Chains::default()).is_ok_and(|pair| covers(&pair));
    fits && !names_addresses(&leaf) && is_signed_by(&leaf, &root) && lasts(&leaf, now, LEFT_DAYS) && is_private(&files.key)
}

/// As earlier versions made them.
fn names_addresses(leaf: &X509Certificate<'_>) -> bool {
    let names = leaf.subject_alternative_name().ok().flatten();
    names.is_some_and(|names| names.value.general_names.iter().any(|name| matches!(name, GeneralName::IPAddress(_))))
}

fn is_signed_by(cert: &X509Certificate<'_>, root: &X509Certificate<'_>) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &root.public_key().subject_public_key.data);
    cert.issuer() == root.subject() && key.verify(cert.tbs_certificate.as_ref(), &cert.signature_value.data).is_ok()
}

fn lasts(cert: &X509Certificate<'_>, now: Millis, days: i64) -> bool {
    let (now, until) = (now.0 / 1000, now.plus_days(days).0 / 1000);
    cert.validity().not_before.timestamp() <= now && until <= cert.validity().not_after.timestamp()
}

fn is_private(key: &Path) -> bool {
    fs::metadata(key).is_ok_and(|about| about.permissions().mode() & 0o077 == 0)
}

/// Writes a file beside its place and moves it there, so that whoever reads it sees all of the old or all of the new.
fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), DevCaError> {
    let write = || -> io::Result<()> {
        // The process id keeps two that write at once apart.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let beside = PathBuf::from(name);
        let _ = fs::remove_file(&beside);
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    };
    write().map_err(|source| DevCaError::Write { path: path.to_owned(), source })
}
