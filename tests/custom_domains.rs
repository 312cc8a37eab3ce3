//! A tenant's own domain, from the claim to a certificate that clients trust: an ACME authority that we did not write issues it.

mod failures;
mod life;
mod records;
mod zones;

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use crate::support::acme::{Acme, Habits};
use crate::support::upstream::RunningUpstream;
use crate::support::{Raw, TestGateway, Upstream, eventually, tenant};

const DOMAIN: &str = "shop.acme.test";

/// A gateway with the tenants acme and globex, and the authority that it orders at.
struct Scene {
    acme: Acme,
    gateway: TestGateway,
    _origin: RunningUpstream,
}

impl Scene {
    async fn new(habits: Habits) -> Self {
        Self::with(habits, &[]).await
    }

    async fn with(habits: Habits, settings: &[(&str, &str)]) -> Self {
        let (mut acme, origin) = (Acme::new().await, Upstream::echoing().start().await);
        let gateway = settings.iter().fold(acme.orders(TestGateway::to(&origin)), |gateway, (key, value)| gateway.set(key, value));
        let gateway = gateway.tenant(tenant("acme").plan("pro")).tenant(tenant("globex").plan("pro")).start().await;
        acme.start(&gateway, habits).await;
        Self { acme, gateway, _origin: origin }
    }

    async fn post(&self, slug: &str, rest: &str, body: Value) -> crate::support::Answer {
        self.gateway.admin(Method::POST, &format!("/admin/tenants/{slug}/domains{rest}"), body).await
    }

    async fn claim(&self, slug: &str, domain: &str) -> Value {
        self.post(slug, "", json!({"domain": domain})).await.expect(201).json()
    }

    async fn verify(&self, slug: &str, domain: &str) -> Value {
        self.post(slug, &format!("/{domain}/verify"), Value::Null).await.expect(200).json()
    }

    async fn read(&self, slug: &str, domain: &str) -> Value {
        self.gateway.admin(Method::GET, &format!("/admin/tenants/{slug}/domains/{domain}"), Value::Null).await.expect(200).json()
    }

    async fn remove(&self, slug: &str, domain: &str) {
        self.gateway.admin(Method::DELETE, &format!("/admin/tenants/{slug}/domains/{domain}"), Value::Null).await.expect(200);
    }

    /// Waits until a domain is as it shall be; what it is then.
    async fn until(&self, slug: &str, domain: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually("the domain is as it shall be", || async { Some(self.read(slug, domain).await).filter(|seen| wanted(seen)) }).await
    }

    async fn served(&self, slug: &str, domain: &str) -> Value {
        self.until(slug, domain, |seen| seen["status"] == "serving" && seen["certificate"]["state"] == "active").await
    }

    /// Claims a domain, sets its records and waits for its certificate.
    async fn serve(&self, slug: &str, domain: &str) -> Value {
        let claimed = self.claim(slug, domain).await;
        self.acme.dns.obey(&claimed).await;
        self.verify(slug, domain).await;
        self.served(slug, domain).await
    }

    /// curl, which finds the domain at the gateway and trusts this root.
    async fn curl(&self, root: &Path, domain: &str, more: &[&str]) -> Output {
        let https = self.gateway.https.unwrap();
        let mut command = tokio::process::Command::new("curl");
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--cacert"]).arg(root).args(more);
        command.args(["--connect-to", &format!("::{https}"), &format!("https://{domain}:{}/hello", https.port())]);
        command.output().await.unwrap()
    }

    /// A connection to the domain that stays open.
    async fn open(&self, root: &Path, domain: &str) -> Raw {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let stream = tokio::net::TcpStream::connect(self.gateway.https.unwrap()).await.unwrap();
        let name = ServerName::try_from(domain.to_owned()).unwrap();
        Raw::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap())
    }

    /// Whom the app was called for at a domain that is served with a certificate of this root.
    async fn reaches(&self, root: &Path, domain: &str) -> String {
        let answer = self.curl(root, domain, &[]).await;
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        let echoed: Value = serde_json::from_slice(&answer.stdout).unwrap();
        echoed["headers"]["x-tenant-slug"][0].as_str().unwrap().to_owned()
    }
}

fn orders(scene: &Scene) -> usize {
    scene.acme.orders_placed()
}

fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64
}
