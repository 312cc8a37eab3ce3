//! How a token is shown: two of them, one beside a key, in places where none belongs, and with what a client says of its user itself.

use super::fields::spellings;
use super::issuers::Tokens;
use super::row::Want::{Known, Nobody, Served};
use super::row::{Row, Table, Want, Way, get};
use super::tokens::{ANN, MISMATCH, NOT_LET_IN, OLGA, bearer};
use super::world::{ACME, API, GLOBEX, Keys, World};
use crate::support::identity::Forged;

const OWN: Want = Served("acme");

/// All rows.
pub fn rows(world: &World, tokens: &Tokens, forged: &[Forged]) -> Vec<Row> {
    let mut table = Table::default();
    forms(&mut table, tokens);
    elsewhere(&mut table, tokens);
    two_tokens(&mut table, tokens);
    with_keys(&mut table, tokens, &world.keys);
    said(&mut table, tokens);
    attacks(&mut table, forged);
    table.rows()
}

/// Every way to show a token that is read as one.
fn forms(table: &mut Table, tokens: &Tokens) {
    let shown = |host: &str, token: &str| {
        let field = |name: &str, value: String| get(host).field(name, value);
        vec![
            ("bearer", field("Authorization", format!("bearer {token}"))),
            ("BEARER, many spaces", field("Authorization", format!("BEARER    {token}"))),
            ("bEaReR, a tab", field("Authorization", format!("bEaReR\t{token}"))),
            ("AUTHORIZATION", field("AUTHORIZATION", format!("Bearer {token}"))),
            ("twice", bearer(bearer(get(host), token), token)),
            ("beside Basic", bearer(field("Authorization", "Basic YTpi".to_owned()), token)),
            ("before Basic", bearer(get(host), token).field("Authorization", "Basic YTpi")),
            ("beside the app's own", bearer(field("Authorization", "Bearer of-the-app".to_owned()), token)),
            ("beside the app's own key", bearer(get(host), token).field("X-Api-Key", "of-the-app")),
            ("beside a cookie", bearer(get(host), token).field("Cookie", "session=globex")),
        ]
    };
    for (host, token, want) in [
        (ACME, &tokens.acme, ANN),
        (ACME, &tokens.globex, MISMATCH),
        (GLOBEX, &tokens.acme_owner, MISMATCH),
        (API, &tokens.acme, ANN),
        (ACME, &tokens.refused[0].1, NOT_LET_IN),
    ] {
        for (how, request) in shown(host, token) {
            table.both(format!("{host}: {how}, {want:?}"), &Way::Tls(host), &request, &want);
        }
    }
}

/// Where a token is none: nobody has signed in.
fn elsewhere(table: &mut Table, tokens: &Tokens) {
    for (whose, token) in [("acme's", &tokens.acme), ("globex's", &tokens.globex), ("an owner's", &tokens.acme_owner)] {
        let places = |host: &str, path: &str| {
            let at = || get(host).target(path);
            vec![
                ("in the query", get(host).target(&format!("{path}?access_token={token}&id_token={token}"))),
                ("in a cookie", at().field("Cookie", format!("access_token={token}; Authorization=Bearer {token}"))),
                ("in X-Api-Key", at().field("X-Api-Key", token)),
                ("in X-Api-Key as Bearer", at().field("X-Api-Key", format!("Bearer {token}"))),
                ("without a scheme", at().field("Authorization", token)),
                ("as another scheme", at().field("Authorization", format!("DPoP {token}"))),
                ("as a parameter", at().field("Authorization", format!("Bearer token={token}"))),
                ("in a list", at().field("Authorization", format!("Bearer {token}, Bearer {token}"))),
                ("in X-Access-Token", at().field("X-Access-Token", token)),
                ("in X-Forwarded-Access-Token", at().field("X-Forwarded-Access-Token", token)),
                ("in Proxy-Authorization", at().field("Proxy-Authorization", format!("Bearer {token}"))),
                ("in X-Original-Authorization", at().field("X-Original-Authorization", format!("Bearer {token}"))),
                ("in X-Authorization", at().field("X-Authorization", format!("Bearer {token}"))),
                ("in Sec-WebSocket-Protocol", at().field("Sec-WebSocket-Protocol", format!("bearer, {token}"))),
                ("in X-Tenant-Context", at().field("X-Tenant-Context", token)),
                ("in X-User-Id", at().field("X-User-Id", token)),
                ("in a trailer", at().trailer("Authorization", format!("Bearer {token}"))),
            ]
        };
        for (how, request) in places(ACME, "/") {
            table.both(format!("{whose} {how}"), &Way::Tls(ACME), &request, &OWN);
        }
        for path in ["/members/x", "/admin/x", "/reports/x", "/api/tenant"] {
            for (how, request) in places(ACME, path) {
                // The tenant API answers GET alone; another method is for the app.
                let want = if path == "/api/tenant" && how == "in a trailer" { OWN } else { NOT_LET_IN };
                table.both(format!("{whose} {how}, {path}"), &Way::Tls(ACME), &request, &want);
            }
        }
        for (how, request) in places(API, "/") {
            table.both(format!("{whose} {how}, on an api host"), &Way::Tls(API), &request, &NOT_LET_IN);
            let claimed = request.field("X-Tenant-Id", "globex");
            table.both(format!("{whose} {how}, on an api host, for globex"), &Way::Tls(API), &claimed, &NOT_LET_IN);
        }
    }
}

