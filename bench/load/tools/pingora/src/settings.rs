//! What a file of `key = value` says.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

/// The settings: `clear`, `tls`, `app` (addresses), `certificate`, `key`, `hosts`, `log` (files) and `threads`.
pub struct Settings(HashMap<String, String>);

impl Settings {
    /// Reads the file; lines that begin with `#` are remarks.
    pub fn read(file: &str) -> Result<Self, Box<dyn Error>> {
        let text = std::fs::read_to_string(file)?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Ok(Self(lines.filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim().into(), value.trim().into())).collect()))
    }

    /// One that must be there.
    pub fn text(&self, key: &str) -> Result<&str, Box<dyn Error>> {
        Ok(self.0.get(key).ok_or_else(|| format!("no {key}"))?)
    }

    /// One that is a number.
    pub fn number(&self, key: &str) -> Result<usize, Box<dyn Error>> {
        Ok(self.text(key)?.parse()?)
    }

    /// The tenant of each host: a file of lines with both.
    pub fn tenants(&self) -> Result<HashMap<String, Arc<str>>, Box<dyn Error>> {
        let text = std::fs::read_to_string(self.text("hosts")?)?;
        Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(host, tenant)| (host.into(), tenant.into())).collect())
    }
}
