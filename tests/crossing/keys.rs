//! API keys: each opens its own tenant's doors, on every way there is to show one.

use super::row::Want::{Answered, Refused, Served};
use super::row::{Request, Row, Table, Want, Way, get, words};
use super::world::{ACME, API, GLOBEX, Keys, World};

const MISMATCH: Want = Refused(403, "tenant_mismatch");
const NO_KEY: Want = Refused(401, "unauthenticated");
const MISDIRECTED: Want = Refused(421, "misdirected_request");
const OWN: Want = Served("acme");

/// Paths that are near the tenant API.
const NOT_THE_TENANT_API: &str = "
    //api/tenant  /api//tenant  /./api/tenant  /x/../api/tenant  /%61pi/tenant  /api%2ftenant  /api%5ctenant  /API/tenant
    /api/Tenant  /api/tenant/  /api;x/tenant  /api/tenant;x=globex  /api/%74enant  /api/tenant%00  /api/tenant%20  /api/tenant.
    /api/tenant.json  /api/../globex/api/tenant  /globex/api/tenant  /api/tenant/globex
";

/// All rows.
pub fn rows(world: &World) -> Vec<Row> {
    let mut table = Table::default();
    let keys = &world.keys;
    on_a_host(&mut table, keys);
    on_the_api_host(&mut table, keys, &world.ids.globex);
    two_keys(&mut table, keys);
    forms(&mut table, keys);
    tenant_api(&mut table, keys);
    believed(&mut table, &world.trusting_keys);
    table.rows()
}

fn bearer(request: Request, key: &str) -> Request {
    request.field("Authorization", format!("Bearer {key}"))
}

fn api_key(request: Request, key: &str) -> Request {
    request.field("X-Api-Key", key)
}

/// Every way to show a key that is read as one.
fn shown(host: &str, key: &str) -> Vec<(&'static str, Request)> {
    vec![
        ("Authorization: Bearer", bearer(get(host), key)),
        ("Authorization: bearer", get(host).field("Authorization", format!("bearer {key}"))),
        ("Authorization: BEARER, many spaces", get(host).field("Authorization", format!("BEARER   {key}"))),
        ("AUTHORIZATION", get(host).field("AUTHORIZATION", format!("Bearer {key}"))),
        ("X-Api-Key", api_key(get(host), key)),
        ("x-api-KEY", get(host).field("x-api-KEY", key)),
        ("both fields", api_key(bearer(get(host), key), key)),
        ("twice", bearer(bearer(get(host), key), key)),
        ("beside the app's own", get(host).field("Authorization", "Basic YTpi").field("X-Api-Key", key)),
    ]
}

fn on_a_host(table: &mut Table, keys: &Keys) {
    let (acme, globex) = (Way::Tls(ACME), Way::Tls(GLOBEX));
    for (whose, key, want) in [
        ("its own key", &keys.acme, OWN),
        ("its own test key", &keys.acme_test, OWN),
        ("globex's key", &keys.globex, MISMATCH),
        ("globex's test key", &keys.globex_test, MISMATCH),
        ("globex's owner", &keys.globex_owner, MISMATCH),
        ("a suspended tenant's key", &keys.suspended, MISMATCH),
        ("a deleted tenant's key", &keys.deleted, MISMATCH),
        ("a revoked key", &keys.revoked, NO_KEY),
        ("an expired key", &keys.expired, NO_KEY),
        ("a key that was replaced", &keys.rotated, NO_KEY),
    ] {
        for (how, request) in shown(ACME, key) {
            table.both(format!("on acme's host, {whose}, {how}"), &acme, &request, &want);
        }
        for (how, request) in shown("acme.test", key) {
            table.both(format!("on acme's domain, {whose}, {how}"), &Way::Tls("acme.test"), &request, &want);
        }
    }
    for (how, request) in shown(GLOBEX, &keys.acme) {
        table.both(format!("on globex's host, acme's key, {how}"), &globex, &request, &MISMATCH);
        table.both(format!("on globex's host, acme's key and a claim, {how}"), &globex, &request.field("X-Tenant-Id", "globex"), &MISMATCH);
    }
    for (how, request) in shown("globex.test", &keys.acme) {
        table.both(format!("on globex's domain, acme's key, {how}"), &Way::Tls("globex.test"), &request, &MISMATCH);
    }
    for (how, request) in shown(GLOBEX, &keys.acme) {
        table.both(format!("on acme's connection, globex's host, acme's key, {how}"), &acme, &request, &MISDIRECTED);
    }
}

