//! What was written can be read back; what was not is told of.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::clock::instant;
use crate::config::AccessLog as To;

/// 2026-11-24T12:34:56.789Z
const NOON: Millis = Millis(1_795_523_696_789);

fn plain() -> AccessRecord<'static> {
    AccessRecord {
        time: NOON,
        request_id: "req_1",
        tenant: Some("tenant_1"),
        slug: Some("acme"),
        client: "2001:db8::7".parse().unwrap(),
        protocol: "HTTP/2.0",
        method: "GET",
        host: "acme.example.com",
        path: "/a/b",
        status: 200,
        code: None,
        owner: Owner::None,
        bytes_in: 0,
        bytes_out: 12_345,
        duration: Duration::from_nanos(12_034_567),
        upstream: Some(Duration::from_micros(9_000)),
        aborted: false,
    }
}

fn refusal(code: &'static str) -> AccessRecord<'static> {
    AccessRecord { status: 429, code: Some(code), owner: Owner::Tenant, upstream: None, ..plain() }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start: Instant = instant();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_line_has_every_field_in_a_stable_order() {
    let mut out = Vec::new();
    line::record(&mut out, &plain());
    let expected = concat!(
        r#"{"time":"2026-11-24T12:34:56.789Z","requestId":"req_1","tenant":"tenant_1","slug":"acme","client":"2001:db8::7","#,
        r#""protocol":"HTTP/2.0","method":"GET","host":"acme.example.com","path":"/a/b","status":200,"code":null,"owner":"none","#,
        r#""bytesIn":0,"bytesOut":12345,"durationMs":12.034,"upstreamMs":9.000,"aborted":false}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);

    let mut out = Vec::new();
    let early = AccessRecord { time: Millis(1), tenant: None, slug: None, aborted: true, ..refusal("overloaded") };
    line::record(&mut out, &early);
    let json: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(json["time"], "1970-01-01T00:00:00.001Z");
    assert_eq!((&json["tenant"], &json["slug"], &json["upstreamMs"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&json["code"], &json["owner"], &json["aborted"]), (&"overloaded".into(), &"tenant".into(), &true.into()));
}

proptest! {
    #[test]
    fn whatever_a_client_sends_is_one_line_of_json_that_reads_back(
        path in any::<String>(),
        host in "\\PC*|[\\x00-\\x1f\\x7f-\\x9f\"\\\\\u{2028}]*",
        // The last hours of the year 9999 are beyond what the parser reads.
        time in -1..253_402_207_200_000_i64,
        nanos in any::<u64>(),
    ) {
        let mut out = Vec::new();
        line::record(&mut out, &AccessRecord { path: &path, host: &host, time: Millis(time), duration: Duration::from_nanos(nanos), ..plain() });
        let text = String::from_utf8(out).unwrap();
        let acts = text.trim_end_matches('\n').contains(|letter: char| letter.is_control() || letter == '\u{2028}');
        prop_assert!(!acts);
        let json: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(json["path"].as_str().unwrap(), &path);
        prop_assert_eq!(json["host"].as_str().unwrap(), &host);
        prop_assert!((json["durationMs"].as_f64().unwrap() - nanos as f64 / 1e6).abs() < 0.001 + nanos as f64 / 1e18);
        let read: jiff::Timestamp = json["time"].as_str().unwrap().parse().unwrap();
        prop_assert_eq!(read.as_millisecond(), time.max(0));
    }
}

#[test]
fn every_line_of_every_worker_is_in_the_file_after_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    std::fs::write(&path, "{\"from\":\"before\"}\n").unwrap();
    let log = AccessLog::open(&To::File(path.clone())).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let writer = log.writer();
            scope.spawn(move || {
                for number in 0..2_000 {
                    writer.write(&AccessRecord { bytes_in: worker, bytes_out: number, ..plain() });
                }
            });
        }
    });
    log.close();
    let lines = lines(&path);
    assert_eq!(lines.len(), 1 + 4 * 2_000);
    for worker in 0..4 {
        let of_worker: Vec<u64> =
            lines.iter().filter(|line| line["bytesIn"] == worker).map(|line| line["bytesOut"].as_u64().unwrap()).collect();
        assert!(of_worker.into_iter().eq(0..2_000), "in order");
    }
    log.writer().write(&plain());
}

#[test]
fn a_flushed_line_reaches_the_file_by_itself_and_others_may_not_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::open(&To::File(path.clone())).unwrap();
    let writer = log.writer();
    writer.write(&plain());
    assert_eq!(lines(&path).len(), 0, "a buffer, not a system call for each line");
    writer.flush();
    wait_until("the line", || !lines(&path).is_empty());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0, "rw-r----- at most");
}

