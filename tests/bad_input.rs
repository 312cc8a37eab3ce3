//! What is wrong is told once, with where it is and what to do, and nothing starts or changes half.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use http::{Method, Version};
use serde_json::{Value, json};

use crate::support::{Answer, TestGateway, Upstream, tenant};

/// Runs the binary in an empty folder with this `config.toml` and environment; exit code and stderr.
fn gatehouse(verb: &str, config: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    let command = command.args([verb, "-c", "config.toml"]).current_dir(folder.path()).env_clear().envs(env.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is made of a wrong configuration");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_wrong_configuration_is_told_with_its_line_and_what_was_probably_meant() {
    let cases = [
        ("[listen]\nhtpps = \"0.0.0.0:8443\"", "config.toml:2:1: unknown key `listen.htpps`, did you mean `https`?"),
        ("[plans.pro]\nmax_usres = 5", "config.toml:2:1: unknown key `plans.pro.max_usres`, did you mean `max_users`?"),
        ("[listen]\n\nhttp = \"localhost\"", "config.toml:3:8: listen.http: "),
        ("[plans.team]\nprice_monthly = 5", "config.toml:1:"),
        ("[plans.pro]\nrate = \"fast\"", "config.toml:2:8: plans.pro.rate: "),
        ("[upstream]\ndefault = \"ftp://x\"", "config.toml:2:11: upstream.default: "),
        ("[limits]\nmax_body = \"10 bananas\"", "config.toml:2:12: limits.max_body: "),
        ("[listen\n", "config.toml:1:"),
    ];
    for (config, said) in cases {
        for verb in ["check", "run"] {
            let (code, stderr) = gatehouse(verb, config, &[]);
            let line = stderr.lines().find(|line| !line.starts_with("note: ")).unwrap_or_default();
            assert_eq!(code, Some(2), "{verb}: {stderr}");
            assert!(line.starts_with(said), "{verb}: {said}\n{stderr}");
        }
    }
}

#[test]
fn what_would_be_unsafe_or_is_not_there_refuses_to_start() {
    let open = ("GATEHOUSE_LISTEN__ADMIN", "0.0.0.0:0");
    let (code, stderr) = gatehouse("run", "", &[open]);
    assert!(code == Some(2) && stderr.contains("admin.token"), "{stderr}");
    let (code, stderr) = gatehouse("check", "tls.mode = \"off\"", &[open, ("GATEHOUSE_ADMIN_TOKEN", "secret")]);
    assert!(code == Some(0), "{stderr}");
    let (code, stderr) = gatehouse("run", "tls.mode = \"off\"", &[("DATABASE_URL", "postgresql://user:hush@db/gatehouse")]);
    assert_eq!(code, Some(2));
    assert!(stderr.starts_with("DATABASE_URL: ") && stderr.contains("not in this version") && !stderr.contains("hush"), "{stderr}");
    let (code, stderr) = gatehouse("check", "", &[("ENABLE_SSO", "perhaps"), ("DEFAULT_MAX_USERS", "-1")]);
    assert_eq!((code, stderr.lines().filter(|line| !line.starts_with("note: ")).count()), (Some(2), 2), "{stderr}");
}

#[tokio::test]
async fn a_missing_certificate_a_busy_port_and_a_second_instance_are_one_clear_line_each() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let line = |said: (Option<i32>, String)| {
        assert_eq!((said.0, said.1.lines().count()), (Some(1), 1), "{}", said.1);
        said.1
    };
    let said = line(gateway.fails_to_start().await);
    assert!(said.contains(gateway.dir.path().join("data").to_str().unwrap()) && said.contains(&gateway.pid().to_string()), "{said}");
    let other_store = gateway.dir.path().join("other").display().to_string();
    gateway.set("store.path", &other_store);
    let said = line(gateway.fails_to_start().await);
    assert!(said.contains("journal") && said.contains("in use by another gatehouse"), "{said}");
    for (key, address) in [("listen.https", gateway.https.unwrap()), ("listen.http", gateway.http), ("listen.admin", gateway.admin)] {
        gateway.set(key, &address.to_string());
        let said = line(gateway.fails_to_start().await);
        assert!(said.contains(key) && said.contains(&address.to_string()) && said.contains("in use"), "{said}");
        gateway.set(key, "127.0.0.1:0");
    }
    gateway.get("acme", "/").await.expect(200);
    gateway.stop().await;
    let own_store = gateway.dir.path().join("data").display().to_string();
    gateway.set("store.path", &own_store);
    gateway.set("tls.cert", "/nowhere/gatehouse.crt");
    let said = line(gateway.fails_to_start().await);
    assert!(said.contains("/nowhere/gatehouse.crt") && said.contains("tls.cert"), "{said}");
}

