//! The access log: what a line costs the worker that adds it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::Criterion;
use gatehouse::clock::{Clock, SystemClock};
use gatehouse::config;
use gatehouse::observe::{AccessLog, AccessRecord, Owner};

/// A usual line. Its thread writes to nowhere, so that the bench fills no disk.
pub fn bench(criterion: &mut Criterion) {
    let log = AccessLog::open(&config::AccessLog::File("/dev/null".into())).unwrap();
    let writer = log.writer();
    let mut record = AccessRecord {
        time: SystemClock.now(),
        request_id: "01980f3a5c7b7c3f9d2e4b6a8c0d1e2f",
        tenant: Some("tenant_01980f3a5c7b7c3f9d2e4b6a8c0d1e2f"),
        slug: Some("acme"),
        client: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 23)),
        protocol: "HTTP/1.1",
        method: "GET",
        host: "acme.example.com",
        path: "/dashboard/projects/01980f3a5c7b/settings",
        status: 200,
        code: None,
        owner: Owner::None,
        bytes_in: 0,
        bytes_out: 18_342,
        duration: Duration::from_micros(7_342),
        upstream: Some(Duration::from_micros(6_981)),
        aborted: false,
    };
    criterion.bench_function("access_log/line", |bencher| {
        bencher.iter(|| {
            record.time.0 += 1;
            writer.write(&record);
        });
    });
}
