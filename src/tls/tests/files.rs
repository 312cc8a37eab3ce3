//! What is made of files: good, bad, half written, expired, gone.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use rustls::pki_types::CertificateDer;

use super::support::*;
use crate::tls::{CertificateError, Certificates};

fn served(certificates: &Certificates, name: &str) -> Option<CertificateDer<'static>> {
    certificates.find(Some(name)).map(|key| key.cert[0].clone())
}

/// What is logged while `action` runs.
fn logged(action: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared::default();
    let writer = shared.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, action);
    let text = shared.0.lock().unwrap().clone();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_default_pair_that_cannot_be_used_is_an_error_that_names_the_file_and_the_way_out() {
    let authority = Authority::new();
    let load = || Certificates::load(Some((&authority.path("default.crt"), &authority.path("default.key"))), None, None).map(|_| ());
    load().unwrap();
    let (cert, key) = authority.issue(&[BASE], VALID);
    let write = |cert: &str, key: &str| {
        fs::write(authority.path("default.crt"), cert).unwrap();
        fs::write(authority.path("default.key"), key).unwrap();
    };
    let (_, foreign) = authority.issue(&[BASE], VALID);
    let (nameless, nameless_key) = authority.issue(&[], VALID);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (cert, key, file, reason) in [
        (&*cert, &*foreign, "default.key", "does not belong"),
        ("", &*key, "default.crt", "no usable certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &*key, "default.crt", "no usable certificate"),
        (&*cert, "", "default.key", "no usable private key"),
        (&*cert, encrypted, "default.key", "unencrypted"),
        (&*key, &*cert, "default.crt", "no usable certificate"),
        (&*nameless, &*nameless_key, "default.crt", "subjectAltName"),
    ] {
        write(cert, key);
        let error = load().unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(reason) && error.contains("`tls.cert`"), "{reason}: {error}");
    }
    write(&cert, &key);
    fs::remove_file(authority.path("default.key")).unwrap();
    let error = load().unwrap_err().to_string();
    assert!(error.contains("default.key") && error.contains("No such file"), "{error}");
    write(&cert, &key);
    load().unwrap();

    let missing = authority.path("nowhere");
    let error =
        Certificates::load(Some((&authority.path("default.crt"), &authority.path("default.key"))), Some(&missing), None).unwrap_err();
    assert!(matches!(error, CertificateError::Folder { .. }) && error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn an_expired_certificate_or_an_open_key_is_a_warning_not_an_error() {
    let authority = Authority::new();
    authority.write(&authority.path("default"), &[BASE], (-10, -1));
    let key = authority.path("default.key");
    for (mode, is_open) in [(0o644, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let said = logged(|| drop(authority.load()));
        assert!(said.contains("has expired"), "{said}");
        assert_eq!(said.contains("can be read by every user"), is_open, "{mode:o}: {said}");
    }
    assert!(authority.load().find(None).is_some());
}

#[test]
fn bad_pairs_are_left_out_and_told_of_once_while_the_others_are_served() {
    let authority = Authority::new();
    authority.pair("good.com", &["good.com"], VALID);
    authority.pair("UPPER.com", &["upper.com"], VALID);
    authority.pair("elsewhere.com", &["other.com"], VALID);
    authority.pair("mixed.com", &["mixed.com"], VALID);
    authority.write(&authority.path("spare"), &["mixed.com"], VALID);
    fs::copy(authority.path("spare.key"), authority.pair_path("mixed.com.key")).unwrap();
    fs::write(authority.pair_path("keyless.com.crt"), authority.issue(&["keyless.com"], VALID).0).unwrap();
    fs::write(authority.pair_path("garbage.com.crt"), [0xff; 100]).unwrap();
    fs::create_dir(authority.pair_path("folder.com.crt")).unwrap();
    assert!(Command::new("mkfifo").arg(authority.pair_path("pipe.com.crt")).status().unwrap().success());
    fs::write(authority.pair_path("notes.txt"), "not ours").unwrap();

    let mut certificates = None;
    let said = logged(|| certificates = Some(authority.load()));
    let certificates = certificates.unwrap();
    for name in ["good.com", "upper.com"] {
        assert!(served(&certificates, name).is_some() && certificates.proves(name), "{name}");
    }
    for name in ["elsewhere.com", "other.com", "mixed.com", "keyless.com", "garbage.com", "folder.com", "pipe.com"] {
        assert!(served(&certificates, name).is_none() && !certificates.proves(name), "{name}");
    }
    for file in ["elsewhere.com.crt", "mixed.com.crt", "keyless.com.key", "garbage.com.crt", "folder.com.crt", "pipe.com.crt"] {
        assert_eq!(said.matches(&format!("/{file}`")).count(), 1, "{file}: {said}");
    }
    assert!(!said.contains("notes.txt"));
    let said = logged(|| {
        for _ in 0..3 {
            assert!(!certificates.refresh());
        }
    });
    assert_eq!(said, "", "told of already");
}

#[test]
fn a_certificate_whose_key_is_still_the_old_one_waits_for_its_key_without_a_word() {
    let authority = Authority::new();
    authority.pair("acme.com", &["acme.com"], VALID);
    let certificates = authority.load();
    let old = served(&certificates, "acme.com");
    let (cert, key) = authority.issue(&["acme.com"], VALID);
    let said = logged(|| {
        for half in ["", &cert[..100], &cert] {
            fs::write(authority.pair_path("acme.com.crt"), half).unwrap();
            assert!(!certificates.refresh());
            assert_eq!(served(&certificates, "acme.com"), old);
        }
    });
    assert_eq!(said, "");
    assert!(certificates.proves("acme.com"));

    let said = logged(|| assert!(!certificates.refresh()));
    assert!(said.contains("still served") && said.contains("acme.com.key"), "it stayed bad for a second look: {said}");
    fs::write(authority.pair_path("acme.com.key"), key).unwrap();
    assert!(certificates.refresh());
    assert_eq!(served(&certificates, "acme.com"), Some(leaf_in(&authority.pair_path("acme.com.crt"))));
    assert!(!certificates.refresh());

    let (cert, _) = authority.issue(&[BASE], VALID);
    let old = certificates.find(None).unwrap();
    fs::write(authority.path("default.crt"), cert).unwrap();
    assert!(!certificates.refresh());
    fs::remove_file(authority.path("default.crt")).unwrap();
    assert!(!certificates.refresh());
    assert_eq!(certificates.find(None).unwrap().cert, old.cert);
}

#[test]
fn a_pair_that_is_touched_is_no_change_and_one_swapped_by_link_is() {
    let authority = Authority::new();
    for version in ["one", "two"] {
        fs::create_dir(authority.path(version)).unwrap();
        authority.write(&authority.path(version).join("pair"), &["acme.com"], VALID);
    }
    let link = |version: &str| {
        for end in ["crt", "key"] {
            let (to, beside) = (authority.pair_path(&format!("acme.com.{end}")), authority.path("link"));
            std::os::unix::fs::symlink(authority.path(version).join(format!("pair.{end}")), &beside).unwrap();
            fs::rename(&beside, to).unwrap();
        }
    };
    link("one");
    let certificates = authority.load();
    let same = fs::read(authority.path("one/pair.crt")).unwrap();
    fs::write(authority.path("one/pair.crt"), same).unwrap();
    assert!(!certificates.refresh());
    link("two");
    assert!(certificates.refresh());
    assert_eq!(served(&certificates, "acme.com"), Some(leaf_in(&authority.path("two/pair.crt"))));
}

#[test]
fn a_directory_that_cannot_be_listed_takes_no_certificate_away() {
    let authority = Authority::new();
    authority.pair("acme.com", &["acme.com"], VALID);
    let certificates = authority.load();
    fs::rename(authority.path("pairs"), authority.path("away")).unwrap();
    let said = logged(|| {
        for _ in 0..3 {
            assert!(!certificates.refresh());
        }
    });
    assert_eq!(said.matches("cannot be listed").count(), 1, "{said}");
    assert!(served(&certificates, "acme.com").is_some());
    fs::rename(authority.path("away"), authority.path("pairs")).unwrap();
    fs::remove_file(authority.pair_path("acme.com.crt")).unwrap();
    assert!(certificates.refresh());
    assert!(served(&certificates, "acme.com").is_none());
}

#[test]
fn only_a_valid_pair_of_the_directory_proves_a_domain() {
    let authority = Authority::new();
    authority.write(&authority.path("default"), &[BASE, "*.example.localhost", "default.com"], VALID);
    authority.pair("acme.com", &["acme.com", "*.acme.com"], VALID);
    authority.pair("old.com", &["old.com"], (-10, -1));
    authority.pair("early.com", &["early.com"], (1, 10));
    authority.pair("*.old.com", &["*.old.com"], VALID);
    authority.pair("a.old.com", &["a.old.com"], (-10, -1));
    let certificates = authority.load();
    for (name, proven) in [
        ("acme.com", true),
        ("www.acme.com", true),
        ("a.www.acme.com", false),
        ("com", false),
        ("badacme.com", false),
        ("old.com", false),
        ("early.com", false),
        // Its own certificate has expired, but the wildcard above it covers it too.
        ("a.old.com", true),
        ("default.com", false),
        ("acme.example.localhost", false),
        ("nobody.com", false),
    ] {
        assert_eq!(certificates.proves(name), proven, "{name}");
    }
    assert!(served(&certificates, "old.com").is_some(), "an expired one is served, for its client to judge");
    authority.pair("old.com", &["old.com"], VALID);
    assert!(certificates.refresh() && certificates.proves("old.com"));
}

#[test]
fn a_valid_certificate_wins_a_name_over_an_expired_one() {
    let authority = Authority::new();
    authority.pair("acme.com", &["acme.com"], (-10, -1));
    authority.pair("shared.com", &["shared.com", "acme.com"], VALID);
    let certificates = authority.load();
    assert_eq!(served(&certificates, "acme.com"), Some(leaf_in(&authority.pair_path("shared.com.crt"))));
    assert!(certificates.proves("acme.com"));
}

#[test]
fn in_a_large_quiet_directory_every_pair_is_looked_at_within_a_few_rounds() {
    let authority = Authority::new();
    authority.write(&authority.path("many"), &["*.many.com"], VALID);
    for number in 0..4_500 {
        for end in ["crt", "key"] {
            let link = authority.pair_path(&format!("n{number}.many.com.{end}"));
            fs::hard_link(authority.path(&format!("many.{end}")), link).unwrap();
        }
    }
    let own = ["a.many.com", "z.many.com"];
    own.iter().for_each(|name| authority.pair(name, &[name], VALID));
    // As if nothing had been added for a minute; rewriting a file does not touch its directory.
    let quiet = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let settle = || fs::File::open(authority.path("pairs")).unwrap().set_modified(quiet).unwrap();
    settle();
    let certificates = authority.load();
    assert!(!certificates.refresh());
    for name in own {
        authority.pair(name, &[name], VALID);
        assert!((0..4).any(|_| certificates.refresh()), "{name}");
        assert_eq!(served(&certificates, name), Some(leaf_in(&authority.pair_path(&format!("{name}.crt")))));
    }
    assert!(!(0..4).any(|_| certificates.refresh()));
    // Whatever is added or removed shows at once.
    authority.pair("m.many.com", &["m.many.com"], VALID);
    assert!(certificates.refresh());
    settle();
    certificates.refresh();
    fs::remove_file(authority.pair_path("z.many.com.crt")).unwrap();
    assert!(certificates.refresh());
    assert_eq!(served(&certificates, "z.many.com"), Some(leaf_in(&authority.path("many.crt"))), "the wildcard above it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_content_of_a_file_makes_a_load_panic(
        cert in prop::collection::vec(any::<u8>(), 0..400),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let authority = Authority::new();
        authority.pair("flipped.com", &["flipped.com"], VALID);
        fs::write(authority.pair_path("random.com.crt"), cert).unwrap();
        let path = authority.pair_path("flipped.com.crt");
        let mut content = fs::read(&path).unwrap();
        for (place, octet) in flips {
            let place = place.index(content.len());
            content[place] = octet;
        }
        fs::write(&path, content).unwrap();
        let certificates = authority.load();
        prop_assert!(served(&certificates, "random.com").is_none());
        certificates.refresh();
    }
}
