//! Paths: a policy holds for every spelling that some app reads as its path, and the path is passed on as it came.

use super::row::Want::{Ended, Refused, Served};
use super::row::{Row, Table, Want, Way, get, words};
use super::world::{ACME, World};

const OWN: Want = Served("acme");
const BAD: Want = Refused(400, "bad_request");

/// Read as `/admin` or something below it by some app; the policy is for `/admin/*`.
const GUARDED: &str = r"
    /admin  /admin/  /admin/x  /admin/x/y  /admin?x  /admin/?x=/open
    //admin/x  ///admin/x  /admin//x  //admin//x  /./admin/x  /admin/./x  /.//admin/x  /x/../admin/x  /x/y/../../admin/x
    /../admin/x  /../../admin/x
    /open/../admin/x  /open/./../admin/x  /open//../admin/x  /admin/../admin/x  /admin/x/../y  /admin/x/..  /admin/..
    /admin/../open  /admin/x/../../open
    /%61dmin/x  /%61%64%6d%69%6e/x  /%41dmin/x  /adm%69n/x  /admin%2fx  /admin%2Fx  /admin%2f  /%2fadmin/x  /%2f%2fadmin/x
    /x%2f..%2fadmin%2fx
    /%2e/admin/x  /%2E/admin/x  /x/%2e%2e/admin/x  /x/%2e./admin/x  /x/.%2e/admin/x  /x/%2E%2E/admin/x  /x%2f%2e%2e%2fadmin/x
    /%2e%2e/admin/x
    /admin/%2e%2e/open  /admin/..%2fopen  /admin%2f..%2fopen  /admin/%2e/x
    /admin;x=1  /admin;x=1/x  /admin;/x  /;/admin/x  /;x=1/admin/x  /x/..;/admin/x  /x/..;a=b/admin/x  /x/%2e%2e;/admin/x
    /.;/admin/x  /admin/..;/open  /admin%3bx=1/x  /admin/;/x
    /ADMIN/x  /Admin/x  /aDMIN/X  /%41DMIN/x  //ADMIN/x  /x/../ADMIN/x
    /admin%00  /admin%00.html  /admin%00/x  /admin/%00
    /admin%5cx  /admin%5Cx  /%5cadmin%5cx  /x%5c..%5cadmin%5cx  /x/..%5cadmin/x  /%5c%5cadmin/x
    /admin.  /admin./  /admin./x  /admin...  /admin%2e  /admin.;x=1/x  /admin%20  /admin%20/x  /admin%20%20/x  /admin.%20./x  /admin%09/x
    /x/../admin.  //admin.//x  /ADMIN%20/x  /%61dmin%2E/x  /admin%5cx.
    /admin%0a/x  /admin%0a  /admin%0d%0a/x  /admin%0b/x  /admin%85/x  /admin%a0/x  /admin%c2%a0/x  /x/..%20/admin/x  /admin%3fx  /admin%23x
    //x/admin/y  /./admin//../x  /./admin/..;/../x  /./admin/a%2f../../x  /./admin/..%5c../../x  /x/../admin%00b
";

/// In raw form, where HTTP/1.1 lets the octet be in a target.
const GUARDED_RAW: &str = r"
    /admin\x  /\admin/x  /x\..\admin\x  /x/..\admin/x
";

