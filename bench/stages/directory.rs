//! The directory: what it costs to find one of 10,000 tenants by host, and to change one of them.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use gatehouse::clock::{Clock, SystemClock};
use gatehouse::model::{BillingCycle, Host, Limits, Money, Origin, Overage, Plan, Rate, Slug, Status, Tenant, TenantId};
use gatehouse::store::Version;
use gatehouse::tenancy::{Accounts, Directory, DirectorySettings, Plans};
use gatehouse::upstream::{Resolver, TlsFiles};

const TENANTS: usize = 10_000;

fn plan() -> Plan {
    Plan {
        name: "pro".to_owned(),
        version: 1,
        price_monthly: Money(9_900),
        price_yearly: Money(99_000),
        limits: Limits { max_api_calls: Some(u64::MAX >> 1), max_bandwidth: Some(u64::MAX >> 1), ..Limits::default() },
        rate: Some(Rate { per_second: 500, burst: 1_000 }),
        concurrency: Some(256),
        overage: Overage::Block,
        features: BTreeMap::new(),
    }
}

/// One of many.
pub fn tenant(number: usize) -> Tenant {
    let now = SystemClock.now();
    Tenant {
        id: TenantId::new(now),
        name: format!("Tenant {number}"),
        slug: Slug::parse(&slug(number)).unwrap(),
        status: Status::Active,
        previous_status: None,
        status_reason: None,
        previous_reason: None,
        plan: "pro".to_owned(),
        billing_cycle: BillingCycle::Monthly,
        subscription: Default::default(),
        billing: Default::default(),
        custom_domain: None,
        config: Default::default(),
        metadata: Default::default(),
        upstream: Vec::new(),
        created_at: now,
        updated_at: now,
        trial_ends_at: None,
        deleted_at: None,
        issuers: Vec::new(),
        is_released: false,
    }
}

fn slug(number: usize) -> String {
    format!("tenant-{number}")
}

/// One without tenants.
pub fn directory() -> Directory {
    Directory::new(DirectorySettings {
        issuers: Arc::default(),
        base_domain: Host::parse("example.com").unwrap(),
        custom_domains: true,
        plans: Arc::new(Plans::fixed(&BTreeMap::from([("pro".to_owned(), plan())]), &BTreeMap::new())),
        default_upstream: vec![Origin::parse("http://127.0.0.1:9000").unwrap()],
        resolver: Arc::new(Resolver::new(Vec::new(), TlsFiles::default()).unwrap()),
        sso: true,
        proves: Arc::new(|_| false),
        serve: Arc::new(|_, _| ()),
        clock: Arc::new(SystemClock),
        accounts: Arc::new(Accounts::new(Arc::new(gatehouse::config::Config::from_toml("").unwrap()))),
    })
}

/// Look-ups over all tenants in turn, so that the caches of the processor help no more than they would.
pub fn bench(criterion: &mut Criterion) {
    let directory = directory();
    let tenants: Vec<Tenant> = (0..TENANTS).map(tenant).collect();
    for tenant in &tenants {
        directory.publish(tenant, Version(1));
    }
    assert_eq!(directory.len(), TENANTS);
    // A prime step visits every host before it comes back to one.
    let hosts: Vec<String> = (0..TENANTS).map(|at| format!("{}.example.com", slug(at * 7_919 % TENANTS))).collect();
    let mut group = criterion.benchmark_group("directory");
    let mut next = hosts.iter().cycle();
    group.bench_function("by_host", |bencher| {
        bencher.iter(|| next.next().and_then(|host| directory.by_host(black_box(host))).unwrap());
    });
    group.bench_function("by_host, unknown", |bencher| {
        bencher.iter(|| assert!(directory.by_host(black_box("nobody.example.com")).is_none()));
    });
    let one = directory.by_host("tenant-1.example.com").unwrap();
    group.bench_function("facts", |bencher| bencher.iter(|| black_box(one.facts_owned())));
    let (mut changed, mut version) = (tenants.iter().cycle(), 1);
    group.bench_function("publish", |bencher| {
        bencher.iter(|| {
            version += 1;
            changed.next().into_iter().for_each(|tenant| directory.publish(tenant, Version(version)));
        });
    });
    group.finish();
}