fn on_the_api_host(table: &mut Table, keys: &Keys, globex_id: &str) {
    let way = Way::Tls(API);
    for (whose, key, want) in [
        ("acme's key", &keys.acme, OWN),
        ("acme's test key", &keys.acme_test, OWN),
        ("a key that was replaced", &keys.rotated, NO_KEY),
        ("a suspended tenant's key", &keys.suspended, Refused(403, "tenant_suspended")),
        ("a deleted tenant's key", &keys.deleted, Refused(404, "tenant_not_found")),
        ("a revoked key", &keys.revoked, NO_KEY),
        ("an expired key", &keys.expired, NO_KEY),
    ] {
        for (how, request) in shown(API, key) {
            // A key that is none is told first.
            let claimed = if want == NO_KEY { NO_KEY } else { MISMATCH };
            table.both(format!("{whose}, {how}"), &way, &request, &want);
            for claim in ["globex", globex_id] {
                table.both(format!("{whose} and the claim {claim}, {how}"), &way, &request.clone().field("X-Tenant-Id", claim), &claimed);
            }
            let spelt = request.clone().field("X_Tenant_Id", "globex").field("X-Tenant.Slug", "globex");
            table.both(format!("{whose} and odd spellings of a claim, {how}"), &way, &spelt, &want);
        }
    }
    for claim in ["acme", "globex", globex_id, "nobody", "", "*"] {
        table.both(format!("no key, the claim {claim:?}"), &way, &get(API).field("X-Tenant-Id", claim), &NO_KEY);
        let app = get(API).field("X-Tenant-Id", claim).field("Authorization", "Bearer of-the-app");
        table.both(format!("the app's own, the claim {claim:?}"), &way, &app, &NO_KEY);
    }
    let claims = api_key(get(API), &keys.acme).field("X-Tenant-Id", "acme").field("X-Tenant-Id", "globex");
    table.both("two claims", &way, &claims, &MISMATCH);
    let hidden = api_key(get(API), &keys.acme).field("Connection", "x-api-key, x-tenant-id").field("X-Tenant-Id", "globex");
    table.one("a claim named in Connection", &way, hidden.http1(), &MISMATCH);
}

/// Two keys of two tenants are none.
fn two_keys(table: &mut Table, keys: &Keys) {
    let (acme, globex) = (&keys.acme, &keys.globex);
    for (way, host) in [(Way::Tls(ACME), ACME), (Way::Tls(GLOBEX), GLOBEX), (Way::Tls(API), API)] {
        for (whose, first, second) in [
            ("acme's and globex's", acme, globex),
            ("globex's and acme's", globex, acme),
            ("acme's and a revoked one", acme, &keys.revoked),
            ("acme's and an expired one", acme, &keys.expired),
            ("acme's and another of acme", acme, &keys.acme_viewer),
            ("acme's and a test key of globex", acme, &keys.globex_test),
        ] {
            let list = format!("{first},{second}");
            for (how, request) in [
                ("in Authorization and X-Api-Key", api_key(bearer(get(host), first), second)),
                ("in X-Api-Key and Authorization", bearer(api_key(get(host), first), second)),
                ("in Authorization twice", bearer(bearer(get(host), first), second)),
                ("in X-Api-Key twice", api_key(api_key(get(host), first), second)),
                ("in a list of X-Api-Key", api_key(get(host), &list)),
                ("in a list of Authorization", bearer(get(host), &list)),
            ] {
                table.both(format!("{host}: {whose}, {how}"), &way, &request, &NO_KEY);
            }
        }
        let trailer = api_key(get(host), acme).trailer("X-Api-Key", globex).trailer("Authorization", format!("Bearer {globex}"));
        table.both(format!("{host}: globex's in a trailer"), &way, &trailer, if host == GLOBEX { &MISMATCH } else { &OWN });
    }
    for (name, value) in [("X-Api-Key", globex.clone()), ("Authorization", format!("Bearer {globex}"))] {
        table.both(format!("only in a trailer {name}"), &Way::Tls(API), &get(API).trailer(name, value), &NO_KEY);
    }
}

