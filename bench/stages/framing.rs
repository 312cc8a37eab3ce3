//! The verdict on a head, and the request that it becomes.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use gatehouse::proxy::framing::{FramingLimits, Judged, judge};

const CURL: &str = "GET /api/items?page=2 HTTP/1.1\r\nHost: acme.example.com\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

const BROWSER: &str = "GET /dashboard/projects?sort=updated&order=desc HTTP/1.1\r\n\
    Host: acme.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Referer: https://acme.example.com/dashboard\r\n\
    Cookie: session=2f6c1d0be09a4b7f8d35c1a2e4f60718; theme=dark; csrf=9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d\r\n\
    Connection: keep-alive\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\r\n";

/// A usual head of a program, and one of a browser.
pub fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    for (name, head) in [("curl", CURL), ("browser", BROWSER)] {
        let limits = FramingLimits { max_head: 16 * 1024, max_headers: 100, max_target: 16 * 1024 };
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let judged = judge(black_box(head.as_bytes()), &limits);
                // A head that was refused, or held back, would be another measurement.
                assert!(matches!(&judged, Judged::Complete(good) if good.len == head.len()));
                judged
            });
        });
    }
    group.finish();
}
