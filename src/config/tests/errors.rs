//! Errors are told all at once, each with its place, what was expected, and what was probably meant.

use super::{env_errors, errors, load};
use crate::config::Config;

#[test]
fn all_problems_of_a_file_are_told_at_once_in_its_order() {
    let told = errors(
        r#"
[listen]
htpp = "0.0.0.0:80"
https = "8443"
workers = -1
drain_timeout = 30

[tenancy]
header_auth = "keys"
api_hosts = ["ok.example", "not ok", 7]
trusted_networks = ["10.0.0.0/33"]
tenant_api = "api"

[tls]
mode = "file"

[log]
access = "stdot"

[plans.pro]
price_monthly = 99.005
max_users = "unlimted"
rate = { per_second = 0, brust = 5 }

[plans.gold]
max_storage = "10GiBs"

[billing]
currency = "usd"
trial_end = "suspended"

[[route]]
path = "api/*/x"
methods = ["get", "PURGE"]
roles = "admin"
"#,
    );
    insta::assert_snapshot!(told, @r#"
    config.toml:3:1: unknown key `listen.htpp`, did you mean `http`?
    config.toml:4:9: listen.https: expected an address with a port such as "127.0.0.1:8080" or "[::]:8080", found "8443"
    config.toml:5:11: listen.workers: expected a whole number from 0 to 1024, found -1
    config.toml:6:17: listen.drain_timeout: expected a duration such as "500ms", "30s", "2m", "1h" or "1d", found 30
    config.toml:9:15: tenancy.header_auth: expected "key" or "none", found "keys", did you mean `key`?
    config.toml:10:28: tenancy.api_hosts: `not ok` is not a host name: labels are letters, digits and inner hyphens
    config.toml:10:38: tenancy.api_hosts: expected text in quotes, found 7
    config.toml:11:21: tenancy.trusted_networks: expected a network such as "10.0.0.0/8" or an address, found "10.0.0.0/33"
    config.toml:12:14: tenancy.tenant_api: expected a path such as "/api", or "" for none, found "api"
    config.toml:15:8: tls.mode: expected "files" or "off" or "acme", found "file", did you mean `files`?
    config.toml:18:10: log.access: expected "stdout" or "off", found "stdot", did you mean `stdout`? (a file's path has a `/` or `.` in it)
    config.toml:21:17: plans.pro.price_monthly: expected a price, found `99.005` has more than the 2 decimals of USD
    config.toml:22:13: plans.pro.max_users: expected a whole number or "unlimited", found "unlimted", did you mean `unlimited`?
    config.toml:23:23: plans.pro.rate.per_second: expected a whole number from 1 to 4294967295, found 0
    config.toml:23:26: unknown key `plans.pro.rate.brust`, did you mean `burst`?
    config.toml:25:8: plans.gold: `price_monthly` is missing
    config.toml:25:8: plans.gold: `price_yearly` is missing
    config.toml:26:15: plans.gold.max_storage: expected a size such as "10GiB", "10GB" or whole octets or "unlimited", found "10GiBs"
    config.toml:29:12: billing.currency: expected an ISO 4217 code such as "USD", found "usd"
    config.toml:30:13: billing.trial_end: expected "invoice" or "suspend" or "free", found "suspended", did you mean `suspend`?
    config.toml:33:8: route[0].path: expected a path such as "/api/*": it begins with `/`, a `*` stands at its end only, and it has no `//`, dot segments, `;`, `\` or octets beyond ASCII (write those as `%C3%BC`), found "api/*/x"
    config.toml:34:12: route[0].methods: expected a method such as "GET", found "get", did you mean `GET`?
    config.toml:35:9: route[0].roles: expected a list, found "admin"
    "#);
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    let told = errors("base_domain = \"a.example\"\n[listne]\nhttp = \"x\"\n[upstream]\ntoken = \"t\"\nzzz = 1");
    insta::assert_snapshot!(told, @r#"
    config.toml:1:1: unknown key `base_domain`; `base_domain` belongs in [tenancy]
    config.toml:2:2: unknown key `listne`, did you mean `listen`?
    config.toml:5:1: unknown key `upstream.token`; `token` belongs in [admin]
    config.toml:6:1: unknown key `upstream.zzz`
    "#);
}

#[test]
fn values_of_the_wrong_kind_are_told_without_following_errors() {
    let told = errors(
        "plans = 3\nlimits = [1]\nroute = 1\n[billing]\ntax = [1, { country = \"Germany\", rate = \"x\" }]\n[log]\nformat = 2020-01-01\n",
    );
    insta::assert_snapshot!(told, @r#"
    config.toml:1:9: plans: expected a table, found 3
    config.toml:2:10: limits: expected a table, found a list
    config.toml:3:9: route: expected a list of tables, found 1
    config.toml:5:8: billing.tax[0]: expected a table, found 1
    config.toml:5:23: billing.tax[1].country: expected an ISO 3166 code such as "DE" ("GB" for the United Kingdom), found "Germany"
    config.toml:5:41: billing.tax[1].rate: expected a percentage from 0 to 100 such as 19 or 7.7, found "x"
    config.toml:7:10: log.format: expected "auto" or "json", found the date 2020-01-01
    "#);
}

#[test]
fn a_country_that_is_none_and_a_second_rate_for_one_are_refused() {
    let told = errors("[billing]\nseller.country = \"UK\"\ntax = [{ country = \"DE\", rate = 19 }, { country = \"DE\", rate = 7 }]\n");
    insta::assert_snapshot!(told, @r#"
    config.toml:2:18: billing.seller.country: expected an ISO 3166 code such as "DE" ("GB" for the United Kingdom), found "UK"
    config.toml:3:7: billing.tax: there are two rates for DE; give one
    "#);
}

#[test]
fn syntax_errors_have_a_place_and_no_others_beside_them() {
    insta::assert_snapshot!(errors("[listen]\nhttp = 0.0.0.0:80\n[admin\ntoken = \"hush\n"), @r#"
    config.toml:2:11: not TOML: invalid float (a text needs quotes)
    config.toml:3:7: not TOML: unclosed table, expected `]`
    "#);
    insta::assert_snapshot!(errors("[listen]\nhttp = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:2\"\n"), @r#"
    config.toml:3:1: not TOML: duplicate key
    "#);
}

#[test]
fn what_this_version_does_not_have_is_refused_with_what_to_use() {
    let told = errors("store.database_url = \"postgresql://u:hush@db/x\"\n");
    insta::assert_snapshot!(told, @r#"
    config.toml:1:22: store.database_url: PostgreSQL is not in this version; leave database_url (DATABASE_URL) empty, state is kept in the directory store.path
    "#);
    assert!(!told.contains("hush"));
}

#[test]
fn the_proxy_protocol_needs_somebody_who_may_speak_it() {
    insta::assert_snapshot!(errors("listen.proxy_protocol = true\n"), @"config.toml:1:25: listen.proxy_protocol: listen.trusted_proxies is empty, so nobody may send a PROXY header; name the proxies in front");
    let listen = Config::from_toml("[listen]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1\"]\n").unwrap().listen;
    assert!(listen.proxy_protocol && listen.trusts(&[127, 0, 0, 1].into()) && !listen.trusts(&[127, 0, 0, 2].into()));
}

#[test]
fn an_admin_api_that_others_can_reach_needs_a_token() {
    insta::assert_snapshot!(errors("listen.admin = \"0.0.0.0:3000\""), @r#"
    config.toml:1:16: listen.admin: `0.0.0.0:3000` is reachable from other machines, so admin.token (GATEHOUSE_ADMIN_TOKEN) must be set; or listen on 127.0.0.1
    "#);
    for reachable in ["10.0.0.1:3000", "[::]:3000", "[::ffff:10.0.0.1]:3000"] {
        assert!(Config::from_toml(&format!("listen.admin = \"{reachable}\"")).is_err(), "{reachable}");
        assert!(Config::from_toml(&format!("listen.admin = \"{reachable}\"\nadmin.token = \"t\"")).is_ok(), "{reachable}");
    }
    assert!(Config::from_toml("listen.admin = \"[::1]:3000\"").is_ok());
    assert!(env_errors(&[("GATEHOUSE_LISTEN__ADMIN", "0.0.0.0:3000")]).starts_with("GATEHOUSE_LISTEN__ADMIN: listen.admin: "));
}

#[test]
fn listeners_have_addresses_of_their_own() {
    insta::assert_snapshot!(errors("[listen]\nhttps = \"127.0.0.1:8080\"\nadmin = \"127.0.0.1:8080\""), @r#"
    config.toml:2:9: listen.https: this is the address of listen.http as well; give each listener its own port
    config.toml:3:9: listen.admin: this is the address of listen.http as well; give each listener its own port
    "#);
    assert!(errors("listen.http = \"127.0.0.1:3000\"").starts_with("config.toml:1:15: listen.http: this is the address of listen.admin"));
    let zero = "[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
    assert!(Config::from_toml(zero).is_ok());
    assert!(Config::from_toml("[listen]\nhttps = \"0.0.0.0:8080\"\n[tls]\nmode = \"off\"").is_ok(), "not listened on");
    assert!(Config::from_toml("[listen]\nhttp = \"127.0.0.1:80\"\nhttps = \"127.0.0.2:80\"").is_ok());
}

#[test]
fn the_gateway_is_not_its_own_upstream() {
    let told = errors(
        "upstream.default = [\"http://127.0.0.1:8080\", \"http://localhost:3000\", \"http://[::1]:8443\", \"http://10.0.0.1:9000\"]",
    );
    insta::assert_snapshot!(told, @r#"
    config.toml:1:20: upstream.default: `http://127.0.0.1:8080` is the gateway's own listener listen.http; name your app's address
    config.toml:1:20: upstream.default: `http://localhost:3000` is the gateway's own listener listen.admin; name your app's address
    config.toml:1:20: upstream.default: `http://[::1]:8443` is the gateway's own listener listen.https; name your app's address
    "#);
    assert!(
        errors("listen.http = \"127.0.0.1:9000\"").starts_with("config.toml:1:15: listen.http: this is the address of upstream.default")
    );
    assert!(Config::from_toml("upstream.default = [\"http://127.0.0.1:8443\"]\ntls.mode = \"off\"").is_ok());
    assert!(errors("upstream.default = [\"http://169.254.169.254\"]").contains("link-local"));
    assert!(errors("upstream.default = []").contains("at least one URL"));
}

#[test]
fn a_flag_of_a_plan_has_a_name_and_is_on_or_off() {
    let told = errors("[plans.pro]\nfeatures = { \"9x\" = true, chat = \"yes\" }\n[plans.free]\nfeatures = true\n");
    insta::assert_snapshot!(told, @r#"
    config.toml:2:14: plans.pro.features: `9x` is not a flag: a letter, then at most 63 letters, digits or `_ . -`
    config.toml:2:34: plans.pro.features: expected true or false, found "yes"
    config.toml:4:12: plans.free.features: expected a table such as { advancedAnalytics = true }, found true
    "#);
}

#[test]
fn overage_is_priced_only_where_a_limit_exists() {
    let told = errors(
        r#"
[plans.enterprise]
overage = { api_calls = { price = 1, per = 0 } }
[plans.pro]
overage = { api_calls = { price = 0.50, per = 1000, hard_cap = 200 }, bandwith = {} }
[plans.starter]
overage = { bandwidth = { price = 0.08, per = "1GB", hard_cap = "1GB" } }
[plans.free]
overage = "blok"
"#,
    );
    insta::assert_snapshot!(told, @r#"
    config.toml:3:44: plans.enterprise.overage.api_calls.per: expected a whole number from 1 to 9223372036854775807, found 0
    config.toml:5:11: plans.pro.overage: the hard_cap of `api_calls` (200) is below max_api_calls (100000)
    config.toml:5:71: unknown key `plans.pro.overage.bandwith`, did you mean `bandwidth`?
    config.toml:7:11: plans.starter.overage: the hard_cap of `bandwidth` (1000000000) is below max_bandwidth (107374182400)
    config.toml:9:11: plans.free.overage: expected "block", found "blok", did you mean `block`?
    "#);
    assert!(errors("plans.enterprise.overage = { api_calls = { price = 1, per = 5 } }").contains("nothing lies beyond it"));
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_name() {
    let told = Config::load(Some("no/such.toml".as_ref()), [], []).unwrap_err().to_string();
    insta::assert_snapshot!(told, @r#"
    no/such.toml: No such file or directory (os error 2)
    "#);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latin.toml");
    std::fs::write(&path, b"[listen]\nhttp = \"\xff\"").unwrap();
    assert!(Config::load(Some(&path), [], []).unwrap_err().to_string().ends_with("latin.toml: line 2 is not UTF-8"));
    assert!(Config::load(Some(dir.path()), [], []).is_err());
    std::fs::write(&path, "\u{feff}[limits]\nmax_headers = 7").unwrap();
    assert_eq!(Config::load(Some(&path), [], []).unwrap().limits.max_headers, 7);
}

#[test]
fn secrets_are_shown_nowhere() {
    let secrets = [("STRIPE_SECRET_KEY", "sk_test_hush2"), ("STRIPE_WEBHOOK_SECRET", "hush3")];
    let shown = format!("{:?}", load("admin.token = \"hush1\"", &secrets).unwrap());
    assert!(!shown.contains("hush"), "{shown}");
    let wrong = "admin.token = \"hush 1\"\nbilling.stripe_secret_key = [\"hush2\"]\nstore.database_url = { hush = \"hush\" }";
    let told = errors(wrong);
    assert_eq!(told.lines().count(), 3);
    assert!(!told.contains("hush"), "{told}");
    assert!(!env_errors(&[("GATEHOUSE_ADMIN_TOKEN", "hush hush"), ("DATABASE_URL", "hush")]).contains("hush"));
}
