//! An event is in the store exactly when the audit row is that tells the same, and its delivery ends as its endpoint says.

use std::sync::Arc;

use serde_json::json;

use super::support::{Receiver, endpoint, events, over, quick, row, suspended, until};
use crate::events::{DeliveryState, EventFilter, StoredEvent, forget_old_events};
use crate::model::EventType;
use crate::store::{Key, Precondition, Scan, Store, Table, Tx};

async fn all(store: &dyn Store, table: Table) -> Vec<crate::store::Record> {
    store.scan(Scan { table, prefix: String::new(), after: None, newest_first: false, limit: 100 }).await.unwrap()
}

fn nobody() -> String {
    endpoint("crm", "https://crm.example/hooks", "events = [\"tenant.*\"]")
        + &endpoint("erp", "https://erp.example", "events = [\"invoice.*\"]")
}

#[tokio::test]
async fn a_commit_with_rows_that_somebody_wants_to_hear_of_has_their_events_in_order_and_no_others() {
    let (events, store) = events(&nobody());
    let rows = ["tenant.created", "invoice.issued", "key.created", "usage.threshold_reached", "tenant.suspended"];
    let audit = rows.map(|action| row(action, json!({"of": action}))).to_vec();
    events.outbox().commit(Tx { audit, ..Tx::default() }).await.unwrap();
    let stored: Vec<StoredEvent> = all(&*store, Table::Events).await.iter().map(|record| StoredEvent::decode(record).unwrap()).collect();
    let seen: Vec<(EventType, Vec<&String>)> = stored.iter().map(|it| (it.facts.kind, it.facts.deliveries.keys().collect())).collect();
    let [crm, erp] = ["crm", "erp"].map(str::to_owned);
    let expected =
        [(EventType::TenantCreated, vec![&crm]), (EventType::InvoiceIssued, vec![&erp]), (EventType::TenantSuspended, vec![&crm])];
    assert_eq!(seen, expected);
    assert_eq!(all(&*store, Table::EventQueue).await.len(), 3);
    assert_eq!(all(&*store, Table::Audit).await.len(), 5);
}

#[tokio::test]
async fn a_commit_that_does_not_happen_leaves_no_event() {
    let (events, store) = events(&nobody());
    let never = Precondition::Unchanged(Key::new(Table::Settings, "none"), crate::store::Version(9));
    let refused = events.outbox().commit(Tx { preconditions: vec![never], audit: vec![suspended()], ..Tx::default() }).await;
    assert!(refused.is_err());
    assert!(all(&*store, Table::Events).await.is_empty() && events.endpoints().iter().all(|endpoint| endpoint.pending == 0));
}

