//! TLS as OpenSSL sees it: versions, protocols, and no certificate for names that are not served.

use std::process::{Command, Stdio};

use crate::support::{TestGateway, Upstream, tenant};

/// What `openssl s_client` says of one handshake, and whether it came about.
async fn s_client(gateway: &TestGateway, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &gateway.https.unwrap().to_string(), "-CAfile", &gateway.ca().display().to_string()]);
    command.args(["-verify_return_error"]).args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().expect("openssl runs")).await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[tokio::test]
async fn openssl_gets_tls_1_2_and_1_3_the_protocol_it_asks_for_and_nothing_older() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let acme = ["-servername", "acme.example.localhost", "-verify_hostname", "acme.example.localhost"];
    let of = async |more: &[&str]| s_client(&gateway, &[&acme, more].concat()).await;
    for (arguments, shown) in [
        (&["-tls1_2"][..], &["Protocol  : TLSv1.2", "No ALPN negotiated"][..]),
        (&["-tls1_3"], &["TLSv1.3", "No ALPN negotiated"]),
        (&["-alpn", "h2,http/1.1"], &["ALPN protocol: h2"]),
        (&["-alpn", "http/1.1"], &["ALPN protocol: http/1.1"]),
        (&["-alpn", "http/1.1,h2", "-tls1_2"], &["ALPN protocol: h2"]),
    ] {
        let (done, text) = of(arguments).await;
        assert!(done && shown.iter().all(|shown| text.contains(shown)), "{arguments:?}: {text}");
    }
    for arguments in [&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..], &["-tls1", "-cipher", "ALL:@SECLEVEL=0"], &["-alpn", "spdy/1"]] {
        let (done, text) = of(arguments).await;
        assert!(!done, "{arguments:?}: {text}");
        assert!(text.contains("alert"), "it is the gateway that refuses {arguments:?}: {text}");
    }
}

#[tokio::test]
async fn a_name_without_a_certificate_is_refused_in_the_handshake_and_no_name_gets_the_default_one() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").with("customDomain", "acme.test")).start().await;
    for name in ["acme.test", "unknown.test", "x.acme.example.localhost"] {
        let (done, text) = s_client(&gateway, &["-servername", name]).await;
        assert!(!done && text.contains("alert") && text.contains("no peer certificate available"), "{name}: {text}");
    }
    let (done, text) = s_client(&gateway, &["-noservername", "-verify_hostname", "example.localhost"]).await;
    assert!(done && text.contains("Verify return code: 0"), "{text}");
}
