//! What the configuration promises: documented defaults, precedence, and errors that help.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod defaults;
mod environment;
mod errors;
mod events;
mod mutations;
mod values;

use super::{Config, ConfigErrors};

/// Loads a text as a file, with an environment.
fn load(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(file.path()), env, [])
}

/// The errors of a text, as a user sees them.
fn errors(text: &str) -> String {
    Config::from_toml(text).unwrap_err().to_string()
}

/// The errors of an environment over the defaults.
fn env_errors(env: &[(&str, &str)]) -> String {
    load("", env).unwrap_err().to_string()
}
