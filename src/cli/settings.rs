//! Arguments that verbs share: `-c` and `--set`, by which they find their configuration, and how they show what they found.

use std::env;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::config::Config;

/// Read where it lies in the working directory and `-c` names no other.
const DEFAULT_FILE: &str = "config.toml";

#[derive(Debug, Clone, Default, Args)]
pub(super) struct Settings {
    /// The configuration; without it `config.toml` in the working directory, where there is one, else the defaults
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Sets one key over file and environment, such as `--set listen.http=127.0.0.1:8080`; may be repeated, all in one place
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub overrides: Vec<String>,
}

/// How a verb shows what it found: for people, or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

/// An argument that the parser cannot judge.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WrongUsage(pub String);

impl Settings {
    /// The file that is read, if any.
    pub fn file(&self) -> Option<&Path> {
        self.config.as_deref().or_else(|| Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists()))
    }

    /// The configuration of the file, the environment and the flags.
    pub fn load(&self) -> anyhow::Result<Config> {
        let overrides: Result<Vec<_>, _> = self.overrides.iter().map(|text| pair(text)).collect();
        Ok(Config::load(self.file(), environment(), overrides?)?)
    }
}

fn pair(text: &str) -> Result<(String, String), WrongUsage> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| WrongUsage(format!("--set {text}: write it like --set listen.http=127.0.0.1:8080")))
}

/// The environment as text. What is not UTF-8 keeps a mark of it, which the configuration refuses in names that are its own.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}
