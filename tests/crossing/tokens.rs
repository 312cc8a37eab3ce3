//! Tokens: each opens the doors of the tenant that it names, or whose own issuer signed it, on every connection there is.

use super::issuers::Tokens;
use super::row::Want::{Answered, Known, Refused, Served};
use super::row::{Request, Row, Table, Want, Way, get};
use super::world::{ACME, API, GLOBEX, World};

pub const MISMATCH: Want = Refused(403, "tenant_mismatch");
pub const NOT_LET_IN: Want = Refused(401, "unauthenticated");
const FORBIDDEN: Want = Refused(403, "forbidden");
const MISDIRECTED: Want = Refused(421, "misdirected_request");
pub const ANN: Want = Known("acme", "ann-of-acme");
pub const OLGA: Want = Known("acme", "olga-of-acme");
pub const OWN_USER: Want = Known("acme", "own-of-acme");
pub const VICTIM: Want = Known("globex", "ann-of-globex");
const OWN: Want = Served("acme");

/// Paths that only a user may ask for.
const CLOSED: [&str; 5] = ["/members/x", "/admin/x", "/reports/x", "/small/x", "/open/../admin./x"];

/// All rows.
pub fn rows(world: &World, tokens: &Tokens) -> Vec<Row> {
    let mut table = Table::default();
    on_acmes_hosts(&mut table, tokens);
    on_globexs_hosts(&mut table, tokens);
    on_the_api_host(&mut table, tokens, &world.ids.acme, &world.ids.globex);
    usurped(&mut table, tokens);
    believed(&mut table, tokens);
    sizes(&mut table, tokens);
    tenant_api(&mut table, tokens);
    connections(&mut table, tokens);
    table.rows()
}

/// With a token.
pub fn bearer(request: Request, token: &str) -> Request {
    request.field("Authorization", format!("Bearer {token}"))
}

fn on_acmes_hosts(table: &mut Table, tokens: &Tokens) {
    for host in [ACME, "acme.test"] {
        let way = Way::Tls(host);
        let mut row = |whose: &str, path: &str, token: &str, want: &Want| {
            table.both(format!("{host}{path}: {whose}"), &way, &bearer(get(host).target(path), token), want);
        };
        for (whose, token, user) in [
            ("acme's", &tokens.acme, ANN),
            ("acme's by id", &tokens.acme_by_id, ANN),
            ("for acme's audience", &tokens.for_acme, ANN),
            ("of its own issuer", &tokens.acme_own, OWN_USER),
            ("of its own issuer, which names it", &tokens.naming_acme, OWN_USER),
        ] {
            for path in ["/", "/members/x", "/small/x"] {
                row(whose, path, token, &user);
            }
            for path in ["/admin/x", "/ADMIN%20/x", "/reports/x"] {
                row(whose, path, token, &FORBIDDEN);
            }
        }
        for path in ["/", "/members/x", "/admin/x", "/reports/x"] {
            row("an owner's", path, &tokens.acme_owner, &OLGA);
        }
        row("an owner's", "/plan/x", &tokens.acme_owner, &Refused(403, "feature_disabled"));
        for (whose, token) in [
            ("globex's", &tokens.globex),
            ("globex's by id", &tokens.globex_by_id),
            ("a globex owner's", &tokens.globex_owner),
            ("initech's", &tokens.initech),
            ("a suspended tenant's", &tokens.suspended),
            ("a deleted tenant's", &tokens.deleted),
            ("nobody's", &tokens.nobody),
            ("globex's, of an issuer of acme's own", &tokens.naming_globex),
        ] {
            for path in ["/", "/plan/x"].iter().chain(&CLOSED) {
                row(whose, path, token, &MISMATCH);
            }
        }
        // Whom the gateway does not believe here may be whom the app believes.
        for (whose, token) in [("of globex's own issuer", &tokens.globex_own), ("a stranger's", &tokens.stranger)] {
            row(whose, "/", token, &OWN);
            for path in CLOSED {
                row(whose, path, token, &NOT_LET_IN);
            }
        }
        let for_globex = ("for globex's audience", tokens.for_globex.clone());
        for path in ["/"].iter().chain(&CLOSED) {
            row("of globex, for acme's audience as well", path, &tokens.for_both, &MISMATCH);
        }
        for (why, token) in tokens.refused.iter().chain([&for_globex]) {
            for path in ["/"].iter().chain(&CLOSED) {
                row(why, path, token, &NOT_LET_IN);
            }
        }
    }
}

