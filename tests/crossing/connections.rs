//! Connections: what was opened for one tenant serves no other, whatever went before on it.

use super::row::Want::{Refused, Served};
use super::row::{Row, Table, Want, Way, get};
use super::world::{ACME, API, GLOBEX, World};

const MISDIRECTED: Want = Refused(421, "misdirected_request");
const OWN: Want = Served("acme");

/// All rows.
pub fn rows(world: &World) -> Vec<Row> {
    let mut table = Table::default();
    coalesced(&mut table, world);
    nameless(&mut table);
    resumed(&mut table);
    table.rows()
}

/// A browser sends what is for `globex` on a connection to `acme`, because the certificate is for both.
fn coalesced(table: &mut Table, world: &World) {
    let way = Way::Tls(ACME);
    let asks = || {
        vec![
            (get(ACME), OWN),
            (get(GLOBEX), MISDIRECTED),
            (get(ACME), OWN),
            (get("globex.test"), MISDIRECTED),
            (get("acme.test"), OWN),
            (get(API).field("X-Api-Key", &world.keys.acme), MISDIRECTED),
            (get(API).field("X-Api-Key", &world.keys.globex), MISDIRECTED),
            (get("GLOBEX.example.localhost.:443"), MISDIRECTED),
            (get(GLOBEX).field("X-Tenant-Id", "acme"), MISDIRECTED),
            (get(GLOBEX).field("X-Api-Key", &world.keys.globex), MISDIRECTED),
            (get("nobody.example.localhost"), MISDIRECTED),
            (get(ACME), OWN),
        ]
    };
    let http1 = asks().into_iter().map(|(request, want)| (request.http1(), want)).collect::<Vec<_>>();
    let http2 = asks().into_iter().map(|(request, want)| (request.http2(), want)).collect::<Vec<_>>();
    table.several("one after the other", &way, http1.clone());
    table.several("one after the other", &way, http2.clone());
    table.at_once("all at once", &way, http1);
    table.at_once("all at once", &way, http2);
    // The memory of a connection is for the host that it was made for.
    let turns = |first: &str, second: &str| [first, second, first, second].map(str::to_owned);
    for host in [GLOBEX, "globex.test", API] {
        let ask = |host: String| {
            let want = if host == ACME { OWN } else { MISDIRECTED };
            (get(host), want)
        };
        let asks = turns(ACME, host).map(ask);
        table.several(format!("turns with {host}"), &way, asks.iter().map(|(request, want)| (request.http1(), want.clone())).collect());
        table.at_once(format!("turns with {host}"), &way, asks.iter().map(|(request, want)| (request.http2(), want.clone())).collect());
    }
    // On an api host each request says by its key whose it is; what one said is not the next one's.
    let (acme, globex) = (&world.keys.acme, &world.keys.globex);
    let by_key = [
        (get(API).field("X-Api-Key", acme), OWN),
        (get(API), Refused(401, "unauthenticated")),
        (get(API).field("X-Api-Key", globex), Served("globex")),
        (get(API).field("X-Tenant-Id", "globex"), Refused(401, "unauthenticated")),
        (get(API).field("X-Api-Key", acme).field("X-Tenant-Id", "globex"), Refused(403, "tenant_mismatch")),
        (get(API).field("Authorization", format!("Bearer {acme}")), OWN),
        (get(ACME).field("X-Api-Key", acme), MISDIRECTED),
        (get(GLOBEX).field("X-Api-Key", globex), MISDIRECTED),
    ];
    let api = Way::Tls(API);
    let http1 = by_key.iter().map(|(request, want)| (request.http1(), want.clone())).collect::<Vec<_>>();
    let http2 = by_key.iter().map(|(request, want)| (request.http2(), want.clone())).collect::<Vec<_>>();
    table.several("keys in turn", &api, http1.clone());
    table.at_once("keys in turn", &api, http1);
    table.several("keys in turn", &api, http2.clone());
    table.at_once("keys in turn", &api, http2);
}

/// Without SNI there is the base domain's certificate, and the first host that is named binds the connection.
fn nameless(table: &mut Table) {
    let way = Way::Nameless;
    for (first, second) in
        [(ACME, GLOBEX), (ACME, "globex.test"), (ACME, API), (ACME, "acme.test"), (ACME, "nobody.example.localhost"), (ACME, "127.0.0.1")]
    {
        let asks = [(get(first), OWN), (get(second), MISDIRECTED), (get(first), OWN)];
        table.several(
            format!("{first}, then {second}"),
            &way,
            asks.iter().map(|(request, want)| (request.http1(), want.clone())).collect(),
        );
        table.several(
            format!("{first}, then {second}"),
            &way,
            asks.iter().map(|(request, want)| (request.http2(), want.clone())).collect(),
        );
    }
    for domain in ["globex.test", "acme.test", "initech.test", "127.0.0.1", "localhost"] {
        table.both(format!("{domain} first"), &way, &get(domain), &MISDIRECTED);
    }
    let nobody = [(get("nobody.example.localhost"), Refused(404, "tenant_not_found")), (get(ACME), MISDIRECTED)];
    table.several("nobody first", &way, nobody.iter().map(|(request, want)| (request.http1(), want.clone())).collect());
    table.several("nobody first", &way, nobody.iter().map(|(request, want)| (request.http2(), want.clone())).collect());
}

/// The session of one name, shown under another: whoever asks for `globex` there is asked like everybody.
fn resumed(table: &mut Table) {
    for version in [2, 3] {
        for (first, second) in
            [(ACME, GLOBEX), (ACME, "globex.test"), ("acme.test", GLOBEX), ("acme.test", "globex.test"), (ACME, API), (API, GLOBEX)]
        {
            let way = Way::Resumed(version, first, second);
            let asks = || {
                let of_second = if second == API { Refused(401, "unauthenticated") } else { Served("globex") };
                vec![(get(ACME), MISDIRECTED), (get("acme.test"), MISDIRECTED), (get(second), of_second)]
            };
            let name = format!("TLS 1.{version}, {first}'s session as {second}");
            table.several(&name, &way, asks().into_iter().map(|(request, want)| (request.http1(), want)).collect());
            table.several(&name, &way, asks().into_iter().map(|(request, want)| (request.http2(), want)).collect());
        }
        let way = Way::Resumed(version, ACME, ACME);
        let asks = [(get(GLOBEX), MISDIRECTED), (get("globex.test"), MISDIRECTED), (get(API), MISDIRECTED), (get(ACME), OWN)];
        let name = format!("TLS 1.{version}, its own session");
        table.several(&name, &way, asks.iter().map(|(request, want)| (request.http1(), want.clone())).collect());
        table.several(&name, &way, asks.iter().map(|(request, want)| (request.http2(), want.clone())).collect());
    }
}