/// Other paths, whatever they look like: after one decoding (RFC 3986, section 2.4) they are not below `/admin`.
const FREE: &str = r"
    /  /open  /open/admin/x  /administrator  /admin2/x  /xadmin/x  /admins/x  /open?/admin/x  /?/admin/x  /open?x=/../admin/x
    /open;/admin=1
    /open/..x/admin/x  /open/.../admin/x  /adm/in/x  /a/dmin/x  /admin-x/y  /open/%2e%2e%2e/admin/x
    /%2561dmin/x  /admin%252fx  /x/%252e%252e/admin/x  /x/..%252fadmin/x  /%25%36%31dmin/x
    /%c0%afadmin/x  /open/%c0%ae%c0%ae/admin/x  /open/..%c0%afadmin/x  /open/%e0%80%ae%e0%80%ae/admin/x  /open/%uff0e%uff0e/admin/x
    /%u0061dmin/x
    /%EF%BD%81dmin/x  /open%EF%BC%8Fadmin/x  /%zzadmin/x  /%admin/x  /adm%  /open%00/admin/x  /open%0a/admin/x
    /open%0d%0aX-Tenant-Id:%20globex
    /.admin/x  /a.dmin/x  /ad%20min/x  /admin.x/y  /%20admin/x  /%09admin/x
";

/// All rows.
pub fn rows(world: &World) -> Vec<Row> {
    let mut table = Table::default();
    let way = Way::Tls(ACME);
    let keys = &world.keys;
    let shown = |path: &str, key: &str| get(ACME).target(path).field("X-Api-Key", key);
    let guarded = |table: &mut Table, path: &str, has_http2: bool| {
        let wants = [
            ("no key", get(ACME).target(path), Refused(401, "unauthenticated")),
            ("the app's own", get(ACME).target(path).field("Authorization", "Bearer of-the-app"), Refused(401, "unauthenticated")),
            ("roles that it gives itself", get(ACME).target(path).field("X-User-Roles", "owner"), Refused(401, "unauthenticated")),
            ("a key without the role", shown(path, &keys.acme_viewer), Refused(403, "forbidden")),
            ("an owner of globex", shown(path, &keys.globex_owner), Refused(403, "tenant_mismatch")),
            ("a revoked key", shown(path, &keys.revoked), Refused(401, "unauthenticated")),
            ("an owner", shown(path, &keys.acme_owner), OWN),
        ];
        for (who, request, want) in wants {
            table.one(format!("{path}, {who}"), &way, request.http1(), &want);
            if has_http2 {
                table.one(format!("{path}, {who}"), &way, request.http2(), &want);
            }
        }
    };
    for path in words(GUARDED) {
        guarded(&mut table, path, true);
    }
    for path in words(GUARDED_RAW) {
        guarded(&mut table, path, false);
    }
    let whole = format!("https://{ACME}/open/../%61dmin/x");
    guarded(&mut table, &whole, false);
    for path in words(FREE) {
        table.both(path, &way, &get(ACME).target(path), &OWN);
        table.both(format!("{path}, globex's key"), &way, &shown(path, &keys.globex_owner), &Refused(403, "tenant_mismatch"));
    }
    for path in words("/open#/../admin/x  /admin/x#  /#/admin/x  \\admin\\x  admin/x  ./admin/x  ../admin/x") {
        table.one(path, &way, get(ACME).target(path).http1(), &BAD);
        // In HTTP/2 the parser cuts a fragment off: what is left is judged and passed on.
        let want = match path {
            "/admin/x#" => Refused(401, "unauthenticated"),
            _ if path.starts_with('/') => OWN,
            _ => Ended,
        };
        table.one(path, &way, get(ACME).target(path).http2(), &want);
    }
    for octet in [0, 1, 9, 11, 12, 31, 127, 128, 133, 160, 255] {
        let target = [b"GET /admin".as_slice(), &[octet], b" HTTP/1.1\r\nHost: ", ACME.as_bytes(), b"\r\n\r\n"].concat();
        table.octets(format!("/admin and octet {octet}"), &way, target, &BAD);
    }
    for method in ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get", "GETT"] {
        let request = get(ACME).method(method).target("/admin/x");
        if method != "HEAD" {
            table.both(format!("{method} /admin/x"), &way, &request, &Refused(401, "unauthenticated"));
        }
        let overridden = get(ACME).method("POST").target("/admin/x").field("X-HTTP-Method-Override", method);
        table.both(format!("{method} /admin/x by another field"), &way, &overridden, &Refused(401, "unauthenticated"));
    }
    table.rows()
}
