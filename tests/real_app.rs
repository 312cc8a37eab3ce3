//! Apps that nobody here wrote work behind the gateway unchanged: their pages, logins, redirects and files.

use std::path::{Path, PathBuf};
use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use crate::support::gateway::BASE;
use crate::support::peers::{Server, node, python, run};
use crate::support::{TestGateway, tenant};

/// A browser as far as curl is one: it keeps cookies and follows the names to the gateway.
struct Browser<'g> {
    gateway: &'g TestGateway,
    jar: PathBuf,
}

/// What curl got.
struct Page {
    status: u16,
    location: String,
    body: String,
}

impl Browser<'_> {
    fn get(&self, url: &str) -> Page {
        self.fetch(url, &[])
    }

    fn fetch(&self, url: &str, more: &[&str]) -> Page {
        let head = self.jar.with_extension("head");
        let port = self.gateway.https.expect("TLS").port();
        let mut command = Command::new("curl");
        command.env("no_proxy", "*");
        command.args(["--silent", "--show-error", "--connect-to", &format!("::127.0.0.1:{port}"), "--cacert"]).arg(self.gateway.ca());
        command.arg("--cookie").arg(&self.jar).arg("--cookie-jar").arg(&self.jar).arg("--dump-header").arg(&head);
        let body = run(command.args(more).arg(url));
        let head = std::fs::read_to_string(head).expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let field =
            |line: &str| line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")).map(|(_, value)| value.to_owned());
        Page { status, location: head.lines().find_map(field).unwrap_or_default(), body }
    }

    /// The token of a form that Django protects.
    fn token(&self, page: &Page) -> String {
        let (_, rest) = page.body.split_once("name=\"csrfmiddlewaretoken\" value=\"").expect("a form with a token");
        rest.split('"').next().expect("a token").to_owned()
    }
}

/// A new Django site with its own admin app; its Python and its `manage.py`.
fn django_site(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let python = python(&["django==5.2.19"]);
    let site = folder.join(name);
    std::fs::create_dir(&site).unwrap();
    run(Command::new(&python).args(["-m", "django", "startproject", "site1"]).arg(&site));
    // What Django's documentation says for a proxy that ends TLS, and nothing else.
    let settings = site.join("site1/settings.py");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(settings, text + "\nSECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')\n").unwrap();
    (python, site.join("manage.py"))
}

/// A Django site with a database and one user, made by Django's own commands.
async fn serve_django(folder: &Path, user: &str) -> Server {
    let (python, manage) = django_site(folder, user);
    run(Command::new(&python).arg(&manage).args(["migrate", "--verbosity", "0"]));
    let mut create = Command::new(&python);
    create.arg(&manage).args(["createsuperuser", "--noinput", "--username", user, "--email", "a@example.com"]);
    run(create.env("DJANGO_SUPERUSER_PASSWORD", "correct horse"));
    Server::start(Command::new(python).arg("-u").arg(manage).args(["runserver", "--noreload", "127.0.0.1:0"])).await
}

#[tokio::test]
async fn djangos_own_admin_site_works_and_two_tenants_do_not_share_a_session() {
    let folder = tempfile::tempdir().unwrap();
    let (ann, bob) = tokio::join!(serve_django(folder.path(), "ann"), serve_django(folder.path(), "bob"));
    let gateway = TestGateway::to_url(&ann.url());
    let gateway =
        gateway.tenant(tenant("acme").with("upstream", ann.url())).tenant(tenant("globex").with("upstream", bob.url())).start().await;
    let browser = Browser { gateway: &gateway, jar: folder.path().join("jar") };
    let site = |slug: &str| format!("https://{slug}.{BASE}:{}", gateway.https.unwrap().port());

    let home = browser.get(&format!("{}/", site("acme")));
    assert!(home.status == 200 && home.body.contains("The install worked successfully!"), "{}", home.body);
    let begin = browser.get(&format!("{}/admin/", site("acme")));
    assert_eq!((begin.status, &*begin.location), (302, "/admin/login/?next=/admin/"), "a relative redirect is handed on");
    let form = browser.get(&format!("{}{}", site("acme"), begin.location));
    assert!(form.status == 200 && form.body.contains("Django administration"));
    for file in ["/static/admin/css/base.css", "/static/admin/js/theme.js"] {
        let file = browser.get(&format!("{}{file}", site("acme")));
        assert!(file.status == 200 && file.body.len() > 500);
    }

    let login = |slug: &str, user: &str, password: &str, origin: &str| {
        let form = browser.get(&format!("{}/admin/login/?next=/admin/", site(slug)));
        let fields = format!("csrfmiddlewaretoken={}&username={user}&password={password}&next=/admin/", browser.token(&form));
        let url = format!("{}/admin/login/", site(slug));
        browser.fetch(&url, &["--data", &fields, "--header", &format!("Origin: {origin}"), "--referer", &url])
    };
    assert!(login("acme", "ann", "wrong", &site("acme")).body.contains("Please enter the correct username and password"));
    assert_eq!(login("acme", "ann", "correct+horse", "https://evil.example").status, 403, "Django's own check still sees the origin");
    let entered = login("acme", "ann", "correct+horse", &site("acme"));
    assert_eq!((entered.status, &*entered.location), (302, "/admin/"));
    let inside = browser.get(&format!("{}/admin/", site("acme")));
    assert!(inside.status == 200 && inside.body.contains("Site administration") && inside.body.contains("ann"));

    // Django writes a host of its own into this redirect: the one that the client asked for.
    let moved = browser.get(&format!("{}/admin/auth/user", site("acme")));
    assert_eq!(moved.status, 301);
    assert!(moved.location == "/admin/auth/user/" || moved.location == format!("{}/admin/auth/user/", site("acme")), "{}", moved.location);
    assert!(browser.get(&format!("{}/admin/auth/user/", site("acme"))).body.contains("a@example.com"));

    // The same cookies, whatever host they are sent to: nobody is logged in at the other tenant.
    let jar = std::fs::read_to_string(&browser.jar).unwrap();
    let session = jar.lines().find(|line| line.contains("sessionid")).and_then(|line| line.split('\t').next_back()).expect("a session");
    let cookie = format!("Cookie: sessionid={session}");
    let there = browser.fetch(&format!("{}/admin/", site("globex")), &["--header", &cookie]);
    assert_eq!((there.status, &*there.location), (302, "/admin/login/?next=/admin/"));
    assert!(login("globex", "ann", "correct+horse", &site("globex")).body.contains("Please enter the correct username and password"));
    assert_eq!(login("globex", "bob", "correct+horse", &site("globex")).location, "/admin/");
    assert!(browser.get(&format!("{}/admin/", site("globex"))).body.contains("bob"));
    assert!(browser.get(&format!("{}/admin/", site("acme"))).body.contains("ann"), "both are logged in, each at its own");

    let page = browser.get(&format!("{}/admin/", site("acme")));
    let fields = format!("csrfmiddlewaretoken={}", browser.token(&page));
    let out =
        browser.fetch(&format!("{}/admin/logout/", site("acme")), &["--data", &fields, "--header", &format!("Origin: {}", site("acme"))]);
    assert!(out.status == 200 && out.body.contains("Logged out"), "{} {}", out.status, out.body);
    assert_eq!(browser.get(&format!("{}/admin/", site("acme"))).status, 302);
    assert_eq!(browser.get(&format!("{}/admin/", site("globex"))).status, 200);
}

