//! Fields that name a tenant or a user: on acme's own host nothing a client says in them makes it another.

use super::row::Want::{Ended, Refused, Served};
use super::row::{Row, Sent, Table, Want, Way, get, words};
use super::world::{ACME, GLOBEX, World};

const MISMATCH: Want = Refused(403, "tenant_mismatch");
const BAD: Want = Refused(400, "bad_request");
const OWN: Want = Served("acme");
const NAMES: [&str; 8] =
    ["X-Tenant-Id", "X-Tenant-Slug", "X-Tenant-Plan", "X-Tenant-Features", "X-Tenant-Context", "X-User-Id", "X-User-Roles", "X-Request-Id"];
/// Some apps serve the path in these instead of the one that is asked for, and no policy was asked about it.
const OTHER_PATHS: [&str; 2] = ["X-Original-URL", "X-Rewrite-URL"];

/// Claims that are not quite acme's.
const CLAIMS: &str = "
    acme,globex  globex,acme  acme, globex  acme;globex  acme globex  acme\tglobex  acme,  ,acme  acme,acme  ACME  Globex
    \"acme\"  acme/  ../globex  acme/../globex  %61cme  %67lobex  acme%00globex  acme.  acme.example.localhost  *  null  0  -1
    acme' OR '1'='1  {\"id\":\"globex\"}  ac\u{0301}me  ａcme
";

/// What a client names in Connection, to take it away.
const OPTIONS: &str = "
    x-tenant-id  X-Tenant-Id, X-Tenant-Slug, X-Tenant-Plan, X-Tenant-Features  x-tenant-slug,x-request-id  host
    close, x-tenant-plan, x-user-id  x_tenant_id  X-Forwarded-Host, Forwarded  authorization, x-api-key
    content-length, transfer-encoding  ,,x-tenant-id,,  keep-alive\tx-tenant-id
";

/// Every spelling of a name that some server reads as this one.
pub fn spellings(name: &str) -> Vec<String> {
    let swung =
        name.chars().enumerate().map(|(at, letter)| if at % 2 == 0 { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() });
    vec![
        name.to_owned(),
        name.to_uppercase(),
        name.to_lowercase(),
        swung.collect(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replacen('-', "_", 1),
        name.replacen('-', ".", 1).to_uppercase(),
        name.replacen('-', "_", 1).replacen('-', ".", 1),
    ]
}

/// All rows.
pub fn rows(world: &World) -> Vec<Row> {
    let mut table = Table::default();
    names(&mut table, world);
    other_paths(&mut table);
    values(&mut table, world);
    connection(&mut table);
    trailers(&mut table, world);
    octets(&mut table);
    table.rows()
}

fn names(table: &mut Table, world: &World) {
    let way = Way::Tls(ACME);
    for name in NAMES {
        for spelling in spellings(name) {
            let is_claim = spelling.eq_ignore_ascii_case("X-Tenant-Id");
            for value in ["globex", &world.ids.globex] {
                let want = if is_claim { MISMATCH } else { OWN };
                table.both(format!("{spelling}: {value}"), &way, &get(ACME).field(&spelling, value), &want);
            }
            let twice = get(ACME).field("X-Tenant-Id", "acme").field(&spelling, "globex").field(&spelling, "globex");
            table.both(format!("acme, then {spelling} twice"), &way, &twice, if is_claim { &MISMATCH } else { &OWN });
        }
    }
    for (name, value) in [
        ("X-Forwarded-Host", GLOBEX),
        ("X_Forwarded_Host", GLOBEX),
        ("X-Forwarded-Server", GLOBEX),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Forwarded", "host=globex.example.localhost;for=10.0.0.1"),
        ("X-Host", GLOBEX),
        ("X-Original-Host", GLOBEX),
        ("X-HTTP-Host-Override", GLOBEX),
        ("X-Tenant", "globex"),
        ("Tenant-Id", "globex"),
        ("X-Tenant-Id-", "globex"),
        ("-X-Tenant-Id", "globex"),
        ("Cookie", "tenant=globex; X-Tenant-Id=globex"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Alt-Used", GLOBEX),
        ("Origin", "https://globex.example.localhost"),
        ("Referer", "https://globex.example.localhost/"),
    ] {
        table.both(format!("{name}: {value}"), &way, &get(ACME).field(name, value), &OWN);
    }
}

fn other_paths(table: &mut Table) {
    let way = Way::Tls(ACME);
    for name in OTHER_PATHS {
        for spelling in spellings(name) {
            for path in ["/admin/x", "https://globex.example.localhost/"] {
                table.both(format!("{spelling}: {path}"), &way, &get(ACME).field(&spelling, path), &OWN);
            }
            let twice = get(ACME).field(&spelling, "/open").field(&spelling, "/admin/x");
            table.both(format!("{spelling} twice"), &way, &twice, &OWN);
            table.one(format!("{spelling}, in clear"), &Way::Clear, get(ACME).field(&spelling, "/admin/x").http1(), &OWN);
            table.both(format!("trailer {spelling}"), &way, &get(ACME).trailer(&spelling, "/admin/x"), &OWN);
        }
    }
}

fn values(table: &mut Table, world: &World) {
    let way = Way::Tls(ACME);
    let (acme, globex) = (&*world.ids.acme, &*world.ids.globex);
    let mut claims = |name: &str, values: &[&str], want| {
        let request = values.iter().fold(get(ACME), |request, value| request.field("X-Tenant-Id", value));
        table.both(format!("claims {name}"), &way, &request, &want);
    };
    claims("its id", &[acme], OWN);
    claims("its slug", &["acme"], OWN);
    claims("both", &["acme", acme], OWN);
    claims("its slug, a hundred times less ten", &["acme"; 90], OWN);
    claims("its own and another's", &["acme", "globex"], MISMATCH);
    claims("another's and its own", &["globex", "acme"], MISMATCH);
    claims("another's among many", &["acme", "acme", globex, "acme"], MISMATCH);
    for value in words(CLAIMS) {
        claims(&format!("{value:?}"), &[value], MISMATCH);
    }
    claims("an id in capitals", &[&acme.to_uppercase()], MISMATCH);
    claims("nobody", &[""], MISMATCH);
    claims("half an id", &[&acme[..acme.len() / 2]], MISMATCH);
    claims("two ids in one", &[&format!("{acme}{globex}")], MISMATCH);
    // White space around a value is no part of it in HTTP/1.1; in HTTP/2 it must not be there (RFC 9113, section 8.2.1).
    let spaced = get(ACME).field("X-Tenant-Id", " \tacme\t ");
    table.one("claims acme between spaces", &way, spaced.http1(), &OWN);
    table.one("claims acme between spaces", &way, spaced.http2(), &BAD);
    for (name, value) in [("NUL", &b"acme\0"[..]), ("CR", b"acme\rX: y"), ("LF", b"acme\nX-Tenant-Slug: globex"), ("DEL", b"acme\x7f")] {
        let request = get(ACME).field("X-Tenant-Id", value);
        table.one(format!("claims acme and {name}"), &way, request.http1(), &BAD);
    }
    for (name, value) in [("NUL", &b"acme\0"[..]), ("CR", b"acme\rX: y"), ("LF", b"acme\nX-Tenant-Slug: globex")] {
        table.one(format!("claims acme and {name}"), &way, get(ACME).field("X-Tenant-Id", value).http2(), &Ended);
    }
}

fn connection(table: &mut Table) {
    let way = Way::Tls(ACME);
    for option in words(OPTIONS) {
        let request = get(ACME).field("Connection", option);
        // Who is named keeps what the gateway says of the tenant.
        table.one(format!("Connection: {option}"), &way, request.clone().http1(), &OWN);
        table.one(format!("Connection: {option}, beside a claim"), &way, request.clone().field("X-Tenant-Id", "globex").http1(), &MISMATCH);
        table.one(
            format!("Connection: {option}, beside another spelling"),
            &way,
            request.clone().field("X_Tenant-Id", "globex").http1(),
            &OWN,
        );
        table.one(format!("Proxy-Connection: {option}"), &way, get(ACME).field("Proxy-Connection", option).http1(), &OWN);
        table.one(format!("Connection: {option}"), &way, request.http2(), &Ended);
    }
    let twice = get(ACME).field("Connection", "x-tenant-id").field("Connection", "x-tenant-slug, x-tenant-plan");
    table.one("Connection twice", &way, twice.http1(), &OWN);
}

fn trailers(table: &mut Table, world: &World) {
    let way = Way::Tls(ACME);
    for name in NAMES {
        for spelling in spellings(name) {
            table.both(format!("trailer {spelling}"), &way, &get(ACME).trailer(&spelling, &world.ids.globex), &OWN);
        }
    }
    let bearer = format!("Bearer {}", world.keys.globex);
    for (name, value) in [
        ("X-Api-Key", &*world.keys.globex),
        ("Authorization", &bearer),
        ("Host", GLOBEX),
        ("Forwarded", GLOBEX),
        ("X-Forwarded-Host", GLOBEX),
        ("Cookie", "a=b"),
    ] {
        table.both(format!("trailer {name}"), &way, &get(ACME).trailer(name, value), &OWN);
        let announced = get(ACME).field("Trailer", name).trailer(name, value);
        table.both(format!("trailer {name}, announced"), &way, &announced, &OWN);
    }
    // A pseudo-field is no trailer; the parser drops it.
    for (name, want) in [(":authority", OWN), (":path", OWN), ("connection", Ended), ("X-Tenant-Id", Ended), ("x-tenant-id\0", Ended)] {
        let head = get(ACME).method("POST").http2();
        let Sent::Http2 { head, .. } = head else { continue };
        let trailers = vec![(name.as_bytes().to_vec(), GLOBEX.as_bytes().to_vec())];
        table.one(format!("trailer {name}"), &way, Sent::Http2 { head, body: b"ok".to_vec(), trailers }, &want);
    }
}

/// Names that are none, and lines that some servers take for others.
fn octets(table: &mut Table) {
    let way = Way::Tls(ACME);
    let lines = [
        "X-Tenant-Id : globex",
        "X-Tenant-Id\t: globex",
        " X-Tenant-Id: globex",
        "\tX-Tenant-Id: globex",
        "X-Ok: 1\r\n X-Tenant-Id: globex",
        "X-Ok: 1\r\n\tX-Tenant-Id: globex",
        "X-Ok: 1\nX-Tenant-Id: globex",
        "X-Ok: 1\rX-Tenant-Id: globex",
        "X-Tenant\0-Id: globex",
        "X-Tenant\u{2010}Id: globex",
        "X Tenant Id: globex",
        "(X-Tenant-Id): globex",
        "X-Tenant-Id",
        ": globex",
        "X-Tenant-Id\r\n: globex",
        "X-Tenant-Id;: globex",
        "\"X-Tenant-Id\": globex",
        "X-Tenant-Id\u{a0}: globex",
        "X-Tenant/Id: globex",
        "X-Tenant-Id=globex",
    ];
    for line in lines {
        table.octets(format!("{line:?}"), &way, format!("GET / HTTP/1.1\r\nHost: {ACME}\r\n{line}\r\n\r\n"), &BAD);
    }
    for line in ["X-Tenant-Id:globex", "X-Tenant-Id:\tglobex", "X-Tenant-Id:  globex  ", "x-tenant-id:globex\t"] {
        table.octets(format!("{line:?}"), &way, format!("GET / HTTP/1.1\r\n{line}\r\nHost: {ACME}\r\n\r\n"), &MISMATCH);
    }
    for name in ["x-tenant\0-id", "x tenant-id", "x-tenant-id ", "X-Tenant-Id", "x-tenant-id\r\nx", ""] {
        let mut sent = get(ACME).http2();
        if let Sent::Http2 { head, .. } = &mut sent {
            head.push((name.as_bytes().to_vec(), b"globex".to_vec()));
        }
        table.one(format!("{name:?}"), &way, sent, &Ended);
    }
}
