//! The authority of a request: on a connection of acme every spelling leads to acme or nowhere.

use super::row::Want::{Ended, NotConnected, Refused, Served};
use super::row::{Row, Table, Want, Way, get, head, words};
use super::world::{ACME, API, GLOBEX, World};

const MISDIRECTED: Want = Refused(421, "misdirected_request");
const BAD: Want = Refused(400, "bad_request");
const NOT_FOUND: Want = Refused(404, "tenant_not_found");
const NO_METHOD: Want = Refused(405, "method_not_allowed");
const OWN: Want = Served("acme");

/// The attacker's own names, in spellings that mean the same.
const OWN_NAMES: &str = "
    acme.example.localhost  ACME.example.localhost  aCmE.eXaMpLe.LoCaLhOsT  acme.example.localhost.  acme.example.localhost:443
    acme.example.localhost:0  acme.example.localhost:00443  acme.example.localhost:99999  acme.example.localhost:
    Acme.example.localhost.:8443  acme.test  ACME.TEST.:1
";

/// Names of others, of nobody and of no host.
const OTHER_NAMES: &str = "
    globex.example.localhost  GLOBEX.example.localhost  globex.example.localhost.  globex.example.localhost:443  globex.test
    GLOBEX.test.:443  api.example.localhost  api.example.localhost.:1  example.localhost  nobody.example.localhost
    initech.example.localhost  initech.test  hooli.example.localhost  umbrella.example.localhost  x.acme.example.localhost
    acme.globex.example.localhost  acme.example.localhost.globex.example.localhost  globex.acme.test  acme.example.localhost.test
    acmeexample.localhost  localhost  localhost:3000  127.0.0.1  127.0.0.1:443  127.1  0x7f.0.0.1
    2130706433  0  [::1]  [::1]:443  [::ffff:127.0.0.1]  a  xn--lobex-g53d.example.localhost
";