/// What is not quite a key, or not where keys are.
fn forms(table: &mut Table, keys: &Keys) {
    let (api, own) = (Way::Tls(API), Way::Tls(ACME));
    let key = &keys.globex;
    let last = if key.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &key[..key.len() - 1]);
    let wrong = [
        mistyped,
        key.to_lowercase(),
        key.to_uppercase().replacen("GH_LIVE_", "gh_live_", 1),
        key.replacen("live", "test", 1),
        format!("{key}x"),
        key[..key.len() - 1].to_owned(),
        key[..12].to_owned(),
        "gh_live_".to_owned(),
        "gh_".to_owned(),
        format!("gh_live_{key}"),
        format!("{key}.{key}"),
        format!("{key} {}", keys.acme),
        format!("{key};"),
        format!("gh_live_{}", "0".repeat(49)),
        format!("gh_live_{}", "a".repeat(5_000)),
        "gh_test_x".to_owned(),
        "gh_jwt_x".to_owned(),
    ];
    for key in &wrong {
        let short: String = key.chars().take(14).collect();
        for (way, host) in [(&api, API), (&own, ACME)] {
            table.both(format!("{host}: {short}… of {} letters, X-Api-Key", key.len()), way, &api_key(get(host), key), &NO_KEY);
            table.both(format!("{host}: {short}… of {} letters, Bearer", key.len()), way, &bearer(get(host), key), &NO_KEY);
        }
    }
    // Elsewhere it is nothing that the gateway reads: on an api host nobody is named, on a tenant's host it is the app's affair.
    for (name, request) in [
        ("in the query", get(API).target(&format!("/?api_key={key}&access_token={key}&tenant=globex"))),
        ("in the path", get(API).target(&format!("/{key}"))),
        ("in a cookie", get(API).field("Cookie", format!("api_key={key}; authorization=Bearer {key}"))),
        ("as Basic", get(API).field("Authorization", "Basic Z2hfbGl2ZV94Og==")),
        ("as another scheme", get(API).field("Authorization", format!("Token {key}"))),
        ("without a scheme", get(API).field("Authorization", key)),
        ("in X_Api_Key", get(API).field("X_Api_Key", key)),
        ("in X.Api.Key", get(API).field("X.Api.Key", key)),
        ("in Proxy-Authorization", get(API).field("Proxy-Authorization", format!("Bearer {key}"))),
        ("in Api-Key", get(API).field("Api-Key", key)),
        ("in Sec-WebSocket-Protocol", get(API).field("Sec-WebSocket-Protocol", format!("bearer, {key}"))),
    ] {
        table.both(format!("globex's key {name}"), &api, &request, &NO_KEY);
    }
    for name in words("X_Api_Key  X.Api.Key  X-Api_Key") {
        table.both(format!("globex's key in {name}, on acme's host"), &own, &get(ACME).field(name, key), &OWN);
    }
}

