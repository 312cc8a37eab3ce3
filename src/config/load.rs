//! Loading: defaults, file, environment and flags become one tree, and the tree becomes a [`Config`].

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::error::{ConfigError, ConfigErrors, Problems};
use super::section::Section;
use super::source::{Place, Source};
use super::tree::Table;
use super::{Config, add_ons, billing, checks, context, domains, env, events, issuers, plans, routes, sections, shipped, tls};

/// A configuration is written by hand; what is larger is another file.
const MAX_FILE: u64 = 4 * 1024 * 1024;

impl Config {
    /// Reads the configuration. Each value comes from the first of `flags` (dotted key and value, such as
    /// `listen.http`), `env` (the variables of the environment), `file` and the shipped defaults.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once, with its place and what was expected.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let text = file.map(|path| Ok((path.display().to_string(), read(path)?))).transpose().map_err(ConfigErrors::one)?;
        Self::merged(text, env, flags)
    }

    /// Reads the configuration from a text that would be a file, with nothing from the environment.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_toml(text: &str) -> Result<Self, ConfigErrors> {
        Self::merged(Some(("config.toml".to_owned(), text.to_owned())), [], [])
    }

    fn merged(
        file: Option<(String, String)>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        let problems = Problems::default();
        let mut tree = shipped::tree(&problems);
        if let Some((name, text)) = file {
            let source = Arc::new(Source::File { name, text: text.clone() });
            let table = Table::parse(&source, &text, &problems);
            if !problems.is_empty() {
                // What follows a syntax error is guesswork; telling of it would bury the error.
                return problems.finish(None);
            }
            tree.merge(table);
        }
        env::apply(&mut tree, env, &problems);
        for (key, value) in flags {
            let source = Arc::new(Source::Flag(format!("--set {key}")));
            let path: Vec<String> = key.split('.').map(|part| part.trim().to_owned()).collect();
            tree.set(&path, &value, &source, &problems);
        }
        let config = typed(&tree, &problems);
        problems.finish(config)
    }
}

/// Every section is read before the first missing one ends the attempt, so that all problems are told.
pub(super) fn typed(tree: &Table, problems: &Problems) -> Option<Config> {
    let root = Section::new(String::new(), Place::new(Arc::new(Source::Shipped), 0), tree, problems);
    let listen = root.section("listen");
    let admin = root.section("admin");
    let upstream = root.section("upstream");
    let listen_typed = listen.as_ref().and_then(sections::listen);
    let admin_typed = admin.as_ref().and_then(sections::admin);
    let upstream_typed = upstream.as_ref().and_then(sections::upstream);
    let tenancy = root.section("tenancy").as_ref().and_then(sections::tenancy);
    let domains_typed = root.section("domains").as_ref().and_then(domains::read);
    let tls_typed = root.section("tls").as_ref().and_then(tls::read);
    let store = root.section("store").as_ref().and_then(sections::store);
    let metering = root.section("metering").as_ref().and_then(sections::metering);
    let log = root.section("log").as_ref().and_then(sections::log);
    let limits = root.section("limits").as_ref().and_then(sections::limits);
    let billing_section = root.section("billing");
    let trial_place = billing_section.as_ref().map_or_else(|| root.place.clone(), |section| section.place_of("trial_end").clone());
    let billing = billing_section.as_ref().and_then(billing::read);
    let events = root.section("events").as_ref().and_then(events::read);
    let features = root.section("features").as_ref().and_then(sections::features);
    let dev_section = root.section("dev");
    let dev_place = dev_section.as_ref().map_or_else(|| root.place.clone(), |section| section.place_of("test_clock").clone());
    let dev = dev_section.as_ref().and_then(sections::dev);
    let defaults = root.section("plan_defaults").as_ref().and_then(plans::defaults);
    // Without a currency, prices are still read, so that their other problems show.
    let currency = billing.as_ref().map_or("USD", |billing| billing.currency.as_str());
    let plans = root.section("plans").and_then(|section| plans::read(&section, &defaults.unwrap_or_default(), currency));
    let add_ons = root.section("add_ons").and_then(|section| add_ons::read(&section, currency));
    let tokens = root.section("tokens").as_ref().and_then(issuers::tokens);
    let issuers = issuers::read(&root);
    let context = root.section("context").as_ref().and_then(context::read);
    let routes = routes::read(&root);
    root.finish();

    if let (Some(listen_section), Some(listen), Some(tls)) = (&listen, &listen_typed, &tls_typed) {
        checks::listeners(listen_section, listen, tls.mode);
        if let (Some(section), Some(upstream)) = (&upstream, &upstream_typed) {
            checks::upstreams(section, &upstream.default, listen_section, &checks::own(listen, tls.mode));
        }
    }
    if let (Some(billing), Some(plans)) = (&billing, &plans)
        && billing.trial_end == super::TrialEnd::Free
        && !plans.get("free").is_some_and(crate::model::Plan::is_free)
    {
        let text = "\"free\" needs a plan of that name without a price ([plans.free])";
        problems.add(&trial_place, "billing.trial_end", text);
    }
    if let (Some(billing), Some(dev)) = (&billing, &dev)
        && dev.test_clock
        && billing.stripe_secret_key.as_ref().and_then(billing::is_live) == Some(true)
    {
        let text = "billing time cannot be moved while STRIPE_SECRET_KEY is a live key: real money would be taken; use a test key";
        problems.add(&dev_place, "dev.test_clock", text);
    }
    if let (Some(section), Some(listen), Some(admin)) = (&listen, &listen_typed, &admin_typed) {
        checks::admin(section, listen, admin);
    }
    Some(Config {
        listen: listen_typed?,
        admin: admin_typed?,
        tenancy: tenancy?,
        domains: domains_typed?,
        upstream: upstream_typed?,
        tls: tls_typed?,
        store: store?,
        metering: metering?,
        log: log?,
        limits: limits?,
        plans: plans?,
        add_ons: add_ons?,
        billing: billing?,
        events: events?,
        features: features?,
        dev: dev?,
        tokens: tokens?,
        issuers: issuers?,
        context: context?,
        routes: routes?,
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let wrong = |problem: String| ConfigError::new(None, String::new(), format!("{}: {problem}", path.display()));
    let mut octets = Vec::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(MAX_FILE + 1).read_to_end(&mut octets).map_err(|error| wrong(error.to_string()))?;
    if octets.len() as u64 > MAX_FILE {
        return Err(wrong(format!("is larger than {MAX_FILE} octets, which no configuration is")));
    }
    let text = String::from_utf8(octets).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|octet| **octet == b'\n').count() + 1;
        wrong(format!("line {line} is not UTF-8"))
    })?;
    // Some editors on Windows put a byte order mark in front.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
