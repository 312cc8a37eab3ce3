//! What a scraper reads is what was counted, whoever counted it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::model::Millis;

/// Reads OpenMetrics with the parser of the Prometheus project, and prints each sample as a line.
const PARSER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation and family.type != 'unknown', family.name
    for sample in family.samples:
        labels = ','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))
        print(f'{sample.name}{{{labels}}} {float(sample.value)}')
";

fn python(packages: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("python3")
        .args(arguments)
        .env("PYTHONPATH", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn used() -> Metrics {
    let metrics = Metrics::default();
    metrics.request(200, None, Owner::None, Duration::from_micros(500));
    metrics.request(204, None, Owner::None, Duration::from_micros(501));
    metrics.request(429, Some("rate_limited"), Owner::Tenant, Duration::from_secs(61));
    metrics.request(502, Some("a code of tomorrow"), Owner::Upstream, Duration::ZERO);
    metrics.request(999, None, Owner::Gateway, Duration::ZERO);
    metrics.bytes(3, 5);
    metrics.connections("https", 1);
    metrics.connections("https", 1);
    metrics.connections("https", -1);
    metrics.connection_refused("handshake");
    metrics.fold(Duration::from_millis(2), Ok(7));
    metrics.fold(Duration::from_millis(3), Err(()));
    let duties = Duties::default();
    duties.journal.ended(Millis(1), &Err::<(), _>("full"));
    duties.journal.ended(Millis(2), &Err::<(), _>("full"));
    metrics.duties(&duties, JournalRoom { free_slots: 16_000, unused_segments: 1, free_reports: 9 });
    metrics.tenants(&[("active", 9), ("trial", 1)]);
    metrics.tenants(&[("active", 2), ("suspended", 1)]);
    metrics.domains(&[("serving", 3), ("in_progress", 0), ("stuck", 1)]);
    metrics.certificates((2, 5, 1), Millis(1_790_000_000_000));
    metrics.upstream_connection(false);
    metrics.upstream_connection(true);
    metrics.upstream_connection(true);
    metrics
}

#[test]
fn the_official_parser_reads_every_number_that_was_counted() {
    let packages = tempfile::tempdir().unwrap();
    let target = packages.path().to_str().unwrap();
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", target, "prometheus_client"];
    python(packages.path(), &install, "");
    let before = SystemClock.now().0 as f64 / 1000.0;
    let text = used().render();
    let samples: BTreeMap<String, f64> = python(packages.path(), &["-c", PARSER], &text)
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect();

    for (name, value) in [
        ("gatehouse_requests_total{owner=none,status=2xx}", 2.0),
        ("gatehouse_requests_total{owner=tenant,status=4xx}", 1.0),
        ("gatehouse_requests_total{owner=gateway,status=other}", 1.0),
        ("gatehouse_requests_total{owner=client,status=4xx}", 0.0),
        ("gatehouse_refusals_total{code=rate_limited}", 1.0),
        ("gatehouse_refusals_total{code=quota_exceeded}", 0.0),
        ("gatehouse_refusals_total{code=other}", 1.0),
        ("gatehouse_request_duration_seconds_bucket{le=0.0005}", 3.0),
        ("gatehouse_request_duration_seconds_bucket{le=0.001}", 4.0),
        ("gatehouse_request_duration_seconds_bucket{le=60.0}", 4.0),
        ("gatehouse_request_duration_seconds_bucket{le=+Inf}", 5.0),
        ("gatehouse_request_duration_seconds_count{}", 5.0),
        ("gatehouse_request_duration_seconds_sum{}", 61.001_001),
        ("gatehouse_bytes_total{direction=in}", 3.0),
        ("gatehouse_bytes_total{direction=out}", 5.0),
        ("gatehouse_connections{listener=https}", 1.0),
        ("gatehouse_connections_opened_total{listener=https}", 2.0),
        ("gatehouse_connections_closed_total{listener=https}", 1.0),
        ("gatehouse_connections_refused_total{reason=handshake}", 1.0),
        ("gatehouse_fold_duration_seconds_count{}", 2.0),
        ("gatehouse_fold_rows_total{}", 7.0),
        ("gatehouse_fold_failures_total{}", 1.0),
        ("gatehouse_fold_failing{}", 0.0),
        ("gatehouse_journal_failing{}", 1.0),
        ("gatehouse_journal_failures_total{}", 2.0),
        ("gatehouse_journal_free_slots{}", 16_000.0),
        ("gatehouse_journal_unused_segments{}", 1.0),
        ("gatehouse_journal_free_reports{}", 9.0),
        ("gatehouse_tenants{status=active}", 2.0),
        ("gatehouse_tenants{status=trial}", 0.0),
        ("gatehouse_upstream_connections_total{reused=false}", 1.0),
        ("gatehouse_upstream_connections_total{reused=true}", 2.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}\n{text}");
    }
    let version = format!("gatehouse_build_info{{version={}}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples[&version], 1.0);
    for name in ["gatehouse_fold_last_success_timestamp_seconds{}", "process_start_time_seconds{}"] {
        assert!(samples[name] >= before - 1.0 && samples[name] < before + 60.0, "{name}: {}", samples[name]);
    }
}

#[test]
fn nothing_is_lost_between_threads_and_no_count_ever_falls() {
    let metrics = Metrics::default();
    const THREADS: u64 = 20;
    const EACH: u64 = 2_000;
    let count = |text: &str, name: &str| -> u64 {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let total = "gatehouse_requests_total{status=\"2xx\",owner=\"none\"}";
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    metrics.request(200, None, Owner::None, Duration::from_millis(1));
                    metrics.connections("http", 1);
                    metrics.connections("http", -1);
                }
            });
        }
        let mut last = 0;
        while last < THREADS * EACH {
            let text = metrics.render();
            let now = count(&text, total);
            assert!(now >= last);
            assert_eq!(
                count(&text, "gatehouse_request_duration_seconds_count"),
                count(&text, "gatehouse_request_duration_seconds_bucket{le=\"+Inf\"}")
            );
            assert!(count(&text, "gatehouse_connections{listener=\"http\"}") <= THREADS);
            last = now;
        }
    });
    let text = metrics.render();
    assert_eq!(count(&text, "gatehouse_request_duration_seconds_count"), THREADS * EACH);
    assert_eq!(count(&text, "gatehouse_connections_opened_total{listener=\"http\"}"), THREADS * EACH);
}

#[test]
fn every_code_of_the_public_table_has_its_own_label() {
    for (place, code) in numbers::CODES.iter().enumerate() {
        assert_eq!(index_of(&numbers::CODES, code), place);
    }
    assert_eq!(index_of(&numbers::CODES, "unheard of"), numbers::CODES.len() - 1);
    for (place, owner) in numbers::OWNERS.into_iter().enumerate() {
        assert_eq!(numbers::owner_index(owner), place);
    }
}
