//! The usage journal: what it costs to find a slot, to claim one, and to count a call in it.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use gatehouse::clock::{Clock, SystemClock};
use gatehouse::limits::take_place;
use gatehouse::metering::Journal;
use gatehouse::model::TenantId;
use gatehouse::store::Embedded;
use tempfile::TempDir;
use tokio::runtime::Runtime;

const TENANTS: usize = 10_000;
/// Slots that are claimed of one journal: each file has room for so many, and a claim waits for no file.
const CLAIMED: usize = 1_000;

/// A journal on this machine's disk, and the folder that goes with it.
pub fn journal(runtime: &Runtime) -> (Arc<Journal>, Embedded, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("data")).unwrap();
    let opened = runtime.block_on(Journal::open(&folder.path().join("journal"), &store, SystemClock.now()));
    (opened.unwrap(), store, folder)
}

/// A slot that is there, slots that are not, and one whole call.
pub fn bench(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (journal, _store, _folder) = journal(&runtime);
    let now = SystemClock.now();
    let today = now.day();
    let tenants: Vec<TenantId> = (0..TENANTS).map(|_| TenantId::new(now)).collect();
    for tenant in &tenants {
        journal.slot(*tenant, today).unwrap();
    }
    let mut group = criterion.benchmark_group("journal");
    let mut next = tenants.iter().cycle();
    group.bench_function("slot, known", |bencher| {
        bencher.iter(|| next.next().map(|tenant| journal.slot(black_box(*tenant), today).unwrap()));
    });
    let slot = journal.slot(tenants[0], today).unwrap();
    group.bench_function("one call", |bencher| {
        bencher.iter(|| {
            take_place(slot.admitted(), slot.given_back(), 0, black_box(Some(u64::MAX))).unwrap();
            slot.add_metered();
            slot.add_egress(black_box(100));
        });
    });
    group.bench_function("rows of 10,000 tenants", |bencher| bencher.iter(|| black_box(journal.rows().len())));
    group.throughput(Throughput::Elements(CLAIMED as u64)).sample_size(20);
    group.bench_function("slot, claimed", |bencher| {
        let claim = |(journal, store, folder): (Arc<Journal>, Embedded, TempDir)| {
            tenants[..CLAIMED].iter().for_each(|tenant| drop(journal.slot(black_box(*tenant), today).unwrap()));
            (journal, store, folder)
        };
        bencher.iter_batched(|| self::journal(&runtime), claim, BatchSize::PerIteration);
    });
    group.finish();
}
