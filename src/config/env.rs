//! The environment as settings: `GATEHOUSE_<SECTION>__<KEY>` for every key, and a few plain names.

use std::sync::Arc;

use super::error::Problems;
use super::source::{Place, Source};
use super::tree::Table;

const PREFIX: &str = "GATEHOUSE_";
/// The plain names, and the keys they stand for.
const PLAIN: [(&str, &[&str]); 8] = [
    ("DATABASE_URL", &["store", "database_url"]),
    ("STRIPE_SECRET_KEY", &["billing", "stripe_secret_key"]),
    ("STRIPE_WEBHOOK_SECRET", &["billing", "stripe_webhook_secret"]),
    ("DEFAULT_MAX_USERS", &["plan_defaults", "max_users"]),
    ("DEFAULT_MAX_STORAGE", &["plan_defaults", "max_storage"]),
    ("ENABLE_CUSTOM_DOMAINS", &["tenancy", "custom_domains"]),
    ("ENABLE_SSO", &["features", "sso"]),
    ("GATEHOUSE_ADMIN_TOKEN", &["admin", "token"]),
];

/// Lays the environment over `tree`: plain names first, so that the full name of a key wins. Empty values count as not set.
pub(super) fn apply(tree: &mut Table, variables: impl IntoIterator<Item = (String, String)>, problems: &Problems) {
    let (mut plain, mut full) = (Vec::new(), Vec::new());
    for (name, value) in variables.into_iter().filter(|(_, value)| !value.trim().is_empty()) {
        if let Some((_, path)) = PLAIN.iter().find(|(known, _)| *known == name) {
            plain.push((name, path.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>(), value));
        } else if let Some(path) = path_of(&name) {
            full.push((name, path, value));
        }
    }
    // The order of the environment is no one's choice; sorted, two variables that clash always clash the same way.
    full.sort();
    for (name, path, value) in plain.into_iter().chain(full) {
        let source = Arc::new(Source::Variable(name));
        if value.contains(char::REPLACEMENT_CHARACTER) {
            problems.add(&Place::new(source, 0), path.join("."), "the value is not UTF-8");
        } else {
            tree.set(&path, &value, &source, problems);
        }
    }
}

/// `GATEHOUSE_PLANS__PRO__RATE` is `plans.pro.rate`. Names without `__` are not ours: Kubernetes sets such for a service
/// called `gatehouse`.
fn path_of(name: &str) -> Option<Vec<String>> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.contains("__").then(|| rest.split("__").map(str::to_lowercase).collect())
}
