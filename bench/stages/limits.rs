//! Limits: what it costs to ask each of them, and to take.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use criterion::Criterion;
use gatehouse::limits::{Concurrency, RateLimit, take_place};
use gatehouse::model::Rate;

/// Rate, requests in flight and quota, granted and refused.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limits");
    // No loop comes near a thousand million a second, so that nothing is refused.
    let ample = RateLimit::new(Rate { per_second: 1_000_000_000, burst: 1_000_000_000 });
    group.bench_function("rate, granted", |bencher| bencher.iter(|| assert!(black_box(&ample).check().allowed)));
    let spent = RateLimit::new(Rate { per_second: 1, burst: 1 });
    spent.check();
    group.bench_function("rate, refused", |bencher| bencher.iter(|| black_box(black_box(&spent).check())));
    let concurrency = Arc::new(Concurrency::default());
    group.bench_function("concurrency", |bencher| bencher.iter(|| concurrency.enter(black_box(Some(256))).unwrap()));
    let (admitted, given_back) = (AtomicU64::new(0), AtomicU64::new(0));
    group.bench_function("take_place, granted", |bencher| {
        bencher.iter(|| take_place(&admitted, &given_back, 0, black_box(Some(u64::MAX))).unwrap());
    });
    group.bench_function("take_place, given back", |bencher| {
        bencher.iter(|| {
            take_place(&admitted, &given_back, 0, black_box(Some(u64::MAX))).unwrap();
            given_back.fetch_add(1, SeqCst);
        });
    });
    group.bench_function("take_place, refused", |bencher| {
        bencher.iter(|| take_place(&admitted, &given_back, 10, black_box(Some(10))).unwrap_err());
    });
    group.finish();
}