#[tokio::test]
async fn a_tenant_whose_plan_left_the_configuration_keeps_it_and_nobody_else_gets_it() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme").calls_per_day(5)).tenant(tenant("gone").plan("of-acme")).start().await;
    let gone = gateway.admin(Method::DELETE, "/admin/tenants/gone", Value::Null).await.expect(200).json();
    assert!(gateway.stop().await.success());
    let config = gateway.dir.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    gateway.start_again().await;
    for _ in 0..5 {
        gateway.get("acme", "/").await.expect(200);
    }
    gateway.get("acme", "/").await.expect(429).code("quota_exceeded");
    let refused = gateway.create(&tenant("globex").plan("of-acme")).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/plan", "{refused}");
    let restore = format!("/admin/tenants/{}/restore", gone["id"].as_str().unwrap());
    gateway.admin(Method::POST, &restore, json!({})).await.expect(200);
    gateway.get("gone", "/").await.expect(200);
}

/// Files below a folder, largest first.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
    found
}

/// Places of `text` in `octets`.
fn places(octets: &[u8], text: &[u8]) -> Vec<usize> {
    octets.windows(text.len()).enumerate().filter(|(_, window)| *window == text).map(|(at, _)| at).collect()
}

/// Each damage refuses the start, names the folder's file and a way out; with the file as it was, all is there.
async fn refuses(gateway: &mut TestGateway, file: &Path, damages: &[(&str, Vec<u8>)], way_out: &str) {
    let whole = std::fs::read(file).unwrap();
    for (what, damaged) in damages {
        std::fs::write(file, damaged).unwrap();
        let (code, said) = gateway.fails_to_start().await;
        assert_eq!(code, Some(1), "{what}: {said}");
        let folder = file.parent().unwrap().display().to_string();
        assert!(said.contains(&folder) && said.contains(way_out), "{what} of {}: {said}", file.display());
        assert!(!said.contains("panicked"), "{what}: {said}");
    }
    std::fs::write(file, whole).unwrap();
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_never_started_empty() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme-of-the-damaged-store")).start().await;
    assert!(gateway.stop().await.success());
    let data = gateway.dir.path().join("data");
    let file = files(&data).into_iter().find(|path| !places(&std::fs::read(path).unwrap(), b"acme-of-the").is_empty()).expect("the tenant");
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    let named = places(&whole, b"acme-of-the");
    for at in &named {
        flipped[*at] ^= 1;
    }
    // sled takes room ahead, so that the file is cut among what was written.
    let half = whole[..named[named.len() / 2]].to_vec();
    let damages = [("a flipped bit", flipped), ("half of it", half), ("nothing of it", Vec::new())];
    refuses(&mut gateway, &file, &damages, "backup").await;
    let seal = data.join("seal");
    let sealed = std::fs::read(&seal).unwrap();
    std::fs::remove_file(&seal).unwrap();
    let (code, said) = gateway.fails_to_start().await;
    assert!(code == Some(1) && said.contains("seal") && said.contains("backup"), "{said}");
    std::fs::write(&seal, sealed).unwrap();
    std::fs::rename(data.join("sled"), data.join("gone")).unwrap();
    let (code, said) = gateway.fails_to_start().await;
    assert!(code == Some(1) && said.contains(data.to_str().unwrap()) && said.contains("backup"), "{said}");
    let _ = std::fs::remove_dir_all(data.join("sled"));
    std::fs::rename(data.join("gone"), data.join("sled")).unwrap();
    gateway.start_again().await;
    gateway.get("acme-of-the-damaged-store", "/").await.expect(200);
}

