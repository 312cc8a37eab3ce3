//! Who signs the tokens of the matrix: one issuer for all tenants, and one of acme's and one of globex's own.
//!
//! The first is also acme's and globex's own for an audience of theirs. initech believes whoever signs with the keys of acme's issuer in
//! the name of the first, as a tenant may that calls its own issuer like another.

use serde_json::{Value, json};

use super::world::World;
use crate::support::eventually;
use crate::support::gateway::send;
use crate::support::identity::{Expected, Forged, Identity};

/// An issuer of acme's own that says whose its users are.
const NAMING: &str = "https://id.acme.test";

/// The providers.
pub struct Issuers {
    common: Identity,
    acme: Identity,
    globex: Identity,
}

/// Tokens. Where nothing else is said they are of the issuer for all, and their user is `ann-of-` the tenant.
pub struct Tokens {
    pub acme: String,
    /// It names acme by its id.
    pub acme_by_id: String,
    /// Of `olga-of-acme`, who has the role and the scope of every route.
    pub acme_owner: String,
    pub globex: String,
    pub globex_by_id: String,
    pub globex_owner: String,
    /// Of acme's own issuer, of `own-of-acme`.
    pub acme_own: String,
    pub globex_own: String,
    /// For the audience that is acme's.
    pub for_acme: String,
    pub for_globex: String,
    pub for_both: String,
    /// Of an issuer of acme's own that names whose its users are.
    pub naming_acme: String,
    pub naming_globex: String,
    /// Of a user of initech, by its slug and by the id that the gateway in clear has for it; and of a tenant that is suspended, one that is gone, and none.
    pub initech: String,
    pub initech_by_id: String,
    pub suspended: String,
    pub deleted: String,
    pub nobody: String,
    /// In the name of the issuer for all, signed by acme's own, and what tenant it names.
    pub usurped: Vec<(&'static str, String)>,
    /// Tokens of globex and of acme that nobody has shown yet.
    pub fresh: Vec<(String, String)>,
    /// Of an issuer that nobody believes.
    pub stranger: String,
    /// Of acme, and refused: why, and the token.
    pub refused: Vec<(&'static str, String)>,
    /// The keys of acme's and globex's own issuers, and the name of acme's.
    pub acme_keys: Value,
    pub globex_keys: Value,
    pub acme_issuer: String,
}

/// The roles of a user of the matrix, as its app hears them.
pub fn roles_of(user: &str) -> Option<&'static str> {
    user.starts_with("olga-").then_some("owner")
}

impl Issuers {
    /// Starts them.
    pub async fn start() -> Self {
        // The first two name a key alike; the third names one as the first names another.
        let (common, acme, globex) =
            tokio::join!(Identity::start(), Identity::start_with(&["RS256", "PS256", "ES256"]), Identity::start_with(&["ES256", "RS256"]));
        Self { common, acme, globex }
    }

    /// The one for all, for the configuration.
    pub fn toml(&self) -> String {
        format!("[[issuer]]\nissuer = \"{}\"\naudience = \"gatehouse\"\n", self.common.issuer())
    }

    /// What an attacker makes who has a token of acme, and what must not open anything.
    pub async fn forged(&self) -> Vec<Forged> {
        let all = self.common.forged("acme", "globex", "es256-1", "http://127.0.0.1:9").await;
        all.into_iter().filter(|forged| forged.expected == Expected::Refused && forged.token.len() < 12_000).collect()
    }

    /// Tells the gateways of the tenants' own issuers, waits until the keys are known, and signs the tokens.
    pub async fn tokens(&self, world: &World) -> Tokens {
        let tokens = self.sign(world).await;
        let (common, gatehouse) = (self.common.issuer(), json!(["gatehouse"]));
        let of = |issuer: &str, audience: &Value, keys: &Value| json!({"issuer": issuer, "audience": audience, "jwks": keys});
        let naming = |issuer: &str| {
            let mut naming = of(issuer, &gatehouse, &tokens.acme_keys);
            naming["tenantClaim"] = json!("tenant");
            naming
        };
        let keys = self.common.jwks().await;
        // Without the claim it could not be one tenant's.
        let shared = |audience: &str| {
            let mut shared = of(common, &json!([audience]), &keys);
            shared["tenantClaim"] = json!("tenant");
            shared
        };
        let acme = [of(self.acme.issuer(), &gatehouse, &tokens.acme_keys), shared("of-acme"), naming(NAMING)];
        let globex = [of(self.globex.issuer(), &gatehouse, &tokens.globex_keys), shared("of-globex")];
        for gateway in [&world.tls, &world.clear, &world.trusting] {
            for (slug, issuers) in [("acme", json!(acme)), ("globex", json!(globex)), ("initech", json!([naming(common)]))] {
                let path = format!("/admin/tenants/{slug}/issuers");
                gateway.admin(http::Method::PUT, &path, json!({"issuers": issuers})).await.expect(200);
            }
            eventually("the keys of the issuer for all are known", || async {
                let request = gateway.request(http::Method::GET, "acme", "/members/x");
                let answer = send(request.header("authorization", format!("Bearer {}", tokens.acme))).await;
                (answer.status == 200).then_some(())
            })
            .await;
        }
        world.heard();
        tokens
    }

