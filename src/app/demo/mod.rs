//! The demo: a whole gateway without set-up, in front of a small app, with two tenants. Everything it writes lies in one
//! folder of its own that goes when it ends.

mod app;
mod guide;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::ExposeSecret;

use super::Gateway;
use crate::config::Config;
use crate::model::{BillingCycle, Host, KeyMode};
use crate::tenancy::{Cause, NewKey, NewTenant, TenancyError, Tenants, create_tenant, issue_key};
use crate::tls::write_dev_certificates;

/// Ports for http, https and the admin API.
const USUAL: [u16; 3] = [8080, 8443, 3000];

/// Tenants of the demo: name, slug, plan.
const TENANTS: [(&str, &str, &str); 2] = [("Acme Corp", "acme", "pro"), ("Globex", "globex", "free")];

/// Runs the demo until SIGTERM or SIGINT. `settings` are dotted keys and values, laid over what the demo needs.
pub fn demo(settings: Vec<(String, String)>) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let app = TcpListener::bind("127.0.0.1:0").context("the demo app finds no free port")?;
    let address = app.local_addr()?;
    let usual = config(&folder.0, address, settings.clone(), USUAL.map(free))?;
    crate::observe::init_logging(&usual.log);
    let ca = certificates(&folder.0, &usual.tenancy.base_domain)?;
    let base_domain = usual.tenancy.base_domain.clone();
    // A port that was free may be taken meanwhile, for example by another demo.
    let any = || Gateway::start(config(&folder.0, address, settings, [0; 3])?);
    let gateway = Gateway::start(usual).or_else(|_| any())?;
    app.set_nonblocking(true)?;
    gateway.runtime().spawn(app::serve(app));
    let key = gateway.runtime().block_on(provision(gateway.tenants())).context("the demo's tenants cannot be made")?;
    let guide = guide::text(&gateway.addresses(), &base_domain, &ca, &key);
    std::io::stdout().write_all(guide.as_bytes())?;
    gateway.run_until_signal()
}

/// The port where it is free, else 0 for any other.
fn free(port: u16) -> u16 {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() { port } else { 0 }
}

fn config(folder: &Path, app: SocketAddr, settings: Vec<(String, String)>, ports: [u16; 3]) -> anyhow::Result<Config> {
    let [http, https, admin] = ports.map(|port| format!("127.0.0.1:{port}"));
    let path = |name: &str| folder.join(name).display().to_string();
    let needed = [
        ("listen.http", http),
        ("listen.https", https),
        ("listen.admin", admin),
        ("upstream.default", format!("http://{app}")),
        ("tls.cert", path("gatehouse.crt")),
        ("tls.key", path("gatehouse.key")),
        ("store.path", path("store")),
        ("metering.journal", path("journal")),
        ("log.access", path("access.log")),
        // So that a flood by hand meets the limit.
        ("plans.free.rate", "{ per_second = 5, burst = 10 }".to_owned()),
    ];
    let needed = needed.into_iter().map(|(key, value)| (key.to_owned(), value));
    Ok(Config::load(None, [], needed.chain(settings))?)
}

fn certificates(folder: &Path, base_domain: &Host) -> anyhow::Result<PathBuf> {
    let made = write_dev_certificates(folder, base_domain).context("the demo's certificates cannot be made")?;
    for (from, to) in [(&made.cert, "gatehouse.crt"), (&made.key, "gatehouse.key")] {
        let to = folder.join(to);
        if *from != to {
            std::fs::copy(from, &to)?;
        }
    }
    Ok(made.ca)
}

/// Makes the tenants and a key for the first; the key's secret.
async fn provision(tenants: &Tenants) -> Result<String, TenancyError> {
    let cause = Cause::of("demo", tenants.clock.now());
    let mut secret = String::new();
    for (name, slug, plan) in TENANTS {
        let new = NewTenant {
            name: name.to_owned(),
            slug: slug.to_owned(),
            plan: plan.to_owned(),
            billing_cycle: BillingCycle::Monthly,
            custom_domain: None,
            config: None,
            metadata: None,
            upstream: Vec::new(),
            billing: None,
        };
        let tenant = tenants.apply(create_tenant(&new, tenants.desk(), &cause)?).await?;
        if secret.is_empty() {
            let new = NewKey { name: "demo".to_owned(), roles: Vec::new(), scopes: Vec::new(), expires_at: None, mode: KeyMode::default() };
            let (change, _, key) = issue_key(&tenant, &new, &cause)?;
            tenants.apply(change).await?;
            secret = key.expose_secret().to_owned();
        }
    }
    Ok(secret)
}

/// A folder of this process's own, only for its user.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("gatehouse-demo-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        // Fails where something is there already: it is somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
