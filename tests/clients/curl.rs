//! curl's view: the same options give the same exit code, heads, bodies, files and cookies with and without the gateway.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::cases::target_of;
use super::contract::{fields, reduced, response_fields};
use super::judge::differences;
use super::places::file;
use super::verdict::{Verdict, latin1, pattern};
use crate::support::gateway::{BASE, GatewayBuilder};
use crate::support::nginx::{Program, nginx};
use crate::support::peers::Server;
use crate::support::{TestGateway, tenant, within};

/// What is written after each transfer; the number of octets differs where the app tells what it has seen.
const WRITTEN: &str = "%{http_code} %{num_redirects} %{url_effective} %{redirect_url} %{content_type} %{method} \
                       %{filename_effective}\n";

/// How curl goes to the app; what it is told for that.
const WAYS: [(&str, &str); 5] =
    [("direct", "--http1.1"), ("clear", "--http1.1"), ("clear", "--http2-prior-knowledge"), ("tls", "--http1.1"), ("tls", "--http2")];

/// The apps, and a gateway of each kind before them.
pub struct Curl {
    clear: TestGateway,
    tls: TestGateway,
    node: Server,
    nginx: (Program, std::net::SocketAddr),
    _dir: tempfile::TempDir,
}

/// One line of options; `{app}` and `{files}` are the URLs of Node's server and of NGINX. The exit code that curl has directly.
type Case = (&'static str, i32, Vec<String>);

fn cases() -> Vec<Case> {
    let redirect = |status: u16, to: &str| target_of(&json!({"status": status, "framing": "length", "headers": [["location", to]]}));
    let second = redirect(307, "/end");
    let chain = redirect(302, &second);
    let away = redirect(308, "{origin}/end?a=b");
    let attached = target_of(&json!({"status": 200, "framing": "length", "octets": 5000,
        "headers": [["content-disposition", "attachment; filename=\"the report.txt\""], ["content-type", "text/plain"]]}));
    let cookies = target_of(&json!({"status": 200, "framing": "length", "headers": [["set-cookie", "a=1; Path=/"],
        ["set-cookie", "b=2; Expires=Wed, 21 Oct 2099 07:28:00 GMT; HttpOnly"], ["set-cookie", "c=3; Path=/elsewhere"]]}));
    let missing = target_of(&json!({"status": 404, "framing": "length", "octets": 9}));
    let login = target_of(&json!({"status": 401, "framing": "length", "headers": [["www-authenticate", "Basic realm=\"x\""]]}));
    let hints = target_of(&json!({"status": 200, "framing": "length", "octets": 9, "informational": [[103, [["link", "</a>"]]]]}));
    let cut = target_of(&json!({"status": 200, "framing": "chunked", "octets": 900, "cut": true}));
    let until = target_of(&json!({"status": 200, "framing": "close", "octets": 900}));
    let with = |target: &str, options: &str| format!("{options} {{app}}{target}");
    let lines: Vec<(&'static str, i32, String)> = vec![
        ("a redirect is not followed", 0, with(&chain, "")),
        ("redirects are followed", 0, with(&chain, "-L")),
        ("no more redirects than asked for", 47, with(&chain, "-L --max-redirs 1")),
        ("a POST becomes a GET with 302", 0, with(&chain, "-L --data abc=def")),
        ("a POST stays one with --post302", 0, with(&chain, "-L --post302 --data abc=def")),
        ("a PUT follows 308 to a whole URL", 0, with(&away, "-L -X PUT --data-binary @up.bin")),
        (
            "a jar of cookies",
            0,
            format!("-c jar {{app}}{cookies} --next -D heads -w {WRITTEN_MARK} -b jar -c jar -o seen {{app}}/with/cookies"),
        ),
        ("a cookie", 0, with("/seen", "-b a=1;b=2")),
        ("a range", 0, "-r 10-19 {files}/digits.txt".to_owned()),
        ("the last octets", 0, "-r -5 {files}/digits.txt".to_owned()),
        ("several ranges", 0, "-r 0-1,5-6,9990- {files}/digits.txt".to_owned()),
        ("a range beyond the end", 0, "-r 10000- {files}/digits.txt".to_owned()),
        ("a download is resumed", 0, "-C - -o part.bin {files}/digits.txt".to_owned()),
        ("a whole download is not resumed", 0, "-C - -o whole.bin {files}/digits.txt".to_owned()),
        ("a packed answer", 0, "--compressed {files}/digits.txt".to_owned()),
        ("a packed answer as it is", 0, "-H Accept-Encoding:gzip {files}/digits.txt".to_owned()),
        ("a head", 0, "-I {files}/digits.txt".to_owned()),
        ("a head of what is missing", 0, "-I {files}/none.txt".to_owned()),
        ("a new file by its date", 0, "-z 2001-01-01 {files}/digits.txt".to_owned()),
        ("an old file by its date", 0, "-z 2099-01-01 {files}/digits.txt".to_owned()),
        (
            "an entity tag is kept and compared",
            0,
            "--etag-save tag {files}/digits.txt --next -D heads -o again --etag-compare tag {files}/digits.txt".to_owned(),
        ),
        ("an upload of a file", 0, with("/up/", "-T up.bin -H Expect:")),
        ("an upload in chunks", 0, with("/up/", "-T up.bin -H Expect: -H Transfer-Encoding:chunked")),
        ("an upload that waits for the 100", 0, with("/up", "-T up.bin -H Expect:100-continue --expect100-timeout 20")),
        ("an upload that is not wanted", 0, with("/unwanted/x", "-T up.bin -H Expect:100-continue --expect100-timeout 20")),
        ("a form with a file", 0, with("/form", "-F name=value -F file=@part.bin;type=text/csv")),
        ("a download under the name that the app gives", 0, with(&attached, "-O -J")),
        ("a download under the name of the URL", 0, "-O {files}/digits.txt".to_owned()),
        ("an error is one with -f", 22, with(&missing, "-f")),
        ("a password that is asked for", 0, with(&login, "--anyauth -u user:pass")),
        ("a password", 0, with("/seen", "-u user:pass")),
        ("a file that is too large", 63, "--max-filesize 100 {files}/digits.txt".to_owned()),
        ("a path as it is", 0, with("/a/../b/./c//d%2f%00?x=%20&y", "--path-as-is")),
        ("a query that curl encodes", 0, with("/seen", "-G --data-urlencode q=a&b=ü")),
        ("a method of its own", 0, with("/seen", "-X PROPFIND -H Depth:1")),
        ("two addresses with one connection", 0, "-o one {app}/one -o two {app}/two".to_owned()),
        ("twenty at once", 0, "-Z -o #1.out {app}/parallel/[1-20]".to_owned()),
        ("early hints", 0, with(&hints, "")),
        (CUT, 18, with(&cut, "")),
        ("an answer until the connection closes", 0, with(&until, "")),
        ("no keep-alive", 0, with("/seen", "-H Connection:close")),
    ];
    lines.into_iter().map(|(name, exit, line)| (name, exit, line.split_whitespace().map(str::to_owned).collect())).collect()
}

const CUT: &str = "an answer that is cut";
const WRITTEN_MARK: &str = "{written}";

/// What curl 7.88 and others of its age do right, with any server.
fn can(version: &str, name: &str, options: &[String]) -> bool {
    match version {
        // A second request on a connection ends in an error of its own.
        "--http2-prior-knowledge" => {
            let addresses = options.iter().filter(|option| option.starts_with("{app}") || option.starts_with("{files}")).count();
            addresses == 1
                && !options.iter().any(|option| matches!(option.as_str(), "-L" | "-Z" | "--anyauth"))
                && can("--http2", name, options)
        }
        // It does not wait for the 100, and an answer that ends its upload (RFC 9113, section 8.1) is an error to it.
        "--http2" => name != "an upload that is not wanted",
        _ => true,
    }
}

impl Curl {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let node = Server::start(Command::new("node").arg(file("server.mjs"))).await;
        let nginx = nginx(dir.path()).await;
        let with = |gateway: GatewayBuilder| {
            gateway.tenant(tenant("node")).tenant(tenant("files").with("upstream", format!("http://{}", nginx.1)))
        };
        let clear = with(TestGateway::to_url(&node.url()).plaintext()).start();
        let tls = with(TestGateway::to_url(&node.url())).start();
        let (clear, tls) = tokio::join!(clear, tls);
        Self { clear, tls, node, nginx, _dir: dir }
    }

    /// Fails unless all that curl shows is the same by every way.
    pub async fn judge(&self) {
        let mut faults = Vec::new();
        for (name, exit, options) in cases() {
            let mut direct = Value::Null;
            for (way, version) in WAYS.into_iter().filter(|(_, version)| can(version, name, &options)) {
                let mut wrong = Vec::new();
                let mut seen = within(name, self.run(way, version, &options, &mut wrong)).await;
                if name == CUT {
                    // How much comes before the end is a matter of time: a reset over HTTP/2 overtakes what is not sent yet.
                    seen = json!({"exit": seen["exit"]});
                }
                if way == "direct" {
                    if seen["exit"] != exit {
                        wrong.push(seen.to_string());
                    }
                    direct = seen;
                } else {
                    wrong.extend(differences("", &direct, &seen));
                }
                println!("curl {version}: {name}: {way} {}", if wrong.is_empty() { "" } else { "(!)" });
                faults.extend(wrong.iter().map(|line| format!("curl {version}, {way}: {name}\n    {line}")));
            }
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    }

    /// The URL of an app by a way.
    fn url(&self, app: &str, way: &str) -> String {
        match way {
            "clear" => self.clear.url(app, ""),
            "tls" => self.tls.url(app, ""),
            _ => format!("http://{app}.{BASE}:{}", if app == "node" { self.node.address.port() } else { self.nginx.1.port() }),
        }
    }

    /// What curl shows: exit code, what it writes, the heads, and all files that it leaves.
    async fn run(&self, way: &str, version: &str, options: &[String], faults: &mut Vec<String>) -> Value {
        let dir = tempfile::tempdir().expect("a folder");
        let digits = "0123456789".repeat(1000);
        for (name, octets) in [("part.bin", &digits.as_bytes()[..1000]), ("whole.bin", digits.as_bytes()), ("up.bin", &pattern(300_000))] {
            std::fs::write(dir.path().join(name), octets).expect("a file");
        }
        let mut command = tokio::process::Command::new("curl");
        command.args(["-q", "--silent", "--noproxy", "*", "--max-time", "30", "-D", "heads", "-w", WRITTEN]);
        command.args(["--connect-to", "::127.0.0.1:"]);
        command.arg("--cacert").arg(self.tls.ca()).arg(version).current_dir(dir.path());
        let says_where = |option: &String| matches!(option.as_str(), "-o" | "-O");
        if !options.iter().any(says_where) || options.iter().any(|option| option == "--next") {
            command.args(["-o", "out"]);
        }
        let (app, files) = (self.url("node", way), self.url("files", way));
        for option in options {
            match option.as_str() {
                "--next" => {
                    // What follows is a transfer with options of its own, but for these.
                    command
                        .args(["--next", "--silent", "--noproxy", "*", "--connect-to", "::127.0.0.1:", "--cacert"])
                        .arg(self.tls.ca())
                        .arg(version)
                }
                WRITTEN_MARK => command.arg(WRITTEN),
                other => command.arg(other.replace("{app}", &app).replace("{files}", &files)),
            };
        }
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("curl runs");
        let place = |text: String| {
            let text = text.replace(&app, "http://app").replace(&files, "http://files");
            [&app, &files].iter().fold(text, |text, url| text.replace(url.split_once("://").map_or("", |(_, host)| host), "app.example"))
        };
        let heads = place(latin1(&std::fs::read(dir.path().join("heads")).unwrap_or_default()));
        let boundary = boundary_in(&heads);
        let written = unbound(&place(String::from_utf8_lossy(&output.stdout).into_owned()), boundary);
        // Transfers that run at the same time end in any order.
        let mut written: Vec<&str> = written.lines().collect();
        written.sort_unstable();
        let left = left(dir.path(), way, &place, boundary, faults);
        let heads = heads_in(&unbound(&heads, boundary), way, faults);
        let exit = match output.status.code() {
            // How HTTP/2 ends what is not whole.
            Some(92) => Some(18),
            other => other,
        };
        json!({"exit": exit, "written": written, "heads": heads, "files": left})
    }
}

/// The heads that curl dumped, interim responses too, reduced by the contract.
fn heads_in(text: &str, way: &str, faults: &mut Vec<String>) -> Vec<Value> {
    let one = |block: &str, faults: &mut Vec<String>| {
        let mut lines = block.lines();
        let status: u16 = lines.next().and_then(|first| first.split(' ').nth(1)?.parse().ok()).expect("a status");
        let list: Vec<Value> = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| json!([name, value])).collect();
        let is_echo = list.iter().any(|field| field[1].as_str() == Some(" application/json"));
        let shown = match status {
            100..200 => fields(&list.into()).into_iter().map(|(name, value)| json!([name, value])).collect(),
            _ => response_fields(&list.into(), way != "direct", is_echo, faults),
        };
        json!({"status": status, "headers": shown})
    };
    let mut heads: Vec<Value> = text.split("\r\n\r\n").filter(|block| !block.is_empty()).map(|block| one(block, faults)).collect();
    if heads.len() > 5 {
        heads.sort_by_key(Value::to_string);
    }
    heads
}

