//! Lists, resends and tests as operators ask for them.

use serde_json::json;

use super::support::{TENANT, endpoint, events, row, suspended};
use crate::events::{DeliveryState, EventFilter, ResendError};
use crate::model::{EventId, EventType, TenantId};
use crate::store::{Scan, Table, Tx};

#[tokio::test]
async fn events_are_listed_newest_first_page_by_page_and_by_type_tenant_and_state() {
    let (events, _) = events(&endpoint("crm", "https://crm.example", ""));
    let audit: Vec<_> = (0..7).map(|at| row(if at % 2 == 0 { "tenant.created" } else { "invoice.paid" }, json!({"at": at}))).collect();
    events.outbox().commit(Tx { audit, ..Tx::default() }).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = events.list(EventFilter::default(), cursor, 3).await.unwrap();
        seen.extend(page.items.into_iter().map(|(id, _)| id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert!(seen.len() == 7 && seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
    let count = async |filter| events.list(filter, None, 100).await.unwrap().items.len();
    assert_eq!(count(EventFilter { kind: Some(EventType::InvoicePaid), ..EventFilter::default() }).await, 3);
    assert_eq!(count(EventFilter { tenant_id: Some(TENANT), ..EventFilter::default() }).await, 7);
    assert_eq!(count(EventFilter { tenant_id: Some(TenantId::from_bytes([9; 16])), ..EventFilter::default() }).await, 0);
    assert_eq!(count(EventFilter { state: Some(DeliveryState::Failed), ..EventFilter::default() }).await, 0);
}

#[tokio::test]
async fn a_resend_is_for_all_endpoints_of_the_event_or_for_any_one_and_leaves_its_row() {
    let (events, store) = events(
        &(endpoint("crm", "https://crm.example", "events = [\"tenant.*\"]")
            + &endpoint("erp", "https://erp.example", "events = [\"invoice.*\"]")),
    );
    events.outbox().commit(Tx { audit: vec![suspended()], ..Tx::default() }).await.unwrap();
    let id = events.list(EventFilter::default(), None, 1).await.unwrap().items.pop().unwrap().0;
    events
        .change(id, |event| event.facts.deliveries.values_mut().for_each(|delivery| delivery.state = DeliveryState::Delivered))
        .await
        .unwrap();
    let resend =
        async |endpoint: Option<&str>| events.resend(id, endpoint, |_, names| row("event.resent", json!({"endpoints": names}))).await;
    let again = resend(None).await.unwrap();
    assert_eq!((again.facts.deliveries.len(), again.facts.deliveries["crm"].state), (1, DeliveryState::Pending));
    let other = resend(Some("erp")).await.unwrap();
    assert_eq!(other.facts.deliveries["erp"].state, DeliveryState::Pending);
    assert!(matches!(resend(Some("cmr")).await, Err(ResendError::NoEndpoint(_))));
    let nobody = events.resend(EventId::from_bytes([5; 16]), None, |_, _| suspended()).await;
    assert!(matches!(nobody, Err(ResendError::NoEvent)));
    let rows = store.scan(Scan { table: Table::Audit, prefix: String::new(), after: None, newest_first: false, limit: 10 }).await.unwrap();
    assert_eq!(rows.len(), 3, "the suspension and two resends");
    let pending: Vec<usize> = events.endpoints().iter().map(|endpoint| endpoint.pending).collect();
    assert_eq!(pending, [1, 1]);
}

#[tokio::test]
async fn a_test_goes_to_its_endpoint_whatever_that_wants_to_hear_of_and_shows_no_query() {
    let (events, _) = events(&endpoint("crm", "https://crm.example/a?token=hush", "events = [\"invoice.paid\"]"));
    let (id, event) = events.test("crm", |_| row("event.tested", json!({}))).await.unwrap();
    assert_eq!((event.facts.kind, events.get(id).await.unwrap()), (EventType::TestPing, Some(event)));
    assert!(events.test("erp", |_| suspended()).await.is_err());
    assert_eq!(events.endpoints()[0].url, "https://crm.example/a");
}