/// What acme has, at the doors of globex.
fn on_globexs_hosts(table: &mut Table, tokens: &Tokens) {
    for host in [GLOBEX, "globex.test"] {
        let way = Way::Tls(host);
        let mut row = |whose: &str, request: Request, token: &str, want: &Want| {
            table.both(format!("{host}: {whose}"), &way, &bearer(request, token), want);
        };
        for (whose, token) in [("acme's", &tokens.acme), ("acme's by id", &tokens.acme_by_id), ("an acme owner's", &tokens.acme_owner)] {
            for path in ["/", "/plan/x"].iter().chain(&CLOSED) {
                row(&format!("{whose}, {path}"), get(host).target(path), token, &MISMATCH);
                let claims = get(host).target(path).field("X-Tenant-Id", "globex").field("X_Tenant_Id", "acme");
                row(&format!("{whose} and a claim, {path}"), claims, token, &MISMATCH);
            }
            row(&format!("{whose}, claims acme"), get(host).field("X-Tenant-Id", "acme"), token, &MISMATCH);
        }
        for (whose, token) in [
            ("of acme's own issuer", &tokens.acme_own),
            ("of acme's own issuer, for acme", &tokens.naming_acme),
            ("of acme's own issuer, for globex", &tokens.naming_globex),
        ] {
            row(whose, get(host), token, &Served("globex"));
            row(whose, get(host).field("X-User-Id", "ann-of-globex"), token, &Served("globex"));
            for path in CLOSED {
                row(&format!("{whose}, {path}"), get(host).target(path), token, &NOT_LET_IN);
            }
        }
        row("for acme's audience", get(host), &tokens.for_acme, &NOT_LET_IN);
        row("its own", get(host).target("/plan/x"), &tokens.globex, &VICTIM);
        row("of its own issuer", get(host).target("/members/x"), &tokens.globex_own, &Known("globex", "own-of-globex"));
        row("for its audience", get(host), &tokens.for_globex, &VICTIM);
    }
}

fn on_the_api_host(table: &mut Table, tokens: &Tokens, acme_id: &str, globex_id: &str) {
    let way = Way::Tls(API);
    let mut row = |name: String, request: Request, want: &Want| table.both(format!("{API}: {name}"), &way, &request, want);
    let claims = |names: &[&str]| names.iter().fold(get(API), |request, name| request.field("X-Tenant-Id", name));
    for (whose, token, user) in
        [("acme's", &tokens.acme, ANN), ("acme's by id", &tokens.acme_by_id, ANN), ("an acme owner's", &tokens.acme_owner, OLGA)]
    {
        for own in [&[][..], &["acme"], &["acme", "acme"]] {
            row(format!("{whose}, {own:?}"), bearer(claims(own), token), &user);
        }
        let spelt = bearer(get(API), token).field("X_Tenant_Id", "globex").field("X-Tenant.Slug", "globex");
        row(format!("{whose}, in odd spellings globex"), spelt, &user);
        for other in [&["globex"][..], &[globex_id], &["acme", "globex"], &["globex", "acme"], &["nobody"], &[""], &["acme,globex"], &["*"]]
        {
            row(format!("{whose}, {other:?}"), bearer(claims(other), token), &MISMATCH);
        }
    }
    row("a suspended tenant's".to_owned(), bearer(get(API), &tokens.suspended), &Refused(403, "tenant_suspended"));
    // A slug leads nowhere any more when its tenant is gone.
    row("a deleted tenant's".to_owned(), bearer(get(API), &tokens.deleted), &Refused(404, "tenant_not_found"));
    row("nobody's".to_owned(), bearer(get(API), &tokens.nobody), &Refused(404, "tenant_not_found"));
    // Of an issuer of acme's own, or for an audience of acme: acme has to be named, and nobody else can be.
    for (whose, token, user) in [
        ("of acme's own issuer", &tokens.acme_own, OWN_USER),
        ("of acme's own issuer, which names acme", &tokens.naming_acme, OWN_USER),
        ("for acme's audience", &tokens.for_acme, ANN),
    ] {
        for own in ["acme", acme_id] {
            row(format!("{whose}, {own}"), bearer(claims(&[own]), token), &user);
        }
        row(format!("{whose}, acme and globex"), bearer(claims(&["acme", "globex"]), token), &MISMATCH);
        for other in [&[][..], &["globex"], &[globex_id], &["globex", "acme"], &["nobody"], &[""], &["initech"]] {
            row(format!("{whose}, {other:?}"), bearer(claims(other), token), &NOT_LET_IN);
        }
    }
    for (claim, want) in [("acme", MISMATCH), ("globex", NOT_LET_IN), ("initech", NOT_LET_IN)] {
        row(format!("globex's, of an issuer of acme's own, {claim}"), bearer(claims(&[claim]), &tokens.naming_globex), &want);
    }
    for (why, token) in &tokens.refused {
        for names in [&[][..], &["acme"], &["globex"]] {
            row(format!("{why}, {names:?}"), bearer(claims(names), token), &NOT_LET_IN);
        }
    }
}

