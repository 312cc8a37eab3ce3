//! `gatehouse run`: the gateway in the foreground.

use clap::Args;

use super::settings::Settings;

/// Start the gateway in the foreground (what happens without a verb, too)
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  gatehouse run -c my.toml\n\nSIGTERM ends it: requests in flight finish first, within listen.drain_timeout."
)]
pub(super) struct Run {
    #[command(flatten)]
    pub settings: Settings,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<()> {
        crate::app::run(self.settings.load()?)
    }
}
