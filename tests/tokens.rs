//! Tokens of an identity provider that nobody here wrote: who shows a good one is who it says, and nobody else gets in.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::gateway::{GatewayBuilder, send};
use crate::support::identity::{Expected, Identity, Outage};
use crate::support::{Answer, TestGateway, Upstream, eventually, tenant};

const ROUTES: &str = r#"
[[route]]
path = "/members/*"
auth = "required"

[[route]]
path = "/owners/*"
roles = ["owner"]

[[route]]
path = "/reports/*"
scopes = ["reports:read"]
"#;

/// A gateway that believes the provider, with `more` keys of its `[[issuer]]`.
fn believing(builder: GatewayBuilder, identity: &Identity, more: &str) -> GatewayBuilder {
    let issuer = identity.issuer();
    builder
        .toml(&format!("{ROUTES}\n[[issuer]]\nissuer = \"{issuer}\"\naudience = \"gatehouse\"\n{more}\n"))
        .set("tokens.refresh_at_most_every", "200ms")
        .tenant(tenant("acme"))
        .tenant(tenant("globex"))
}

async fn ask(gateway: &TestGateway, slug: &str, path: &str, token: &str) -> Answer {
    send(gateway.request(Method::GET, slug, path).header("authorization", format!("Bearer {token}"))).await
}

