//! A gateway of a test: the real binary in a process of its own, on free ports, in a folder that goes with it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatehouse::model::Host;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::client::Answer;
use super::pairs::write_pair;
use super::tenant::TestTenant;
use super::upstream::RunningUpstream;
use super::{eventually, signal};

/// The base domain of every test gateway.
pub const BASE: &str = "example.localhost";

/// What a gateway shall be.
pub struct GatewayBuilder {
    upstream: String,
    tls: bool,
    settings: Vec<(String, String)>,
    toml: String,
    tenants: Vec<TestTenant>,
    domains: Vec<String>,
}

/// A gateway that runs.
pub struct TestGateway {
    pub dir: tempfile::TempDir,
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    pub admin: SocketAddr,
    child: Child,
    log: Lines,
    access: Lines,
    ca: Option<PathBuf>,
    command: Vec<(String, String)>,
    pub client: Client,
}

/// Lines that a process has written so far.
pub type Lines = Arc<Mutex<Vec<String>>>;

impl TestGateway {
    /// In front of an app.
    pub fn to(upstream: &RunningUpstream) -> GatewayBuilder {
        Self::to_url(&upstream.url())
    }

    /// In front of whatever this URL is.
    pub fn to_url(url: &str) -> GatewayBuilder {
        GatewayBuilder {
            upstream: url.to_owned(),
            tls: true,
            settings: Vec::new(),
            toml: String::new(),
            tenants: Vec::new(),
            domains: Vec::new(),
        }
    }

    /// The URL of a path on a tenant's own host.
    pub fn url(&self, slug: &str, path: &str) -> String {
        self.url_of(&format!("{slug}.{BASE}"), path)
    }

    /// The URL of a path on any host.
    pub fn url_of(&self, host: &str, path: &str) -> String {
        match self.https {
            Some(https) => format!("https://{host}:{}{path}", https.port()),
            None => format!("http://{host}:{}{path}", self.http.port()),
        }
    }

