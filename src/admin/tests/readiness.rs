//! What `/readyz` tells whom.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use secrecy::SecretString;
use serde_json::{Value, json};

use super::support::{Admin, NOW, config};
use crate::model::Millis;

const SLOTS: u64 = 2 * 16_384;

fn failing(admin: &Admin) {
    admin.duties.fold.ended(Millis(1), &Ok::<(), &str>(()));
    admin.duties.fold.ended(Millis(2), &Err::<(), _>("no room in /data"));
    admin.duties.fold.ended(Millis(3), &Err::<(), _>("no disk at /data"));
}

#[tokio::test]
async fn each_part_tells_since_when_and_why_it_fails_and_the_journal_its_room() {
    let admin = Admin::start().await;
    let well = admin.get("/readyz?verbose").await.expect(200).json;
    let journal = json!({"status": "ok", "lastSuccess": null, "freeReports": SLOTS, "freeSlots": SLOTS, "unusedSegments": 2});
    assert_eq!((&well["status"], &well["fold"]["status"], &well["journal"]), (&json!("ready"), &json!("ok"), &journal));
    assert_eq!(well["store"], json!({"status": "available", "lastSuccess": NOW}));
    failing(&admin);
    let ill = admin.get("/readyz?verbose=1").await.expect(200).json;
    assert_eq!(ill["fold"], json!({"status": "failing", "since": 2, "reason": "no disk at /data", "lastSuccess": 1}));
    assert_eq!(ill["journal"], journal);
    let metrics = admin.get("/metrics").await.expect(200).text;
    assert!(metrics.contains("gatehouse_fold_failing 1\n") && metrics.contains(&format!("gatehouse_journal_free_slots {SLOTS}\n")));
}

#[tokio::test]
async fn without_verbose_the_answer_is_short_and_a_stranger_is_told_no_reason() {
    let mut secured = config();
    secured.admin.token = Some(SecretString::from("s3cret"));
    let admin = Admin::with(secured).await;
    failing(&admin);
    assert_eq!(admin.get("/readyz").await.expect(200).json, json!({"status": "ready", "store": "available"}));
    let stranger = admin.get("/readyz?verbose").await.expect(200);
    assert_eq!(stranger.json["fold"], json!({"status": "failing", "since": 2, "lastSuccess": 1}));
    assert!(!stranger.text.contains("/data"), "{}", stranger.text);
    let known = admin.call("GET", "/readyz?verbose", Value::Null, &[("authorization", "Bearer s3cret")]).await.expect(200).json;
    assert_eq!(known["fold"]["reason"], "no disk at /data");
}
