//! `gatehouse trust`: the root of the certificates for development, printed, or put where this machine's programs look for roots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

use super::settings::{Settings, WrongUsage};
use crate::config::Config;
use crate::tls::write_dev_certificates;

/// Where Debian and its kin take roots from, and what takes them.
const ROOTS: &str = "/usr/local/share/ca-certificates";
const UPDATE: &str = "update-ca-certificates";
const FILE: &str = "gatehouse-development.crt";

/// Print the root of the certificates for development, or let this machine trust it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse trust > gatehouse-ca.crt    for curl --cacert, or to import into a browser\n  sudo gatehouse trust --install        curl and most programs of this machine trust it (Debian and its kin)\n  sudo gatehouse trust --remove         and no more"
)]
pub(super) struct Trust {
    /// Adds it to the roots that programs of this machine trust
    #[arg(long, conflicts_with = "remove")]
    install: bool,
    /// Takes it away from them
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Trust {
    pub fn execute(self) -> anyhow::Result<()> {
        let installed = Path::new(ROOTS).join(FILE);
        if self.remove {
            fs::remove_file(&installed).with_context(|| format!("{} cannot be removed", installed.display()))?;
            update(&["--fresh"])?;
            super::remark(&format!("removed: {}", installed.display()));
            return Ok(());
        }
        let root = root(&self.settings.load()?)?;
        let text = fs::read_to_string(&root).with_context(|| format!("{} cannot be read", root.display()))?;
        if !self.install {
            super::remark(&format!("{}: import it into your browser as an authority, or run `gatehouse trust --install`", root.display()));
            return Ok(super::print(&text)?);
        }
        if !Path::new(ROOTS).is_dir() {
            bail!("{ROOTS} is not there, as on Debian and its kin; import {} the way your system wants", root.display());
        }
        fs::write(&installed, text).with_context(|| format!("{} cannot be written; it takes root's rights", installed.display()))?;
        update(&[])?;
        super::remark(&format!("installed: {} (browsers with a store of their own need an import)", installed.display()));
        Ok(())
    }
}

/// The root; made where it is not there yet.
fn root(config: &Config) -> anyhow::Result<PathBuf> {
    if !config.makes_dev_certificates() {
        bail!(WrongUsage(format!(
            "certificates for development are made for base domains under localhost, where `{}` is not there; this gateway has others",
            config.tls.cert.display()
        )));
    }
    Ok(write_dev_certificates(config.tls.cert_folder(), &config.tenancy.base_domain)?.ca)
}

fn update(arguments: &[&str]) -> anyhow::Result<()> {
    let ran = Command::new(UPDATE).args(arguments).output().with_context(|| format!("{UPDATE} cannot be run (package ca-certificates)"))?;
    if !ran.status.success() {
        bail!("{UPDATE}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}
