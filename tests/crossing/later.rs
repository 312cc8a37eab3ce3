//! What comes later on one connection in clear, where the same worker remembers which tokens it has verified: other hosts, other issuers,
//! other keys, and another tenant of the same slug.

use http::Method;
use serde_json::{Value, json};

use super::issuers::Tokens;
use super::row::Want::{Done, Known, Refused, Served};
use super::row::{Request, Row, Sent, Table, Want, Way, get};
use super::tokens::{ANN, MISMATCH, NOT_LET_IN, OWN_USER, VICTIM, bearer};
use super::world::{ACME, API, GLOBEX, World};

const INITECH: &str = "initech.example.localhost";
const ISSUERS: &str = "/admin/tenants/acme/issuers";
const OWN: Want = Served("acme");

/// All rows; the later ones rely on what the ones before have done.
pub fn rows(world: &World, tokens: &Tokens) -> Vec<Row> {
    let mut table = Table::default();
    remembered(&mut table, tokens);
    rates(&mut table, tokens);
    issuers(&mut table, tokens);
    slugs(&mut table, world, tokens);
    table.rows()
}

fn ask(host: &str, path: &str, token: &str, want: Want) -> (Sent, Want) {
    (bearer(get(host).target(path), token).http1(), want)
}

fn admin(method: Method, path: &'static str, body: Value) -> (Sent, Want) {
    (Sent::Admin(method, path, body), Done)
}

/// A token that was verified for one is nothing for the other, whoever showed it first.
fn remembered(table: &mut Table, tokens: &Tokens) {
    let way = Way::Clear;
    let named = |token: &str, claim: &str, want: Want| (bearer(get(API), token).field("X-Tenant-Id", claim).http1(), want);
    for ((globex, acme), is_first) in tokens.fresh.iter().zip([true, false, true, false]) {
        let mut asks = vec![
            ask(GLOBEX, "/", acme, MISMATCH),
            ask(ACME, "/", acme, ANN),
            ask(GLOBEX, "/members/x", acme, MISMATCH),
            ask(ACME, "/", globex, MISMATCH),
            ask(GLOBEX, "/", globex, VICTIM),
            ask(ACME, "/members/x", globex, MISMATCH),
            named(acme, "globex", MISMATCH),
            named(acme, "acme", ANN),
        ];
        if is_first {
            asks.rotate_left(4);
        }
        table.several("tokens that nobody has shown", &way, asks.clone());
        table.at_once("tokens that were shown", &way, asks);
    }
    let own = |first: [(Sent, Want); 2]| {
        let mut asks = first.to_vec();
        asks.extend([
            ask(ACME, "/members/x", &tokens.acme_own, OWN_USER),
            ask(GLOBEX, "/members/x", &tokens.acme_own, NOT_LET_IN),
            ask(GLOBEX, "/", &tokens.acme_own, Served("globex")),
            ask(ACME, "/", &tokens.globex_own, OWN),
            ask(GLOBEX, "/", &tokens.globex_own, Known("globex", "own-of-globex")),
            ask(ACME, "/members/x", &tokens.globex_own, NOT_LET_IN),
            ask(ACME, "/", &tokens.for_acme, ANN),
            ask(GLOBEX, "/", &tokens.for_acme, NOT_LET_IN),
            named(&tokens.acme_own, "globex", NOT_LET_IN),
            named(&tokens.acme_own, "acme", OWN_USER),
            (bearer(get(API), &tokens.acme_own).http1(), NOT_LET_IN),
        ]);
        for (slug, token) in &tokens.usurped {
            let here = if *slug == "initech" { Known("initech", "own-of-initech") } else { MISMATCH };
            asks.extend([ask(INITECH, "/", token, here), ask(GLOBEX, "/", token, NOT_LET_IN), named(token, "globex", NOT_LET_IN)]);
            asks.extend([named(token, "initech", if *slug == "initech" { Known("initech", "own-of-initech") } else { MISMATCH })]);
        }
        asks
    };
    let acme_first = [ask(ACME, "/", &tokens.acme_own, OWN_USER), ask(GLOBEX, "/", &tokens.acme_own, Served("globex"))];
    let globex_first = [ask(GLOBEX, "/", &tokens.acme_own, Served("globex")), ask(ACME, "/", &tokens.acme_own, OWN_USER)];
    table.several("own issuers, acme first", &way, own(acme_first.clone()));
    table.several("own issuers, globex first", &way, own(globex_first));
    table.at_once("own issuers, all at once", &way, own(acme_first));
}

