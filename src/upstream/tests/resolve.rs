//! Names to addresses: when they are looked up, and which are never called.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::super::Resolver;
use crate::model::Origin;
use crate::upstream::TlsFiles;

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// What look-ups answer, and how many there were.
#[derive(Default)]
struct Names {
    answer: Option<Vec<SocketAddr>>,
    count: usize,
}

fn resolver(forbidden: &[&str]) -> (Resolver, Arc<Mutex<Names>>) {
    let names = Arc::new(Mutex::new(Names::default()));
    let shared = Arc::clone(&names);
    let lookup = Box::new(move |_: String, _: u16| {
        let mut names = shared.lock().unwrap();
        names.count += 1;
        let answer = names.answer.clone().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
        Box::pin(std::future::ready(answer)) as _
    });
    let forbidden = forbidden.iter().map(|text| address(text)).collect();
    (Resolver::with_lookup(forbidden, TlsFiles::default(), lookup).unwrap(), names)
}

#[tokio::test]
async fn equal_origins_share_a_target_as_long_as_it_is_held() {
    let (resolver, names) = resolver(&[]);
    let target = resolver.target(&origin("http://app.test"));
    assert!(Arc::ptr_eq(&target, &resolver.target(&origin("http://APP.test:80/"))));
    assert!(!Arc::ptr_eq(&target, &resolver.target(&origin("https://app.test:80"))));
    assert_eq!(target.origin(), &origin("http://app.test"));
    names.lock().unwrap().count = 0;
    drop(target);
    resolver.refresh().await;
    assert_eq!(names.lock().unwrap().count, 0, "a target that nobody holds is not resolved");
}

#[tokio::test]
async fn an_address_needs_no_look_up() {
    let (resolver, names) = resolver(&[]);
    let target = resolver.target(&origin("http://[::1]:9000"));
    assert_eq!(target.addresses(), [address("[::1]:9000")]);
    resolver.refresh().await;
    assert_eq!(target.addresses(), [address("[::1]:9000")]);
    assert_eq!(names.lock().unwrap().count, 0);
}

#[tokio::test]
async fn a_new_name_is_resolved_by_the_next_refresh_and_not_by_each() {
    let (resolver, names) = resolver(&[]);
    names.lock().unwrap().answer = Some(vec![address("192.0.2.2:80"), address("192.0.2.1:80"), address("192.0.2.2:80")]);
    let target = resolver.target(&origin("http://app.test"));
    assert_eq!(target.addresses(), []);
    resolver.wanted().await;
    for _ in 0..3 {
        resolver.refresh().await;
    }
    assert_eq!(target.addresses(), [address("192.0.2.2:80"), address("192.0.2.1:80")]);
    assert_eq!(names.lock().unwrap().count, 1);
}

#[tokio::test]
async fn old_addresses_stay_where_a_look_up_fails() {
    let (resolver, names) = resolver(&[]);
    let target = resolver.target(&origin("http://app.test"));
    names.lock().unwrap().answer = Some(vec![address("192.0.2.1:80")]);
    resolver.resolve(&target).await;
    for answer in [None, Some(vec![])] {
        names.lock().unwrap().answer = answer;
        resolver.resolve(&target).await;
        assert_eq!(target.addresses(), [address("192.0.2.1:80")]);
    }
    names.lock().unwrap().answer = Some(vec![address("192.0.2.7:80")]);
    resolver.resolve(&target).await;
    assert_eq!(target.addresses(), [address("192.0.2.7:80")]);
}

#[tokio::test]
async fn a_name_that_turns_to_a_forbidden_address_is_not_called() {
    let (resolver, names) = resolver(&["0.0.0.0:8080"]);
    let target = resolver.target(&origin("http://app.test:8080"));
    names.lock().unwrap().answer = Some(vec![address("192.0.2.1:8080"), address("169.254.169.254:8080")]);
    resolver.resolve(&target).await;
    assert_eq!(target.addresses(), [address("192.0.2.1:8080")]);
    names.lock().unwrap().answer = Some(vec![address("127.0.0.1:8080"), address("[::ffff:169.254.169.254]:8080")]);
    resolver.resolve(&target).await;
    assert_eq!(target.addresses(), []);
    assert_eq!(resolver.target(&origin("http://127.0.0.1:8080")).addresses(), []);
}

#[tokio::test]
async fn own_listeners_are_refused_and_others_are_not() {
    let (resolver, _) = resolver(&["0.0.0.0:8080", "[::]:8443", "127.0.0.1:3000"]);
    for own in [
        "http://127.0.0.1:8080",
        "http://127.9.9.9:8080",
        "http://[::1]:8080",
        "http://[::ffff:127.0.0.1]:8443",
        "https://127.0.0.1:8443",
        "http://127.0.0.1:3000",
    ] {
        let text = resolver.check(&origin(own)).await.unwrap_err().to_string();
        assert!(text.contains("listener"), "{own}: {text}");
    }
    for other in ["http://127.0.0.1:8081", "http://192.0.2.1:8080", "http://127.0.0.2:3000", "http://192.0.2.1:3000"] {
        resolver.check(&origin(other)).await.unwrap();
    }
}

#[tokio::test]
async fn names_are_checked_by_what_they_lead_to() {
    let (resolver, names) = resolver(&["0.0.0.0:8080"]);
    resolver.check(&origin("http://nowhere.test:8080")).await.unwrap();
    for (found, fine) in
        [("192.0.2.1:8080", true), ("127.0.0.1:8080", false), ("169.254.169.254:8080", false), ("[fd00:ec2::254]:8080", false)]
    {
        names.lock().unwrap().answer = Some(vec![address(found)]);
        assert_eq!(resolver.check(&origin("http://app.test:8080")).await.is_ok(), fine, "{found}");
    }
}

#[tokio::test]
async fn the_systems_resolver_is_asked() {
    let resolver = Resolver::new(vec![], TlsFiles::default()).unwrap();
    let target = resolver.target(&origin("http://localhost:9000"));
    resolver.refresh().await;
    let addresses = target.addresses();
    assert!(!addresses.is_empty() && addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 9000), "{addresses:?}");
}