#[test]
fn a_refusal_flood_is_sampled_and_the_rest_counted_by_code() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let log = AccessLog::open(&To::File(path.clone())).unwrap();
    let writer = log.writer();
    for _ in 0..1_000 {
        writer.write(&refusal("rate_limited"));
        writer.write(&refusal("quota_exceeded"));
        writer.write(&plain());
    }
    writer.flush();
    writer.flush();
    writer.write(&AccessRecord { time: Millis(NOON.0 + 1_000), ..refusal("rate_limited") });
    drop(writer);
    log.close();
    let lines = lines(&path);
    let of = |key: &str, value: &Value| lines.iter().filter(|line| line[key] == *value).count();
    assert_eq!(of("status", &200.into()), 1_000, "what was served is never sampled");
    assert_eq!(of("status", &429.into()), 200 + 1, "and the next second starts anew");
    let summaries: Vec<&Value> = lines.iter().filter(|line| line["sampled"] == true).collect();
    assert_eq!(summaries.len(), 2, "{summaries:?}");
    for summary in summaries {
        assert_eq!(summary["leftOut"], 900);
        assert!(["rate_limited", "quota_exceeded"].contains(&summary["code"].as_str().unwrap()));
    }
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_under_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let log = AccessLog::open(&To::File(path.clone())).unwrap();
    let writer = log.writer();
    writer.write(&plain());
    writer.flush();
    wait_until("the first line", || !lines(&path).is_empty());
    std::fs::rename(&path, &moved).unwrap();
    writer.write(&refusal("forbidden"));
    writer.flush();
    wait_until("the second line", || path.exists() && !lines(&path).is_empty());
    assert_eq!(lines(&moved).len(), 1);
    assert_eq!(lines(&path)[0]["code"], "forbidden");
}

#[test]
fn a_full_disk_stops_nothing_and_is_told_of_when_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut sink = Sink::open(&To::File(path.clone())).unwrap().unwrap();
    let batch = |lines: usize| {
        let mut batch = Batch::default();
        (0..lines).for_each(|_| line::record(batch.line(), &plain()));
        batch
    };
    sink.write(&batch(3));
    sink.write(&batch(2).into_a_number());
    sink.write(&batch(1));
    std::fs::remove_file(&path).unwrap();
    sink.write(&batch(1));
    sink.write(&batch(1));
    let lines = lines(&path);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!((&lines[0]["dropped"], &lines[1]["status"], &lines[2]["status"]), (&6.into(), &200.into(), &200.into()));
}

#[test]
fn a_reader_that_takes_nothing_blocks_no_worker_and_the_dropped_lines_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // A reader and a writer at once: opening does not wait.
    let mut reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let log = AccessLog::open(&To::File(pipe)).unwrap();
    let writer = log.writer();
    let path = "x".repeat(16 * 1024);
    let start = instant();
    const LINES: u64 = 2_000;
    for _ in 0..LINES {
        writer.write(&AccessRecord { path: &path, ..plain() });
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

    let reading = std::thread::spawn(move || {
        let (mut text, mut seen, mut told) = (Vec::new(), 0, 0);
        let mut chunk = vec![0; 1 << 16];
        while seen + told < LINES + 1 {
            let count = reader.read(&mut chunk).unwrap();
            text.extend_from_slice(&chunk[..count]);
            while let Some(end) = text.iter().position(|octet| *octet == b'\n') {
                let json: Value = serde_json::from_slice(&text.drain(..=end).collect::<Vec<u8>>()).unwrap();
                told += json["dropped"].as_u64().unwrap_or(0);
                seen += u64::from(json["status"] == 200);
            }
        }
        (seen, told)
    });
    // Until there is room, this line and the number are handed over again.
    writer.write(&plain());
    wait_until("room again", || {
        writer.flush();
        reading.is_finished()
    });
    let (seen, told) = reading.join().unwrap();
    assert_eq!(seen + told, LINES + 1);
    assert!(told > 0 && seen > 0, "{seen} written, {told} told of");
    log.close();
}

#[test]
fn off_writes_nothing_and_a_missing_directory_is_named() {
    let log = AccessLog::open(&To::Off).unwrap();
    let writer = log.writer();
    writer.write(&plain());
    writer.flush();
    log.close();
    let error = AccessLog::open(&To::File("/nonexistent/access.log".into())).err().unwrap();
    assert!(error.to_string().contains("/nonexistent/access.log"), "{error}");
}

#[test]
fn standard_output_gets_the_lines_and_a_reader_that_leaves_stops_nothing() {
    const CHILD: &str = "GATEHOUSE_TEST_ACCESS_LOG";
    if std::env::var_os(CHILD).is_some() {
        let log = AccessLog::open(&To::Stdout).unwrap();
        let writer = log.writer();
        for _ in 0..1_000 {
            writer.write(&plain());
        }
        drop(writer);
        return log.close();
    }
    let test = "observe::access_log::tests::standard_output_gets_the_lines_and_a_reader_that_leaves_stops_nothing";
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(CHILD, "1").stdout(Stdio::piped());
        command
    };
    let output = child().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok_and(|json| json["status"] == 200)).count(), 1_000);

    let mut leaving = child().spawn().unwrap();
    let mut stdout = leaving.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1]).unwrap();
    drop(stdout);
    // The harness itself may fail to print its summary; what matters is that the child ends.
    let status = leaving.wait().unwrap();
    assert!(status.code().is_some(), "not killed by a signal: {status}");
}