#[tokio::test]
async fn absolute_redirects_of_an_app_keep_the_tenants_host() {
    let folder = tempfile::tempdir().unwrap();
    let (python, manage) = django_site(folder.path(), "site");
    let urls = "from django.http import HttpResponseRedirect\nfrom django.urls import path\n\
                urlpatterns = [path('go', lambda r: HttpResponseRedirect(r.build_absolute_uri('/there?a=b')))]\n";
    std::fs::write(manage.with_file_name("site1").join("urls.py"), urls).unwrap();
    let app = Server::start(Command::new(python).arg("-u").arg(manage).args(["runserver", "--noreload", "127.0.0.1:0"])).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    let answer = gateway.get("acme", "/go").await.expect(302);
    assert_eq!(answer.header("location"), gateway.url("acme", "/there?a=b"), "scheme, host and port are the client's");
}

#[tokio::test]
async fn a_node_server_of_files_works_with_its_redirects_ranges_and_validators() {
    let bin = node("serve@14.2.7");
    let site = tempfile::tempdir().unwrap();
    std::fs::create_dir(site.path().join("docs")).unwrap();
    let text = "0123456789".repeat(1000);
    for (name, text) in
        [("index.html", "<h1>Home</h1>"), ("about.html", "<h1>About</h1>"), ("docs/index.html", "<h1>Docs</h1>"), ("big.txt", &text)]
    {
        std::fs::write(site.path().join(name), text).unwrap();
    }
    let app =
        Server::start(Command::new(bin.join("serve")).args(["--listen", "tcp://127.0.0.1:0", "--no-clipboard"]).arg(site.path())).await;
    let gateway = TestGateway::to_url(&app.url()).tenant(tenant("acme")).start().await;
    assert!(gateway.get("acme", "/").await.expect(200).text().contains("Home"));
    let moved = gateway.get("acme", "/about.html").await.expect(301);
    assert_eq!(moved.header("location"), "/about");
    assert!(gateway.get("acme", "/docs").await.expect(200).text().contains("Docs"));
    gateway.get("acme", "/none").await.expect(404);
    let whole = gateway.get("acme", "/big.txt").await.expect(200);
    assert_eq!(whole.text(), text);
    let ask = async |name: &str, value: &str| {
        let request = gateway.request(Method::GET, "acme", "/big.txt").header(name, value);
        crate::support::gateway::send(request).await
    };
    let part = ask("range", "bytes=995-1004").await.expect(206);
    assert_eq!((part.text().as_str(), part.header("content-range")), ("5678901234", "bytes 995-1004/10000"));
    let tag = whole.header("etag").to_owned();
    assert_eq!(ask("if-none-match", &tag).await.expect(304).body.len(), 0);
    let packed = ask("accept-encoding", "gzip").await.expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() < 1000 && packed.body.starts_with(&[0x1f, 0x8b]), "what the app packed is handed on as it is");
    let calls = gateway.usage("acme").await["apiCalls"].clone();
    assert_eq!(calls, json!(8));
    gateway.admin(Method::GET, "/admin/tenants/acme/health", Value::Null).await.expect(200);
}
