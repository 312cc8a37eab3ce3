//! Metering and quota together, as the request path does them: the day's window, a place of it, the call counted, its octets; and
//! what it costs to fold all of it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use gatehouse::clock::{Clock, SystemClock};
use gatehouse::limits::take_place;
use gatehouse::metering::{Journal, fold};
use gatehouse::store::Version;
use gatehouse::tenancy::{Octets, TenantRuntime};

use crate::{directory, journal};

const TENANTS: usize = 10_000;

/// What `reserve`, `settle` and a body of one piece do for a call.
fn call(tenant: &TenantRuntime, journal: &Journal, clock: &SystemClock) {
    let facts = tenant.facts_owned();
    let window = tenant.window(clock.now().day());
    let slot = window.slot(journal, tenant.id()).unwrap().clone();
    assert!(facts.bytes_per_month.is_none_or(|limit| window.egress_this_month() < limit));
    take_place(slot.admitted(), slot.given_back(), window.calls_before(), facts.calls_per_day).unwrap();
    let before = window.metered_before() + slot.add_metered();
    assert!(facts.plan.calls_included().is_none_or(|included| before < included));
    tenant.count(journal, clock.now().day(), Octets { egress: black_box(100), ingress: 0 });
}

/// One call of one tenant, of 10,000 in turn, and the fold of all that has changed.
pub fn bench(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (journal, store, _folder) = journal::journal(&runtime);
    let directory = directory::directory();
    let tenants: Vec<Arc<TenantRuntime>> = (0..TENANTS)
        .map(|number| {
            let tenant = directory::tenant(number);
            directory.publish(&tenant, Version(1));
            directory.by_id(tenant.id).unwrap()
        })
        .collect();
    let mut group = criterion.benchmark_group("metering");
    group.bench_function("a call: quota, meter, octets", |bencher| bencher.iter(|| call(&tenants[0], &journal, &SystemClock)));
    let mut next = tenants.iter().cycle();
    group.bench_function("the same, of 10,000 tenants in turn", |bencher| {
        bencher.iter(|| call(next.next().unwrap(), &journal, &SystemClock));
    });
    group.sample_size(20).measurement_time(Duration::from_secs(10));
    group.bench_function("a fold of 10,000 tenants", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                tenants.iter().for_each(|tenant| call(tenant, &journal, &SystemClock));
                let begun = Instant::now();
                assert_eq!(runtime.block_on(fold(&journal, &store)).unwrap().len(), TENANTS);
                spent += begun.elapsed();
            }
            spent
        });
    });
    group.finish();
}
