//! `gatehouse demo`: everything on this machine, nothing to set up.

use clap::Args;

/// Try it without any set-up: local certificates, a small app, two tenants, a temporary store
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  gatehouse demo\n\nIt prints URLs and curl lines to try. Ctrl-C ends it and removes what it made.")]
pub(super) struct Demo {}

impl Demo {
    pub fn execute(self) -> anyhow::Result<()> {
        crate::app::demo(Vec::new())
    }
}