#[tokio::test]
async fn a_damaged_or_foreign_journal_file_is_refused_and_counted_calls_are_there_when_it_is_whole_again() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    for _ in 0..20 {
        gateway.get("acme", "/").await.expect(200);
    }
    let id = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.json()["id"].as_str().unwrap().to_owned();
    gateway.signal("KILL");
    gateway.ended().await;
    let hex = id.trim_start_matches("tenant_");
    // The first half of the id, as this machine writes a number.
    let octets = u64::from_str_radix(&hex[..16], 16).unwrap().to_ne_bytes();
    let journal = gateway.dir.path().join("journal");
    let file = files(&journal).into_iter().find(|path| !places(&std::fs::read(path).unwrap(), &octets).is_empty()).expect("a slot");
    let whole = std::fs::read(&file).unwrap();
    let flip = |at: usize| {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        flipped
    };
    let damages = [
        ("a flipped bit of a slot's key", flip(places(&whole, &octets)[0] + 3)),
        ("a flipped bit of the header", flip(1)),
        ("half of it", whole[..whole.len() / 2 + 100].to_vec()),
        ("another file", b"something else altogether".repeat(1000)),
    ];
    refuses(&mut gateway, &file, &damages, "move it out of the directory").await;
    gateway.start_again().await;
    assert_eq!(gateway.usage("acme").await["apiCalls"], 20);
}