    async fn sign(&self, world: &World) -> Tokens {
        let (common, own) = (&self.common, &self.acme);
        let of = |slug: &str| common.token("ES256").payload("sub", json!(format!("ann-of-{slug}"))).tenant(slug);
        let by_id = |slug: &str, id: &str| of(slug).claim("tenant", json!(id));
        let owner = |slug: &str| {
            let token = common.token("RS256").payload("sub", json!(format!("olga-of-{slug}"))).tenant(slug);
            token.roles(&["owner"]).payload("scope", json!("reports:read other"))
        };
        let usurper = |slug: &str| own.token("ES256").payload("sub", json!("own-of-initech")).tenant(slug);
        let naming = |slug: &str| own.token("ES256").payload("sub", json!("own-of-acme")).tenant(slug).payload("iss", json!(NAMING));
        let acme_own = || own.token("ES256").payload("sub", json!("own-of-acme"));
        let globex_own = self.globex.token("ES256").payload("sub", json!("own-of-globex"));
        let (mut usurped, mut fresh) = (Vec::new(), Vec::new());
        for slug in ["acme", "globex", "initech"] {
            usurped.push((slug, usurper(slug).payload("iss", json!(common.issuer())).mint().await));
        }
        for _ in 0..4 {
            fresh.push((of("globex").mint().await, of("acme").mint().await));
        }
        Tokens {
            acme: common.token("ES256").user("ann-of-acme").tenant("acme").mint().await,
            acme_by_id: by_id("acme", &world.ids.acme).mint().await,
            acme_owner: owner("acme").mint().await,
            globex: common.token("ES256").user("ann-of-globex").tenant("globex").mint().await,
            globex_by_id: by_id("globex", &world.ids.globex).mint().await,
            globex_owner: owner("globex").mint().await,
            acme_own: acme_own().mint().await,
            globex_own: globex_own.mint().await,
            for_acme: of("acme").audience("of-acme").mint().await,
            for_globex: of("globex").audience("of-globex").mint().await,
            for_both: of("globex").payload("aud", json!(["gatehouse", "of-acme"])).mint().await,
            naming_acme: naming("acme").mint().await,
            naming_globex: naming("globex").mint().await,
            initech: of("initech").mint().await,
            initech_by_id: by_id("initech", &world.ids.initech).mint().await,
            suspended: of("hooli").mint().await,
            deleted: of("umbrella").mint().await,
            nobody: of("nobody").mint().await,
            usurped,
            fresh,
            stranger: of("acme").payload("iss", json!("https://elsewhere.example")).mint().await,
            refused: self.refused().await,
            acme_keys: own.jwks().await,
            globex_keys: self.globex.jwks().await,
            acme_issuer: own.issuer().to_owned(),
        }
    }

    /// Tokens of acme that are refused, and why.
    async fn refused(&self) -> Vec<(&'static str, String)> {
        let (common, own) = (&self.common, &self.acme);
        let of = || common.token("ES256").payload("sub", json!("ann-of-acme")).tenant("acme");
        let acme_own = || own.token("ES256").payload("sub", json!("own-of-acme"));
        let usurper = || acme_own().tenant("acme").payload("iss", json!(common.issuer()));
        let mut refused = Vec::new();
        for (why, token) in [
            ("expired", of().payload("exp", json!(1_000_000_000))),
            ("without an end", of().payload("exp", Value::Null)),
            ("not valid yet", of().payload("nbf", json!(4_000_000_000_u64))),
            ("for another audience", of().audience("elsewhere")),
            ("without a tenant", of().claim("tenant", Value::Null)),
            ("for a list of tenants", of().claim("tenant", json!(["acme", "globex"]))),
            ("of a user that is two lines", of().payload("sub", json!("ann\r\nX-User-Roles: owner"))),
            ("with a kid of globex's issuer", of().header("kid", json!("es256-1"))),
            ("with a kid that is a path", of().header("kid", json!("../../globex/es256-1"))),
            ("of another type", of().header("typ", json!("logout+jwt"))),
            ("in the name of all, signed by acme's own", usurper()),
            ("in the name of all, with a kid of all's", usurper().header("kid", json!("es256-3"))),
            ("in acme's own name, signed by that of all", of().payload("iss", json!(own.issuer()))),
            ("in acme's own name, signed by globex's", self.globex.token("ES256").payload("iss", json!(own.issuer()))),
            ("of acme's own, for another audience", acme_own().audience("of-acme")),
        ] {
            refused.push((why, token.mint().await));
        }
        refused
    }
}
