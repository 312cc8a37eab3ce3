//! The checker finds what is planted, and only that.

use super::{MOST_LINES, Source, violations};

/// What the checker finds in one planted file.
fn planted(path: &str, code: &str) -> Vec<String> {
    violations(&[Source::new(path, &format!("//! Planted.\n{code}\n"))])
}

#[test]
fn planted_arrows_are_found_where_they_stand() {
    for (path, code, expected) in [
        ("src/store/codec.rs", "use crate::tenancy::Directory;", "src/store/codec.rs:2: `store` uses `tenancy`, which stands above it"),
        (
            "src/limits/rate.rs",
            "\nuse crate::{model::Plan, metering::{Slot, fold}};",
            "src/limits/rate.rs:3: `limits` uses its neighbour `metering`",
        ),
        ("src/model/id.rs", "fn f(it: &crate::config::Config) {}", "src/model/id.rs:2: `model` uses `config`, which stands above it"),
        ("src/model/id.rs", "use super::super::config::Config;", "src/model/id.rs:2: `model` uses `config`, which stands above it"),
        ("src/model/mod.rs", "use super::{clock, model};", "src/model/mod.rs:2: `model` uses `clock`, which stands above it"),
        (
            "src/proxy/framing/head.rs",
            "type A = super::super::super::admin::A;",
            "src/proxy/framing/head.rs:2: `proxy` uses its neighbour `admin`",
        ),
        ("src/tls/mod.rs", "use crate::*;", "src/tls/mod.rs:2: `crate::*` is no module of a layer"),
        ("src/extra.rs", "use crate::model::Plan;", "src/extra.rs:2: `extra` has no layer; give it one in tests/layers"),
        ("src/clock.rs", "// a\nuse crate :: store :: Store;", "src/clock.rs:3: `clock` uses `store`, which stands above it"),
    ] {
        assert_eq!(planted(path, code), [expected], "{code}");
    }
}

#[test]
fn what_is_allowed_or_no_code_is_not_found() {
    for (path, code) in [
        ("src/tenancy/rules.rs", "use crate::{config::Config, model::{self, Plan}, tenancy::runtime::Facts};"),
        ("src/tenancy/rules.rs", "use super::super::model::Plan;\nuse super::facts;"),
        ("src/proxy/framing/head.rs", "use super::super::admin::A; // proxy's own admin"),
        ("src/model/id.rs", "// crate::store\n/* /* crate::store */ crate::store */\n/// [`crate::store`]\npub(crate) struct A;"),
        (
            "src/model/id.rs",
            "const A: &str = \"crate::store \\\" sled Instant::now()\"; const B: &str = r#\"\"crate::store\"#; const C: char = '\"';",
        ),
        ("src/model/id.rs", "fn f<'a>(it: &'a str) -> char { '\\'' } // 'crate::store"),
        ("src/model/id.rs", "#[cfg(test)]\nmod tests {\n  use crate::store::memory::Memory;\n  fn f() { {} }\n}"),
        ("src/main.rs", "use crate::cli::Cli;"),
        ("src/store/embedded.rs", "use sled::Db;"),
        ("src/clock.rs", "fn f() { Instant::now(); SystemTime::now(); }"),
        ("src/jobs/mod.rs", "fn f(clock: Instant) { clock.now(); Instant::nowhere(); }"),
    ] {
        assert_eq!(planted(path, code), [""; 0], "{code}");
    }
}

#[test]
fn code_after_a_test_module_and_in_texts_with_code_around_is_read() {
    let code = "#[cfg(test)]\nmod tests { fn f() {} }\nuse crate::store::Store;";
    assert_eq!(planted("src/model/id.rs", code), ["src/model/id.rs:4: `model` uses `store`, which stands above it"]);
    let code = "const A: &str = r\"\\\"; use crate::store::Store; const B: &[u8] = b\"x\";";
    assert_eq!(planted("src/model/id.rs", code), ["src/model/id.rs:2: `model` uses `store`, which stands above it"]);
}

#[test]
fn modules_of_tests_may_use_what_they_test_with() {
    let home = |tests: &str| {
        let files = [
            Source::new("src/store/mod.rs", &format!("//! Planted.\n{tests}mod conformance;\n")),
            Source::new("src/store/conformance.rs", "//! Planted.\nuse crate::tenancy::A;\n"),
            Source::new("src/store/conformance/more.rs", "//! Planted.\nuse crate::tenancy::A;\n"),
        ];
        violations(&files).len()
    };
    assert_eq!((home("#[cfg(test)]\n"), home("")), (0, 2));
}

#[test]
fn planted_clocks_long_files_and_second_homes_are_found() {
    let clock = "fn f() {\n    let it = std::time::Instant :: now();\n    SystemTime::now();\n}";
    let found = planted("src/proxy/mod.rs", clock);
    assert_eq!(found.len(), 2);
    assert!(
        found[0].starts_with("src/proxy/mod.rs:3: Instant::now outside")
            && found[1].starts_with("src/proxy/mod.rs:4: SystemTime::now outside")
    );
    assert_eq!(planted("src/tls/mod.rs", "use sled::Db;"), ["src/tls/mod.rs:2: `sled` outside src/store"]);
    assert_eq!(planted("src/tls/mod.rs", &"\n".repeat(MOST_LINES)), ["src/tls/mod.rs:400: 402 lines are too many"]);
    let silent = Source::new("src/tls/mod.rs", "// A remark.\n");
    assert_eq!(violations(&[silent]), ["src/tls/mod.rs:1: the first line is no `//!` that says what the file owns"]);
    let unsafe_file = |path| Source::new(path, "//! Planted.\n#![allow(unsafe_code)]\n#[allow(unsafe_code)] fn f() {}\n");
    assert_eq!(violations(&[unsafe_file("src/metering/journal.rs")]), [""; 0]);
    let two = [unsafe_file("src/metering/journal.rs"), unsafe_file("src/tls/mod.rs")];
    assert_eq!(violations(&two), ["src/tls/mod.rs:2: unsafe code is allowed in a second file"]);
}
