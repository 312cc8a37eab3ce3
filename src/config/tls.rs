//! `[tls]`: where certificates come from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::section::Section;
use super::tree::Node;
use super::values::{Wrong, address, choice, duration_or_none, expected, host, list, path, secret, switch, text, unless_empty, whole};
use crate::model::Host;

/// TLS to clients.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Where certificates come from.
    pub mode: TlsMode,
    /// PEM chain for the base domain and its wildcard.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// `<domain>.crt` and `<domain>.key` pairs, watched.
    pub cert_dir: Option<PathBuf>,
    /// `max-age` in seconds of Strict-Transport-Security on hosts of the base domain.
    pub hsts: Option<u32>,
    /// `[tls.acme]`
    pub acme: Acme,
}

impl Tls {
    /// Where `cert` lies. Certificates for development are made there.
    pub fn cert_folder(&self) -> &Path {
        self.cert.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }
}

/// The certificate authority, which mode `acme` uses.
#[derive(Debug, Clone)]
pub struct Acme {
    /// The authority's directory (RFC 8555, section 7.1.1), over https.
    pub directory: url::Url,
    /// `mailto:…`
    pub contact: Option<String>,
    /// An extra root (PEM file) for the directory's own certificate.
    pub ca_file: Option<PathBuf>,
    /// Names of the authority in CAA records; empty = those that its directory tells.
    pub caa_identities: Vec<String>,
    /// Orders for domains without a certificate, in an hour.
    pub orders_per_hour: u32,
    /// Orders at the same time.
    pub orders_at_once: usize,
    /// Whether the gateway tries to reach itself before it lets the authority try.
    pub self_probe: bool,
    /// How the base domain's certificate is ordered, where it does not come from files.
    pub dns01: Option<Dns01>,
}

/// Where the records are set that an authority looks for (DNS-01): a server that takes updates (RFC 2136), signed (RFC 8945).
#[derive(Debug, Clone)]
pub struct Dns01 {
    /// Who takes updates.
    pub server: SocketAddr,
    /// The zone that is updated; `None` = the base domain.
    pub zone: Option<Host>,
    /// Name of the key.
    pub key_name: String,
    /// What it signs with.
    pub algorithm: TsigAlgorithm,
    /// The key, in base64.
    pub secret: SecretString,
}

/// How updates are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TsigAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

/// Where certificates come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS: the http listener proxies.
    Off,
    /// PEM files.
    Files,
    /// PEM files for the base domain, and an ACME authority (RFC 8555) for custom domains.
    Acme,
}

/// Reads the table.
pub(super) fn read(section: &Section<'_>) -> Option<Tls> {
    let modes = [("files", TlsMode::Files), ("off", TlsMode::Off), ("acme", TlsMode::Acme)];
    let mode = section.read("mode", |node| choice(node, &modes));
    let cert = section.read("cert", path);
    let key = section.read("key", path);
    let cert_dir = section.read("cert_dir", |node| unless_empty(node, path));
    let hsts = section.read("hsts", duration_or_none);
    let acme = section.section("acme").as_ref().and_then(acme);
    section.finish();
    Some(Tls { mode: mode?, cert: cert?, key: key?, cert_dir: cert_dir?, hsts: hsts.map(max_age)?, acme: acme? })
}

/// Whole seconds; none is none. A year fits by far.
fn max_age(duration: Duration) -> Option<u32> {
    u32::try_from(duration.as_secs()).ok().filter(|seconds| *seconds > 0)
}

fn acme(section: &Section<'_>) -> Option<Acme> {
    let directory = section.read("directory", |node| {
        let url = text(node)?.parse::<url::Url>().ok().filter(|url| url.scheme() == "https" && url.has_host());
        url.ok_or_else(|| expected("an https URL", node))
    });
    let contact = section.read("contact", |node| unless_empty(node, contact));
    let ca_file = section.read("ca_file", |node| unless_empty(node, path));
    let caa_identities = section.read("caa_identities", |node| list(node, |node| host(node).map(|name| name.to_string())));
    let orders_per_hour = section.read("orders_per_hour", |node| whole(node, 1..=1_000_000_u32));
    let orders_at_once = section.read("orders_at_once", |node| whole(node, 1..=100_usize));
    let self_probe = section.read("self_probe", switch);
    let dns01 = section.section("dns01").as_ref().and_then(dns01);
    section.finish();
    Some(Acme {
        directory: directory?,
        contact: contact?,
        ca_file: ca_file?,
        caa_identities: caa_identities?,
        orders_per_hour: orders_per_hour?,
        orders_at_once: orders_at_once?,
        self_probe: self_probe?,
        dns01: dns01?,
    })
}

/// Without a server, there is none.
fn dns01(section: &Section<'_>) -> Option<Option<Dns01>> {
    let server = section.read("server", |node| unless_empty(node, address));
    let zone = section.read("zone", |node| unless_empty(node, host));
    let key_name = section.read("key_name", |node| text(node).map(str::to_owned));
    let algorithms = [
        ("hmac-sha256", TsigAlgorithm::HmacSha256),
        ("hmac-sha384", TsigAlgorithm::HmacSha384),
        ("hmac-sha512", TsigAlgorithm::HmacSha512),
    ];
    let algorithm = section.read("algorithm", |node| choice(node, &algorithms));
    let secret = section.read("secret", base64_secret);
    section.finish();
    let (server, zone, key_name, algorithm, secret) = (server?, zone?, key_name?, algorithm?, secret?);
    let Some(server) = server else { return Some(None) };
    if key_name.is_empty() {
        section.refuse("key_name", "updates are signed: name the key, as the server does");
    }
    match secret {
        Some(secret) => Some(Some(Dns01 { server, zone, key_name, algorithm, secret })),
        None => {
            section.refuse("secret", "updates are signed: give the key of key_name, in base64");
            None
        }
    }
}

/// Not shown where it is wrong: it may be one with a slip in it.
fn base64_secret(node: &Node) -> Result<Option<SecretString>, Wrong> {
    match secret(node)? {
        Some(text) if STANDARD.decode(text.expose_secret()).is_err() => Err(Wrong::at(node, "expected a key in base64")),
        text => Ok(text),
    }
}

fn contact(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let address = text.strip_prefix("mailto:").and_then(|address| address.split_once('@'));
    let good =
        address.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if good { Ok(text.to_owned()) } else { Err(expected("a contact such as \"mailto:ops@example.com\"", node)) }
}
