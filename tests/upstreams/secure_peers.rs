//! Upstreams behind the TLS of programs that nobody here wrote (NGINX, OpenSSL), with certificates made by openssl: whom the
//! gateway asks for, whom it trusts, what it shows, and what it says when TLS fails.

use std::net::SocketAddr;
use std::process::Command;

use crate::support::authority::{Authority, Valid};
use crate::support::gateway::GatewayBuilder;
use crate::support::nginx::{Program, free, nginx_with, serve};
use crate::support::{Answer, RawUpstream, TestGateway, Upstream, eventually, peers, tenant};

/// An NGINX that answers with what its TLS knows of the connection.
struct Secure {
    address: SocketAddr,
    _program: Program,
    _dir: tempfile::TempDir,
}

/// What that is.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    asked_for: String,
    shown: String,
    resumed: bool,
    version: String,
}

impl Secure {
    /// With one of the authority's certificates, and more lines of configuration.
    async fn start(authority: &Authority, certificate: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = free();
        let (pair, ca) = (authority.file(certificate), authority.file("ca.crt"));
        let config = format!(
            "ssl_certificate {pair}.crt; ssl_certificate_key {pair}.key; ssl_client_certificate {ca}; {more}\n\
             server {{ listen {address} ssl; return 200 \"$ssl_server_name,$ssl_client_s_dn,$ssl_session_reused,$ssl_protocol\"; }}"
        );
        let program = nginx_with(dir.path(), address, &config).await;
        Self { address, _program: program, _dir: dir }
    }

    fn gateway(&self, host: &str) -> GatewayBuilder {
        to(host, self.address)
    }
}

impl Seen {
    #[track_caller]
    fn of(answer: Answer) -> Self {
        let text = answer.expect(200).text();
        let parts: Vec<&str> = text.split(',').collect();
        let [asked_for, shown, resumed, version] = parts[..] else { panic!("{text}") };
        Self { asked_for: asked_for.to_owned(), shown: shown.to_owned(), resumed: resumed == "r", version: version.to_owned() }
    }
}

/// A gateway to an https upstream; one worker, so that its connections and sessions are those of every request.
fn to(host: &str, address: SocketAddr) -> GatewayBuilder {
    let url = format!("https://{host}:{}", address.port());
    TestGateway::to_url(&url).set("listen.workers", "1").tenant(tenant("acme"))
}

async fn seen(gateway: &TestGateway) -> Seen {
    Seen::of(gateway.get("acme", "/").await)
}

/// Fails unless the gateway says that TLS failed so, counts nothing and logs `reason`.
async fn fails(gateway: &TestGateway, error: &str, reason: &str) {
    let answer = gateway.get("acme", "/").await.expect(502).code("upstream_unreachable");
    assert_eq!(answer.header("proxy-status"), format!("gatehouse; error={error}"), "{:?}", gateway.log());
    assert_eq!(gateway.usage("acme").await["apiCalls"], 0);
    let told = || async { gateway.log().iter().any(|line| line.contains(reason)).then_some(()) };
    eventually(&format!("the log tells of {reason}"), told).await;
}

#[tokio::test]
async fn what_is_asked_for_is_the_upstreams_name_and_for_an_address_nothing() {
    let authority = Authority::new();
    authority.issue("both", "DNS:localhost,IP:127.0.0.1", Valid::Now);
    let app = Secure::start(&authority, "both", "").await;
    for (host, asked_for) in [("localhost", "localhost"), ("127.0.0.1", "")] {
        let gateway = app.gateway(host).set("upstream.ca_file", &authority.file("ca.crt")).start().await;
        assert_eq!(seen(&gateway).await.asked_for, asked_for, "not what the client asked for");
    }
}

#[tokio::test]
async fn the_systems_roots_are_trusted_and_so_are_ones_own() {
    let (system, own) = (Authority::new(), Authority::new());
    for authority in [&system, &own] {
        authority.issue("app", "IP:127.0.0.1", Valid::Now);
        let app = Secure::start(authority, "app", "").await;
        let builder = app.gateway("127.0.0.1").set("SSL_CERT_FILE", &system.file("ca.crt"));
        let gateway = builder.set("upstream.ca_file", &own.file("ca.crt")).start().await;
        gateway.get("acme", "/").await.expect(200);
    }
    let app = Secure::start(&own, "app", "").await;
    let gateway = app.gateway("127.0.0.1").set("SSL_CERT_FILE", &system.file("ca.crt")).start().await;
    fails(&gateway, "tls_certificate_error", "UnknownIssuer").await;
}

