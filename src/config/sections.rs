//! One function for each table of settings: reads every key, then puts the typed values together.

use std::num::NonZero;
use std::path::PathBuf;

use super::section::Section;
use super::tree::Node;
use super::values::{
    self, Wrong, address, choice, duration, duration_or_none, expected, host, list, most, network, one_or_more, origin, path, secret,
    size_within, switch, text, unless_empty, whole,
};
use super::{AccessLog, Admin, Dev, Features, HeaderAuth, Listen, Log, LogFormat, Metering, Protection, Store, Tenancy, Upstream};

pub(super) fn listen(section: &Section<'_>) -> Option<Listen> {
    let http = section.read("http", address);
    let https = section.read("https", address);
    let admin = section.read("admin", address);
    let workers = section.read("workers", |node| whole(node, 0..=1024_usize));
    let trusted_proxies = section.read("trusted_proxies", |node| list(node, network));
    let proxy_protocol = section.read("proxy_protocol", switch);
    let public_https_port = section.read("public_https_port", |node| whole(node, 0..=u16::MAX));
    let public_http_port = section.read("public_http_port", |node| whole(node, 0..=u16::MAX));
    let drain_timeout = section.read("drain_timeout", duration_or_none);
    section.finish();
    if proxy_protocol == Some(true) && trusted_proxies.as_ref().is_some_and(Vec::is_empty) {
        section.refuse("proxy_protocol", "listen.trusted_proxies is empty, so nobody may send a PROXY header; name the proxies in front");
    }
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    Some(Listen {
        http: http?,
        https: https?,
        admin: admin?,
        workers: workers.map(|workers| if workers == 0 { cores() } else { workers })?,
        trusted_proxies: trusted_proxies?,
        proxy_protocol: proxy_protocol?,
        public_https_port: public_https_port.map(|port| (port != 0).then_some(port))?,
        public_http_port: public_http_port.map(|port| (port != 0).then_some(port))?,
        drain_timeout: drain_timeout?,
    })
}

pub(super) fn admin(section: &Section<'_>) -> Option<Admin> {
    let token = section.read("token", secret);
    section.finish();
    Some(Admin { token: token? })
}

pub(super) fn tenancy(section: &Section<'_>) -> Option<Tenancy> {
    let base_domain = section.read("base_domain", |node| {
        let name = host(node)?;
        if name.as_str().parse::<std::net::IpAddr>().is_ok() {
            Err(expected("a domain, as tenants get names below it", node))
        } else {
            Ok(name)
        }
    });
    let api_hosts = section.read("api_hosts", |node| list(node, host));
    let header_auth = section.read("header_auth", |node| choice(node, &[("key", HeaderAuth::Key), ("none", HeaderAuth::None)]));
    let trusted_networks = section.read("trusted_networks", |node| list(node, network));
    let tenant_api = section.read("tenant_api", |node| unless_empty(node, prefix));
    let custom_domains = section.read("custom_domains", switch);
    let keep_deleted = section.read("keep_deleted", duration_or_none);
    section.finish();
    if let (Some(base), Some(hosts)) = (&base_domain, &api_hosts)
        && hosts.contains(base)
    {
        section.refuse("api_hosts", format!("`{base}` is the base domain; an api host is another name, such as `api.{base}`"));
    }
    Some(Tenancy {
        base_domain: base_domain?,
        api_hosts: api_hosts?,
        header_auth: header_auth?,
        trusted_networks: trusted_networks?,
        tenant_api: tenant_api?,
        custom_domains: custom_domains?,
        keep_deleted: keep_deleted?,
    })
}

/// A path in front of others, such as `/api`; a slash at its end does not matter.
fn prefix(node: &Node) -> Result<String, Wrong> {
    let text = text(node)?;
    let path = text.strip_suffix('/').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&byte);
    let segment = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain);
    let good = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
    if good { Ok(path.to_owned()) } else { Err(expected("a path such as \"/api\", or \"\" for none", node)) }
}

