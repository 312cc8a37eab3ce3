//! `[events]`: endpoints, their secrets and what they want to hear of.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::{env_errors, errors, load};
use crate::config::{Config, shipped};
use crate::model::EventType;

/// 32 octets.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

#[test]
fn the_defaults_tell_nobody_and_give_up_after_some_three_days() {
    let events = Config::from_toml("").unwrap().events;
    let hours = |waits: &[Duration]| waits.iter().sum::<Duration>().as_secs() / 3600;
    assert_eq!((events.endpoints.len(), events.retry.len(), hours(&events.retry)), (0, 9, 75));
    assert_eq!((events.timeout, events.allow_private), (Duration::from_secs(15), false));
}

#[test]
fn the_example_endpoint_of_the_shipped_file_is_right() {
    let (_, example) = shipped::TEXT.split_once("# [events.endpoint.crm]\n").unwrap();
    let lines: Vec<&str> = example.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let config = Config::from_toml(&format!("[events.endpoint.crm]\n{}", lines.join("\n"))).unwrap();
    let crm = &config.events.endpoints[0];
    assert_eq!((crm.name.as_str(), crm.url.as_str(), crm.keys.len()), ("crm", "https://crm.example.com/hooks/gatehouse", 1));
    assert_eq!(crm.events, EventType::ALL);
}

#[test]
fn secrets_come_from_the_file_and_the_environment_and_all_of_them_sign() {
    let text = format!(
        "[events.endpoint.my-crm]\nurl = \"https://a.example\"\nsecrets = [\"{SECRET}\"]\n[events.endpoint.erp]\nurl = \"https://b.example\""
    );
    let env = [
        ("GATEHOUSE_EVENTS__ENDPOINT__MY_CRM__SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"),
        ("GATEHOUSE_EVENTS__ENDPOINT__ERP__SECRET", SECRET),
    ];
    let endpoints = load(&text, &env).unwrap().events.endpoints;
    let crm = endpoints.iter().find(|endpoint| endpoint.name == "my-crm").unwrap();
    let octets: Vec<&[u8]> = crm.keys.iter().map(|key| key.expose_secret()).collect();
    assert_eq!((octets[0], octets[1].len()), (&b"012345678901234567890123"[..], 32));
    assert_eq!(endpoints.iter().find(|endpoint| endpoint.name == "erp").unwrap().keys.len(), 1);
    assert!(!format!("{endpoints:?}").contains("whsec_") && !format!("{endpoints:?}").contains("48, 49"), "a secret is never shown");
}

#[test]
fn types_are_named_one_by_one_or_by_group() {
    let text = format!(
        "[events.endpoint.a]\nurl = \"https://a.example/?x=1\"\nsecret = \"{SECRET}\"\nevents = [\"domain.*\", \"invoice.paid\", \"domain.failed\"]"
    );
    let events = &Config::from_toml(&text).unwrap().events.endpoints[0].events;
    assert_eq!(events, &[EventType::InvoicePaid, EventType::DomainActive, EventType::DomainFailed]);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_no_secret() {
    let told = errors(
        r#"
[events]
retry = ["5s", "soon"]
timeout = 15
allow_privat = true

[events.endpoint.crm]
url = "http://crm.example.com"
secret = "whsec_hush"
events = ["invoice.payed", "tenant*", "frobnicate"]

[events.endpoint.Erp]
url = "ftp://x"
secret = "hush-hush"

[events.endpoint.data]
url = "https://user:hush@data.example.com"
secrets = ["whsec_aHVzaA=="]
evnts = []

[events.endpoint.mail]
url = "https://mail.example.com"
events = []
"#,
    );
    insta::assert_snapshot!(told, @r#"
    config.toml:3:16: events.retry: expected a duration such as "500ms", "30s", "2m", "1h" or "1d", found "soon"
    config.toml:4:11: events.timeout: expected a duration such as "500ms", "30s", "2m", "1h" or "1d", found 15
    config.toml:5:1: unknown key `events.allow_privat`, did you mean `allow_private`?
    config.toml:8:7: events.endpoint.crm.url: in clear it could be read and changed on its way: use https, or http to a private address with events.allow_private = true
    config.toml:9:10: events.endpoint.crm.secret: expected `whsec_` and 24 to 64 octets in base64; this has 3 octets
    config.toml:10:11: events.endpoint.crm.events: there is no event type "invoice.payed", did you mean `invoice.paid`?
    config.toml:10:28: events.endpoint.crm.events: there is no event type "tenant*", did you mean `tenant.*`?
    config.toml:10:39: events.endpoint.crm.events: there is no event type "frobnicate"; one is named like "invoice.paid", "tenant.*" or "*"
    config.toml:12:1: events.endpoint.Erp: an endpoint's name has 1 to 40 lower-case letters, digits, `-` and `_`
    config.toml:13:7: events.endpoint.Erp.url: expected a URL such as "https://crm.example.com/hooks", found "ftp://x"
    config.toml:14:10: events.endpoint.Erp.secret: expected `whsec_` and 24 to 64 octets in base64; it does not begin with `whsec_`
    config.toml:17:7: events.endpoint.data.url: a URL without user name, password and `#` is expected; events are signed, which says who sends them
    config.toml:18:12: events.endpoint.data.secrets: expected `whsec_` and 24 to 64 octets in base64; this has 4 octets
    config.toml:19:1: unknown key `events.endpoint.data.evnts`, did you mean `events`?
    config.toml:21:18: events.endpoint.mail.secret: events are signed: give a secret such as `whsec_$(openssl rand -base64 32)`, here or in GATEHOUSE_EVENTS__ENDPOINT__MAIL__SECRET
    config.toml:23:10: events.endpoint.mail.events: an endpoint that wants no event is of no use; leave `events` out for all of them
    "#);
    assert!(!told.contains("hush"));
    let told = env_errors(&[("GATEHOUSE_EVENTS__ENDPOINT__CRM__SECRET", "hush")]);
    assert!(told.contains("GATEHOUSE_EVENTS__ENDPOINT__CRM__SECRET: ") && !told.contains("\"hush\""), "{told}");
}

#[test]
fn plain_http_needs_private_addresses_to_be_allowed() {
    let text = format!("[events.endpoint.a]\nurl = \"http://10.0.0.7:9000/hooks\"\nsecret = \"{SECRET}\"");
    assert!(errors(&text).contains("events.endpoint.a.url: in clear"), "{}", errors(&text));
    assert_eq!(load(&text, &[("GATEHOUSE_EVENTS__ALLOW_PRIVATE", "true")]).unwrap().events.endpoints.len(), 1);
}