/// initech has the keys of acme's issuer believed in the name of the one for all: it opens nothing but initech with them.
fn usurped(table: &mut Table, tokens: &Tokens) {
    let initech = "initech.example.localhost";
    for (named, token) in &tokens.usurped {
        let here = if *named == "initech" { Known("initech", "own-of-initech") } else { MISMATCH };
        let row = |table: &mut Table, host: &'static str, claims: &[&str], want: &Want| {
            let request = claims.iter().fold(get(host), |request, claim| request.field("X-Tenant-Id", claim));
            table.both(format!("{host}, {claims:?}: usurped for {named}"), &Way::Tls(host), &bearer(request, token), want);
        };
        row(table, initech, &[], &here);
        row(table, API, &["initech"], &here);
        row(table, API, &["initech", "globex"], &MISMATCH);
        for claims in [&[][..], &["globex"], &["acme"], &["globex", "initech"]] {
            row(table, API, claims, &NOT_LET_IN);
        }
        for host in [ACME, GLOBEX, "globex.test"] {
            row(table, host, &[], &NOT_LET_IN);
        }
    }
}

/// Where a name is believed without a credential, a token beside it still has to be that tenant's, and the name signs nobody in.
fn believed(table: &mut Table, tokens: &Tokens) {
    let named = |path: &str, claims: &[&str]| claims.iter().fold(get(API).target(path), |request, name| request.field("X-Tenant-Id", name));
    let mut row = |name: &str, request: Request, want: Want| table.one(name, &Way::Trusting, request.http1(), &want);
    row("acme's, acme is named", bearer(named("/", &["acme"]), &tokens.acme), ANN);
    row("acme's, nobody is named", bearer(get(API), &tokens.acme), ANN);
    for path in ["/", "/members/x", "/admin/x", "/api/tenant"] {
        row("acme's, globex is named", bearer(named(path, &["globex"]), &tokens.acme), MISMATCH);
        row("acme's, both are named", bearer(named(path, &["acme", "globex"]), &tokens.acme_owner), MISMATCH);
        row("globex's, acme is named", bearer(named(path, &["acme"]), &tokens.globex), MISMATCH);
        // Of acme's own issuer globex knows nothing.
        for (_, token) in tokens.refused.iter().filter(|(why, _)| !why.contains("acme's own n") && !why.starts_with("of acme's own")) {
            row("refused, globex is named", bearer(named(path, &["globex"]), token), NOT_LET_IN);
        }
        for (_, token) in &tokens.usurped {
            row("usurped, globex is named", bearer(named(path, &["globex"]), token), NOT_LET_IN);
        }
    }
    row("of acme's own issuer, acme is named", bearer(named("/members/x", &["acme"]), &tokens.acme_own), OWN_USER);
    for token in [&tokens.acme_own, &tokens.naming_globex, &tokens.stranger] {
        row("a stranger's, globex is named", bearer(named("/", &["globex"]), token), Served("globex"));
        row("a stranger's, globex is named", bearer(named("/members/x", &["globex"]), token), NOT_LET_IN);
        row("a stranger's, globex is named", bearer(named("/admin/x", &["globex"]), token), NOT_LET_IN);
        row("a stranger's, nobody is named", bearer(get(API), token), NOT_LET_IN);
        row("a stranger's, acme and globex are named", bearer(named("/", &["acme", "globex"]), token), MISMATCH);
    }
}

/// A body that is too large is told to whom the path is for, and to nobody else.
fn sizes(table: &mut Table, tokens: &Tokens) {
    let large = || get(ACME).method("POST").target("/small/x").field("Content-Length", "4096");
    let mut row =
        |whose: &str, request: Request, want: Want| table.one(format!("too large, {whose}"), &Way::Tls(ACME), request.http1(), &want);
    row("acme's", bearer(large(), &tokens.acme), Refused(413, "body_too_large"));
    row("globex's", bearer(large(), &tokens.globex), MISMATCH);
    row("of globex's own issuer", bearer(large(), &tokens.globex_own), NOT_LET_IN);
    row("nobody's", large(), NOT_LET_IN);
}