/// The tenant API answers for the host's tenant, whoever asks by which path.
fn tenant_api(table: &mut Table, keys: &Keys) {
    let (acme, globex, api) = (Way::Tls(ACME), Way::Tls(GLOBEX), Way::Tls(API));
    let of = |host: &str, path: &str, key: &str| api_key(get(host).target(path), key);
    table.both("acme's own", &acme, &of(ACME, "/api/tenant", &keys.acme), &Answered("acme"));
    table.both("acme's own, on an api host", &api, &of(API, "/api/tenant", &keys.acme), &Answered("acme"));
    for path in ["/api/tenant", "/api/usage", "/api/tenant?tenant=globex", "/api/usage?tenantId=globex"] {
        table.both(format!("{path} without a key"), &acme, &get(ACME).target(path), &NO_KEY);
        table.both(
            format!("{path} with the app's own"),
            &acme,
            &get(ACME).target(path).field("Authorization", "Bearer of-the-app"),
            &NO_KEY,
        );
        table.both(format!("{path} with globex's key"), &acme, &of(ACME, path, &keys.globex), &MISMATCH);
        table.both(format!("{path} of globex with acme's key"), &globex, &of(GLOBEX, path, &keys.acme), &MISMATCH);
        table.both(format!("{path} of globex without a key"), &globex, &get(GLOBEX).target(path), &NO_KEY);
        table.both(format!("{path} of globex on acme's connection"), &acme, &of(GLOBEX, path, &keys.globex), &MISDIRECTED);
        table.both(format!("{path} with a claim"), &acme, &of(ACME, path, &keys.acme).field("X-Tenant-Id", "globex"), &MISMATCH);
        table.both(
            format!("{path} with a claim, on an api host"),
            &api,
            &of(API, path, &keys.acme).field("X-Tenant-Id", "globex"),
            &MISMATCH,
        );
        table.both(format!("{path} with a revoked key"), &acme, &of(ACME, path, &keys.revoked), &NO_KEY);
    }
    let query = of(ACME, "/api/tenant?tenant=globex&id=globex", &keys.acme);
    table.both("another in the query", &acme, &query, &Answered("acme"));
    // Other spellings are the app's own paths; they are the app of the tenant whose host it is.
    for path in words(NOT_THE_TENANT_API) {
        table.both(format!("{path} without a key"), &acme, &get(ACME).target(path), &OWN);
        table.both(format!("{path} with its key"), &acme, &of(ACME, path, &keys.acme), &OWN);
        table.both(format!("{path} with globex's key"), &acme, &of(ACME, path, &keys.globex), &MISMATCH);
    }
}

/// Where a name is believed without a key, a key beside it still has to be that tenant's.
fn believed(table: &mut Table, keys: &Keys) {
    let mut row = |name: &str, request: Request, want: Want| table.one(name, &Way::Trusting, request.http1(), &want);
    let named = |claim: &str| get(API).field("X-Tenant-Id", claim);
    row("acme is named", named("acme"), OWN);
    row("two are named", named("acme").field("X-Tenant-Id", "globex"), MISMATCH);
    row("two are named in one", named("acme,globex"), Refused(404, "tenant_not_found"));
    row("nobody is named", named("nobody"), Refused(404, "tenant_not_found"));
    row("nothing is named", named(""), Refused(404, "tenant_not_found"));
    row("only an odd spelling is named", get(API).field("X_Tenant_Id", "globex"), NO_KEY);
    row("only in a trailer", get(API).trailer("X-Tenant-Id", "globex"), NO_KEY);
    row("globex is named, acme's key", api_key(named("globex"), &keys.acme), MISMATCH);
    row("acme is named, globex's key", api_key(named("acme"), &keys.globex), MISMATCH);
    row("globex is named, a revoked key", api_key(named("globex"), &keys.revoked), NO_KEY);
    row("globex is named, an expired key", bearer(named("globex"), &keys.expired), NO_KEY);
    row("globex is named, a mistyped key", api_key(named("globex"), "gh_live_x"), NO_KEY);
    row("globex is named by somebody behind a stranger's proxy", named("globex").field("X-Forwarded-For", "10.0.0.1"), NO_KEY);
    row("globex is named behind Forwarded", named("globex").field("Forwarded", "for=127.0.0.1"), NO_KEY);
    row("a suspended tenant is named", named("hooli"), Refused(403, "tenant_suspended"));
    row("a deleted tenant is named", named("umbrella"), Refused(404, "tenant_not_found"));
    row("globex is named on acme's host", get(ACME).field("X-Tenant-Id", "globex"), MISMATCH);
}
