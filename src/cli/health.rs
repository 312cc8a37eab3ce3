//! `gatehouse health`: asks the running gateway whether it is ready, as a container's health check does.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::api;
use super::settings::Settings;
use crate::clock;

/// For everything together; a gateway that answers its probe later than this is not well.
const DEADLINE: Duration = Duration::from_secs(3);

/// Ask the running gateway whether it is ready: exit code 0 or 1
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gatehouse health\n  gatehouse health --admin http://127.0.0.1:3000")]
pub(super) struct Health {
    /// The admin listener; without it the one of the configuration
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

impl Health {
    pub fn execute(self) -> anyhow::Result<()> {
        let address = match &self.admin {
            Some(url) => api::address_of(url)?,
            None => api::reachable(self.settings.load()?.listen.admin),
        };
        let status = probe(address).with_context(|| format!("{address} does not answer"))?;
        if status != 200 {
            bail!("not ready: {address} answers {status}");
        }
        Ok(super::print("ready\n")?)
    }
}

/// The status of `/readyz`.
fn probe(address: SocketAddr) -> anyhow::Result<u16> {
    let end = clock::instant() + DEADLINE;
    let left = || end.checked_duration_since(clock::instant()).filter(|left| !left.is_zero()).context("it takes too long");
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", address.port())?;
    // Only the status line is of interest: `HTTP/1.1 200 …`.
    let mut line = Vec::new();
    let mut buffer = [0; 512];
    while line.len() < 12 {
        stream.set_read_timeout(Some(left()?))?;
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            bail!("it closed the connection");
        }
        line.extend(buffer.iter().take(read));
    }
    let status = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|digits| std::str::from_utf8(digits).ok());
    status.and_then(|digits| digits.parse().ok()).context("what answers is not HTTP")
}