/// Two that differ are none, whoever's they are; the one of a stranger is none of the gateway's.
fn two_tokens(table: &mut Table, tokens: &Tokens) {
    let both = |host: &str, first: &str, second: &str| bearer(bearer(get(host), first), second);
    for host in [ACME, GLOBEX, API] {
        let way = Way::Tls(host);
        for (whose, one, other) in [
            ("acme's and globex's", &tokens.acme, &tokens.globex),
            ("acme's and another of acme", &tokens.acme, &tokens.acme_owner),
            ("acme's and an expired one", &tokens.acme, &tokens.refused[0].1),
            ("globex's and an expired one", &tokens.globex, &tokens.refused[0].1),
        ] {
            for (order, first, second) in [("", one, other), (", the other first", other, one)] {
                table.both(format!("{host}: {whose}{order}"), &way, &both(host, first, second), &NOT_LET_IN);
                let claimed = both(host, first, second).field("X-Tenant-Id", if host == ACME { "acme" } else { "globex" });
                table.both(format!("{host}: {whose}{order}, with a claim"), &way, &claimed, &NOT_LET_IN);
            }
        }
    }
    for (first, second) in [(&tokens.stranger, &tokens.acme), (&tokens.acme, &tokens.stranger), (&tokens.globex_own, &tokens.acme)] {
        table.both("a stranger's and acme's", &Way::Tls(ACME), &both(ACME, first, second), &ANN);
        table.both("a stranger's and acme's", &Way::Tls(GLOBEX), &bearer(both(GLOBEX, first, second), &tokens.stranger), &{
            // On globex's host its own issuer's is a second one.
            if *first == tokens.globex_own { NOT_LET_IN } else { MISMATCH }
        });
    }
    for (first, second) in [(&tokens.stranger, &tokens.globex), (&tokens.globex, &tokens.stranger)] {
        table.both("a stranger's and globex's", &Way::Tls(ACME), &both(ACME, first, second), &MISMATCH);
    }
}

