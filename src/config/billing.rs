//! `[billing]`: how tenants pay.

use std::collections::HashSet;
use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};

use super::section::Section;
use super::tree::{Node, Value};
use super::values::{Wrong, choice, duration, expected, list, origin, secret, switch, text, unless_empty, whole};
use super::{Billing, Proration, Provider, TaxRate, TrialEnd};
use crate::model::party::is_country;
use crate::model::{Origin, Party, Scheme};

const TEN_YEARS: u32 = 3653;

pub(super) fn read(section: &Section<'_>) -> Option<Billing> {
    let provider = section.read("provider", |node| choice(node, &[("manual", Provider::Manual), ("stripe", Provider::Stripe)]));
    let stripe_api = section.read("stripe_api", origin);
    let stripe_secret_key = section.read("stripe_secret_key", from_the_environment);
    let stripe_webhook_secret = section.read("stripe_webhook_secret", from_the_environment);
    let currency = section.read("currency", currency);
    let trial_days = section.read("trial_days", |node| whole(node, 0..=TEN_YEARS));
    let ends = [("invoice", TrialEnd::Invoice), ("suspend", TrialEnd::Suspend), ("free", TrialEnd::Free)];
    let trial_end = section.read("trial_end", |node| choice(node, &ends));
    let due_days = section.read("due_days", |node| whole(node, 0..=TEN_YEARS));
    let grace_days = section.read("grace_days", |node| whole(node, 0..=TEN_YEARS));
    let proration = section.read("proration", |node| choice(node, &[("day", Proration::Day), ("second", Proration::Second)]));
    let retry = section.read("retry", |node| list(node, duration));
    let invoice_prefix = section.read("invoice_prefix", prefix);
    let credit_note_prefix = section.read("credit_note_prefix", prefix);
    let seller = section.section("seller").as_ref().and_then(seller);
    let tax = taxes(section);
    section.finish();
    if let (Some(provider), Some(api), Some(key)) = (provider, &stripe_api, &stripe_secret_key) {
        check_stripe(section, provider, api, key.as_ref());
    }
    Some(Billing {
        provider: provider?,
        stripe_api: stripe_api?,
        stripe_secret_key: stripe_secret_key?,
        stripe_webhook_secret: stripe_webhook_secret?,
        currency: currency?,
        trial_days: trial_days?,
        trial_end: trial_end?,
        due_days: due_days?,
        grace_days: grace_days?,
        proration: proration?,
        retry: retry?,
        invoice_prefix: invoice_prefix?,
        credit_note_prefix: credit_note_prefix?,
        seller: seller?,
        tax: tax?,
    })
}

/// Stripe needs a key that says of itself whether it moves real money, and is spoken to in clear on this machine only.
fn check_stripe(section: &Section<'_>, provider: Provider, api: &Origin, key: Option<&SecretString>) {
    if provider == Provider::Stripe && key.is_none() {
        section.refuse("provider", "\"stripe\" needs its secret key in the environment variable STRIPE_SECRET_KEY");
    }
    if provider == Provider::Stripe && key.is_some_and(|key| is_live(key).is_none()) {
        section.refuse("stripe_secret_key", "expected a key that begins with sk_test_, rk_test_, sk_live_ or rk_live_");
    }
    let is_local = |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if api.scheme != Scheme::Https && !(api.scheme == Scheme::Http && is_local(api.host.as_str())) {
        section.refuse("stripe_api", "expected an https:// URL; http:// is for a loopback address, in tests");
    }
}

/// Whether a key moves real money; `None` where it does not say.
pub(super) fn is_live(key: &SecretString) -> Option<bool> {
    let key = key.expose_secret();
    let begins = |all: [&str; 2]| all.iter().any(|start| key.strip_prefix(start).is_some_and(|rest| !rest.is_empty()));
    if begins(["sk_live_", "rk_live_"]) { Some(true) } else { begins(["sk_test_", "rk_test_"]).then_some(false) }
}

/// A secret that has no place in a file, which gets copied and committed.
fn from_the_environment(node: &Node) -> Result<Option<SecretString>, Wrong> {
    let found = secret(node)?;
    if found.is_some() && !node.place.is_variable() {
        let text =
            "expected it in the environment (STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET), so that no file and no list of processes shows it";
        return Err(Wrong::at(node, text));
    }
    Ok(found)
}

fn currency(node: &Node) -> Result<String, Wrong> {
    let code = text(node)?;
    let good = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if good { Ok(code.to_owned()) } else { Err(expected("an ISO 4217 code such as \"USD\"", node)) }
}

/// What a number begins with.
fn prefix(node: &Node) -> Result<String, Wrong> {
    let prefix = text(node)?;
    let good = prefix.len() <= 20 && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_/.".contains(&byte));
    if good { Ok(prefix.to_owned()) } else { Err(expected("at most 20 letters, digits and `- _ / .`", node)) }
}

fn seller(section: &Section<'_>) -> Option<Party> {
    let line = |node: &Node| text(node).map(str::to_owned);
    let name = section.read("name", |node| unless_empty(node, line));
    let address = section.read("address", |node| list(node, line));
    let country = section.read("country", |node| unless_empty(node, country));
    let vat_id = section.read("vat_id", |node| unless_empty(node, line));
    let email = section.read("email", |node| unless_empty(node, line));
    section.finish();
    Some(Party { name: name?, address: address?, country: country?, vat_id: vat_id?, email: email?, tax_exempt: false })
}

/// An ISO 3166 code.
fn country(node: &Node) -> Result<String, Wrong> {
    let code = text(node)?;
    if is_country(code) {
        Ok(code.to_owned())
    } else {
        Err(expected("an ISO 3166 code such as \"DE\" (\"GB\" for the United Kingdom)", node))
    }
}

fn taxes(section: &Section<'_>) -> Option<Vec<TaxRate>> {
    // Collected twice, so that every rate is read before the first wrong one ends it.
    let rates: Vec<Option<TaxRate>> = section.tables("tax")?.iter().map(|below| below.as_ref().and_then(tax)).collect();
    let rates: Vec<TaxRate> = rates.into_iter().collect::<Option<_>>()?;
    let mut seen = HashSet::new();
    if let Some(twice) = rates.iter().find(|rate| !seen.insert(&rate.country)) {
        section.refuse("tax", format!("there are two rates for {}; give one", twice.country));
    }
    Some(rates)
}

fn tax(section: &Section<'_>) -> Option<TaxRate> {
    let country = section.read("country", country);
    let parts_per_million = section.read("rate", percent);
    let inclusive = section.maybe("inclusive", switch);
    let reverse_charge = section.maybe("reverse_charge", switch);
    section.finish();
    Some(TaxRate {
        country: country?,
        parts_per_million: parts_per_million?,
        inclusive: inclusive?.unwrap_or(false),
        reverse_charge: reverse_charge?.unwrap_or(false),
    })
}

/// Percent with up to four decimals, read from its digits.
fn percent(node: &Node) -> Result<u32, Wrong> {
    let wrong = || expected("a percentage from 0 to 100 such as 19 or 7.7", node);
    let (Value::Number(digits) | Value::Untyped(digits)) = &node.value else { return Err(wrong()) };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > 4 {
        return Err(wrong());
    }
    let parts = format!("{whole}{part:0<4}").parse::<u32>().map_err(|_| wrong())?;
    if parts <= 1_000_000 { Ok(parts) } else { Err(wrong()) }
}