#[tokio::test]
async fn a_certificate_that_is_expired_or_anothers_is_a_certificate_error() {
    let authority = Authority::new();
    authority.issue("expired", "DNS:localhost", Valid::LongAgo);
    authority.issue("other", "DNS:other.localhost,IP:127.0.0.2", Valid::Now);
    for (certificate, host, reason) in
        [("expired", "localhost", "expired"), ("other", "localhost", "not valid for name"), ("other", "127.0.0.1", "not valid for name")]
    {
        let app = Secure::start(&authority, certificate, "").await;
        let gateway = app.gateway(host).set("upstream.ca_file", &authority.file("ca.crt")).start().await;
        fails(&gateway, "tls_certificate_error", reason).await;
    }
}

#[tokio::test]
async fn what_has_no_http_2_in_its_tls_is_a_protocol_error() {
    let authority = Authority::new();
    authority.issue("app", "DNS:localhost", Valid::Now);
    let app = Secure::start(&authority, "app", "").await;
    let url = format!("h2://localhost:{}", app.address.port());
    let gateway = TestGateway::to_url(&url).set("upstream.ca_file", &authority.file("ca.crt")).tenant(tenant("acme")).start().await;
    fails(&gateway, "tls_protocol_error", "no connection to").await;
}

#[tokio::test]
async fn what_speaks_no_tls_or_hangs_up_is_a_protocol_error() {
    let origin = Upstream::replying("clear").start().await;
    let gateway = to("127.0.0.1", origin.url().trim_start_matches("http://").parse().unwrap()).start().await;
    fails(&gateway, "tls_protocol_error", "no connection to").await;
    assert!(origin.seen().is_empty());
    let origin = RawUpstream::listen().await;
    let gateway = to("127.0.0.1", origin.address).start().await;
    tokio::select! {
        () = fails(&gateway, "tls_protocol_error", "no connection to") => {}
        () = async { loop { drop(origin.accept().await) } } => {}
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_the_handshake_off_for_want_of_a_certificate_is_an_alert() {
    let authority = Authority::new();
    authority.issue("app", "IP:127.0.0.1", Valid::Now);
    for version in ["-tls1_2", "-tls1_3"] {
        let address = free();
        let mut command = Command::new(peers::debian("openssl", "openssl"));
        command.args(["s_server", "-www", "-Verify", "1", "-verify_return_error", version, "-accept", &address.to_string()]);
        command.args(["-cert", &authority.file("app.crt"), "-key", &authority.file("app.key"), "-CAfile", &authority.file("ca.crt")]);
        let _app = serve(&mut command, address).await;
        let gateway = to("127.0.0.1", address).set("upstream.ca_file", &authority.file("ca.crt")).start().await;
        fails(&gateway, "tls_alert_received", "alert").await;
    }
}

#[tokio::test]
async fn a_certificate_is_shown_to_whom_asks_for_it_in_either_version_of_tls() {
    let authority = Authority::new();
    authority.issue("app", "IP:127.0.0.1", Valid::Now);
    authority.issue("gateway-one", "DNS:gateway.localhost", Valid::Now);
    for version in ["TLSv1.2", "TLSv1.3"] {
        for (asks, shown) in [("on", "CN=gateway-one"), ("off", "")] {
            let app = Secure::start(&authority, "app", &format!("ssl_verify_client {asks}; ssl_protocols {version};")).await;
            let builder = app.gateway("127.0.0.1").set("upstream.ca_file", &authority.file("ca.crt"));
            let builder = builder.set("upstream.client_cert", &authority.file("gateway-one.crt"));
            let gateway = builder.set("upstream.client_key", &authority.file("gateway-one.key")).start().await;
            let seen = seen(&gateway).await;
            assert_eq!((seen.shown.as_str(), seen.version.as_str()), (shown, version), "asked: {asks}");
        }
    }
}

#[tokio::test]
async fn what_an_app_says_to_a_gateway_without_a_certificate_is_the_apps_answer() {
    let authority = Authority::new();
    authority.issue("app", "IP:127.0.0.1", Valid::Now);
    let app = Secure::start(&authority, "app", "ssl_verify_client on;").await;
    let gateway = app.gateway("127.0.0.1").set("upstream.ca_file", &authority.file("ca.crt")).start().await;
    let answer = gateway.get("acme", "/").await.expect(400);
    assert!(answer.text().contains("No required SSL certificate was sent"), "{}", answer.text());
    assert_eq!(answer.header("proxy-status"), "");
    assert_eq!(gateway.usage("acme").await["apiCalls"], 1);
}

#[tokio::test]
async fn a_rotated_certificate_is_shown_without_a_restart_and_a_bad_one_never() {
    let authority = Authority::new();
    for name in ["app", "one", "two", "shown"] {
        authority.issue(name, "IP:127.0.0.1", Valid::Now);
    }
    authority.replace("shown", "one");
    // Each request has a connection of its own, and its session is resumed: that must not bring the old certificate back.
    let app = Secure::start(&authority, "app", "ssl_verify_client on; keepalive_timeout 0; ssl_protocols TLSv1.3;").await;
    let builder = app.gateway("127.0.0.1").set("upstream.ca_file", &authority.file("ca.crt"));
    let builder = builder.set("upstream.client_cert", &authority.file("shown.crt"));
    let gateway = builder.set("upstream.client_key", &authority.file("shown.key")).start().await;
    assert_eq!(seen(&gateway).await.shown, "CN=one");
    std::fs::copy(authority.path("two.key"), authority.path("shown.key")).unwrap();
    eventually("the log tells of a key that does not fit", || async {
        gateway.log().iter().any(|line| line.contains("does not belong to the first certificate")).then_some(())
    })
    .await;
    let kept = seen(&gateway).await;
    assert_eq!((kept.shown.as_str(), kept.resumed), ("CN=one", true));
    std::fs::copy(authority.path("two.crt"), authority.path("shown.crt")).unwrap();
    eventually("the new certificate is shown", || async { (seen(&gateway).await.shown == "CN=two").then_some(()) }).await;
    for _ in 0..3 {
        assert_eq!(seen(&gateway).await.shown, "CN=two", "and stays");
    }
}

#[tokio::test]
async fn a_session_is_resumed_where_the_connection_was_closed() {
    let authority = Authority::new();
    authority.issue("app", "IP:127.0.0.1", Valid::Now);
    for version in ["TLSv1.2", "TLSv1.3"] {
        let app = Secure::start(&authority, "app", &format!("keepalive_timeout 0; ssl_protocols {version};")).await;
        let gateway = app.gateway("127.0.0.1").set("upstream.ca_file", &authority.file("ca.crt")).start().await;
        let mut resumed = Vec::new();
        for _ in 0..3 {
            let seen = seen(&gateway).await;
            assert_eq!(seen.version, version);
            resumed.push(seen.resumed);
        }
        assert_eq!(resumed, [false, true, true], "{version}");
    }
}

#[test]
fn half_a_client_certificate_and_a_key_of_another_are_refused_by_check() {
    let authority = Authority::new();
    authority.issue("one", "DNS:one.localhost", Valid::Now);
    authority.issue("two", "DNS:two.localhost", Valid::Now);
    let (cert, key, other) = (authority.file("one.crt"), authority.file("one.key"), authority.file("two.key"));
    let (cert, key, other) = (("CERT", cert.as_str()), ("KEY", key.as_str()), ("KEY", other.as_str()));
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[cert], "a certificate needs its key: set upstream.client_key as well"),
        (&[key], "a key needs its certificate: set upstream.client_cert as well"),
        (&[cert, other], "it does not belong to the first certificate of `upstream.client_cert`"),
        (&[cert, key], ""),
    ];
    for (set, text) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.arg("check").current_dir(authority.path("")).env_clear().env("GATEHOUSE_TLS__MODE", "off");
        for (name, file) in set {
            command.env(format!("GATEHOUSE_UPSTREAM__CLIENT_{name}"), file);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.success(), text.is_empty(), "{set:?}: {said}");
        assert!(said.contains(text), "{set:?}: {said}");
    }
}