/// All files that curl left, by name; what the app tells that it has seen is reduced by the contract.
fn left(
    dir: &Path,
    way: &str,
    place: &impl Fn(String) -> String,
    boundary: Option<&str>,
    faults: &mut Vec<String>,
) -> BTreeMap<String, Value> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if matches!(name.as_str(), "heads" | "up.bin") {
            continue;
        }
        let text = place(latin1(&std::fs::read(&path).expect("a file")));
        if text.starts_with("HTTP/") {
            // A head in place of a body is one of the heads.
            continue;
        }
        let content = if text.starts_with("{\"method\"") {
            seen(&unbound(&text, boundary_in(&text)), way, faults)
        } else if name == "jar" {
            text.lines().filter(|line| line.contains('\t')).map(str::to_owned).collect()
        } else {
            json!(unbound(&text, boundary))
        };
        files.insert(name, content);
    }
    files
}

/// What the app says that it has seen.
fn seen(text: &str, way: &str, faults: &mut Vec<String>) -> Value {
    let [client, server, way] = ["curl", "app", way].map(str::to_owned);
    // The head of the answer is looked at elsewhere.
    let headers: &[(&str, &str)] = if way == "direct" { &[] } else { &[("x-request-id", "1"), ("date", "1")] };
    let outcome = json!({"status": 200, "headers": headers, "body": text});
    let reduced = reduced(&Verdict { client, server, way, case: String::new(), outcome }, "app.example", false, "direct");
    faults.extend(reduced.faults);
    let mut seen = reduced.outcome["body"].clone();
    if text.contains("multipart/form-data") {
        // A boundary is in it that is another one each time.
        seen["sha256"] = Value::Null;
    }
    seen
}

/// What separates the parts of a body, made up anew each time.
fn boundary_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("boundary=")?;
    rest.split(|character: char| !character.is_ascii_alphanumeric() && character != '-').next()
}

fn unbound(text: &str, boundary: Option<&str>) -> String {
    boundary.map_or_else(|| text.to_owned(), |boundary| text.replace(boundary, "boundary"))
}
