//! Header hygiene: what it costs to take off what must not cross and to say where a request came from.

use std::net::{IpAddr, Ipv4Addr};

use criterion::{BatchSize, Criterion};
use gatehouse::message::Fields;
use gatehouse::proxy::headers::{Forwarding, forwarded_for, strip_request, strip_response};

const REQUEST: [(&str, &str); 11] = [
    ("host", "acme.example.com"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("referer", "https://acme.example.com/dashboard"),
    ("cookie", "session=2f6c1d0be09a4b7f8d35c1a2e4f60718; theme=dark"),
    ("connection", "keep-alive"),
    ("upgrade-insecure-requests", "1"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-tenant-id", "acme"),
];

const RESPONSE: [(&str, &str); 6] = [
    ("date", "Tue, 24 Nov 2026 12:00:00 GMT"),
    ("content-type", "application/json"),
    ("content-length", "100"),
    ("cache-control", "no-store"),
    ("connection", "keep-alive"),
    ("keep-alive", "timeout=60"),
];

fn head(fields: &[(&'static str, &'static str)]) -> Fields {
    let mut all = Fields::new();
    for (name, value) in fields {
        all.push_as(name.as_bytes(), value.as_bytes());
    }
    all
}

/// A browser's request on the way up, a small answer on the way down.
pub fn bench(criterion: &mut Criterion) {
    let forwarding =
        Forwarding { peer: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 23)), trusted: false, proto: "https", host: "acme.example.com" };
    let (request, response) = (head(&REQUEST), head(&RESPONSE));
    let mut group = criterion.benchmark_group("headers");
    group.bench_function("strip_request", |bencher| {
        bencher.iter_batched_ref(|| request.clone(), |fields| strip_request(fields, false), BatchSize::SmallInput);
    });
    let mut stripped = request.clone();
    strip_request(&mut stripped, false);
    group.bench_function("forwarded_for", |bencher| {
        bencher.iter_batched_ref(|| stripped.clone(), |fields| forwarded_for(fields, &forwarding), BatchSize::SmallInput);
    });
    group.bench_function("strip_response", |bencher| {
        bencher.iter_batched_ref(|| response.clone(), |fields| strip_response(fields, false), BatchSize::SmallInput);
    });
    group.finish();
}