/// A key and a token together are no credential, whoever's they are.
fn with_keys(table: &mut Table, tokens: &Tokens, keys: &Keys) {
    for host in [ACME, GLOBEX, API] {
        let way = Way::Tls(host);
        for (whose, key, token) in [
            ("acme's both", &keys.acme, &tokens.acme),
            ("acme's key, globex's token", &keys.acme, &tokens.globex),
            ("globex's key, acme's token", &keys.globex, &tokens.acme),
            ("an owner's key, globex's token", &keys.acme_owner, &tokens.globex),
            ("a revoked key, acme's token", &keys.revoked, &tokens.acme),
            ("acme's key, an expired token", &keys.acme, &tokens.refused[0].1),
            ("globex's key, an expired token", &keys.globex, &tokens.refused[0].1),
        ] {
            for path in ["/", "/admin/x", "/api/tenant"] {
                let at = || get(host).target(path);
                for (how, request) in [
                    ("in two fields", bearer(at().field("X-Api-Key", key), token)),
                    ("in Authorization twice", bearer(bearer(at(), key), token)),
                    ("in Authorization twice, the token first", bearer(bearer(at(), token), key)),
                ] {
                    table.both(format!("{host}{path}: {whose}, {how}"), &way, &request, &NOT_LET_IN);
                }
            }
        }
        // A token that is none of the gateway's business leaves the key alone.
        let (acme, globex) = match host {
            ACME => (OWN, MISMATCH),
            GLOBEX => (MISMATCH, Served("globex")),
            _ => (OWN, Served("globex")),
        };
        for (whose, key, want) in [("acme's key", &keys.acme, acme), ("globex's key", &keys.globex, globex)] {
            let request = bearer(get(host).field("X-Api-Key", key), &tokens.stranger);
            table.both(format!("{host}: {whose}, a stranger's token"), &way, &request, &want);
        }
    }
}

/// What a client says of its user and its context, in all spellings, beside a token that says it.
fn said(table: &mut Table, tokens: &Tokens) {
    let way = Way::Tls(ACME);
    let forged = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJnYXRlaG91c2UiLCJhdWQiOiJhcHAiLCJzbHVnIjoiZ2xvYmV4In0.";
    for (name, value) in
        [("X-User-Id", "ann-of-globex"), ("X-User-Roles", "owner"), ("X-Tenant-Context", forged), ("X-Tenant-Slug", "globex")]
    {
        for spelling in spellings(name) {
            let beside = |token: &str, path: &str| bearer(get(ACME).target(path).field(&spelling, value), token).field(&spelling, value);
            table.both(format!("{spelling}, a user's token"), &way, &beside(&tokens.acme, "/"), &ANN);
            table.both(format!("{spelling}, an owner's token"), &way, &beside(&tokens.acme_owner, "/admin/x"), &OLGA);
            let forbidden = Want::Refused(403, "forbidden");
            table.both(format!("{spelling}, where the role is needed"), &way, &beside(&tokens.acme, "/admin/x"), &forbidden);
            table.both(format!("{spelling}, globex's token"), &way, &beside(&tokens.globex, "/"), &MISMATCH);
            table.both(format!("{spelling}, a stranger's token"), &way, &beside(&tokens.stranger, "/"), &OWN);
            let trailer = bearer(get(ACME), &tokens.acme).trailer(&spelling, value);
            table.both(format!("trailer {spelling}"), &way, &trailer, &ANN);
            // Where nothing is signed the app hears no context at all.
            table.one(format!("{spelling}, in clear"), &Way::Clear, beside(&tokens.acme, "/").http1(), &ANN);
            let named = bearer(get(ACME), &tokens.acme).field("Connection", format!("{spelling}, authorization")).field(&spelling, value);
            table.one(format!("{spelling}, named in Connection"), &way, named.http1(), &ANN);
        }
    }
    let own = bearer(get(ACME), &tokens.acme_own).field("X-User-Id", "olga-of-acme").field("X-User-Roles", "owner");
    table.both("another user than the own issuer says", &way, &own, &Known("acme", "own-of-acme"));
}

/// Whatever an attacker makes of a token, nobody has signed in: on a path that is open to all, and on an api host.
fn attacks(table: &mut Table, forged: &[Forged]) {
    for token in forged {
        let name = format!("{}/{}", token.family, token.name);
        table.one(&name, &Way::Tls(ACME), bearer(get(ACME), &token.token).http1(), &Nobody("acme"));
        let claimed = bearer(get(API), &token.token).field("X-Tenant-Id", "acme");
        table.one(format!("{name}, on an api host"), &Way::Tls(API), claimed.http1(), &Want::NotServed);
    }
}
