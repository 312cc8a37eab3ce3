//! Good values of every kind become what they say.

use std::time::Duration;

use crate::config::{AccessLog, Config, TaxRate, TlsMode};
use crate::model::plan::{OveragePrice, Pricing};
use crate::model::{Money, Overage, Rate};

fn good(text: &str) -> Config {
    Config::from_toml(text).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn one_key_of_a_plan_leaves_the_others_as_shipped() {
    let shipped = good("").plans;
    let mut expected = shipped["pro"].clone();
    expected.price_monthly = Money(12_000);
    let plans = good("[plans.pro]\nprice_monthly = 120").plans;
    assert_eq!(plans["pro"], expected);
    assert_eq!(plans["free"], shipped["free"]);
}

#[test]
fn a_plan_of_ones_own_needs_only_its_prices() {
    let config = good("[plans.solo]\nprice_monthly = 9\nprice_yearly = 90.5");
    let solo = &config.plans["solo"];
    assert_eq!((solo.price_monthly, solo.price_yearly, solo.limits), (Money(900), Money(9050), Default::default()));
    assert_eq!((solo.rate, solo.concurrency, &solo.overage, config.plans.len()), (None, None, &Overage::Block, 5));
}

#[test]
fn flags_of_a_plan_are_merged_one_by_one_and_keep_their_case() {
    let features = |file: &str, env: &[(&str, &str)]| super::load(file, env).unwrap().plans["pro"].features.clone();
    let file = "[plans.pro]\nfeatures = { advancedAnalytics = true, \"beta.2\" = false }";
    let flags = |all: &[(&str, bool)]| all.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect();
    assert_eq!(features("", &[]), flags(&[]));
    assert_eq!(features(file, &[]), flags(&[("advancedAnalytics", true), ("beta.2", false)]));
    let env = [("GATEHOUSE_PLANS__PRO__FEATURES", "{ advancedAnalytics = false, chat = true }")];
    assert_eq!(features(file, &env), flags(&[("advancedAnalytics", false), ("beta.2", false), ("chat", true)]));
}

#[test]
fn prices_never_pass_through_a_float() {
    // 0.29 × 100 is 28.999… as a float, and 1.15 × 100 is 114.999….
    let plans = good("[plans.x]\nprice_monthly = 0.29\nprice_yearly = 1.15").plans;
    assert_eq!((plans["x"].price_monthly, plans["x"].price_yearly), (Money(29), Money(115)));
    let yen = good("billing.currency = \"JPY\"\n[plans.x]\nprice_monthly = 1_500\nprice_yearly = 15000.0").plans;
    assert_eq!((yen["x"].price_monthly, yen["x"].price_yearly), (Money(1500), Money(15_000)));
}

#[test]
fn overage_is_read_with_its_prices_and_units() {
    let text = r#"
        [plans.pro]
        rate = { per_second = 5 }
        [plans.pro.overage]
        api_calls = { price = 0.50, per = 1000, hard_cap = 200000 }
        bandwidth = { price = 0.08, per = "1GB" }
    "#;
    let pro = &good(text).plans["pro"];
    let calls = OveragePrice { pricing: Pricing::Package(Money(50)), per: 1000, hard_cap: Some(200_000) };
    let bytes = OveragePrice { pricing: Pricing::Package(Money(8)), per: 1_000_000_000, hard_cap: None };
    assert_eq!(pro.overage, Overage::Billed { api_calls: Some(calls), bandwidth: Some(bytes), storage: None });
    assert_eq!((pro.calls_per_day(), pro.bytes_per_month()), (Some(200_000), None));
    assert_eq!(pro.rate, Some(Rate { per_second: 5, burst: 1000 }), "tables merge");
}

#[test]
fn a_burst_left_out_is_the_rate() {
    let plans = good("[plans.x]\nprice_monthly = 0\nprice_yearly = 0\nrate = { per_second = 5 }\n[plans.pro]\nrate = \"unlimited\"").plans;
    assert_eq!((plans["x"].rate, plans["pro"].rate), (Some(Rate { per_second: 5, burst: 5 }), None));
}

#[test]
fn routes_are_taken_in_order() {
    let text = r#"
        [[route]]
        path = "/api/analytics/*"
        methods = ["GET", "PROPFIND"]
        feature = "advancedAnalytics"
        roles = ["owner", "admin"]
        counts = "storage"
        [[route]]
        path = "/"
    "#;
    let routes = good(text).routes;
    assert_eq!(routes[0].methods.iter().map(|method| method.as_str()).collect::<Vec<_>>(), ["GET", "PROPFIND"]);
    assert_eq!((routes[0].roles.len(), routes[0].feature.as_deref()), (2, Some("advancedAnalytics")));
    assert_eq!((routes[1].path.as_str(), routes[1].methods.len(), &routes[1].feature), ("/", 0, &None));
}

#[test]
fn values_of_all_kinds_become_what_they_say() {
    let text = r#"
        listen.public_https_port = 443
        listen.drain_timeout = "0s"
        listen.trusted_proxies = ["10.1.2.3/8", "192.0.2.1"]
        tenancy.base_domain = "Apps.Example.COM."
        tenancy.tenant_api = ""
        tls.mode = "off"
        tls.cert_dir = "certs/d"
        log.access = "./access.log"
        limits.max_header_bytes = 1024
        limits.max_body = "1GB"
        limits.header_timeout = "1500ms"
        billing.tax = [{ country = "DE", rate = 19, inclusive = true }, { country = "CH", rate = 8.1 }]
        upstream.default = ["https://app.internal", "http://[::1]:9000"]
    "#;
    let config = good(text);
    assert_eq!((config.listen.public_https_port, config.listen.drain_timeout), (Some(443), Duration::ZERO));
    assert_eq!(config.listen.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "192.0.2.1/32"]);
    assert_eq!((config.tenancy.base_domain.as_str(), &config.tenancy.tenant_api), ("apps.example.com", &None));
    assert_eq!((config.tls.mode, config.tls.cert_dir.unwrap().to_str()), (TlsMode::Off, Some("certs/d")));
    assert_eq!(config.log.access, AccessLog::File("./access.log".into()));
    assert_eq!((config.limits.max_header_bytes, config.limits.max_body), (1024, 1_000_000_000));
    assert_eq!(config.limits.header_timeout, Duration::from_millis(1500));
    let tax = |country: &str, parts_per_million, inclusive| TaxRate {
        country: country.to_owned(),
        parts_per_million,
        inclusive,
        reverse_charge: false,
    };
    assert_eq!(config.billing.tax, [tax("DE", 190_000, true), tax("CH", 81_000, false)]);
    assert_eq!(config.upstream.default.len(), 2);
}
