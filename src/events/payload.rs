//! What an event says: made of the row of the audit log that tells the same.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::{EventType, Millis};
use crate::store::{AuditRow, StoreError};

/// Octets of a body: receivers take no more, and its record has to fit into the store, whatever the row says.
const MOST_OCTETS: usize = 256 * 1024;

/// A body before it is written; its members are sent in this order.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: EventType,
    timestamp: String,
    data: &'a Map<String, Value>,
}

/// The body of the event that a row stands for.
pub(super) fn of_row(kind: EventType, row: &AuditRow) -> Result<Bytes, StoreError> {
    let mut data = match &row.after {
        Some(Value::Object(members)) => members.clone(),
        Some(value) => Map::from_iter([("value".to_owned(), value.clone())]),
        None => Map::new(),
    };
    if kind == EventType::UsageThreshold {
        data.insert("hardCap".to_owned(), json!(row.action == "usage.hard_cap_reached"));
    }
    if let Some(before) = &row.before {
        data.insert("previous".to_owned(), before.clone());
    }
    let tenant = row.tenant_id.map(|tenant| ("tenantId".to_owned(), json!(tenant)));
    data.extend(tenant.clone());
    let whole = body(kind, row.time, &data)?;
    if whole.len() <= MOST_OCTETS {
        return Ok(whole);
    }
    let little = tenant.into_iter().chain([("truncated".to_owned(), json!(true))]).collect();
    body(kind, row.time, &little)
}

/// The body of an event with these data.
pub(super) fn body(kind: EventType, time: Millis, data: &Map<String, Value>) -> Result<Bytes, StoreError> {
    // A time that no calendar has is told as the beginning of ours.
    let timestamp = jiff::Timestamp::from_millisecond(time.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string();
    let text = serde_json::to_vec(&Payload { kind, timestamp, data });
    text.map(Bytes::from).map_err(|error| StoreError::Refused(format!("an event: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;

    fn row(action: &str, before: Option<Value>, after: Option<Value>) -> AuditRow {
        let time = Millis(1_795_521_600_123);
        let tenant_id = Some(TenantId::from_bytes([2; 16]));
        AuditRow {
            time,
            actor: "admin".to_owned(),
            source: None,
            action: action.to_owned(),
            tenant_id,
            before,
            after,
            request_id: None,
            reason: None,
        }
    }

    fn text(kind: EventType, row: &AuditRow) -> String {
        String::from_utf8(of_row(kind, row).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_payload_has_the_rows_after_its_tenant_and_what_was_before() {
        let row = row("tenant.suspended", Some(json!({"status": "trial"})), Some(json!({"status": "suspended", "statusReason": "é\n"})));
        insta::assert_snapshot!(text(EventType::TenantSuspended, &row), @r#"{"type":"tenant.suspended","timestamp":"2026-11-24T12:00:00.123Z","data":{"previous":{"status":"trial"},"status":"suspended","statusReason":"é\n","tenantId":"tenant_02020202020202020202020202020202"}}"#);
    }

    #[test]
    fn a_row_that_no_receiver_would_take_is_told_without_what_it_says() {
        let row = row("subscription.changed", None, Some(json!({"metadata": "x".repeat(MOST_OCTETS)})));
        insta::assert_snapshot!(text(EventType::SubscriptionChanged, &row), @r#"{"type":"subscription.changed","timestamp":"2026-11-24T12:00:00.123Z","data":{"tenantId":"tenant_02020202020202020202020202020202","truncated":true}}"#);
    }

    #[test]
    fn a_hard_cap_is_told_from_a_threshold_and_the_tenant_is_the_rows_own() {
        let threshold = row("usage.threshold_reached", None, Some(json!({"resource": "apiCalls", "tenantId": "someone else"})));
        let data = |row: &AuditRow| serde_json::from_str::<Value>(&text(EventType::UsageThreshold, row)).unwrap()["data"].clone();
        let seen = data(&threshold);
        assert_eq!((&seen["hardCap"], &seen["tenantId"]), (&json!(false), &json!("tenant_02020202020202020202020202020202")));
        assert_eq!(data(&row("usage.hard_cap_reached", None, None))["hardCap"], true);
        assert_eq!(seen.get("previous"), None);
    }
}
