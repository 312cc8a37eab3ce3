//! The environment: every key has a name, plain names work, and it wins over the file.

use secrecy::ExposeSecret;

use super::{env_errors, load};
use crate::config::Config;
use crate::model::Money;

#[test]
fn a_value_comes_from_flag_then_environment_then_file_then_default() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[limits]\nmax_headers = 10\nmax_connections = 10\nidle_timeout = \"10s\"").unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let env = [pair("GATEHOUSE_LIMITS__MAX_CONNECTIONS", "20"), pair("GATEHOUSE_LIMITS__IDLE_TIMEOUT", "20s")];
    let limits = Config::load(Some(file.path()), env, [pair("limits.idle_timeout", "30s")]).unwrap().limits;
    assert_eq!(
        (limits.header_timeout.as_secs(), limits.max_headers, limits.max_connections, limits.idle_timeout.as_secs()),
        (10, 10, 20, 30)
    );
}

#[test]
fn every_plain_name_of_the_interface_sets_its_key() {
    let env = [
        ("STRIPE_SECRET_KEY", "sk_test_1"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
        ("DEFAULT_MAX_USERS", "10"),
        ("DEFAULT_MAX_STORAGE", "10737418240"),
        ("ENABLE_CUSTOM_DOMAINS", "false"),
        ("ENABLE_SSO", "false"),
        ("GATEHOUSE_ADMIN_TOKEN", "top\n"),
    ];
    let config = load("[plans.own]\nprice_monthly = 1\nprice_yearly = 10", &env).unwrap();
    assert_eq!(config.billing.stripe_secret_key.unwrap().expose_secret(), "sk_test_1");
    assert_eq!(config.billing.stripe_webhook_secret.unwrap().expose_secret(), "whsec_1");
    assert_eq!(config.admin.token.unwrap().expose_secret(), "top");
    assert!(!config.tenancy.custom_domains && !config.features.sso);
    let own = config.plans["own"].limits;
    assert_eq!((own.max_users, own.max_storage, own.max_projects), (Some(10), Some(10_737_418_240), None));
    assert_eq!(config.plans["free"].limits.max_users, Some(3), "a plan that names its limit keeps it");
    assert!(
        env_errors(&[("DATABASE_URL", "postgresql://u:hush@db/x")])
            .starts_with("DATABASE_URL: store.database_url: PostgreSQL is not in this version")
    );
}

#[test]
fn the_full_name_of_a_key_wins_over_its_plain_name() {
    let env = [("GATEHOUSE_ADMIN__TOKEN", "full"), ("GATEHOUSE_ADMIN_TOKEN", "plain")];
    assert_eq!(load("", &env).unwrap().admin.token.unwrap().expose_secret(), "full");
    let off = [("ENABLE_SSO", "true"), ("GATEHOUSE_FEATURES__SSO", "0")];
    assert!(!load("", &off).unwrap().features.sso);
}

#[test]
fn variables_are_read_as_the_type_of_their_key() {
    let env = [
        ("GATEHOUSE_PLANS__PRO__PRICE_MONTHLY", "120.50"),
        ("GATEHOUSE_PLANS__PRO__RATE__PER_SECOND", "7"),
        ("GATEHOUSE_PLANS__STARTER__OVERAGE", "{ api_calls = { price = 0.5, per = 1000 } }"),
        ("GATEHOUSE_PLANS__FREE__MAX_USERS", "unlimited"),
        ("GATEHOUSE_PLANS__BIG_TEAM__MAX_USERS", "9"),
        ("GATEHOUSE_TLS__ACME__CONTACT", "mailto:ops@example.com"),
        ("GATEHOUSE_LISTEN__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ("GATEHOUSE_TENANCY__API_HOSTS", "[\"a.example\", \"b.example\"]"),
        ("GATEHOUSE_TENANCY__TENANT_API", "/tenant/"),
        ("GATEHOUSE_UPSTREAM__DEFAULT", "http://127.0.0.1:9001,http://127.0.0.1:9002"),
        ("GATEHOUSE_LISTEN__HTTP", "[::1]:8080"),
        ("GATEHOUSE_LISTEN__WORKERS", "3"),
    ];
    let config = load("[plans.big-team]\nprice_monthly = 1\nprice_yearly = 10", &env).unwrap();
    let pro = &config.plans["pro"];
    assert_eq!((pro.price_monthly, pro.rate.unwrap().per_second, pro.rate.unwrap().burst), (Money(12_050), 7, 1000));
    assert_eq!((config.plans["free"].limits.max_users, config.plans["big-team"].limits.max_users), (None, Some(9)));
    assert_eq!(config.plans["starter"].calls_per_day(), None);
    assert_eq!(config.tls.acme.contact.as_deref(), Some("mailto:ops@example.com"));
    assert_eq!(config.listen.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    assert_eq!((config.tenancy.api_hosts.len(), config.upstream.default.len(), config.listen.workers), (2, 2, 3));
    assert_eq!((config.tenancy.tenant_api.as_deref(), config.listen.http.to_string().as_str()), (Some("/tenant"), "[::1]:8080"));
}

#[test]
fn empty_values_and_names_of_others_count_as_not_set() {
    let env = [
        ("GATEHOUSE_LISTEN__HTTP", ""),
        ("GATEHOUSE_LISTEN__HTPP", " "),
        ("DATABASE_URL", ""),
        ("GATEHOUSE_PORT_3000_TCP", "tcp://10.0.0.1:3000"),
        ("GATEHOUSE_SERVICE_HOST", "10.0.0.1"),
        ("LISTEN__HTTP", "nonsense"),
    ];
    assert_eq!(load("", &env).unwrap().listen.http.to_string(), "0.0.0.0:8080");
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let told = env_errors(&[
        ("GATEHOUSE_LISTEN__HTPP", "0.0.0.0:80"),
        ("GATEHOUSE_LISTN__HTTP", "0.0.0.0:80"),
        ("GATEHOUSE_LISTEN__", "x"),
        ("GATEHOUSE_LIMITS__MAX_HEADERS", "many"),
        ("GATEHOUSE_LISTEN__TRUSTED_PROXIES", "10.0.0.0/8,lan,10.0.0.0/64"),
        ("ENABLE_SSO", "yes"),
        ("GATEHOUSE_STORE__PATH__X", "1"),
    ]);
    insta::assert_snapshot!(told, @r#"
    ENABLE_SSO: features.sso: expected true or false, found "yes"
    GATEHOUSE_LIMITS__MAX_HEADERS: limits.max_headers: expected a whole number from 1 to 256, found "many"
    GATEHOUSE_LISTEN__: no such key; one is named like listen.http or GATEHOUSE_LISTEN__HTTP
    GATEHOUSE_LISTEN__HTPP: unknown key `listen.htpp`, did you mean `http`?
    GATEHOUSE_LISTEN__TRUSTED_PROXIES: listen.trusted_proxies: expected a network such as "10.0.0.0/8" or an address, found "lan"
    GATEHOUSE_LISTEN__TRUSTED_PROXIES: listen.trusted_proxies: expected a network such as "10.0.0.0/8" or an address, found "10.0.0.0/64"
    GATEHOUSE_LISTN__HTTP: unknown key `listn`, did you mean `listen`?
    GATEHOUSE_STORE__PATH__X: store.path: expected text in quotes, found a table
    "#);
}
