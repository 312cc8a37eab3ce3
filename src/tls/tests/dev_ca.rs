//! Development certificates as OpenSSL and curl judge them, and what is used again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, Issuer, KeyPair, date_time_ymd};

use super::support::*;
use crate::clock::{Clock, SystemClock};
use crate::tls::{Certificates, DevCaError, DevCertificates, write_dev_certificates};

fn verify(ca: &Path, cert: &Path, arguments: &[&str]) -> Output {
    let purpose = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile"];
    Command::new("openssl").args(purpose).arg(ca).args(arguments).arg(cert).output().unwrap()
}

fn contents(files: &DevCertificates) -> [String; 3] {
    [&files.ca, &files.cert, &files.key].map(|path| fs::read_to_string(path).unwrap())
}

/// A certificate that the root in `dir` signs.
fn signed_by_root(dir: &Path, names: &[&str], days: i64) -> (String, String) {
    let mut root = CertificateParams::default();
    root.distinguished_name = rcgen::DistinguishedName::new();
    root.distinguished_name.push(DnType::CommonName, "gatehouse development CA");
    let issuer = Issuer::new(root, KeyPair::from_pem(&fs::read_to_string(dir.join("dev-ca.key")).unwrap()).unwrap());
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    let at = |days: i64| date_time_ymd(1970, 1, 1) + Duration::from_millis(SystemClock.now().plus_days(days).0.unsigned_abs());
    (params.not_before, params.not_after) = (at(-1), at(days));
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

#[test]
fn openssl_accepts_every_name_it_is_for_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_dev_certificates(&dir.path().join("new/certs"), &host(BASE)).unwrap();
    for accepted in [BASE, "acme.example.localhost", "localhost"] {
        let output = verify(&files.ca, &files.cert, &["-verify_hostname", accepted]);
        assert!(output.status.success(), "{accepted}: {}", text(&output));
    }
    let output = verify(&files.ca, &files.cert, &["-verify_hostname", "acme.com"]);
    assert!(!output.status.success(), "{}", text(&output));
    let shown = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&files.ca).output().unwrap();
    let shown = text(&shown);
    assert!(shown.contains("CN = gatehouse development CA") && shown.contains("X509v3 Name Constraints: critical"), "{shown}");
    // 398 days are what browsers take.
    let late = (SystemClock.now().plus_days(398).0 / 1000).to_string();
    assert!(!verify(&files.ca, &files.cert, &["-attime", &late]).status.success());
}

#[test]
fn a_stolen_root_cannot_pose_as_another_site() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_dev_certificates(dir.path(), &host(BASE)).unwrap();
    for (name, accepted) in [("bank.com", false), ("other.example.localhost", true)] {
        let cert = dir.path().join("made.crt");
        fs::write(&cert, signed_by_root(dir.path(), &[name], 90).0).unwrap();
        let output = verify(&files.ca, &cert, &["-verify_hostname", name]);
        assert_eq!(output.status.success(), accepted, "{name}: {}", text(&output));
    }
}

#[test]
fn what_is_there_and_good_is_used_again_and_only_what_is_not_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let make = || write_dev_certificates(dir.path(), &host(BASE)).unwrap();
    let files = make();
    let first = contents(&files);
    assert_eq!(contents(&make()), first);

    // The leaf is about to expire, for other names, for an address too, signed by another root, without its key, or damaged: the root stays.
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = contents(&write_dev_certificates(elsewhere.path(), &host(BASE)).unwrap());
    let expiring = signed_by_root(dir.path(), &[BASE, "*.example.localhost"], 29);
    let narrow = signed_by_root(dir.path(), &[BASE], 90);
    let with_address = signed_by_root(dir.path(), &[BASE, "*.example.localhost", "127.0.0.1"], 90);
    let good = signed_by_root(dir.path(), &[BASE, "*.example.localhost"], 31);
    for (cert, key, stays) in [
        (&expiring.0, &expiring.1, false),
        (&narrow.0, &narrow.1, false),
        (&with_address.0, &with_address.1, false),
        (&foreign[1], &foreign[2], false),
        (&first[1], &expiring.1, false),
        (&"garbage".to_owned(), &first[2], false),
        (&good.0, &good.1, true),
    ] {
        fs::write(&files.cert, cert).unwrap();
        fs::write(&files.key, key).unwrap();
        let [root, leaf, _] = contents(&make());
        assert_eq!(root, first[0]);
        assert_eq!(leaf == *cert, stays);
        assert!(verify(&files.ca, &files.cert, &["-verify_hostname", "a.example.localhost"]).status.success());
    }

    // The root is damaged, without its key, or for another base domain: all is made anew.
    let unbroken = contents(&files);
    fs::write(&files.ca, "garbage").unwrap();
    let second = contents(&make());
    assert!(second[0] != unbroken[0] && second[1] != unbroken[1]);
    fs::remove_file(dir.path().join("dev-ca.key")).unwrap();
    let third = contents(&make());
    assert!(third[0] != second[0]);
    let moved = write_dev_certificates(dir.path(), &host("dev.test")).unwrap();
    assert!(contents(&moved)[0] != third[0]);
    assert!(verify(&moved.ca, &moved.cert, &["-verify_hostname", "acme.dev.test"]).status.success());
}

#[test]
fn keys_are_their_owners_only_and_nothing_else_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_dev_certificates(dir.path(), &host(BASE)).unwrap();
    let ca_key = dir.path().join("dev-ca.key");
    let before = contents(&files);
    fs::set_permissions(&ca_key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    write_dev_certificates(dir.path(), &host(BASE)).unwrap();
    for key in [&ca_key, &files.key] {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let after = contents(&files);
    assert!(after[0] == before[0] && after[2] != before[2], "a key that others could read is used no more");
    let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["dev-ca.crt", "dev-ca.key", "dev.crt", "dev.key"]);

    let blocked = dir.path().join("dev.crt/below");
    let error = write_dev_certificates(&blocked, &host(BASE)).unwrap_err();
    assert!(matches!(&error, DevCaError::Write { path, .. } if *path == blocked), "{error}");
}

#[tokio::test]
async fn curl_reaches_a_tenant_by_trusting_the_root_alone() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_dev_certificates(dir.path(), &host(BASE)).unwrap();
    let certificates = Arc::new(Certificates::load(Some((&files.cert, &files.key)), None, None).unwrap());
    let address = serve(&certificates).await;
    for name in [BASE, "acme.example.localhost", "localhost"] {
        let (url, resolve) = (format!("https://{name}:{}/", address.port()), format!("{name}:{}:127.0.0.1", address.port()));
        let output = tokio::process::Command::new("curl")
            .args(["-sS", "--noproxy", "*", "--http1.1", "--cacert"])
            .arg(&files.ca)
            .args(["--resolve", &resolve, &url])
            .output()
            .await
            .unwrap();
        assert!(text(&output).contains(&format!("Some(\"{name}\")")), "{}", text(&output));
    }
}