pub(super) fn upstream(section: &Section<'_>) -> Option<Upstream> {
    let default = section.read("default", |node| {
        let origins = one_or_more(node, origin)?;
        if origins.is_empty() { Err(expected("at least one URL such as \"http://127.0.0.1:9000\"", node)) } else { Ok(origins) }
    });
    let connect_timeout = section.read("connect_timeout", duration);
    let response_timeout = section.read("response_timeout", duration);
    let idle_timeout = section.read("idle_timeout", duration);
    let ca_file = section.read("ca_file", |node| unless_empty(node, path));
    let cert = section.read("client_cert", |node| unless_empty(node, path));
    let key = section.read("client_key", |node| unless_empty(node, path));
    section.finish();
    let (cert, key) = (cert?, key?);
    match (&cert, &key) {
        (Some(_), None) => section.refuse("client_cert", "a certificate needs its key: set upstream.client_key as well"),
        (None, Some(_)) => section.refuse("client_key", "a key needs its certificate: set upstream.client_cert as well"),
        (Some(_), Some(_)) | (None, None) => {}
    }
    Some(Upstream {
        default: default?,
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        idle_timeout: idle_timeout?,
        ca_file: ca_file?,
        identity: cert.zip(key),
    })
}

pub(super) fn store(section: &Section<'_>) -> Option<Store> {
    let key_file = section.read("key_file", |node| unless_empty(node, path));
    let path = section.read("path", path);
    let key = section.read("key", |node| {
        let is_key = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        // Not shown: it may be one with a slip in it.
        if text(node).is_ok_and(|text| text.is_empty() || is_key(text)) {
            secret(node)
        } else {
            Err(Wrong::at(node, "expected 64 hexadecimal digits"))
        }
    });
    // It may hold a password, so it is handled as a secret from here on.
    let url = section
        .read("database_url", |node| text(node).map(|url| !url.trim().is_empty()).map_err(|_| Wrong::at(node, "expected text in quotes")));
    section.finish();
    if url == Some(true) {
        section.refuse(
            "database_url",
            "PostgreSQL is not in this version; leave database_url (DATABASE_URL) empty, state is kept in the directory store.path",
        );
    }
    let path: PathBuf = path?;
    let key_file = key_file?.unwrap_or_else(|| path.join("certificates.key"));
    Some(Store { path, key: key?, key_file })
}

pub(super) fn metering(section: &Section<'_>) -> Option<Metering> {
    let journal = section.read("journal", path);
    section.finish();
    Some(Metering { journal: journal? })
}

pub(super) fn log(section: &Section<'_>) -> Option<Log> {
    let format = section.read("format", |node| choice(node, &[("auto", LogFormat::Auto), ("json", LogFormat::Json)]));
    let access = section.read("access", access);
    section.finish();
    Some(Log { format: format?, access: access? })
}

/// A bare word is more likely a slip than a file's name.
fn access(node: &Node) -> Result<AccessLog, Wrong> {
    match text(node)? {
        path if path.contains(['/', '.']) => values::path(node).map(AccessLog::File),
        _ => choice(node, &[("stdout", true), ("off", false)])
            .map(|stdout| if stdout { AccessLog::Stdout } else { AccessLog::Off })
            .map_err(|Wrong(reasons)| {
                Wrong(reasons.into_iter().map(|(place, it)| (place, it + " (a file's path has a `/` or `.` in it)")).collect())
            }),
    }
}

pub(super) fn limits(section: &Section<'_>) -> Option<Protection> {
    const KIB: u64 = 1024;
    const PIB: u64 = KIB.pow(5);
    let max_header_bytes = section.read("max_header_bytes", |node| size_within(node, KIB..=KIB * KIB, "from \"1KiB\" to \"1MiB\""));
    let max_headers = section.read("max_headers", |node| whole(node, 1..=256_usize));
    let max_body = section.read("max_body", |node| most(node, 1..=PIB, "a size from 1 octet to \"1PiB\""));
    let header_timeout = section.read("header_timeout", duration);
    let idle_timeout = section.read("idle_timeout", duration);
    let tunnel_idle_timeout = section.read("tunnel_idle_timeout", duration);
    let max_tunnel = section.read("max_tunnel", |node| most(node, 1..=u64::MAX, "a size"));
    let max_connections = section.read("max_connections", |node| whole(node, 1..=10_000_000_usize));
    section.finish();
    Some(Protection {
        // At most 1 MiB.
        max_header_bytes: max_header_bytes? as usize,
        max_headers: max_headers?,
        max_body: max_body?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        tunnel_idle_timeout: tunnel_idle_timeout?,
        max_tunnel: max_tunnel?,
        max_connections: max_connections?,
    })
}

pub(super) fn features(section: &Section<'_>) -> Option<Features> {
    let sso = section.read("sso", switch);
    section.finish();
    Some(Features { sso: sso? })
}

pub(super) fn dev(section: &Section<'_>) -> Option<Dev> {
    let test_clock = section.read("test_clock", switch);
    section.finish();
    Some(Dev { test_clock: test_clock? })
}
