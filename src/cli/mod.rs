//! The command line: one file for each verb. Data goes to stdout, everything else to stderr.
//!
//! Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.

mod api;
mod audit;
mod check;
mod client;
mod completions;
mod demo;
mod domain;
mod event;
mod feature;
mod health;
mod invoice;
mod key;
mod openapi;
mod operator;
mod plan;
mod route;
mod run;
mod settings;
mod tenant;
#[cfg(test)]
mod tests;
mod trust;
mod usage;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::ConfigErrors;
use settings::Settings;

/// The arguments of one call.
#[derive(Debug, Parser)]
#[command(
    name = "gatehouse",
    version,
    about = "A gateway that gives the app you already have tenants: TLS, limits that hold, usage that is counted exactly.",
    after_help = "Examples:\n  gatehouse demo                  try it, without any set-up\n  gatehouse check -c my.toml      see whether a configuration is right\n  gatehouse run -c my.toml        start the gateway (also without a verb)"
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Demo(demo::Demo),
    Check(check::Check),
    Openapi(openapi::Openapi),
    Health(health::Health),
    Usage(usage::Usage),
    Trust(trust::Trust),
    Domain(domain::Domain),
    Event(event::Event),
    Tenant(tenant::Tenant),
    Key(key::Key),
    Feature(feature::Feature),
    Plan(plan::Plan),
    Route(route::Route),
    Invoice(invoice::Invoice),
    Completions(completions::Completions),
    Audit(Box<audit::Audit>),
    Operator(operator::Operator),
}

impl Cli {
    /// The arguments of this process. Wrong usage ends it with 2, a question for help or version with 0.
    pub fn of_process() -> Self {
        let mut command = command();
        let matches = command.get_matches_mut();
        let parsed = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        // Of options in several places the parser keeps those of the last one, and says nothing of the others.
        let is_set = |argument: &OsString| argument == "--set" || argument.to_string_lossy().starts_with("--set=");
        if std::env::args_os().filter(is_set).count() > parsed.settings.overrides.len() {
            command.error(clap::error::ErrorKind::ArgumentConflict, "write all `--set` in one place, such as behind the last word").exit();
        }
        parsed
    }

    /// Does what was asked for; `run` where nothing was.
    ///
    /// # Errors
    ///
    /// What is to be told on stderr; [`exit_code`] gives the code.
    pub fn execute(self) -> anyhow::Result<()> {
        match self.verb {
            None => run::Run { settings: self.settings }.execute(),
            Some(Verb::Run(run)) => run.execute(),
            Some(Verb::Demo(demo)) => demo.execute(),
            Some(Verb::Check(check)) => check.execute(),
            Some(Verb::Openapi(openapi)) => openapi.execute(),
            Some(Verb::Health(health)) => health.execute(),
            Some(Verb::Usage(usage)) => usage.execute(),
            Some(Verb::Trust(trust)) => trust.execute(),
            Some(Verb::Domain(domain)) => domain.execute(),
            Some(Verb::Event(event)) => event.execute(),
            Some(Verb::Tenant(tenant)) => tenant.execute(),
            Some(Verb::Key(key)) => key.execute(),
            Some(Verb::Feature(feature)) => feature.execute(),
            Some(Verb::Plan(plan)) => plan.execute(),
            Some(Verb::Route(route)) => route.execute(),
            Some(Verb::Invoice(invoice)) => invoice.execute(),
            Some(Verb::Audit(audit)) => audit.execute(),
            Some(Verb::Completions(completions)) => completions.execute(),
            Some(Verb::Operator(operator)) => operator.execute(),
        }
    }
}

/// The command line with all its verbs.
fn command() -> Command {
    Cli::command().mut_subcommands(with_examples)
}

/// A verb, where those below it that have no examples get the ones that show them, or all of its own.
fn with_examples(verb: Command) -> Command {
    let (name, examples) = (verb.get_name().to_owned(), verb.get_after_help().map(ToString::to_string).unwrap_or_default());
    verb.mut_subcommands(|below| {
        if below.get_after_help().is_some() || examples.is_empty() {
            return below;
        }
        let call = format!("gatehouse {name} {} ", below.get_name());
        let own: Vec<&str> = examples.lines().filter(|line| format!("{line} ").contains(&call)).collect();
        let shown = if own.is_empty() { examples.clone() } else { format!("Examples:\n{}", own.join("\n")) };
        below.after_help(shown)
    })
}

/// 2 for a wrong configuration, else 1. (Wrong usage ends in the parser, with 2.)
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigErrors>() || error.is::<settings::WrongUsage>() { 2 } else { 1 }
}

/// Writes data to stdout. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a remark to stderr; where even that fails there is nobody left to tell.
fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
