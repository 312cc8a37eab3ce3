//! The same with programs that nobody here wrote on both sides: curl in front, NGINX and Python's web server behind.

use std::process::Command;

use crate::support::nginx::{free, nginx, serve};
use crate::support::raw::Then;
use crate::support::{RawUpstream, TestGateway, Upstream, peers, tenant};

#[tokio::test]
async fn ranges_codings_and_conditions_mean_to_curl_and_nginx_what_they_mean_without_a_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let (_nginx, address) = nginx(dir.path()).await;
    let gateway = TestGateway::to_url(&format!("http://{address}")).tenant(tenant("acme")).start().await;
    let url = gateway.url("acme", "/digits.txt");
    let direct = format!("http://{address}/digits.txt");
    let etag = fetch(&gateway, &["--output", "/dev/null", "--write-out", "%header{etag}", &url]).await;
    let etag = String::from_utf8(etag).unwrap();
    assert!(etag.len() > 4, "{etag}");
    let condition = format!("If-None-Match: {etag}");
    let stale = format!("If-Range: {etag}");
    let write = "%{http_code} %header{content-range} %header{content-length} %header{content-encoding} %header{last-modified}\n";
    let cases: [&[&str]; 8] = [
        &[],
        &["--range", "10-19"],
        &["--range", "-5"],
        &["--range", "99999-"],
        &["--header", &condition],
        &["--range", "3-4", "--header", &stale],
        &["--compressed"],
        &["--header", "Accept-Encoding: gzip"],
    ];
    for version in ["--http1.1", "--http2"] {
        for case in cases {
            let both = [version, "--write-out", write];
            let through = fetch(&gateway, &[case, &both, &[&url]].concat()).await;
            let straight = fetch_from(&[case, &["--http1.1", "--write-out", write, &direct]].concat());
            // HTTP/2 has no chunks, and no other difference is allowed.
            assert_eq!(through, straight, "{version} {case:?}");
        }
        let head = fetch(&gateway, &[version, "--head", "--output", "/dev/null", "--write-out", write, &url]).await;
        assert!(head.starts_with(b"200  10000  "), "{}", String::from_utf8_lossy(&head));
    }
}

async fn fetch(gateway: &TestGateway, arguments: &[&str]) -> Vec<u8> {
    let output = gateway.curl(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn fetch_from(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl").args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]).args(arguments).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test]
async fn a_folder_served_by_python_over_http_1_0_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    std::fs::write(dir.path().join("file.bin"), &content).unwrap();
    let address = free();
    let mut python = Command::new(peers::debian("python3", "python3"));
    python.args(["-m", "http.server", "--bind", "127.0.0.1", &address.port().to_string()]).current_dir(dir.path());
    let _python = serve(&mut python, address).await;
    let gateway = TestGateway::to_url(&format!("http://{address}")).tenant(tenant("acme")).start().await;
    for version in ["--http1.1", "--http2"] {
        let url = gateway.url("acme", "/file.bin");
        assert_eq!(fetch(&gateway, &[version, &url]).await, content);
        let modified = fetch(&gateway, &[version, "--head", "--output", "/dev/null", "--write-out", "%header{last-modified}", &url]).await;
        let since = format!("If-Modified-Since: {}", String::from_utf8(modified).unwrap());
        let conditional = fetch(&gateway, &[version, "--header", &since, "--write-out", "%{http_code}", &url]).await;
        assert_eq!(String::from_utf8_lossy(&conditional), "304");
        let listing = fetch(&gateway, &[version, &gateway.url("acme", "/")]).await;
        assert!(String::from_utf8_lossy(&listing).contains("file.bin"));
    }
}

#[tokio::test]
async fn curl_sees_an_answer_that_comes_before_the_end_of_its_upload() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    std::fs::write(&file, vec![7; 20 << 20]).unwrap();
    let origin = RawUpstream::listen().await;
    let gateway = TestGateway::to_url(&origin.url()).tenant(tenant("acme")).start().await;
    let _app = origin.saying("HTTP/1.1 403 Forbidden\r\ncontent-length: 7\r\n\r\nenough!", Then::KeepStill);
    let file = format!("@{}", file.display());
    for (version, expect) in
        ["--http1.1", "--http2"].iter().flat_map(|version| ["Expect: 100-continue", "Expect:"].map(|expect| (version, expect)))
    {
        let url = gateway.url("acme", "/upload");
        let upload = [version, "--header", expect, "--data-binary", &file, "--write-out", " %{http_code}", &url];
        assert_eq!(String::from_utf8_lossy(&fetch(&gateway, &upload).await), "enough! 403", "{version} {expect}");
    }
}

#[tokio::test]
async fn curl_sees_that_its_upload_is_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("upload");
    std::fs::write(&file, vec![7; 20 << 20]).unwrap();
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).set("limits.max_body", "1MiB").tenant(tenant("acme")).start().await;
    let file = format!("@{}", file.display());
    for (version, more) in [("--http1.1", "Transfer-Encoding: chunked"), ("--http1.1", "X-Length: said"), ("--http2", "X-Length: said")] {
        let url = gateway.url("acme", "/upload");
        let upload = [version, "--header", "Expect:", "--header", more, "--data-binary", &file, "--write-out", " %{http_code}", &url];
        let answer = String::from_utf8(fetch(&gateway, &upload).await).unwrap();
        assert!(answer.contains("\"body_too_large\"") && answer.ends_with(" 413"), "{version} {more}: {answer}");
    }
}
