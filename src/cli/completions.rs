//! `gatehouse completions`: what a shell needs to complete verbs and options.

use clap::Args;
use clap_complete::{Shell, generate};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gatehouse completions bash > /etc/bash_completion.d/gatehouse\n  gatehouse completions zsh > \"${fpath[1]}/_gatehouse\"\n  gatehouse completions fish > ~/.config/fish/completions/gatehouse.fish\n  source <(gatehouse completions bash)      for this shell only"
)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn execute(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut super::command(), "gatehouse", &mut script);
        Ok(super::print(&String::from_utf8(script)?)?)
    }
}
