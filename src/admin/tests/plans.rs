//! The catalogue through the API: versions, add-ons, and what is refused by the rules of the configuration.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};

use super::support::{Admin, config};
use crate::config::Config;

fn team() -> Value {
    json!({
        "name": "team", "priceMonthly": 19.9, "priceYearly": "199.00",
        "limits": {"maxUsers": 10, "maxProjects": null, "maxStorage": 1_073_741_824, "maxApiCalls": 1000, "maxBandwidth": null},
        "rate": {"perSecond": 50}, "concurrency": 8,
        "overage": {"apiCalls": {"model": "graduated", "per": 1000, "hardCap": 50_000, "tiers": [{"upTo": 10_000, "price": 0.5}, {"priceMinor": 40}]}},
    })
}

/// `team` with another value at a pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = team();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[name] = value;
    body
}

#[tokio::test]
async fn a_plan_is_added_and_its_next_version_leaves_those_who_have_it_alone() {
    let admin = Admin::start().await;
    let first = admin.post("/admin/plans", team()).await.expect(201).json;
    assert_eq!((&first["version"], &first["priceMonthlyMinor"], &first["priceYearlyMinor"]), (&json!(1), &json!(1990), &json!(19_900)));
    assert_eq!((&first["rate"], &first["source"]), (&json!({"perSecond": 50, "burst": 50}), &json!("api")));
    assert_eq!(
        first["overage"]["apiCalls"]["tiers"],
        json!([{"upTo": 10_000, "price": 0.5, "priceMinor": 50}, {"upTo": null, "price": 0.4, "priceMinor": 40}])
    );
    admin.tenant("acme", "team").await;

    let mut next = first.clone();
    next["priceMonthly"] = json!("24.90");
    next.as_object_mut().unwrap().remove("priceMonthlyMinor");
    let second = admin.post("/admin/plans", next.clone()).await.expect(201).json;
    assert_eq!((&second["version"], &second["priceMonthlyMinor"], &second["isOffered"]), (&json!(2), &json!(2490), &json!(true)));
    assert_eq!(
        admin.post("/admin/plans", second.clone()).await.expect(200).json,
        second,
        "what is shown can be sent back, and is there already"
    );

    admin.tenant("globex", "team").await;
    assert_eq!((admin.show("acme").await["planVersion"].clone(), admin.show("globex").await["planVersion"].clone()), (json!(1), json!(2)));
    let versions = admin.get("/admin/plans/team").await.expect(200).json["versions"].clone();
    let of = |at: usize| (versions[at]["version"].clone(), versions[at]["isOffered"].clone(), versions[at]["tenants"].clone());
    assert_eq!((of(0), of(1)), ((json!(2), json!(true), json!(1)), (json!(1), json!(false), json!(1))));
    let offered = admin.get("/admin/plans").await.expect(200).json;
    let names: Vec<&str> = offered["data"].as_array().unwrap().iter().map(|plan| plan["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["free", "team", "pro", "enterprise"]);
    assert_eq!(offered["addOns"], json!([]));
    let rows = admin.get("/admin/audit?action=plan.created").await.expect(200).json;
    assert_eq!(rows["data"].as_array().unwrap().len(), 2);
    assert!(admin.get("/admin/plans/taem").await.expect(404).json["detail"].as_str().unwrap().contains("did you mean `team`?"));
}

#[tokio::test]
async fn a_plan_of_the_configuration_gets_its_next_version_here_too() {
    let admin = Admin::start().await;
    let mut pro = admin.get("/admin/plans/pro").await.expect(200).json["versions"][0].clone();
    assert_eq!((&pro["source"], &pro["version"]), (&json!("config"), &json!(1)));
    pro["limits"]["maxUsers"] = json!(60);
    let next = admin.post("/admin/plans", pro).await.expect(201).json;
    assert_eq!((&next["version"], &next["source"], &next["limits"]["maxUsers"]), (&json!(2), &json!("api"), &json!(60)));
}

#[tokio::test]
async fn many_at_once_all_survive_and_a_repeated_request_adds_nothing() {
    let admin = Admin::start().await;
    let bodies: Vec<Value> = (0..20)
        .map(|at| if at % 2 == 0 { with("/priceMonthlyMinor", json!(1990)) } else { with("/name", json!(format!("plan{at}"))) })
        .collect();
    let priced = bodies.into_iter().enumerate().map(|(at, mut body)| {
        body.as_object_mut().unwrap().remove("priceMonthly");
        body["priceMonthlyMinor"] = json!(1000 + at);
        body
    });
    let all = priced.map(|body| admin.post("/admin/plans", body));
    for answer in futures_util::future::join_all(all).await {
        answer.expect(201);
    }
    assert_eq!(admin.get("/admin/plans/team").await.json["versions"].as_array().unwrap().len(), 10);
    assert_eq!(admin.get("/admin/plans").await.json["data"].as_array().unwrap().len(), 3 + 1 + 10);

    let key = [("idempotency-key", "one")];
    let first = admin.call("POST", "/admin/plans", team(), &key).await.expect(201);
    admin.post("/admin/plans", with("/concurrency", json!(9))).await.expect(201);
    let again = admin.call("POST", "/admin/plans", team(), &key).await.expect(201);
    assert_eq!((again.headers["idempotency-replayed"].to_str().unwrap(), again.json), ("true", first.json));
    admin.call("POST", "/admin/plans", with("/concurrency", json!(1)), &key).await.expect(422).code("idempotency_key_reused");
    assert_eq!(admin.get("/admin/plans/team").await.json["versions"].as_array().unwrap().len(), 12);
}

#[tokio::test]
async fn what_a_plan_cannot_be_is_told_by_its_pointers() {
    let admin = Admin::start().await;
    let price = "/overage/apiCalls";
    for (body, pointers) in [
        (with("/name", json!("Team!")), vec!["/name"]),
        (with("/priceMonthly", json!(19.999)), vec!["/priceMonthly"]),
        (with("/priceMonthly", json!("-1")), vec!["/priceMonthly"]),
        (with("/priceMonthly", json!(123_456_789_012_345.67)), vec!["/priceMonthly"]),
        (with("/priceMonthly", json!(null)), vec!["/priceMonthly"]),
        (with("/priceMonthlyMinor", json!(1991)), vec!["/priceMonthlyMinor"]),
        (with("/priceMonthly", json!([1])), vec!["/priceMonthly"]),
        (with("/currency", json!("EUR")), vec!["/currency"]),
        (
            with("/limits", json!({"maxUsers": 1})),
            vec!["/limits/maxProjects", "/limits/maxStorage", "/limits/maxApiCalls", "/limits/maxBandwidth"],
        ),
        (with("/limits/maxUsers", json!(u64::MAX)), vec!["/limits/maxUsers"]),
        (with("/limits/maxUsers", json!(-1)), vec!["/limits/maxUsers"]),
        (with("/limits/maxUser", json!(1)), vec!["/limits/maxUser"]),
        (with("/limits/maxApiCalls", json!(null)), vec![price]),
        (with("/limits/maxApiCalls", json!(60_000)), vec!["/overage/apiCalls/hardCap"]),
        (with("/rate/perSecond", json!(0)), vec!["/rate/perSecond", "/rate/burst"]),
        (with("/concurrency", json!(0)), vec!["/concurrency"]),
        (with("/overage", json!("blok")), vec!["/overage"]),
        (with("/overage/apiCalls/per", json!(0)), vec!["/overage/apiCalls/per"]),
        (with("/overage/apiCalls/model", json!("package")), vec!["/overage/apiCalls/model"]),
        (with("/overage/apiCalls/price", json!(1)), vec!["/overage/apiCalls/price"]),
        (with("/overage/apiCalls/tiers/0/upTo", json!(10_500)), vec!["/overage/apiCalls/tiers/0/upTo"]),
        (with("/overage/apiCalls/tiers/0/upTo", json!(null)), vec!["/overage/apiCalls/tiers/0/upTo"]),
        (with("/overage/apiCalls/tiers/1/upTo", json!(20_000)), vec!["/overage/apiCalls/tiers/1/upTo"]),
        (with("/overage/apiCalls/tiers", json!([])), vec!["/overage/apiCalls/tiers"]),
        (with("/overage/apiCalls/tiers", json!(null)), vec!["/overage/apiCalls/tiers"]),
        (with("/prise", json!(1)), vec!["/prise"]),
    ] {
        admin.post("/admin/plans", body).await.expect(422).pointers(&pointers);
    }
    assert_eq!(admin.get("/admin/plans").await.json["data"].as_array().unwrap().len(), 3, "nothing was added");
}

#[tokio::test]
async fn what_the_api_shows_of_any_plan_can_be_sent_back() {
    let admin = Admin::with(
        Config::from_toml(
            r#"
        [plans.pro]
        overage = { api_calls = { price = 0.50, per = 1000 }, storage = { model = "volume", per = "1GB", tiers = [{ price = 0.10 }] } }
    "#,
        )
        .unwrap(),
    )
    .await;
    for plan in admin.get("/admin/plans").await.json["data"].as_array().unwrap() {
        assert_eq!(admin.post("/admin/plans", plan.clone()).await.expect(200).json["version"], 1, "{plan}");
    }
}

#[tokio::test]
async fn an_add_on_is_added_replaced_and_bought_at_the_price_of_then() {
    let mut config = config();
    config.add_ons = Config::from_toml("[add_ons.domain]\nprice_monthly = 5\nprice_yearly = 50\n").unwrap().add_ons;
    let admin = Admin::with(config).await;
    let seats =
        json!({"name": "seats", "title": "Ten seats", "priceMonthly": "12.00", "priceYearlyMinor": 12_000, "adds": {"maxUsers": 10}});
    let made = admin.post("/admin/add-ons", seats.clone()).await.expect(201).json;
    assert_eq!((&made["priceMonthlyMinor"], &made["adds"]["maxUsers"], &made["source"]), (&json!(1200), &json!(10), &json!("api")));
    admin.post("/admin/add-ons", seats).await.expect(200);
    admin.tenant("acme", "pro").await;
    let bought = admin.subscribe("acme", json!({"plan": "pro", "addOns": [{"name": "seats", "quantity": 2}]})).await.expect(200).json;
    assert_eq!(bought["limits"]["maxUsers"], 70);

    let dearer = json!({"name": "seats", "priceMonthly": 15, "priceYearly": 150, "adds": {"maxUsers": 10}});
    let key = [("idempotency-key", "dearer")];
    assert_eq!(admin.call("POST", "/admin/add-ons", dearer.clone(), &key).await.expect(200).json["title"], "Seats");
    admin.call("POST", "/admin/add-ons", dearer, &key).await.expect(200);
    assert_eq!(admin.show("acme").await["addOns"][0]["priceMonthly"], bought["addOns"][0]["priceMonthly"]);
    let listed = admin.get("/admin/add-ons").await.expect(200).json["data"].clone();
    let of = |at: usize| (listed[at]["name"].clone(), listed[at]["source"].clone());
    assert_eq!((of(0), of(1)), ((json!("domain"), json!("config")), (json!("seats"), json!("api"))));
    assert_eq!(admin.get("/admin/plans").await.json["addOns"], listed);
    let actions = admin.get("/admin/audit?action=add_on.*").await.json["data"].clone();
    assert_eq!(
        (&actions[0]["action"], &actions[0]["before"]["priceMonthlyMinor"], actions.as_array().unwrap().len()),
        (&json!("add_on.changed"), &json!(1200), 2)
    );

    let domain = json!({"name": "domain", "priceMonthly": 6, "priceYearly": 60});
    admin.post("/admin/add-ons", domain).await.expect(409).code("configured");
    let wrong = json!({"name": "Seats", "priceMonthly": 1, "adds": {"maxUsers": "ten"}});
    admin.post("/admin/add-ons", wrong).await.expect(422).pointers(&["/name", "/priceYearly", "/adds/maxUsers"]);
}

#[tokio::test]
async fn what_is_withdrawn_is_kept_by_those_who_have_it_and_sold_to_nobody() {
    let mut config = config();
    config.add_ons = Config::from_toml("[add_ons.domain]\nprice_monthly = 5\nprice_yearly = 50\n").unwrap().add_ons;
    let admin = Admin::with(config).await;
    admin.post("/admin/plans", team()).await.expect(201);
    let seats = json!({"name": "seats", "priceMonthly": 12, "priceYearly": 120, "adds": {"maxUsers": 10}});
    admin.post("/admin/add-ons", seats).await.expect(201);
    admin.tenant("acme", "team").await;
    let bought = json!({"plan": "team", "addOns": [{"name": "seats"}]});
    admin.subscribe("acme", bought.clone()).await.expect(200);
    let withdraw = async |path: &str| admin.call("DELETE", path, Value::Null, &[]).await;

    assert_eq!(withdraw("/admin/plans/team").await.expect(200).json["isOffered"], false);
    assert_eq!(withdraw("/admin/plans/team").await.expect(200).json["version"], 1, "it is already");
    assert_eq!(withdraw("/admin/add-ons/seats").await.expect(200).json["priceMonthlyMinor"], 1200);
    withdraw("/admin/add-ons/seats").await.expect(404);
    assert!(withdraw("/admin/plans/taem").await.expect(404).json["detail"].as_str().unwrap().contains("did you mean `team`?"));
    withdraw("/admin/plans/pro").await.expect(409).code("configured");
    withdraw("/admin/add-ons/domain").await.expect(409).code("configured");
    let actions: Vec<Value> =
        admin.get("/admin/audit?limit=2").await.json["data"].as_array().unwrap().iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["add_on.withdrawn", "plan.withdrawn"]);

    let two = json!({"plan": "team", "addOns": [{"name": "seats", "quantity": 2}]});
    assert_eq!(admin.subscribe("acme", two).await.expect(200).json["limits"]["maxUsers"], 30);
    admin.post("/admin/tenants", json!({"name": "Globex", "slug": "globex", "plan": "team"})).await.expect(422).pointers(&["/plan"]);
    admin.tenant("initech", "pro").await;
    admin.subscribe("initech", bought).await.expect(422).pointers(&["/plan", "/addOns/0/name"]);
    let back = admin.post("/admin/plans", team()).await.expect(201).json;
    assert_eq!((&back["version"], &back["isOffered"]), (&json!(2), &json!(true)));
}