fn tenant_api(table: &mut Table, tokens: &Tokens) {
    let of = |host: &str, path: &str, token: &str| bearer(get(host).target(path), token);
    for (whose, token) in [("acme's", &tokens.acme), ("of acme's own issuer", &tokens.acme_own)] {
        table.both(format!("/api/tenant, {whose}"), &Way::Tls(ACME), &of(ACME, "/api/tenant", token), &Answered("acme"));
    }
    for path in ["/api/tenant", "/api/usage", "/api/tenant?tenant=globex"] {
        for (whose, token, want) in [
            ("acme's", &tokens.acme, MISMATCH),
            ("an acme owner's", &tokens.acme_owner, MISMATCH),
            ("of acme's own issuer", &tokens.acme_own, NOT_LET_IN),
            ("for acme's audience", &tokens.for_acme, NOT_LET_IN),
        ] {
            table.both(format!("globex's {path}, {whose}"), &Way::Tls(GLOBEX), &of(GLOBEX, path, token), &want);
            let claimed = of(API, path, token).field("X-Tenant-Id", "globex");
            table.both(format!("globex's {path} on an api host, {whose}"), &Way::Tls(API), &claimed, &want);
        }
        table.both(format!("acme's {path}, globex's"), &Way::Tls(ACME), &of(ACME, path, &tokens.globex), &MISMATCH);
        table.both(format!("acme's {path}, of globex's own"), &Way::Tls(ACME), &of(ACME, path, &tokens.globex_own), &NOT_LET_IN);
    }
}

/// Other hosts on a connection of acme, sessions of others, and many tenants' tokens on one connection.
fn connections(table: &mut Table, tokens: &Tokens) {
    let asked = |host: &str, token: &str| bearer(get(host), token);
    let acme = [
        (asked(ACME, &tokens.acme), ANN),
        (asked(GLOBEX, &tokens.globex), MISDIRECTED),
        (asked(GLOBEX, &tokens.acme), MISDIRECTED),
        (asked(API, &tokens.acme), MISDIRECTED),
        (asked("globex.test", &tokens.globex_own), MISDIRECTED),
        (asked(ACME, &tokens.globex), MISMATCH),
        (asked("acme.test", &tokens.acme_own), OWN_USER),
        (get(ACME), OWN),
        (asked(ACME, &tokens.acme_owner), OLGA),
        (asked(ACME, &tokens.acme), ANN),
    ];
    let api = [
        (asked(API, &tokens.acme), ANN),
        (asked(API, &tokens.acme).field("X-Tenant-Id", "globex"), MISMATCH),
        (get(API), NOT_LET_IN),
        (get(API).field("X-Tenant-Id", "globex"), NOT_LET_IN),
        (asked(API, &tokens.globex), VICTIM),
        (asked(API, &tokens.acme_own), NOT_LET_IN),
        (asked(API, &tokens.acme_own).field("X-Tenant-Id", "acme"), OWN_USER),
        (asked(API, &tokens.acme_own).field("X-Tenant-Id", "globex"), NOT_LET_IN),
        (asked(API, &tokens.acme_owner), OLGA),
        (asked(API, &tokens.acme), ANN),
    ];
    let mut on = |name: &str, way: &Way, asks: &[(Request, Want)]| {
        let http1: Vec<_> = asks.iter().map(|(request, want)| (request.http1(), want.clone())).collect();
        let http2: Vec<_> = asks.iter().map(|(request, want)| (request.http2(), want.clone())).collect();
        table.several(name, way, http1.clone());
        table.at_once(name, way, http1);
        table.several(name, way, http2.clone());
        table.at_once(name, way, http2);
    };
    on("acme's connection", &Way::Tls(ACME), &acme);
    on("an api host's connection", &Way::Tls(API), &api);
    on("no name, acme first", &Way::Nameless, &acme[..4]);
    for version in [2, 3] {
        for (first, second) in [(ACME, GLOBEX), ("acme.test", "globex.test")] {
            let asks = [
                (asked(second, &tokens.acme), MISMATCH),
                (asked(second, &tokens.acme_own).target("/members/x"), NOT_LET_IN),
                (asked(first, &tokens.acme), MISDIRECTED),
                (asked(second, &tokens.globex), VICTIM),
            ];
            on(&format!("{first}'s session as {second}"), &Way::Resumed(version, first, second), &asks);
        }
    }
}