/// The pointers and codes of a problem's errors.
#[track_caller]
fn errors(answer: &Answer) -> Vec<(String, String)> {
    let document = answer.json();
    let list = document["errors"].as_array().unwrap_or_else(|| panic!("{document}"));
    list.iter().map(|error| (error["pointer"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn wrong_tenants_are_refused_with_every_error_and_nothing_is_made() {
    let origin = Upstream::replying("hello").start().await;
    let acme = tenant("acme").plan("pro").with("customDomain", "acme.test");
    let gateway = TestGateway::to(&origin).tenant(acme).start().await;
    let post = |body: Value| {
        let gateway = &gateway;
        async move { gateway.admin(Method::POST, "/admin/tenants", body).await }
    };
    let of = |slug: &str| json!({"name": "X", "slug": slug, "plan": "free"});
    let too_long = "a".repeat(64);
    for slug in ["", "-a", "a-", "a.b", "a_b", "a b", "Ünal", "a/b", "xn--abc", &too_long] {
        let refused = post(of(slug)).await.expect(422).code("validation_failed");
        assert_eq!(errors(&refused)[0].0, "/slug", "{slug}");
    }
    for slug in ["www", "api", "admin"] {
        assert_eq!(errors(&post(of(slug)).await.expect(422)), [("/slug".to_owned(), "reserved".to_owned())], "{slug}");
    }
    let taken = post(of("acme")).await.expect(409);
    assert_eq!(errors(&taken)[0].0, "/slug");
    let domain = json!({"name": "X", "slug": "x", "plan": "free", "customDomain": "ACME.test."});
    assert_eq!(errors(&post(domain).await.expect(409))[0].0, "/customDomain");
    let own = format!("x.{}", crate::support::gateway::BASE);
    for domain in [own.as_str(), "localhost", "127.0.0.1", "a..b"] {
        let body = json!({"name": "X", "slug": "x", "plan": "free", "customDomain": domain});
        assert_eq!(errors(&post(body).await.expect(422))[0].0, "/customDomain", "{domain}");
    }
    let many = post(json!({"name": "", "slug": "-", "plan": "prp", "colour": 1})).await.expect(422);
    assert_eq!(errors(&many), [("/colour".to_owned(), "unknown_member".to_owned())]);
    let many = post(json!({"name": "", "slug": "-", "plan": "prp"})).await.expect(422);
    assert_eq!(errors(&many).len(), 3);
    assert!(many.text().contains("did you mean"), "{}", many.text());
    assert_eq!(errors(&post(json!({"name": "X"})).await.expect(422)).len(), 2, "slug and plan are missing");
    for upstream in
        [gateway.url_of("127.0.0.1", ""), format!("http://{}", gateway.admin), "http://169.254.169.254".to_owned(), "gopher://x".to_owned()]
    {
        let body = json!({"name": "X", "slug": "x", "plan": "free", "upstream": upstream});
        assert_eq!(errors(&post(body).await.expect(422))[0].0, "/upstream", "{upstream}");
    }
    let raw = |body: &'static str, kind: &'static str| {
        let request = gateway.client.post(format!("http://{}/admin/tenants", gateway.admin)).header("content-type", kind);
        crate::support::gateway::send(request.body(body))
    };
    raw("{\"name\": ", "application/json").await.expect(400).code("bad_request");
    raw("[]", "application/json").await.expect(422);
    raw("name=x", "application/x-www-form-urlencoded").await.expect(403).code("forbidden");
    let all = gateway.admin(Method::GET, "/admin/tenants?status=&q=", Value::Null).await.expect(200).json();
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn unknown_parameters_paths_and_versions_are_refused() {
    let origin = Upstream::replying("hello").start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme").plan("pro")).start().await;
    let get = |path: &'static str| gateway.admin(Method::GET, path, Value::Null);
    assert_eq!(errors(&get("/admin/tenants?statsu=active").await.expect(422))[0], ("/query/statsu".into(), "unknown_parameter".into()));
    for (path, pointer) in [
        ("/admin/tenants?status=actve", "/query/status"),
        ("/admin/tenants?limit=0", "/query/limit"),
        ("/admin/tenants?cursor=x", "/query/cursor"),
        ("/admin/tenants/acme/usage?period=2026-13", "/query/period"),
        ("/admin/audit?since=1", "/query/since"),
    ] {
        assert_eq!(errors(&get(path).await.expect(422))[0].0, pointer, "{path}");
    }
    get("/admin/tenants/nobody").await.expect(404).code("tenant_not_found");
    get("/admin/nothing").await.expect(404).code("not_found");
    gateway.admin(Method::PUT, "/admin/tenants", json!({})).await.expect(405).code("method_not_allowed");

    let read = get("/admin/tenants/acme").await.expect(200);
    let tag = read.header("etag").to_owned();
    let patch = |name: &'static str, tag: String| {
        let gateway = &gateway;
        async move { gateway.admin_with(Method::PATCH, "/admin/tenants/acme", json!({"name": name}), &[("if-match", &tag)]).await }
    };
    let first = patch("First", tag.clone()).await.expect(200);
    assert_ne!(first.header("etag"), tag);
    patch("Second", tag.clone()).await.expect(412).code("precondition_failed");
    assert_eq!(get("/admin/tenants/acme").await.json()["name"], "First");
    patch("Third", first.header("etag").to_owned()).await.expect(200);
    gateway.admin_with(Method::DELETE, "/admin/tenants/acme", Value::Null, &[("if-match", &tag)]).await.expect(412);
}

#[tokio::test]
async fn a_repeated_post_with_the_same_idempotency_key_is_done_once() {
    let origin = Upstream::replying("hello").start().await;
    let mut gateway = TestGateway::to(&origin).start().await;
    let key = [("idempotency-key", "signup-42")];
    let body = json!({"name": "Acme", "slug": "acme", "plan": "pro"});
    let made = gateway.admin_with(Method::POST, "/admin/tenants", body.clone(), &key).await.expect(201);
    assert_eq!(made.header("idempotency-replayed"), "");
    gateway.signal("KILL");
    gateway.ended().await;
    gateway.start_again().await;
    let again = gateway.admin_with(Method::POST, "/admin/tenants", body.clone(), &key).await.expect(201);
    assert_eq!((again.json(), again.header("idempotency-replayed")), (made.json(), "true"));
    let other = json!({"name": "Acme", "slug": "other", "plan": "pro"});
    gateway.admin_with(Method::POST, "/admin/tenants", other, &key).await.expect(422).code("idempotency_key_reused");
    // Many at once make one, and all get its answer.
    let body = json!({"name": "Globex", "slug": "globex", "plan": "pro"});
    let all = (0..16).map(|_| gateway.admin_with(Method::POST, "/admin/tenants", body.clone(), &[("idempotency-key", "signup-43")]));
    let all = futures_util::future::join_all(all).await;
    let ids: std::collections::HashSet<String> =
        all.into_iter().map(|answer| answer.expect(201).json()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1);
    gateway.admin(Method::POST, "/admin/tenants", body).await.expect(409);
    let listed = gateway.admin(Method::GET, "/admin/tenants", Value::Null).await.json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_environment_names_of_the_interface_work_in_the_process() {
    let origin = Upstream::echoing().start().await;
    let plan = "[plans.bare]\nprice_monthly = 1\nprice_yearly = 10";
    let gateway = TestGateway::to(&origin)
        .toml(plan)
        .set("DEFAULT_MAX_USERS", "77")
        .set("DEFAULT_MAX_STORAGE", "123456")
        .set("ENABLE_CUSTOM_DOMAINS", "false")
        .set("ENABLE_SSO", "false")
        .set("STRIPE_SECRET_KEY", "sk_test_1")
        .set("STRIPE_WEBHOOK_SECRET", "whsec_1")
        .set("GATEHOUSE_PLANS__PRO__MAX_USERS", "51")
        .tenant(tenant("acme").plan("bare"))
        .start()
        .await;
    let acme = gateway.admin(Method::GET, "/admin/tenants/acme", Value::Null).await.expect(200).json();
    assert_eq!((&acme["limits"]["maxUsers"], &acme["limits"]["maxStorage"]), (&json!(77), &json!(123_456)));
    assert_eq!(acme["limits"]["maxProjects"], Value::Null);
    let pro = gateway.create(&tenant("globex").plan("pro")).await.expect(201).json();
    assert_eq!((&pro["limits"]["maxUsers"], &pro["limits"]["maxProjects"]), (&json!(51), &json!(100)), "others of the plan stay");
    let domain = gateway.create(&tenant("initech").plan("pro").with("customDomain", "initech.test")).await.expect(422);
    assert_eq!(errors(&domain), [("/customDomain".to_owned(), "not_enabled".to_owned())]);
    let sso = gateway.admin(Method::PUT, "/admin/tenants/acme/features/sso", json!({"enabled": true})).await.expect(422);
    assert_eq!(errors(&sso)[0].1, "not_enabled");
}

#[tokio::test]
async fn switches_that_are_turned_off_hold_for_what_is_stored_already() {
    let origin = Upstream::echoing().start().await;
    let mut gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    gateway.admin(Method::PUT, "/admin/tenants/acme/features/sso", json!({"enabled": true})).await.expect(200);
    assert_eq!(gateway.get("acme", "/").await.expect(200).json()["headers"]["x-tenant-features"][0], "sso");
    assert!(gateway.stop().await.success());
    gateway.set("ENABLE_SSO", "false");
    gateway.start_again().await;
    assert_eq!(gateway.get("acme", "/").await.expect(200).json()["headers"]["x-tenant-features"], Value::Null);
}

#[tokio::test]
async fn with_a_token_the_admin_api_answers_whoever_has_it_and_nobody_else() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).set("GATEHOUSE_ADMIN_TOKEN", "long-and-secret").set("listen.admin", "0.0.0.0:0").start().await;
    let right = [("authorization", "Bearer long-and-secret")];
    let body = json!({"name": "Acme", "slug": "acme", "plan": "pro"});
    for wrong in [&[][..], &[("authorization", "Bearer long-and-secre")], &[("authorization", "Basic long-and-secret")]] {
        let refused = gateway.admin_with(Method::POST, "/admin/tenants", body.clone(), wrong).await.expect(401).code("unauthenticated");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
    }
    gateway.admin_with(Method::POST, "/admin/tenants", body, &right).await.expect(201);
    gateway.admin(Method::GET, "/livez", Value::Null).await.expect(200);
    gateway.admin(Method::GET, "/readyz", Value::Null).await.expect(200);
    gateway.admin(Method::GET, "/metrics", Value::Null).await.expect(401);
    let rows = gateway.admin_with(Method::GET, "/admin/audit", Value::Null, &right).await.expect(200).json();
    assert_eq!((&rows["data"][0]["actor"], rows["data"].as_array().unwrap().len()), (&json!("admin"), 1));
    gateway.connect(Version::HTTP_11, "acme").await.get("/").await.expect(200);
}