    /// A request to a tenant's own host.
    pub fn request(&self, method: Method, slug: &str, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(slug, path))
    }

    /// GET from a tenant's own host.
    pub async fn get(&self, slug: &str, path: &str) -> Answer {
        send(self.request(Method::GET, slug, path)).await
    }

    /// A call of the admin API; `null` is no body.
    pub async fn admin(&self, method: Method, path: &str, body: Value) -> Answer {
        self.admin_with(method, path, body, &[]).await
    }

    /// A call of the admin API with more fields.
    pub async fn admin_with(&self, method: Method, path: &str, body: Value, fields: &[(&str, &str)]) -> Answer {
        let mut request = self.client.request(method.clone(), format!("http://{}{path}", self.admin));
        if method != Method::GET {
            request = request.header("content-type", "application/json");
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        send(fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
    }

    /// Creates a tenant.
    pub async fn create(&self, tenant: &TestTenant) -> Answer {
        let mut body = json!({"name": tenant.slug, "slug": tenant.slug, "plan": tenant.plan_name()});
        body.as_object_mut().expect("an object").extend(tenant.extra.clone());
        self.admin(Method::POST, "/admin/tenants", body).await
    }

    /// Issues an API key for a tenant; its secret.
    pub async fn key(&self, slug: &str, more: Value) -> String {
        let mut body = json!({"name": "test"});
        if let Value::Object(more) = more {
            body.as_object_mut().expect("an object").extend(more);
        }
        let answer = self.admin(Method::POST, &format!("/admin/tenants/{slug}/keys"), body).await.expect(201);
        answer.json()["secret"].as_str().expect("a secret").to_owned()
    }

    /// The tenant's usage this month.
    pub async fn usage(&self, slug: &str) -> Value {
        self.admin(Method::GET, &format!("/admin/tenants/{slug}/usage"), Value::Null).await.expect(200).json()
    }

    /// A client that trusts the test's CA and finds every name at this gateway; with settings of the test's own.
    pub fn client_with(&self, set: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Client {
        client(self.https.unwrap_or(self.http), self.ca.as_deref(), set)
    }

    /// The certificates that the test trusts: its CA's, and those of domains.
    pub fn ca(&self) -> &Path {
        self.ca.as_deref().expect("a gateway with TLS")
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lines of the process's log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().expect("not poisoned").clone()
    }

    /// The first access record that `wanted` accepts, once it is written.
    pub async fn access_record(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually("an access record", || async {
            let lines = self.access.lock().expect("not poisoned").clone();
            lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|record| wanted(record))
        })
        .await
    }

    /// Sends a signal, such as `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the process to end.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "the gateway does not end: {:?}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM, and the exit status.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Another value of a setting, from the next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.command.retain(|(known, _)| known != key);
        self.command.push((key.to_owned(), value.to_owned()));
    }

    /// Starts once more on the same folder and expects that to fail: the exit code and what is said.
    pub async fn fails_to_start(&self) -> (Option<i32>, String) {
        let (mut child, log, _) = spawn(&self.command);
        let ended = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                if let Some(status) = child.try_wait().expect("the child can be asked") {
                    return status;
                }
                let lines = log.lock().expect("not poisoned").join("\n");
                if lines.contains("gatehouse is ready") {
                    let _ = child.kill();
                    panic!("it starts: {lines}");
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let code = ended.await.expect("it ends by itself").code();
        // The thread that reads goes on to the end of what was said, and then lets go.
        let kept = eventually("all that was said", || async { (Arc::strong_count(&log) == 1).then_some(()) });
        kept.await;
        (code, log.lock().expect("not poisoned").join("\n"))
    }

    /// Starts again on the same folder, after the process has ended; ports may differ.
    pub async fn start_again(&mut self) {
        let (child, log, access) = spawn(&self.command);
        self.child = child;
        self.log = log;
        self.access = access;
        (self.http, self.https, self.admin) = ready(&mut self.child, &self.log).await;
        self.client = self.client_with(|builder| builder);
    }
}

impl GatewayBuilder {
    /// Without TLS: the http listener proxies.
    pub fn plaintext(mut self) -> Self {
        self.tls = false;
        self
    }

    /// A setting, by its dotted key, or a variable by its plain name; the value as an environment variable would have it.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// More of the configuration file, such as `[[route]]`.
    pub fn toml(mut self, text: &str) -> Self {
        self.toml.push_str(text);
        self.toml.push('\n');
        self
    }

    /// With a certificate for a domain of its own in `tls.cert_dir`, which the test's clients trust.
    pub fn certificate(mut self, domain: &str) -> Self {
        self.domains.push(domain.to_owned());
        self
    }

    /// With a tenant.
    pub fn tenant(mut self, tenant: TestTenant) -> Self {
        self.tenants.push(tenant);
        self
    }

    /// Starts the process and creates the tenants.
    pub async fn start(self) -> TestGateway {
        let dir = tempfile::tempdir().expect("a folder");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let mut toml = self.toml.clone();
        for tenant in &self.tenants {
            toml.push_str(&tenant.plan_toml());
        }
        std::fs::write(dir.path().join("config.toml"), toml).expect("a config");
        let ca = self.tls.then(|| {
            let made = gatehouse::tls::write_dev_certificates(dir.path(), &Host::parse(BASE).expect("a host"));
            made.expect("certificates")
        });
        let mut settings = vec![
            ("listen.http".to_owned(), "127.0.0.1:0".to_owned()),
            ("listen.https".to_owned(), "127.0.0.1:0".to_owned()),
            ("listen.admin".to_owned(), "127.0.0.1:0".to_owned()),
            ("upstream.default".to_owned(), self.upstream.clone()),
            ("store.path".to_owned(), path("data")),
            ("metering.journal".to_owned(), path("journal")),
            ("log.format".to_owned(), "json".to_owned()),
            ("tls.mode".to_owned(), if self.tls { "files" } else { "off" }.to_owned()),
        ];
        if let Some(made) = &ca {
            self.write_domains(dir.path(), &made.ca);
            settings.push(("tls.cert_dir".to_owned(), path("domains")));
            settings.push(("tls.cert".to_owned(), made.cert.display().to_string()));
            settings.push(("tls.key".to_owned(), made.key.display().to_string()));
        }
        settings.extend(self.settings.clone());
        settings.push(("config".to_owned(), path("config.toml")));
        let ca = ca.map(|_| dir.path().join("trusted.crt"));
        let (mut child, log, access) = spawn(&settings);
        let (http, https, admin) = ready(&mut child, &log).await;
        let client = client(https.unwrap_or(http), ca.as_deref(), |builder| builder);
        let gateway = TestGateway { dir, http, https, admin, child, log, access, ca, command: settings, client };
        for tenant in &self.tenants {
            gateway.create(tenant).await.expect(201);
        }
        gateway
    }

    fn write_domains(&self, dir: &Path, root: &Path) {
        let (domains, trusted) = (dir.join("domains"), dir.join("trusted.crt"));
        std::fs::create_dir(&domains).expect("a folder");
        std::fs::copy(root, &trusted).expect("a copy of the root");
        for domain in &self.domains {
            write_pair(&domains, domain, &[domain], &trusted);
        }
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for line in self.log.lock().map(|lines| lines.clone()).unwrap_or_default() {
                eprintln!("gateway: {line}");
            }
        }
    }
}

