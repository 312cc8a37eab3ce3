//! Handshakes over sockets: with rustls as the client, and with OpenSSL and curl.

use std::fs;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use tokio::process::Command;

use super::support::*;

#[tokio::test]
async fn openssl_agrees_on_either_version_and_on_h2_before_http_1() {
    let authority = Authority::new();
    let address = serve(&authority.load()).await;
    let name = ["-servername", "acme.example.localhost", "-verify_hostname", "acme.example.localhost", "-verify_return_error"];
    for (version, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for (offered, chosen) in [("h2,http/1.1", "h2"), ("http/1.1,h2", "h2"), ("http/1.1", "http/1.1")] {
            let output = s_client(&authority, address, &[&name[..], &[version, "-alpn", offered]].concat()).await;
            let said = text(&output);
            assert!(output.status.success() && said.contains("Verify return code: 0 (ok)"), "{said}");
            assert!(said.contains(&format!("ALPN protocol: {chosen}")) && said.contains(shown), "{said}");
        }
    }
    let old = s_client(&authority, address, &[&name[..], &["-tls1_1"]].concat()).await;
    assert!(!old.status.success(), "{}", text(&old));
    let foreign = s_client(&authority, address, &[&name[..], &["-alpn", "spdy/3"]].concat()).await;
    assert!(!foreign.status.success(), "{}", text(&foreign));
}

#[tokio::test]
async fn curl_is_served_over_either_version() {
    let authority = Authority::new();
    let address = serve(&authority.load()).await;
    for (version, shown) in [("1.2", "TLSv1_2"), ("1.3", "TLSv1_3")] {
        let url = format!("https://acme.example.localhost:{}/", address.port());
        let resolve = format!("acme.example.localhost:{}:127.0.0.1", address.port());
        let output = Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--http1.1", "--tls-max", version, "--cacert"])
            .arg(authority.path("root.pem"))
            .args(["--resolve", &resolve, &url])
            .output()
            .await
            .unwrap();
        let said = text(&output);
        assert!(said.contains(shown) && said.contains("acme.example.localhost"), "{said}");
    }
}

#[tokio::test]
async fn a_session_is_resumed_for_its_own_name_only() {
    let authority = Authority::new();
    authority.pair("other.com", &["other.com"], VALID);
    let address = serve(&authority.load()).await;
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.path(&format!("session{version}"));
        let session = session.to_str().unwrap();
        let first = s_client(&authority, address, &[version, "-servername", "acme.example.localhost", "-sess_out", session]).await;
        assert!(text(&first).contains("New, TLSv1."), "{}", text(&first));
        for (name, kind) in
            [("acme.example.localhost", "Reused, TLSv1."), ("globex.example.localhost", "New, TLSv1."), ("other.com", "New, TLSv1.")]
        {
            let again = s_client(&authority, address, &[version, "-servername", name, "-sess_in", session]).await;
            assert!(text(&again).contains(kind), "{version} {name}: {}", text(&again));
            assert!(text(&again).contains(&format!("Some(\"{name}\")")), "the name is that of this handshake: {}", text(&again));
        }
        let nameless = s_client(&authority, address, &[version, "-noservername", "-sess_in", session]).await;
        assert!(text(&nameless).contains("New, TLSv1."), "{}", text(&nameless));
    }
}

#[tokio::test]
async fn a_rustls_client_resumes_too_and_gets_one_ticket_per_connection() {
    let authority = Authority::new();
    let address = serve(&authority.load()).await;
    for version in [&TLS12, &TLS13] {
        let connector = authority.client(&[version]);
        let mut kinds = Vec::new();
        for _ in 0..3 {
            let mut connection = connect(&connector, address, "acme.example.localhost").await.unwrap();
            // The ticket comes with the first answer.
            ask(&mut connection, true).await;
            let tls = connection.get_ref().1;
            if version == &TLS13 {
                assert_eq!(tls.tls13_tickets_received(), 1);
            }
            kinds.push(tls.handshake_kind().unwrap());
        }
        assert_eq!(kinds[1..], [HandshakeKind::Resumed, HandshakeKind::Resumed], "{version:?}");
    }
}

#[tokio::test]
async fn a_name_under_no_certificate_is_refused_in_the_handshake() {
    let authority = Authority::new();
    let address = serve(&authority.load()).await;
    let connector = authority.client(&[&TLS12, &TLS13]);
    for name in ["other.com", "a.b.example.localhost", "example.localhost.evil.com", "localhost"] {
        let error = connect(&connector, address, name).await.unwrap_err();
        assert!(error.to_string().contains("AccessDenied"), "{name}: {error}");
        let output = s_client(&authority, address, &["-servername", name]).await;
        assert!(text(&output).contains("no peer certificate available"), "{}", text(&output));
    }
}

