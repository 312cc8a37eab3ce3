//! A crash between any two writes: whatever was written is gone on from, and nothing is done twice.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::provider::{Answer, Bank};
use crate::admin::tests::support::{Admin, config, millis};
use crate::model::{Day, Millis, TenantId};
use crate::store::memory::Memory;
use crate::store::{Changed, Committed, Key, Record, Scan, Snapshot, Store, StoreError, Tx, UsageRow, Version};

/// A store that stops after so many commits, as a process does that is killed.
struct Mortal {
    kept: Arc<Memory>,
    left: AtomicI64,
}

#[async_trait]
impl Store for Mortal {
    async fn commit(&self, tx: Tx) -> Result<Committed, StoreError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(StoreError::Unavailable("killed".to_owned()));
        }
        self.kept.commit(tx).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.kept.get(key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Record>, StoreError> {
        self.kept.scan(scan).await
    }

    async fn add_usage(&self, rows: Vec<UsageRow>) -> Result<(), StoreError> {
        self.kept.add_usage(rows).await
    }

    async fn usage(&self, tenant: TenantId, days: Range<Day>) -> Result<Vec<UsageRow>, StoreError> {
        self.kept.usage(tenant, days).await
    }

    async fn usage_since(&self, from: Day, after: Option<TenantId>, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
        self.kept.usage_since(from, after, limit).await
    }

    async fn lease(&self, name: &str, holder: &str, now: Millis, ttl: Duration) -> Result<bool, StoreError> {
        self.kept.lease(name, holder, now, ttl).await
    }

    async fn changes(&self, since: Version, limit: usize) -> Result<Vec<Changed>, StoreError> {
        self.kept.changes(since, limit).await
    }

    async fn version(&self) -> Result<Version, StoreError> {
        self.kept.version().await
    }

    async fn export(&self) -> Result<Snapshot, StoreError> {
        self.kept.export().await
    }

    async fn import(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.kept.import(snapshot).await
    }
}

/// A gateway on what is kept that lives for so many commits.
async fn alive(kept: &Arc<Memory>, bank: &Arc<Bank>, left: i64) -> (Admin, Arc<Mortal>) {
    let store = Arc::new(Mortal { kept: Arc::clone(kept), left: AtomicI64::new(left) });
    (Admin::on(store.clone(), config(), bank.clone()).await, store)
}

/// Two tenants at the beginning of their trials: one with a card that is declined at first, one that pays by hand and never does.
async fn begin(admin: &Admin) {
    admin.move_to("2027-01-17T10:00:00Z").await;
    admin.tenant("acme", "pro").await;
    admin.tenant("globex", "pro").await;
    let method = json!({"paymentMethod": "pm_card_visa"});
    admin.call("PUT", "/admin/tenants/acme/payment-method", method, &[]).await.expect(200);
}

/// All that is left of it, without ids: the tenants' states, and their invoices with what was charged.
async fn result(admin: &Admin, bank: &Bank) -> Value {
    let mut told = Vec::new();
    let mut numbers = Vec::new();
    for tenant in ["acme", "globex"] {
        let shown = admin.show(tenant).await;
        let mut invoices = Vec::new();
        for invoice in admin.invoices(tenant).await {
            numbers.push(invoice["number"].as_str().unwrap().to_owned());
            let attempts = invoice["attempts"].as_array().unwrap().len();
            invoices.push(json!([
                invoice["status"],
                invoice["amountMinor"],
                invoice["period"],
                invoice["createdAt"],
                invoice["dueDate"],
                attempts
            ]));
        }
        told.push(json!([tenant, shown["status"], shown["plan"], shown["amountDueMinor"], invoices]));
    }
    numbers.sort();
    let expected: Vec<String> = (1..=numbers.len()).map(|number| format!("INV-{number:06}")).collect();
    assert_eq!(numbers, expected, "numbers have no gaps");
    json!({"tenants": told, "taken": bank.taken()})
}

#[tokio::test]
async fn a_crash_between_any_two_writes_changes_nothing_of_what_comes_of_it() {
    let declines = || [Answer::Declines("insufficient_funds", false)];
    let end = millis("2027-04-20T10:00:00Z");
    let (kept, bank) = (Arc::new(Memory::default()), Arc::new(Bank::default()));
    let (admin, _) = alive(&kept, &bank, i64::MAX).await;
    bank.will(&declines());
    begin(&admin).await;
    admin.post("/admin/clock", json!({"to": end})).await.expect(200);
    let undisturbed = result(&admin, &bank).await;
    assert_eq!(bank.taken(), [9900; 3]);
    for killed_after in 0.. {
        let (kept, bank) = (Arc::new(Memory::default()), Arc::new(Bank::default()));
        let (admin, store) = alive(&kept, &bank, i64::MAX).await;
        bank.will(&declines());
        begin(&admin).await;
        store.left.store(killed_after, Ordering::SeqCst);
        let outlived = admin.post("/admin/clock", json!({"to": end})).await.status == 200;
        drop(admin);
        let (admin, _) = alive(&kept, &bank, i64::MAX).await;
        admin.post("/admin/clock", json!({"to": end})).await.expect(200);
        assert_eq!(result(&admin, &bank).await, undisturbed, "killed after {killed_after} commits");
        if outlived {
            assert!(killed_after > 20, "only {killed_after} commits were seen");
            return;
        }
    }
}