/// Sends a request and reads its answer.
pub async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.expect("an answer")).await
}

fn client(gateway: SocketAddr, ca: Option<&Path>, set: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Client {
    // A second call finds the provider of the first; both are the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().dns_resolver(Arc::new(Everything(gateway)));
    if let Some(ca) = ca {
        let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(ca).expect("the trusted certificates")).expect("certificates");
        builder = builder.tls_certs_only(roots);
    }
    set(builder).build().expect("a client")
}

/// Every name is at the gateway.
struct Everything(SocketAddr);

impl reqwest::dns::Resolve for Everything {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let address = SocketAddr::new(self.0.ip(), 0);
        Box::pin(async move { Ok(Box::new(std::iter::once(address)) as reqwest::dns::Addrs) })
    }
}

/// The process that a test's settings make; names without a dot are environment variables as they are.
fn command(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["PATH", "RUST_LOG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"] {
        if let Ok(value) = std::env::var(name) {
            command.env(name, value);
        }
    }
    command.arg("run");
    for (key, value) in settings {
        if key == "config" {
            command.args(["-c", value]);
        } else if key.contains('.') {
            command.env(format!("GATEHOUSE_{}", key.to_uppercase().replace('.', "__")), value);
        } else {
            command.env(key, value);
        }
    }
    command
}

fn spawn(settings: &[(String, String)]) -> (Child, Lines, Lines) {
    let mut child = command(settings).spawn().expect("the gateway starts");
    let log = lines_of(child.stderr.take().expect("piped"));
    let access = lines_of(child.stdout.take().expect("piped"));
    (child, log, access)
}

fn lines_of(from: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            kept.lock().expect("not poisoned").push(line);
        }
    });
    lines
}

async fn ready(child: &mut Child, log: &Lines) -> (SocketAddr, Option<SocketAddr>, SocketAddr) {
    let child = std::cell::RefCell::new(child);
    let line = eventually("the gateway is ready", || async {
        let lines = log.lock().expect("not poisoned").clone();
        let ended = child.borrow_mut().try_wait().expect("the child can be asked");
        assert!(ended.is_none(), "the gateway has ended: {lines:?}");
        let records = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.into_iter().find(|record| record["message"] == "gatehouse is ready")
    })
    .await;
    let address = |name: &str| line[name].as_str().and_then(|text| text.parse::<SocketAddr>().ok());
    (address("http").expect("an address"), address("https"), address("admin").expect("an address"))
}