#[tokio::test]
async fn without_a_name_the_default_certificate_is_served() {
    let authority = Authority::new();
    authority.pair("acme.com", &["acme.com"], VALID);
    let address = serve(&authority.load()).await;
    let output =
        s_client(&authority, address, &["-noservername", "-verify_hostname", "acme.example.localhost", "-verify_return_error"]).await;
    let said = text(&output);
    assert!(output.status.success() && said.contains("Verify return code: 0 (ok)") && said.contains("None"), "{said}");
    // An address is no name (RFC 6066, section 3): whoever sends one is served as if there were none.
    let error = connect(&authority.client(&[&TLS13]), address, "127.0.0.1").await.unwrap_err().to_string();
    assert!(error.contains("not valid for name"), "the handshake got as far as the certificate: {error}");
}

#[tokio::test]
async fn the_most_specific_certificate_is_served() {
    let authority = Authority::new();
    authority.write(&authority.path("default"), &[BASE, "*.example.localhost", "named.example.localhost", "exact.acme.com"], VALID);
    authority.pair("own.example.localhost", &["own.example.localhost"], VALID);
    authority.pair("acme.com", &["acme.com", "*.acme.com"], VALID);
    authority.pair("shop.acme.com", &["shop.acme.com"], VALID);
    authority.pair("*.example.localhost", &["*.example.localhost"], VALID);
    // Covers acme.com as well, but the file that is named so wins, though this one is valid for longer.
    authority.pair("many.com", &["many.com", "acme.com"], (-1, 300));
    let address = serve(&authority.load()).await;
    let connector = authority.client(&[&TLS13]);
    for (name, file) in [
        ("named.example.localhost", authority.path("default.crt")),
        ("exact.acme.com", authority.path("default.crt")),
        ("own.example.localhost", authority.pair_path("own.example.localhost.crt")),
        ("any.example.localhost", authority.pair_path("*.example.localhost.crt")),
        ("acme.com", authority.pair_path("acme.com.crt")),
        ("any.acme.com", authority.pair_path("acme.com.crt")),
        ("shop.acme.com", authority.pair_path("shop.acme.com.crt")),
        ("many.com", authority.pair_path("many.com.crt")),
    ] {
        let connection = connect(&connector, address, name).await.unwrap();
        assert_eq!(connection.get_ref().1.peer_certificates().unwrap()[0], leaf_in(&file), "{name}");
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_on_the_next_handshake_while_an_open_connection_lives_on() {
    let authority = Authority::new();
    authority.pair("acme.com", &["acme.com"], VALID);
    let certificates = authority.load();
    let address = serve(&certificates).await;
    let connector = authority.client(&[&TLS13]);
    let served = |connection: &Connection| connection.get_ref().1.peer_certificates().unwrap()[0].clone();
    let mut open = connect(&connector, address, "acme.com").await.unwrap();
    let old = served(&open);
    ask(&mut open, false).await;

    authority.pair("acme.com", &["acme.com"], VALID);
    authority.pair("new.com", &["new.com"], VALID);
    assert!(connect(&connector, address, "new.com").await.is_err());
    assert!(certificates.refresh());
    // A client without a memory, as a resumed session shows the certificate of its beginning.
    let fresh = connect(&authority.client(&[&TLS13]), address, "acme.com").await.unwrap();
    assert_ne!(served(&fresh), old);
    assert_eq!(served(&fresh), leaf_in(&authority.pair_path("acme.com.crt")));
    assert!(connect(&connector, address, "new.com").await.is_ok());
    assert!(ask(&mut open, false).await.contains("acme.com"));

    fs::remove_file(authority.pair_path("acme.com.crt")).unwrap();
    fs::remove_file(authority.pair_path("acme.com.key")).unwrap();
    assert!(certificates.refresh());
    let refused = connect(&connector, address, "acme.com").await;
    assert!(refused.is_err(), "with a ticket of the time before as well");
    assert!(ask(&mut open, true).await.contains("acme.com"));
    assert!(!certificates.refresh());

    authority.write(&authority.path("default"), &[BASE, "*.example.localhost"], VALID);
    assert!(certificates.refresh());
    let fresh = connect(&authority.client(&[&TLS13]), address, "x.example.localhost").await.unwrap();
    assert_eq!(served(&fresh), leaf_in(&authority.path("default.crt")));
}