/// What names no host: two servers may disagree about it.
const NO_NAMES: &str = "
    acme.example.localhost,globex.example.localhost  globex.example.localhost, acme.example.localhost
    acme.example.localhost globex.example.localhost  acme.example.localhost\tglobex.example.localhost
    acme.example.localhost@globex.example.localhost  globex.example.localhost@acme.example.localhost
    user:pass@acme.example.localhost  acme.example.localhost:443@globex.example.localhost
    globex.example.localhost#acme.example.localhost  globex.example.localhost/acme.example.localhost
    globex.example.localhost?acme.example.localhost  globex.example.localhost\\acme.example.localhost
    https://acme.example.localhost  //acme.example.localhost  acme.example.localhost/  %67lobex.example.localhost
    globex%2eexample.localhost  globex.example.localhost%00.acme.example.localhost  acme.example.localhost%0d%0aHost:globex
    globex.example.localhost;acme  acme..example.localhost  .acme.example.localhost  acme.example.localhost..
    -acme.example.localhost  acme-.example.localhost  *.example.localhost  acme.example.localhost:443:80  acme.example.localhost:x
    acme.example.localhost:-1  acme.example.localhost:+443  [::1  [::1]x  [acme.example.localhost]  .  :443
    \"acme.example.localhost\"  acme.example.localhost|globex
";

/// Letters that some converters make into those of a name (UTS 46), with the attacker's own beside the victim's.
const WIDE_NAMES: &str = "
    ｇｌｏｂｅｘ.example.localhost  globex。example。localhost  globex．example．localhost  ⓖlobex.example.localhost
    glo\u{ad}bex.example.localhost  globex\u{200b}.example.localhost  𝗀𝗅𝗈𝖻𝖾𝗑.example.localhost  gloßex.example.localhost
    ａｃｍｅ.example.localhost  acme｡example｡localhost
";

/// All rows.
pub fn rows(_: &World) -> Vec<Row> {
    let mut table = Table::default();
    spellings(&mut table);
    heads(&mut table);
    targets(&mut table);
    authorities(&mut table);
    in_clear(&mut table);
    table.rows()
}

fn spellings(table: &mut Table) {
    let way = Way::Tls(ACME);
    for host in words(OWN_NAMES) {
        table.both(format!("Host {host:?}"), &way, &get(host), &OWN);
    }
    for host in words(OTHER_NAMES) {
        table.both(format!("Host {host:?}"), &way, &get(host), &MISDIRECTED);
    }
    for host in words(NO_NAMES) {
        table.one(format!("Host {host:?}"), &way, get(host).http1(), &BAD);
    }
    for host in words(WIDE_NAMES) {
        table.one(format!("Host {host:?}"), &way, get(host).http1(), &BAD);
    }
    for octet in [0, 1, 8, 10, 11, 12, 13, 27, 127, 128, 160, 255] {
        for host in [
            [b"acme.example.localhost", &[octet][..], b"globex.example.localhost"].concat(),
            [&[octet][..], GLOBEX.as_bytes()].concat(),
            [GLOBEX.as_bytes(), &[octet]].concat(),
        ] {
            table.one(format!("Host with octet {octet}"), &way, get(host).http1(), &BAD);
        }
    }
    // An address without its brackets is read as one.
    table.one("Host \"::1\"", &way, get("::1").http1(), &MISDIRECTED);
    table.one("Host \"::1\"", &way, get("::1").http2(), &Ended);
    table.one("Host of 300 octets", &way, get("a".repeat(300)).http1(), &BAD);
    table.one("Host of 64 octets in a label", &way, get(format!("{}.example.localhost", "a".repeat(64))).http1(), &BAD);
    for (name, sni) in
        [("another's", GLOBEX), ("nobody's", "nobody.example.localhost"), ("the api's", API), ("the base domain's", "example.localhost")]
    {
        let owner = if sni == GLOBEX {
            Served("globex")
        } else if sni == API {
            Refused(401, "unauthenticated")
        } else {
            NOT_FOUND
        };
        table.both(format!("SNI is {name}, Host is acme's"), &Way::Tls(sni), &get(ACME), &MISDIRECTED);
        table.both(format!("SNI is {name}, Host too"), &Way::Tls(sni), &get(sni), &owner);
        table.both(format!("SNI is {name}, claim is acme's"), &Way::Tls(sni), &get(ACME).field("X-Tenant-Id", "acme"), &MISDIRECTED);
    }
    // Domains that nobody has proved have no certificate, and so no connection.
    for sni in ["initech.test", "www.globex.test", "x.acme.example.localhost", "globex.example.localhost.test", "globex.localhost"] {
        table.both(format!("SNI is {sni}"), &Way::Tls(sni), &get(sni), &NotConnected);
    }
}

/// Heads whose Host is missing, there more than once, or broken.
fn heads(table: &mut Table) {
    let way = Way::Tls(ACME);
    let other = format!("Host: {GLOBEX}\r\n");
    let own = format!("Host: {ACME}\r\n");
    for (name, fields) in [
        ("no Host", String::new()),
        ("an empty Host", "Host:\r\n".to_owned()),
        ("a Host of spaces", "Host:   \r\n".to_owned()),
        ("own Host and another's", format!("{own}{other}")),
        ("another's Host and its own", format!("{other}{own}")),
        ("the same Host twice", format!("{own}{own}")),
        ("an empty Host and another's", format!("Host:\r\n{other}")),
        ("two spellings of Host", format!("{own}hOST: {GLOBEX}\r\n")),
        ("Host with a space", format!("Host : {GLOBEX}\r\n{own}")),
        ("a folded Host", format!("Host: {ACME}\r\n {GLOBEX}\r\n")),
        ("a folded first field", format!(" {other}{own}")),
        ("a bare line feed before another Host", format!("Host: {ACME}\n{other}")),
        ("a bare return before another Host", format!("Host: {ACME}\rHost: {GLOBEX}\r\n")),
        ("NUL in a name", format!("Ho\0st: {GLOBEX}\r\n{own}")),
    ] {
        table.octets(name, &way, format!("GET / HTTP/1.1\r\n{fields}\r\n"), &BAD);
    }
    table.octets(
        "Host spelt otherwise beside it",
        &way,
        format!("GET / HTTP/1.1\r\n{own}H_ost: {GLOBEX}\r\n:authority: {GLOBEX}\r\n\r\n"),
        &BAD,
    );
    table.octets("no Host in HTTP/1.0", &way, "GET / HTTP/1.0\r\n\r\n", &BAD);
    table.octets("another's Host in HTTP/1.0", &way, format!("GET / HTTP/1.0\r\n{other}\r\n"), &MISDIRECTED);
    table.octets("its Host in HTTP/1.0", &way, format!("GET / HTTP/1.0\r\n{own}\r\n"), &OWN);
    for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "HTTP/1,1", ""] {
        table.octets(format!("version {version:?}"), &way, format!("GET / {version}\r\n{other}\r\n"), &BAD);
    }
}

