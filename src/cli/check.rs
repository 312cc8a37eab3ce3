//! `gatehouse check`: whether a configuration is right, without starting anything.

use std::fmt::Display;
use std::path::Path;

use clap::Args;

use super::settings::{Settings, WrongUsage};
use crate::access::Issuers;
use crate::config::{Config, TlsMode};
use crate::upstream::{Resolver, TlsFiles};

/// Tell whether a configuration is right
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gatehouse check -c my.toml\n\nEvery problem is told with its line, what was expected and what was probably meant; exit code 2."
)]
pub(super) struct Check {
    #[command(flatten)]
    settings: Settings,
}

impl Check {
    pub fn execute(self) -> anyhow::Result<()> {
        let config = self.settings.load()?;
        let missing = missing_files(&config);
        for file in &missing {
            super::remark(&format!("note: {} does not exist yet; `run` will need it", file.display()));
        }
        if missing.is_empty() {
            Resolver::new(Vec::new(), TlsFiles::of(&config.upstream)).map_err(|error| WrongUsage(error.to_string()))?;
        }
        Issuers::of(&config.issuers).map_err(|error| WrongUsage(error.to_string()))?;
        Ok(super::print(&summary(&config, self.settings.file()))?)
    }
}

fn summary(config: &Config, file: Option<&Path>) -> String {
    let source = file.map_or_else(|| "the defaults".to_owned(), |path| path.display().to_string());
    let listen = &config.listen;
    let (tls, scheme, port) = match config.tls.mode {
        TlsMode::Off => ("off".to_owned(), "http", listen.http.port()),
        TlsMode::Files | TlsMode::Acme => {
            let certificate = match config.tls.mode {
                _ if needs_files(config) => config.tls.cert.display().to_string(),
                TlsMode::Acme => format!("by {}", config.tls.acme.directory),
                _ => "certificates for development, made by itself".to_owned(),
            };
            (certificate, "https", listen.public_https_port.unwrap_or(listen.https.port()))
        }
    };
    let https = if config.tls.mode == TlsMode::Off { String::new() } else { format!(", https {}", listen.https) };
    let access = if config.admin.token.is_some() { "with a token" } else { "loopback only" };
    let default_port = if scheme == "https" { 443 } else { 80 };
    let port = if port == default_port { String::new() } else { format!(":{port}") };
    format!(
        "ok: {source}\n  listen    http {}{https}\n  admin     {} ({access})\n  tls       {tls}\n  tenants   {scheme}://<slug>.{}{port}\n  upstream  {}\n  domains   {}\n  plans     {}\n  issuers   {}\n  routes    {}\n",
        listen.http,
        listen.admin,
        config.tenancy.base_domain,
        joined(&config.upstream.default),
        domains(config),
        joined(config.plans.keys()),
        config.issuers.len(),
        config.routes.len(),
    )
}

fn joined(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// How tenants' own domains are handled.
fn domains(config: &Config) -> String {
    let (tls, listen) = (&config.tls, &config.listen);
    let folder = tls.cert_dir.as_ref().map(|dir| format!("pairs in {}", dir.display()));
    let target = config.domains.cname_target.as_ref().unwrap_or(&config.tenancy.base_domain);
    match tls.mode {
        _ if !config.tenancy.custom_domains => "off (tenancy.custom_domains)".to_owned(),
        TlsMode::Off => format!("lead to {target}, TLS ends in front"),
        TlsMode::Files => format!("lead to {target}, {}", folder.unwrap_or_else(|| "no certificates for them (tls.cert_dir)".to_owned())),
        TlsMode::Acme => {
            let (http, https) =
                (listen.public_http_port.unwrap_or(listen.http.port()), listen.public_https_port.unwrap_or(listen.https.port()));
            let staging = if tls.acme.directory.as_str().contains("staging") { " (staging: trusted by nobody)" } else { "" };
            format!("lead to {target}, ports {http} and {https}; certificates by {}{staging}", tls.acme.directory)
        }
    }
}

/// Whether the base domain's certificate comes from files that have to be there.
fn needs_files(config: &Config) -> bool {
    match config.tls.mode {
        TlsMode::Off => false,
        TlsMode::Files => !config.makes_dev_certificates(),
        TlsMode::Acme => config.tls.acme.dns01.is_none(),
    }
}

/// Files that the gateway reads when it starts. A check may run before they are put in place, so this is no error.
fn missing_files(config: &Config) -> Vec<&Path> {
    let tls = &config.tls;
    let certificate = [&tls.cert, &tls.key].into_iter().filter(|_| needs_files(config));
    let identity = config.upstream.identity.iter().flat_map(|(cert, key)| [cert, key]);
    let ca_file = tls.acme.ca_file.iter().filter(|_| tls.mode == TlsMode::Acme);
    let files = certificate.chain(&config.upstream.ca_file).chain(identity).chain(&tls.cert_dir).chain(ca_file);
    files.map(AsRef::as_ref).filter(|path: &&Path| !path.exists()).collect()
}