fn field<'a>(seen: &'a Value, name: &str) -> &'a str {
    seen["headers"][name][0].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_of_every_algorithm_says_who_it_is() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start().await);
    let gateway = believing(TestGateway::to(&origin), &identity, "roles_claim = \"realm_access.roles\"").start().await;
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let token = identity.token(alg).user("alice").tenant("acme").roles(&["owner", "billing"]).scope("reports:read").mint().await;
        for path in ["/", "/members/1", "/owners/1", "/reports/1"] {
            let seen = ask(&gateway, "acme", path, &token).await.expect(200).json();
            assert_eq!((field(&seen, "x-user-id"), field(&seen, "x-user-roles")), ("alice", "owner,billing"), "{alg} {path}: {seen}");
            assert_eq!(field(&seen, "authorization"), format!("Bearer {token}"), "the app gets it as well");
        }
        ask(&gateway, "globex", "/", &token).await.expect(403).code("tenant_mismatch");
    }
    // The same connection without it, and with what a client says of itself.
    let plain = gateway.request(Method::GET, "acme", "/").header("x-user-id", "root").header("X_User.Roles", "owner");
    let seen = send(plain).await.expect(200).json();
    assert!(!seen.to_string().contains("alice") && !seen.to_string().contains("root") && !seen.to_string().contains("owner"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_and_scopes_of_a_token_decide_where_it_leads() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let gateway = believing(TestGateway::to(&origin), &identity, "forward = false").start().await;
    let viewer = identity.token("ES256").user("bob").tenant("acme").roles(&["viewer", "bad,role"]).mint().await;
    let seen = ask(&gateway, "acme", "/members/1", &viewer).await.expect(200).json();
    assert_eq!(field(&seen, "x-user-roles"), "viewer", "what cannot stand in a list is no role");
    assert_eq!(field(&seen, "authorization"), "", "forward = false");
    ask(&gateway, "acme", "/owners/1", &viewer).await.expect(403).code("forbidden");
    ask(&gateway, "acme", "/reports/1", &viewer).await.expect(403).code("forbidden");
    gateway.get("acme", "/members/1").await.expect(401).code("unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_tenant_api_and_names_the_tenant_on_an_api_host() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "EdDSA"]).await);
    let gateway = believing(TestGateway::to(&origin), &identity, "").start().await;
    let token = identity.token("EdDSA").user("alice").tenant("acme").mint().await;
    assert_eq!(ask(&gateway, "acme", "/api/tenant", &token).await.expect(200).json()["name"], "acme");
    let api = |claimed: Option<&'static str>, token: String| {
        let request = gateway.client.get(gateway.url_of("api.example.localhost", "/x")).header("authorization", format!("Bearer {token}"));
        send(claimed.into_iter().fold(request, |request, claimed| request.header("x-tenant-id", claimed)))
    };
    assert_eq!(field(&api(None, token.clone()).await.expect(200).json(), "x-tenant-slug"), "acme");
    assert_eq!(field(&api(Some("acme"), token.clone()).await.expect(200).json(), "x-tenant-slug"), "acme");
    api(Some("globex"), token).await.expect(403).code("tenant_mismatch");
    let lost = identity.token("EdDSA").user("alice").tenant("nobody").mint().await;
    api(None, lost).await.expect(404).code("tenant_not_found");
    let id = gateway.admin(Method::GET, "/admin/tenants/globex", Value::Null).await.json()["id"].as_str().unwrap().to_owned();
    let by_id = identity.token("EdDSA").user("carol").tenant(&id).mint().await;
    assert_eq!(field(&api(None, by_id).await.expect(200).json(), "x-tenant-slug"), "globex");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attacker_makes_of_a_token_is_refused_and_never_reaches_the_app() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start().await);
    let evil = Upstream::replying("{\"keys\": []}").start().await;
    let gateway = believing(TestGateway::to(&origin), &identity, "").start().await;
    let forged = identity.forged("acme", "globex", "foreign", &evil.url()).await;
    assert!(forged.len() > 100, "{}", forged.len());
    let mut wrong = Vec::new();
    let mut passed = 0;
    for token in &forged {
        let Ok(value) = reqwest::header::HeaderValue::from_bytes(format!("Bearer {}", token.token).as_bytes()) else { continue };
        let before = origin.seen().len();
        let request = gateway.request(Method::GET, "acme", "/members/1").header("authorization", value);
        let answer = send(request).await;
        let reached = origin.seen().len() > before;
        let is_refused = matches!(answer.status, 400 | 401 | 403 | 431) && !reached;
        let is_let_in = answer.status == 200 && answer.text().contains("\"x-tenant-slug\":[\"acme\"]");
        let fits = match token.expected {
            Expected::Refused => is_refused,
            Expected::Accepted => is_let_in,
            Expected::Either => is_refused || is_let_in,
        };
        passed += usize::from(fits);
        if !fits {
            let text: String = answer.text().chars().take(160).collect();
            wrong.push(format!("{}/{} ({:?}): {} {text}", token.family, token.name, token.expected, answer.status));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), forged.len(), wrong.join("\n"));
    assert!(passed > 100 && evil.seen().is_empty(), "no address of a token is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_audience_and_issuer_have_to_be_right() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let gateway = believing(TestGateway::to(&origin), &identity, "leeway = \"0s\"").start().await;
    let wanted = || identity.token("ES256").user("alice").tenant("acme");
    ask(&gateway, "acme", "/", &wanted().audience("other").mint().await).await.expect(401).code("unauthenticated");
    ask(&gateway, "acme", "/", &wanted().payload("aud", json!(["x", "gatehouse"])).mint().await).await.expect(200);
    ask(&gateway, "acme", "/", &wanted().payload("exp", Value::Null).mint().await).await.expect(401);
    ask(&gateway, "acme", "/", &wanted().payload("nbf", json!(4_000_000_000_u64)).mint().await).await.expect(401);
    // Another issuer's tokens are the app's own matter.
    let foreign = wanted().payload("iss", json!("https://elsewhere.example")).mint().await;
    let seen = ask(&gateway, "acme", "/", &foreign).await.expect(200).json();
    assert_eq!(field(&seen, "x-user-id"), "");
    ask(&gateway, "acme", "/members/1", &foreign).await.expect(401).code("unauthenticated");
    // It works until it expires, remembered or not.
    let short = wanted().lifetime(5).mint().await;
    ask(&gateway, "acme", "/", &short).await.expect(200);
    eventually("it expires", || async { (ask(&gateway, "acme", "/", &short).await.status == 401).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_their_rotation_and_withdrawn_ones_end() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let gateway = believing(TestGateway::to(&origin), &identity, "").start().await;
    let old = identity.token("ES256").user("alice").tenant("acme").mint().await;
    ask(&gateway, "acme", "/", &old).await.expect(200);
    identity.rotate("ES256", true).await;
    let new = identity.token("ES256").user("alice").tenant("acme").mint().await;
    eventually("the new key is known", || async { (ask(&gateway, "acme", "/", &new).await.status == 200).then_some(()) }).await;
    ask(&gateway, "acme", "/", &old).await.expect(200);
    identity.rotate("ES256", false).await;
    let newest = identity.token("ES256").user("alice").tenant("acme").mint().await;
    eventually("the newest key is known", || async { (ask(&gateway, "acme", "/", &newest).await.status == 200).then_some(()) }).await;
    for gone in [&old, &new] {
        ask(&gateway, "acme", "/", gone).await.expect(401).code("unauthenticated");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_provider_is_not_one_of_the_gateway() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let mut gateway = believing(TestGateway::to(&origin), &identity, "").set("tokens.refresh", "300ms").start().await;
    let token = identity.token("ES256").user("alice").tenant("acme").mint().await;
    ask(&gateway, "acme", "/", &token).await.expect(200);
    for outage in [Outage::Answer(500, "no".to_owned()), Outage::Answer(200, "{\"keys\":[]}".to_owned()), Outage::Reset] {
        let asked = identity.jwks_requests().await;
        identity.outage(outage).await;
        // It is asked again, in vain, and tokens of known keys go on: also one that was never shown before.
        eventually("it is asked", || async { (identity.jwks_requests().await > asked).then_some(()) }).await;
        let fresh = identity.token("ES256").user("bob").tenant("acme").mint().await;
        ask(&gateway, "acme", "/", &token).await.expect(200);
        ask(&gateway, "acme", "/", &fresh).await.expect(200);
        identity.outage(Outage::None).await;
    }
    assert!(gateway.log().iter().any(|line| line.contains("cannot be fetched; those known stay")));
    // A gateway that starts in an outage has kept them.
    identity.outage(Outage::Answer(503, String::new())).await;
    gateway.stop().await;
    gateway.start_again().await;
    ask(&gateway, "acme", "/", &token).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_never_had_the_keys_refuses_tokens_and_serves_everything_else_until_it_has() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    identity.outage(Outage::Answer(503, String::new())).await;
    let gateway = believing(TestGateway::to(&origin), &identity, "").start().await;
    let token = identity.token("ES256").user("alice").tenant("acme").mint().await;
    ask(&gateway, "acme", "/", &token).await.expect(401).code("unauthenticated");
    gateway.get("acme", "/").await.expect(200);
    identity.outage(Outage::None).await;
    eventually("the keys are there", || async { (ask(&gateway, "acme", "/", &token).await.status == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_do_not_make_the_gateway_flood_the_provider() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let gateway = believing(TestGateway::to(&origin), &identity, "").set("tokens.refresh_at_most_every", "1h").start().await;
    let good = identity.token("ES256").user("alice").tenant("acme").mint().await;
    ask(&gateway, "acme", "/", &good).await.expect(200);
    let asked = identity.jwks_requests().await;
    for number in 0..200 {
        let token = identity.token("ES256").user("alice").tenant("acme").header("kid", json!(format!("made-up-{number}"))).mint().await;
        ask(&gateway, "acme", "/", &token).await.expect(401);
    }
    assert_eq!(identity.jwks_requests().await, asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_own_provider_is_believed_for_that_tenant_alone() {
    let (origin, common, own) =
        (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await, Identity::start_with(&["RS256"]).await);
    let gateway = believing(TestGateway::to(&origin), &common, "").start().await;
    let issuers = "/admin/tenants/acme/issuers";
    let body = json!({"issuers": [{"issuer": own.issuer(), "audience": ["gatehouse"]}]});
    gateway.admin(Method::PUT, issuers, body.clone()).await.expect(200);
    // It names no tenant: whom it vouches for is a user of acme.
    let token = own.token("RS256").user("dave").mint().await;
    let seen = eventually("its keys are known", || async {
        let answer = ask(&gateway, "acme", "/members/1", &token).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!((field(&seen, "x-user-id"), field(&seen, "x-tenant-slug")), ("dave", "acme"));
    assert_eq!(gateway.admin(Method::GET, issuers, Value::Null).await.json()["data"][0]["keys"], json!({"known": 1, "error": null}));
    // To globex it is a stranger's token, which is the app's own matter.
    let seen = ask(&gateway, "globex", "/", &token).await.expect(200).json();
    assert_eq!(field(&seen, "x-user-id"), "");
    ask(&gateway, "globex", "/members/1", &token).await.expect(401).code("unauthenticated");
    // Nobody else can claim it, and nobody can claim the common one without saying whose users are whose.
    gateway.admin(Method::PUT, "/admin/tenants/globex/issuers", body.clone()).await.expect(409).code("issuer_taken");
    let shared = json!({"issuers": [{"issuer": common.issuer(), "audience": ["gatehouse"]}]});
    let refused = gateway.admin(Method::PUT, "/admin/tenants/globex/issuers", shared).await.expect(422);
    assert_eq!(refused.json()["errors"][0]["code"], "issuer_shared");
    // On an api host the tenant is named beside it.
    let api = gateway.client.get(gateway.url_of("api.example.localhost", "/")).header("authorization", format!("Bearer {token}"));
    send(api.try_clone().unwrap().header("x-tenant-id", "acme")).await.expect(200);
    send(api.try_clone().unwrap().header("x-tenant-id", "globex")).await.expect(401).code("unauthenticated");
    send(api).await.expect(401).code("unauthenticated");
    // Taken away, it is nobody's, and globex may have it.
    gateway.admin(Method::PUT, issuers, json!({"issuers": []})).await.expect(200);
    ask(&gateway, "acme", "/members/1", &token).await.expect(401).code("unauthenticated");
    gateway.admin(Method::PUT, "/admin/tenants/globex/issuers", body).await.expect(200);
    let rows = gateway.admin(Method::GET, "/admin/audit?action=tenant.issuers_changed", Value::Null).await.json();
    assert_eq!(rows["data"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_that_cannot_be_meant_are_told_with_their_members() {
    let origin = Upstream::echoing().start().await;
    let gateway = TestGateway::to(&origin).tenant(tenant("acme")).start().await;
    let put = |issuer: Value| gateway.admin(Method::PUT, "/admin/tenants/acme/issuers", json!({"issuers": [issuer]}));
    for (more, pointer) in [
        (json!({"issuer": "http://id.example"}), "/issuers/0/issuer"),
        (json!({"audience": []}), "/issuers/0/audience"),
        (json!({"jwksUrl": "https://169.254.169.254/keys"}), "/issuers/0/jwksUrl"),
        (json!({"jwks": {"keys": []}}), "/issuers/0/jwks"),
        (json!({"algorithms": ["HS256"]}), "/issuers/0/algorithms"),
        (json!({"algorithms": ["none"]}), "/issuers/0/algorithms"),
        (json!({"algorithms": []}), "/issuers/0/algorithms"),
        (json!({"leewaySeconds": 301}), "/issuers/0/leewaySeconds"),
        (json!({"tenantClaim": ""}), "/issuers/0/tenantClaim"),
        (json!({"rolesCliam": "x"}), "/issuers/0/rolesCliam"),
    ] {
        let mut issuer = json!({"issuer": "https://id.example", "audience": ["app"]});
        issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = put(issuer).await.expect(422);
        assert_eq!(answer.json()["errors"][0]["pointer"], pointer, "{more}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_a_token_together_are_no_credential() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let gateway = believing(TestGateway::to(&origin), &identity, "").start().await;
    let (key, token) = (gateway.key("acme", json!({})).await, identity.token("ES256").user("alice").tenant("acme").mint().await);
    let request = gateway.request(Method::GET, "acme", "/").header("x-api-key", &key);
    send(request.header("authorization", format!("Bearer {token}"))).await.expect(401).code("unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_given_in_a_file() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "PS256"]).await);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("keys.json");
    std::fs::write(&file, identity.jwks().await.to_string()).unwrap();
    let gateway = believing(TestGateway::to(&origin), &identity, &format!("jwks_file = {:?}", file.display().to_string())).start().await;
    let asked = identity.jwks_requests().await;
    let token = identity.token("PS256").user("alice").tenant("acme").mint().await;
    ask(&gateway, "acme", "/members/1", &token).await.expect(200);
    identity.rotate("PS256", false).await;
    let strange = identity.token("PS256").user("alice").tenant("acme").mint().await;
    ask(&gateway, "acme", "/members/1", &strange).await.expect(401);
    assert_eq!(identity.jwks_requests().await, asked, "nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_by_user_and_the_signed_context_follow_the_verified_user() {
    let (origin, identity) = (Upstream::echoing().start().await, Identity::start_with(&["RS256", "ES256"]).await);
    let routes = "[[route]]\npath = \"/beta/*\"\nfeature = \"beta\"\n";
    let gateway = believing(TestGateway::to(&origin).toml(routes), &identity, "").set("context.signed", "true").start().await;
    gateway.admin(Method::PUT, "/admin/features/beta", json!({"percentage": 50, "by": "user"})).await.expect(200);
    let mut seen_both = [false; 2];
    for user in ["ann", "ben", "cat", "dan", "eve", "fay", "gus", "hal", "ida", "jim"] {
        let told = gateway.admin(Method::GET, &format!("/admin/tenants/acme/features?user={user}"), Value::Null).await.json();
        let is_on = told["data"].as_array().unwrap().iter().any(|flag| flag["name"] == "beta" && flag["enabled"] == true);
        seen_both[usize::from(is_on)] = true;
        let token = identity.token("ES256").user(user).tenant("acme").roles(&["viewer"]).mint().await;
        ask(&gateway, "acme", "/beta/x", &token).await.expect(if is_on { 200 } else { 403 });
        let seen = ask(&gateway, "acme", "/", &token).await.expect(200).json();
        assert_eq!(field(&seen, "x-tenant-features"), if is_on { "beta" } else { "" }, "{user}");
        let body = field(&seen, "x-tenant-context").split('.').nth(1).unwrap().to_owned();
        let body = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, body).unwrap();
        let context: Value = serde_json::from_slice(&body).unwrap();
        let features = if is_on { json!(["beta"]) } else { json!([]) };
        assert_eq!((&context["user"], &context["roles"], &context["features"]), (&json!(user), &json!(["viewer"]), &features), "{context}");
    }
    assert_eq!(seen_both, [true; 2], "chance would have to be very strange");
    gateway.get("acme", "/beta/x").await.expect(403).code("feature_disabled");
}
