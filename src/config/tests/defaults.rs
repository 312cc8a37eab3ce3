//! The shipped file documents every key, and what it says is what holds.

use std::time::Duration;

use crate::config::error::Problems;
use crate::config::tree::{Table, Value};
use crate::config::{AccessLog, Config, HeaderAuth, LogFormat, Proration, TlsMode, TrialEnd, load, shipped};
use crate::model::{Money, Overage, Rate};

const GIB: u64 = 1 << 30;

#[test]
fn the_defaults_are_those_of_the_interface() {
    let config = Config::from_toml("").unwrap();
    let seconds = Duration::from_secs;
    let listen = &config.listen;
    assert_eq!(
        [listen.http.to_string(), listen.https.to_string(), listen.admin.to_string()],
        ["0.0.0.0:8080", "0.0.0.0:8443", "127.0.0.1:3000"]
    );
    assert!(listen.workers >= 1 && listen.trusted_proxies.is_empty() && !listen.proxy_protocol);
    assert_eq!((listen.public_https_port, listen.drain_timeout), (None, seconds(30)));
    assert!(config.admin.token.is_none());
    let tenancy = &config.tenancy;
    assert_eq!(tenancy.base_domain.as_str(), "example.localhost");
    assert_eq!(tenancy.api_hosts.iter().map(|host| host.as_str()).collect::<Vec<_>>(), ["api.example.localhost"]);
    assert_eq!(tenancy.header_auth, HeaderAuth::Key);
    assert_eq!(tenancy.trusted_networks.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.0/8", "::1/128"]);
    assert_eq!((tenancy.tenant_api.as_deref(), tenancy.custom_domains), (Some("/api"), true));
    let upstream = &config.upstream;
    assert_eq!(upstream.default.iter().map(ToString::to_string).collect::<Vec<_>>(), ["http://127.0.0.1:9000"]);
    assert_eq!([upstream.connect_timeout, upstream.response_timeout, upstream.idle_timeout], [5, 60, 60].map(seconds));
    assert_eq!((config.tls.mode, &config.tls.cert_dir, &config.tls.acme.contact), (TlsMode::Files, &None, &None));
    assert_eq!((config.store.path.to_str(), config.metering.journal.to_str()), (Some("data"), Some("data/journal")));
    assert_eq!((config.log.format, &config.log.access), (LogFormat::Auto, &AccessLog::Stdout));
    let limits = &config.limits;
    assert_eq!((limits.max_header_bytes, limits.max_headers, limits.max_body), (16 * 1024, 100, 100 << 20));
    assert_eq!((limits.header_timeout, limits.idle_timeout, limits.max_connections), (seconds(10), seconds(60), 20_000));
    assert_eq!((limits.tunnel_idle_timeout, limits.max_tunnel), (seconds(3600), u64::MAX));
    let billing = &config.billing;
    assert_eq!((billing.currency.as_str(), billing.trial_days, billing.due_days, billing.grace_days), ("USD", 14, 14, 7));
    assert_eq!((billing.trial_end, billing.proration, billing.tax.len()), (TrialEnd::Invoice, Proration::Day, 0));
    assert!(config.features.sso && !config.dev.test_clock && config.routes.is_empty());
}

#[test]
fn the_four_plans_ship_with_the_figures_of_the_product() {
    let plans = Config::from_toml("").unwrap().plans;
    let figures = |name: &str| {
        let plan = &plans[name];
        let limits = plan.limits;
        assert_eq!(plan.overage, Overage::Block);
        let used = [limits.max_users, limits.max_projects, limits.max_storage, limits.max_api_calls, limits.max_bandwidth];
        (plan.price_monthly, plan.price_yearly, used)
    };
    assert_eq!(plans.keys().collect::<Vec<_>>(), ["enterprise", "free", "pro", "starter"]);
    assert_eq!(figures("free"), (Money(0), Money(0), [3, 5, GIB, 1000, 10 * GIB].map(Some)));
    assert_eq!(figures("starter"), (Money(2900), Money(29_000), [10, 25, 10 * GIB, 10_000, 100 * GIB].map(Some)));
    assert_eq!(figures("pro"), (Money(9900), Money(99_000), [50, 100, 100 * GIB, 100_000, 1024 * GIB].map(Some)));
    assert_eq!(figures("enterprise"), (Money(49_900), Money(499_000), [None; 5]));
    assert_eq!((plans["pro"].rate, plans["pro"].concurrency), (Some(Rate { per_second: 500, burst: 1000 }), Some(256)));
}

/// Every dotted key of the shipped file that holds a value.
fn keys(table: &Table, path: &[String], into: &mut Vec<Vec<String>>) {
    for (key, entry) in &table.0 {
        let path = [path, std::slice::from_ref(key)].concat();
        match &entry.node.value {
            Value::Table(below) => keys(below, &path, into),
            _ => into.push(path),
        }
    }
}

fn remove(table: &mut Table, path: &[String]) {
    match path {
        [last] => drop(table.0.remove(last)),
        [first, rest @ ..] => match &mut table.0.get_mut(first).unwrap().node.value {
            Value::Table(below) => remove(below, rest),
            _ => unreachable!(),
        },
        [] => {}
    }
}

#[test]
fn every_key_that_is_read_is_in_the_shipped_file_and_the_other_way_round() {
    let mut all = Vec::new();
    keys(&shipped::tree(&Problems::default()), &[], &mut all);
    assert!(all.len() > 80, "{}", all.len());
    // The file has no key that nobody reads: that would be an unknown key. Nor does it lack one: without its line,
    // each key is told to be missing, save those of plans that a plan of one's own may leave out.
    for path in all {
        let mut tree = shipped::tree(&Problems::default());
        remove(&mut tree, &path);
        let problems = Problems::default();
        let config = load::typed(&tree, &problems);
        let optional = path[0] == "plans" && !path[2].starts_with("price_") && path.last().unwrap() != "per_second";
        match problems.finish(config) {
            Ok(_) => assert!(optional, "{path:?} is not read"),
            Err(errors) => {
                assert!(!optional);
                let errors = errors.to_string();
                assert!(errors.contains(&format!("`{}` is missing", path.last().unwrap())), "{path:?}: {errors}");
            }
        }
    }
}

#[test]
fn the_example_route_of_the_shipped_file_is_right() {
    let (_, route) = shipped::TEXT.split_once("# [[route]]").unwrap();
    let lines: Vec<&str> = route.lines().map(|line| line.trim_start_matches("# ")).collect();
    let config = Config::from_toml(&format!("[[route]]\n{}", lines.join("\n"))).unwrap();
    assert_eq!((config.routes[0].path.as_str(), config.routes[0].feature.as_deref()), ("/api/analytics/*", Some("advancedAnalytics")));
}