/// What acme asks for, of its own and of globex, takes nothing of globex's rate for a route, which is one request.
fn rates(table: &mut Table, tokens: &Tokens) {
    let named = bearer(get(API).target("/slow/x"), &tokens.acme).field("X-Tenant-Id", "globex").http1();
    let mut asks = vec![ask(ACME, "/slow/x", &tokens.acme, ANN)];
    for _ in 0..4 {
        asks.push(ask(GLOBEX, "/slow/x", &tokens.acme, MISMATCH));
        asks.push(ask(GLOBEX, "/slow/x", &tokens.for_acme, NOT_LET_IN));
        asks.push((named.clone(), MISMATCH));
    }
    asks.push(ask(GLOBEX, "/slow/x", &tokens.globex, VICTIM));
    table.at_once("the rate of a route", &Way::Clear, asks);
}

/// The own issuer gets other keys, goes, and comes back as another's with keys of that one's.
fn issuers(table: &mut Table, tokens: &Tokens) {
    let with = |keys: &Value| json!({"issuers": [{"issuer": tokens.acme_issuer, "audience": ["gatehouse"], "jwks": keys}]});
    let theirs = |path: &'static str, keys: &Value| admin(Method::PUT, path, with(keys));
    let own = &tokens.acme_own;
    let asks = vec![
        ask(ACME, "/members/x", own, OWN_USER),
        theirs(ISSUERS, &tokens.globex_keys),
        ask(ACME, "/", own, NOT_LET_IN),
        ask(ACME, "/members/x", own, NOT_LET_IN),
        theirs(ISSUERS, &tokens.acme_keys),
        ask(ACME, "/members/x", own, OWN_USER),
        ask(ACME, "/", &tokens.for_acme, NOT_LET_IN),
        admin(Method::PUT, ISSUERS, json!({"issuers": []})),
        ask(ACME, "/", own, OWN),
        ask(ACME, "/members/x", own, NOT_LET_IN),
        ask(GLOBEX, "/members/x", own, NOT_LET_IN),
        (bearer(get(API), own).field("X-Tenant-Id", "acme").http1(), NOT_LET_IN),
        theirs("/admin/tenants/globex/issuers", &tokens.globex_keys),
        ask(GLOBEX, "/", own, NOT_LET_IN),
        ask(ACME, "/", own, OWN),
        ask(ACME, "/", &tokens.acme, ANN),
        ask(GLOBEX, "/", &tokens.acme, MISMATCH),
        ask(GLOBEX, "/", &tokens.globex, VICTIM),
    ];
    table.several("the own issuer changes", &Way::Clear, asks);
}

/// A slug is whoever's it is now; an id is never anybody else's.
fn slugs(table: &mut Table, world: &World, tokens: &Tokens) {
    let initech = Known("initech", "ann-of-initech");
    let (gone, suspended) = (Refused(404, "tenant_not_found"), Refused(403, "tenant_suspended"));
    let api = |token: &str| -> Request { bearer(get(API), token) };
    let new = json!({"name": "initech", "slug": "initech", "plan": "of-initech", "upstream": world.initech_app()});
    let asks = vec![
        ask(INITECH, "/", &tokens.initech, initech.clone()),
        (api(&tokens.initech).http1(), initech.clone()),
        ask(INITECH, "/", &tokens.initech_by_id, initech.clone()),
        (api(&tokens.initech_by_id).http1(), initech.clone()),
        ask(ACME, "/", &tokens.initech, MISMATCH),
        admin(Method::POST, "/admin/tenants/initech/suspend", json!({"reason": "test"})),
        ask(INITECH, "/", &tokens.initech, suspended.clone()),
        (api(&tokens.initech_by_id).http1(), suspended),
        ask(ACME, "/", &tokens.initech, MISMATCH),
        admin(Method::POST, "/admin/tenants/initech/activate", json!({"reason": "test"})),
        ask(INITECH, "/", &tokens.initech, initech.clone()),
        admin(Method::DELETE, "/admin/tenants/initech", Value::Null),
        ask(INITECH, "/", &tokens.initech, gone.clone()),
        ask(INITECH, "/", &tokens.initech_by_id, gone.clone()),
        (api(&tokens.initech).http1(), gone.clone()),
        ask(ACME, "/", &tokens.initech, MISMATCH),
        admin(Method::POST, "/admin/tenants", new),
        ask(INITECH, "/", &tokens.initech_by_id, MISMATCH),
        (api(&tokens.initech_by_id).http1(), gone),
        ask(INITECH, "/", &tokens.initech, initech),
        ask(ACME, "/", &tokens.initech, MISMATCH),
        ask(GLOBEX, "/", &tokens.initech, MISMATCH),
    ];
    table.several("the slug becomes another's", &Way::Clear, asks);
}