/// Request targets that name a host.
fn targets(table: &mut Table) {
    let way = Way::Tls(ACME);
    let mut target = |target: &str, host: &str, want: Want| {
        table.one(format!("target {target:?}, Host {host}"), &way, get(host).target(target).http1(), &want);
    };
    target("https://acme.example.localhost/", ACME, OWN);
    target("HTTPS://ACME.example.localhost/", ACME, OWN);
    target("https://acme.example.localhost:443/", ACME, OWN);
    target("https://globex.example.localhost/", GLOBEX, MISDIRECTED);
    for other in words(
        "
        https://globex.example.localhost/  http://globex.example.localhost/  https://GLOBEX.example.localhost:443/
        https://globex.test/  https://acme.test/  https://acme.example.localhost./  https://acme.example.localhost:444/
        https://acme.example.localhost@globex.example.localhost/  https://globex.example.localhost@acme.example.localhost/
        https://user:pass@acme.example.localhost/  https://@acme.example.localhost/
        https://globex.example.localhost\\@acme.example.localhost/  https://acme.example.localhost\\@globex.example.localhost/
        https://acme.example.localhost#@globex.example.localhost/  https:///globex.example.localhost/
        https:/globex.example.localhost/  https:globex.example.localhost/  https://%67lobex.example.localhost/
        https://[acme.example.localhost]/  https://acme.example.localhost,globex.example.localhost/  ftp://acme.example.localhost/
        file:///etc/passwd  globex.example.localhost/  globex.example.localhost:443  ?x  *  ws://acme.example.localhost/
        https://acme.example.localhost%2f@globex.example.localhost/
",
    ) {
        target(other, ACME, BAD);
    }
    target("", ACME, BAD);
    for path in words(
        "
        //globex.example.localhost/  /https://globex.example.localhost/  /@globex.example.localhost  ///globex.test
        /?host=globex.example.localhost  /globex.example.localhost:443  /%2f%2fglobex.test/  /..//globex.test/
",
    ) {
        target(path, ACME, OWN);
        target(path, GLOBEX, MISDIRECTED);
    }
    let own = format!("Host: {ACME}\r\n");
    for (name, line, want) in [
        ("CONNECT", format!("CONNECT {GLOBEX}:443 HTTP/1.1"), NO_METHOD),
        ("TRACE", "TRACE / HTTP/1.1".to_owned(), NO_METHOD),
        ("a line with two targets", format!("GET / https://{GLOBEX}/ HTTP/1.1"), BAD),
        ("a space before the target", format!("GET  https://{GLOBEX}/ HTTP/1.1"), BAD),
        ("a tab before the target", format!("GET\thttps://{GLOBEX}/ HTTP/1.1"), BAD),
        ("a space before the method", " GET / HTTP/1.1".to_owned(), BAD),
        ("NUL in the target", "GET /\0 HTTP/1.1".to_owned(), BAD),
        ("raw letters in the target", "GET /ä HTTP/1.1".to_owned(), BAD),
        ("OPTIONS *", "OPTIONS * HTTP/1.1".to_owned(), OWN),
        ("PRI *", "PRI * HTTP/2.0".to_owned(), BAD),
    ] {
        table.octets(name, &way, format!("{line}\r\n{own}\r\n"), &want);
    }
    table.octets("OPTIONS * of another", &way, format!("OPTIONS * HTTP/1.1\r\nHost: {GLOBEX}\r\n\r\n"), &MISDIRECTED);
    let upgrade =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    table.octets("a WebSocket of another", &way, format!("GET / HTTP/1.1\r\nHost: {GLOBEX}\r\n{upgrade}\r\n"), &MISDIRECTED);
    table.octets(
        "h2c",
        &way,
        format!("GET / HTTP/1.1\r\n{own}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"),
        &OWN,
    );
}