#[tokio::test]
async fn a_commit_whose_caller_goes_away_is_announced_all_the_same() {
    let (events, store) = events(&nobody());
    let outbox = events.outbox();
    let caller = tokio::spawn(async move { outbox.commit(Tx { audit: vec![suspended()], ..Tx::default() }).await });
    tokio::task::yield_now().await;
    caller.abort();
    let _ = caller.await;
    if !all(&*store, Table::Events).await.is_empty() {
        until("it is announced", async || (events.endpoints()[0].pending == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id_and_body_until_it_is_taken() {
    let receiver = Receiver::answering(&[
        "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nwhy?",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ])
    .await;
    let (events, store) = events(&quick(&endpoint("crm", &receiver.url, "")));
    let running = tokio::spawn(Arc::clone(&events).run());
    events.outbox().commit(Tx { audit: vec![suspended()], ..Tx::default() }).await.unwrap();
    let (id, event) = until("it is delivered", async || {
        let page = events.list(EventFilter { state: Some(DeliveryState::Delivered), ..EventFilter::default() }, None, 10).await.unwrap();
        page.items.into_iter().next()
    })
    .await;
    let attempts = &event.facts.deliveries["crm"].attempts;
    let seen: Vec<(Option<u16>, bool)> = attempts.iter().map(|attempt| (attempt.status, attempt.error.is_none())).collect();
    assert_eq!(seen, [(Some(500), false), (Some(302), false), (Some(204), true)]);
    assert_eq!((attempts[0].answer.as_deref(), attempts[2].answer.as_deref()), (Some("why?"), None));
    assert!(attempts[1].error.as_ref().unwrap().contains("not followed"), "{:?}", attempts[1]);
    let heard = receiver.heard();
    let body = String::from_utf8(event.body.to_vec()).unwrap();
    for request in &heard {
        assert!(request.starts_with("POST /hooks?a=1 HTTP/1.1\r\n") && request.ends_with(&body), "{request}");
        assert!(request.contains(&format!("webhook-id: {id}\r\n")) && request.contains("content-type: application/json\r\n"), "{request}");
    }
    assert_eq!((heard.len(), all(&*store, Table::EventQueue).await.len()), (3, 0));
    running.abort();
}

#[tokio::test]
async fn it_is_given_up_after_the_last_wait_and_at_once_where_the_endpoint_is_gone_for_good() {
    let (down, gone) =
        (Receiver::answering(&["HTTP/1.1 503 Busy\r\n\r\n"]).await, Receiver::answering(&["HTTP/1.1 410 Gone\r\n\r\n"]).await);
    let (events, store) = events(&quick(&(endpoint("down", &down.url, "") + &endpoint("gone", &gone.url, ""))));
    let running = tokio::spawn(Arc::clone(&events).run());
    events.outbox().commit(Tx { audit: vec![suspended()], ..Tx::default() }).await.unwrap();
    let failed = EventFilter { state: Some(DeliveryState::Failed), ..EventFilter::default() };
    let event = until("it is given up", async || events.list(failed, None, 1).await.unwrap().items.pop()).await.1;
    assert_eq!(["down", "gone"].map(|name| event.facts.deliveries[name].attempts.len()), [3, 1]);
    assert!(all(&*store, Table::EventQueue).await.is_empty());
    running.abort();
}

#[tokio::test]
async fn what_was_pending_at_the_end_is_delivered_by_the_next_start_or_given_up_where_its_endpoint_is_gone() {
    let receiver = Receiver::answering(&["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]).await;
    let (before, store) = events(&quick(&(endpoint("crm", &receiver.url, "") + &endpoint("old", &receiver.url, ""))));
    let rows = |count| (0..count).map(|_| suspended()).collect();
    before.outbox().commit(Tx { audit: rows(20), ..Tx::default() }).await.unwrap();
    drop(before);
    let after = over(&store, &quick(&endpoint("crm", &receiver.url, "")));
    let running = tokio::spawn(Arc::clone(&after).run());
    until("all is done with", async || all(&*store, Table::EventQueue).await.is_empty().then_some(())).await;
    for record in all(&*store, Table::Events).await {
        let event = StoredEvent::decode(&record).unwrap();
        let [crm, old] = ["crm", "old"].map(|name| event.facts.deliveries[name].clone());
        assert_eq!((crm.state, old.state, old.given_up.is_some()), (DeliveryState::Delivered, DeliveryState::Failed, true));
    }
    assert_eq!(receiver.heard().len(), 20);
    running.abort();
}

#[tokio::test]
async fn what_is_done_with_is_forgotten_after_30_days_and_what_is_pending_stays() {
    let (events, store) = events(&nobody());
    events.outbox().commit(Tx { audit: vec![suspended(), suspended()], ..Tx::default() }).await.unwrap();
    let first = events.list(EventFilter::default(), None, 1).await.unwrap().items.pop().unwrap().0;
    events.change(first, |event| event.facts.deliveries.values_mut().for_each(|delivery| delivery.give_up("no"))).await.unwrap();
    let time = suspended().time;
    assert_eq!(forget_old_events(&*store, time.plus_days(30)).await.unwrap(), 0);
    assert_eq!(forget_old_events(&*store, time.plus_days(31)).await.unwrap(), 1);
    assert_eq!((events.get(first).await.unwrap(), all(&*store, Table::Events).await.len()), (None, 1));
}
