//! A journal that is not as it was written, or is someone else's, is never guessed at: the start is refused with the file and the
//! way out, and what was folded before is there afterwards.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use gatehouse::model::TenantId;

use crate::support::upstream::RunningUpstream;
use crate::support::{TestGateway, Upstream, tenant, within_one_day};

const CALLS: u64 = 20;

/// The files in which a journal keeps something.
fn contents(journal: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let found = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = found.map(|path| (path.clone(), fs::read(path).unwrap())).filter(|(_, octets)| !octets.is_empty()).collect();
    found.sort();
    found
}

/// Where a tenant's id is in the journal: a used slot is around it.
fn slot(files: &[(PathBuf, Vec<u8>)], id: &str) -> (PathBuf, usize) {
    let id = u128::from_be_bytes(id.parse::<TenantId>().unwrap().to_bytes());
    let halves = [(id >> 64) as u64, id as u64].map(u64::to_ne_bytes).concat();
    let forms = [id.to_be_bytes().to_vec(), id.to_ne_bytes().to_vec(), halves];
    let found = files.iter().find_map(|(path, octets)| {
        let place = octets.windows(16).position(|window| forms.iter().any(|form| form == window))?;
        Some((path.clone(), place))
    });
    found.expect("a tenant that called has a slot")
}

/// A gateway that was killed after its calls were folded.
struct Killed {
    gateway: TestGateway,
    journal: PathBuf,
    /// The journal as it was left.
    kept: Vec<(PathBuf, Vec<u8>)>,
    /// Where the tenant's slot is.
    used: (PathBuf, usize),
    _origin: RunningUpstream,
}

async fn killed() -> Killed {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).tenant(tenant("globex")).start().await;
    for _ in 0..CALLS {
        gateway.get("acme", "/").await.expect(200);
    }
    gateway.another_fold().await;
    let id = gateway.usage("acme").await["tenantId"].as_str().unwrap().to_owned();
    gateway.signal("KILL");
    gateway.ended().await;
    let journal = gateway.dir.path().join("journal");
    let kept = contents(&journal);
    Killed { used: slot(&kept, &id), gateway, journal, kept, _origin: origin }
}

impl Killed {
    fn file(&self, path: &Path) -> &[u8] {
        &self.kept.iter().find(|(kept, _)| kept == path).expect("a file of the journal").1
    }

    /// Makes the journal what it was left as, but for one file.
    fn with(&self, path: &Path, octets: &[u8]) {
        fs::remove_dir_all(&self.journal).unwrap();
        fs::create_dir(&self.journal).unwrap();
        self.kept.iter().for_each(|(path, octets)| fs::write(path, octets).unwrap());
        fs::write(path, octets).unwrap();
    }

    /// With that file it does not start, names it and the way out, and does not touch it.
    async fn refuses(&self, path: &Path, octets: &[u8], what: &str) {
        let what = format!("{} is {what}", path.display());
        self.with(path, octets);
        let (code, said) = self.gateway.fails_to_start().await;
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{what}: {said}");
        assert!(said.contains(path.to_str().unwrap()) && said.contains("move"), "{what}: {said}");
        assert!(fs::read(path).unwrap() == octets, "{what}: it was touched");
        // What cannot be read may be of any tenant: nobody's usage is booked before that is settled.
        let found = contents(&self.journal);
        let untouched = self.kept.iter().all(|kept| kept.0 == path || found.contains(kept));
        assert!(*path != self.used.0 || untouched, "{what}: the others were touched");
    }
}