/// The pseudo-fields of HTTP/2, beside a Host and alone.
fn authorities(table: &mut Table) {
    let way = Way::Tls(ACME);
    let usual = [(":method", "GET"), (":scheme", "https"), (":path", "/")];
    let mut with = |name: String, more: &[(&str, &str)], want: &Want| table.one(name, &way, head(&[&usual, more].concat()), want);
    let (own, other) = ((":authority", ACME), (":authority", GLOBEX));
    with("both agree".to_owned(), &[own, ("host", ACME)], &OWN);
    with("both agree but for case".to_owned(), &[own, ("host", "ACME.example.localhost")], &OWN);
    with("Host alone".to_owned(), &[("host", ACME)], &OWN);
    with("another's Host alone".to_owned(), &[("host", GLOBEX)], &MISDIRECTED);
    with("another's authority".to_owned(), &[other], &MISDIRECTED);
    with("neither".to_owned(), &[], &BAD);
    for host in [
        GLOBEX,
        "acme.test",
        "acme.example.localhost.",
        "acme.example.localhost:443",
        "acme.example.localhost,globex.example.localhost",
        "",
        "127.0.0.1",
    ] {
        with(format!("own authority, Host {host:?}"), &[own, ("host", host)], &BAD);
        with(format!("another's authority, Host {host:?}"), &[other, ("host", if host == GLOBEX { ACME } else { host })], &BAD);
    }
    with("Host twice".to_owned(), &[own, ("host", ACME), ("host", ACME)], &BAD);
    with("Host twice, no authority".to_owned(), &[("host", ACME), ("host", GLOBEX)], &BAD);
    with("authority twice".to_owned(), &[own, other], &Ended);
    with("the same authority twice".to_owned(), &[own, own], &Ended);
    with("authority after a field".to_owned(), &[("x-ok", "1"), own], &Ended);
    with("authority in capitals".to_owned(), &[(":AUTHORITY", GLOBEX)], &Ended);
    for authority in [
        "acme.example.localhost@globex.example.localhost",
        "globex.example.localhost@acme.example.localhost",
        "user:pass@acme.example.localhost",
    ] {
        with(format!("authority {authority:?}"), &[(":authority", authority)], &BAD);
    }
    for authority in words(NO_NAMES).filter(|name| !name.contains('@')).chain(words(WIDE_NAMES)).chain([""]) {
        let want = if is_readable(authority) { BAD } else { Ended };
        with(format!("authority {authority:?}"), &[(":authority", authority)], &want);
    }
    for path in ["https://globex.example.localhost/", "globex.example.localhost/", "", "x", "/x\0", "/x y"] {
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", ACME), (":path", path)];
        table.one(format!("path {path:?}"), &way, head(&fields), &Ended);
    }
    for path in ["//globex.example.localhost/", "/@globex.example.localhost", "/x#//globex.example.localhost/", "*"] {
        let fields = [(":method", "GET"), (":scheme", "https"), (":authority", ACME), (":path", path)];
        table.one(format!("path {path:?}"), &way, head(&fields), &OWN);
    }
    let connect = |authority| [(":method", "CONNECT"), (":authority", authority)];
    table.one("CONNECT", &way, head(&connect("globex.example.localhost:443")), &NO_METHOD);
    let socket = |authority| {
        [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", "/"),
            (":authority", authority),
            ("sec-websocket-version", "13"),
        ]
    };
    table.one("a WebSocket of another", &way, head(&socket(GLOBEX)), &MISDIRECTED);
    for scheme in ["http", "ftp", "file"] {
        let fields = [(":method", "GET"), (":scheme", scheme), (":path", "/"), (":authority", GLOBEX)];
        table.one(format!("scheme {scheme}, another's authority"), &way, head(&fields), &MISDIRECTED);
    }
}

/// What the parser of URIs reads as an authority at all.
fn is_readable(authority: &str) -> bool {
    http::uri::Authority::try_from(authority).is_ok()
}

/// Without TLS the Host alone decides.
fn in_clear(table: &mut Table) {
    for host in words(OWN_NAMES).filter(|name| !name.to_lowercase().contains("test")) {
        table.one(format!("Host {host:?}"), &Way::Clear, get(host).http1(), &OWN);
    }
    for host in words(OTHER_NAMES).filter(|name| !name.to_lowercase().starts_with("globex.example") && !name.starts_with("api.")) {
        let want = match host {
            "hooli.example.localhost" => Refused(403, "tenant_suspended"),
            "initech.example.localhost" => Served("initech"),
            _ => NOT_FOUND,
        };
        // No domain is verified without TLS.
        table.one(format!("Host {host:?}"), &Way::Clear, get(host).http1(), &want);
    }
    for host in words(NO_NAMES).chain(words(WIDE_NAMES)) {
        table.one(format!("Host {host:?}"), &Way::Clear, get(host).http1(), &BAD);
    }
    table.one(
        "Host of nobody, claim of globex",
        &Way::Clear,
        get("nobody.example.localhost").field("X-Tenant-Id", "globex").http1(),
        &NOT_FOUND,
    );
}
