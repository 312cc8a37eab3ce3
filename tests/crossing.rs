//! Nothing crosses tenants: one matrix of what a client can say, each row with the only tenant that it may touch.
//!
//! Every row goes over the wire octet by octet, on a connection of its own. Two tenants have an app each, and the apps tell what they
//! heard: a request of one row in the other's app, or in the other's name, is a crossing, whatever the client was told.

mod ask;
mod connections;
mod fields;
mod hosts;
mod issuers;
mod judge;
mod keys;
mod later;
mod paths;
mod row;
mod shown;
mod tokens;
mod world;

use reqwest::Method;
use serde_json::json;

use issuers::Issuers;
use judge::Verdict;
use row::Want::Served;
use row::{Table, Way, get};
use world::{ACME, GLOBEX, World};

/// Domains that acme must not have: others', the gateway's own, and what is none.
const DOMAINS: &str = "
    globex.test  GLOBEX.test  globex.test.  globex.example.localhost  www.globex.example.localhost  acme.example.localhost
    example.localhost  api.example.localhost  *.globex.test  *.test  localhost  127.0.0.1  [::1]  ::1  globex.test:443
    user@globex.test  globex.test/  https://globex.test  ｇｌｏｂｅｘ.test  globex。test  glo\u{ad}bex.test  globex..test  .globex.test
    -globex.test  globex.test,acme.test  test  a b.test  %67lobex.test  2130706433  0x7f.0.0.1  127.1
";

/// Slugs that a new tenant must not have.
const SLUGS: &str = "
    globex  GLOBEX  Globex  globex.  globex.x  api  www  admin  ｇｌｏｂｅｘ  glo\u{ad}bex  globex:443  a@b  x.globex  -globex  globex-
    globex%00  xn--lobex-g53d  initech  umbrella  *
";

#[tokio::test]
async fn nothing_crosses_tenants() {
    let issuers = Issuers::start().await;
    let believed = issuers.toml();
    let (world, forged) = tokio::join!(World::believing(&believed), issuers.forged());
    assert!(forged.len() > 600, "{}", forged.len());
    let tokens = issuers.tokens(&world).await;
    // What the gateways have counted so far is no part of it.
    let before = world.calls("globex").await;
    let mut all = Verdict::default();
    for (name, rows) in [
        ("fields", fields::rows(&world)),
        ("hosts", hosts::rows(&world)),
        ("connections", connections::rows(&world)),
        ("keys", keys::rows(&world)),
        ("paths", paths::rows(&world)),
        ("tokens", tokens::rows(&world, &tokens)),
        ("shown", shown::rows(&world, &tokens, &forged)),
        ("later", later::rows(&world, &tokens)),
    ] {
        all.add(Verdict::of(&world, name, &rows).await);
    }
    println!("all: {} rows, {} requests, {} crossings", all.rows, all.asks, all.crossings.len());
    let (crossings, faults) = (all.crossings.join("\n"), all.faults.join("\n"));
    assert!(crossings.is_empty() && faults.is_empty(), "crossings:\n{crossings}\nother faults:\n{faults}");
    assert_eq!(world.calls("globex").await - before, all.victim, "calls that globex would pay for, beside those that were its own");
}

#[tokio::test]
async fn nobody_is_given_a_name_that_leads_to_another() {
    let world = World::start().await;
    let gateway = &world.tls;
    for domain in row::words(DOMAINS).chain([""]) {
        let answer = gateway.admin(Method::POST, "/admin/tenants/acme/domains", json!({"domain": domain})).await;
        assert!(matches!(answer.status, 409 | 422), "{domain:?}: {} {}", answer.status, answer.text());
    }
    for slug in row::words(SLUGS).chain([""]) {
        let answer = gateway.admin(Method::POST, "/admin/tenants", json!({"name": "x", "slug": slug, "plan": "free"})).await;
        assert!(matches!(answer.status, 409 | 422), "{slug:?}: {} {}", answer.status, answer.text());
    }
    let mut table = Table::default();
    for host in [GLOBEX, "globex.test"] {
        table.both("still globex's", &Way::Tls(host), &get(host), &Served("globex"));
    }
    let verdict = Verdict::of(&world, "names", &table.rows()).await;
    assert!(verdict.crossings.is_empty() && verdict.faults.is_empty(), "{:?} {:?}", verdict.crossings, verdict.faults);
}

#[tokio::test]
async fn the_matrix_sees_a_crossing_where_there_is_one() {
    let world = World::start().await;
    let mut table = Table::default();
    // Believed to be acme's, and served as globex.
    table.both("a crossing", &Way::Tls(GLOBEX), &get(GLOBEX), &Served("acme"));
    table.both("a refusal that is none", &Way::Tls(ACME), &get(ACME), &row::Want::Refused(403, "tenant_mismatch"));
    let verdict = Verdict::of(&world, "planted", &table.rows()).await;
    assert_eq!((verdict.crossings.len(), verdict.faults.len()), (4, 4), "{:?} {:?}", verdict.crossings, verdict.faults);
}