#[tokio::test]
async fn a_truncated_flipped_or_foreign_file_keeps_it_from_starting_and_moving_the_file_away_is_the_way_out() {
    within_one_day().await;
    let mut killed = killed().await;
    let (used, place) = killed.used.clone();
    let flipped = |octets: &[u8], at: usize| {
        let mut octets = octets.to_vec();
        octets[at] ^= 0x10;
        octets
    };
    for (path, good) in &killed.kept {
        let table = [
            ("one octet short", good[..good.len() - 1].to_vec()),
            ("half of it", good[..good.len() / 2].to_vec()),
            ("its first octets", good[..4].to_vec()),
            ("flipped at its beginning", flipped(good, 2)),
            ("flipped in its first page", flipped(good, 20.min(good.len() - 2))),
            ("something else", b"#!/bin/sh\n".repeat(1_000)),
        ];
        for (what, octets) in table {
            killed.refuses(path, &octets, what).await;
        }
    }
    let foreign = used.with_file_name("photo").with_extension(used.extension().unwrap());
    killed.refuses(&foreign, b"not ours", "foreign, with a name like ours").await;
    let damaged = flipped(killed.file(&used), place);
    killed.refuses(&used, &flipped(killed.file(&used), place + 15), "flipped in a slot").await;
    killed.refuses(&used, &damaged, "flipped in a slot").await;

    let (gateway, aside) = (&mut killed.gateway, used.with_file_name("aside"));
    fs::rename(&used, &aside).unwrap();
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], CALLS, "what was folded is in the store");
    for (slug, calls) in [("acme", CALLS + 1), ("globex", 1)] {
        gateway.get(slug, "/").await.expect(200);
        assert_eq!(gateway.usage(slug).await["apiCalls"], calls);
    }
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], CALLS + 1);
    assert!(fs::read(aside).unwrap() == damaged, "nobody touches what was moved away");
}

#[tokio::test]
async fn without_its_journal_it_starts_with_what_was_folded() {
    within_one_day().await;
    let mut killed = killed().await;
    let gateway = &mut killed.gateway;
    fs::rename(&killed.journal, gateway.dir.path().join("away")).unwrap();
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], CALLS);
    gateway.get("acme", "/").await.expect(200);
    assert_eq!(gateway.usage("acme").await["apiCalls"], CALLS + 1);
}

#[tokio::test]
async fn a_second_gateway_on_the_same_store_or_journal_is_refused_and_takes_nothing_from_the_first() {
    within_one_day().await;
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    // By another name as well: it is the folder that is locked.
    let alias = |name: &str| {
        let path = gateway.dir.path().join(format!("{name}-by-another-name"));
        symlink(gateway.dir.path().join(name), &path).unwrap();
        path.display().to_string()
    };
    let (store, journal) = (alias("data"), alias("journal"));
    let empty = gateway.dir.path().join("empty").display().to_string();
    let own = ["data", "journal"].map(|name| gateway.dir.path().join(name).display().to_string());
    let mut calls = 0;
    for (store, journal) in [(&own[0], &empty), (&store, &empty), (&empty, &own[1]), (&empty, &journal)] {
        gateway.set("store.path", store);
        gateway.set("metering.journal", journal);
        for _ in 0..5 {
            gateway.get("acme", "/").await.expect(200);
        }
        calls += 5;
        let (code, said) = gateway.fails_to_start().await;
        assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains(if *store == empty { journal } else { store }) && said.contains("in use"), "{said}");
        assert_eq!(gateway.usage("acme").await["apiCalls"], calls);
    }
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.set("store.path", &store);
    gateway.set("metering.journal", &journal);
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], calls);
}

#[tokio::test]
async fn a_store_that_is_gone_beside_a_journal_is_not_taken_for_a_new_one() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    gateway.get("acme", "/").await.expect(200);
    gateway.signal("KILL");
    gateway.ended().await;
    let (data, journal) = (gateway.dir.path().join("data"), gateway.dir.path().join("journal"));
    let elsewhere = gateway.dir.path().join("elsewhere");
    std::fs::rename(&data, &elsewhere).unwrap();
    let (code, said) = gateway.fails_to_start().await;
    assert_eq!(code, Some(1));
    for named in [data.display().to_string(), journal.display().to_string(), "mounted".to_owned()] {
        assert!(said.contains(&named), "{said}");
    }
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&elsewhere, &data).unwrap();
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], 1);
}
